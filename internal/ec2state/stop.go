package ec2state

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"dcv-session-broker/internal/session"
)

// StopAPI is the part of *ec2.Client that a Stopper uses.
type StopAPI interface {
	API
	StopInstances(context.Context, *ec2.StopInstancesInput, ...func(*ec2.Options)) (*ec2.StopInstancesOutput, error)
}

// A Stopper implements session.Stoppable for the instances of the fleet that have the
// tag for it. The policy allows no others.
type Stopper struct {
	api      StopAPI
	fleetTag string
}

// NewStopper returns a Stopper for the instances whose tag DcvFleet has that value.
func NewStopper(api StopAPI, fleetTag string) *Stopper { return &Stopper{api, fleetTag} }

// Running implements session.Stoppable. LaunchTime is "the time that the instance was
// last launched", so after each start a new one (API reference, Instance).
func (s *Stopper) Running(ctx context.Context) (running []session.RunningHost, err error) {
	pages := ec2.NewDescribeInstancesPaginator(s.api, &ec2.DescribeInstancesInput{
		Filters: []types.Filter{
			{Name: aws.String("tag:DcvStopWhenEmpty"), Values: []string{"true"}},
			{Name: aws.String("tag:" + session.FleetTagKey), Values: []string{s.fleetTag}},
			{Name: aws.String("instance-state-name"), Values: []string{"running"}},
		},
		MaxResults: aws.Int32(pageSize),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("describe instances: %w", err)
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				running = append(running, session.RunningHost{HostID: aws.ToString(i.InstanceId), StartedAt: aws.ToTime(i.LaunchTime)})
			}
		}
	}
	return running, nil
}

// Stop implements session.Stoppable. Each call has one instance, since one that cannot
// be stopped would fail a call for several.
func (s *Stopper) Stop(ctx context.Context, hostID string) error {
	_, err := s.api.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{hostID}})
	if refused := smithy.APIError(nil); errors.As(err, &refused) && slices.Contains(ofTheInstance, refused.ErrorCode()) {
		return fmt.Errorf("%w: %s: %s", session.ErrCannotBeStopped, refused.ErrorCode(), refused.ErrorMessage())
	}
	return err
}

// ofTheInstance are the error codes about an instance: a Spot Instance of a one-time
// request, one with stop protection, one that is in no state to be stopped (EC2 user
// guide, "Error codes for the Amazon EC2 API").
var ofTheInstance = []string{
	"UnsupportedOperation", "OperationNotPermitted", "IncorrectInstanceState", "IncorrectSpotRequestState", "InvalidInstanceID.NotFound",
}
