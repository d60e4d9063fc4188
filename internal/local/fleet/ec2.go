package fleet

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"dcv-session-broker/internal/session"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
)

// Limits of DescribeInstances.
const (
	maxEC2Filters      = 50
	maxEC2FilterValues = 200
	minReservations    = 5
	maxReservations    = 1000
)

// DescribeInstances simulates EC2's: the machines by ID, for some time also terminated ones. One unknown ID fails the
// whole call; a filter that matches nothing does not. Every instance has its own reservation.
func (f *Fleet) DescribeInstances(_ context.Context, in *ec2.DescribeInstancesInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	if err := validateDescribe(in); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	instances := f.instances()
	var unknown []string
	for _, id := range in.InstanceIds {
		if instances[id] == nil {
			unknown = append(unknown, id)
		}
	}
	switch {
	case len(unknown) == 1:
		return nil, ec2Refusal("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", unknown[0])
	case len(unknown) > 1:
		return nil, ec2Refusal("InvalidInstanceID.NotFound", "The instance IDs '%s' do not exist", strings.Join(unknown, ", "))
	}
	var found []types.Reservation
	for _, id := range slices.Sorted(maps.Keys(instances)) {
		h := instances[id]
		if (len(in.InstanceIds) == 0 || slices.Contains(in.InstanceIds, id)) && f.passes(h, in.Filters) {
			found = append(found, f.reservation(h))
		}
	}
	listed, next, err := page(found, in.NextToken, in.MaxResults, maxReservations, minReservations, maxReservations)
	if err != nil { // all else was checked before: the token is not valid
		return nil, ec2Refusal("InvalidNextToken", "The token '%s' is not valid", deref(in.NextToken))
	}
	return &ec2.DescribeInstancesOutput{Reservations: listed, NextToken: next}, nil
}

// instanceID matches an instance's ID. Real ones are hexadecimal; here other letters are allowed.
var instanceID = regexp.MustCompile(`^i-(\w{8}|\w{17})$`)

func validateDescribe(in *ec2.DescribeInstancesInput) error {
	switch size := deref(in.MaxResults); {
	case in.DryRun != nil:
		return ec2Refusal("UnsupportedOperation", "DryRun exists in EC2, but not on this machine")
	case in.MaxResults != nil && len(in.InstanceIds) > 0:
		return ec2Refusal("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	case in.MaxResults != nil && (size < minReservations || size > maxReservations):
		return ec2Refusal("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value between %d and %d.",
			size, minReservations, maxReservations)
	case len(in.Filters) > maxEC2Filters:
		return ec2Refusal("FilterLimitExceeded", "The maximum number of filters is %d", maxEC2Filters)
	}
	for _, id := range in.InstanceIds {
		if !instanceID.MatchString(id) {
			return ec2Refusal("InvalidInstanceID.Malformed", "Invalid id: %q", id)
		}
	}
	for _, filter := range in.Filters {
		name := deref(filter.Name)
		switch {
		case len(filter.Values) > maxEC2FilterValues:
			return ec2Refusal("FilterLimitExceeded", "The maximum number of filter values specified on a single call is %d", maxEC2FilterValues)
		case len(filter.Values) == 0:
			return ec2Refusal("InvalidParameterValue", "The filter '%s' has no values", name)
		case name != "instance-id" && name != "instance-state-name" && !strings.HasPrefix(name, "tag:"):
			return ec2Refusal("InvalidParameterValue", "The filter '%s' is invalid, or exists in EC2 but not on this machine", name)
		case strings.ContainsAny(strings.Join(filter.Values, ""), `*?\`):
			return ec2Refusal("UnsupportedOperation", `Values with *, ? or \ are patterns in EC2, but do not exist on this machine`)
		}
	}
	return nil
}

// instances returns the machines that EC2 shows.
func (f *Fleet) instances() map[string]*host {
	shown := map[string]*host{}
	for id, h := range f.hosts {
		if isInstance(id) {
			shown[id] = h
		}
	}
	for id, h := range f.gone {
		if isInstance(id) && f.now().Sub(h.TerminatedAt) < remembered {
			shown[id] = h
		}
	}
	return shown
}

// passes tells whether every filter has a value that matches.
func (f *Fleet) passes(h *host, filters []types.Filter) bool {
	for _, filter := range filters {
		var fits bool
		switch name := deref(filter.Name); name {
		case "instance-id":
			fits = slices.Contains(filter.Values, h.id)
		case "instance-state-name":
			fits = slices.Contains(filter.Values, string(h.instanceState()))
		default:
			key := strings.TrimPrefix(name, "tag:")
			fits = f.tagged(h, key, filter.Values) || key == stopTag && h.StopsWhenEmpty && slices.Contains(filter.Values, "true")
		}
		if !fits {
			return false
		}
	}
	return true
}

func (h *host) instanceState() types.InstanceStateName {
	switch {
	case !h.TerminatedAt.IsZero() && h.leaving:
		return types.InstanceStateNameShuttingDown
	case !h.TerminatedAt.IsZero():
		return types.InstanceStateNameTerminated
	case h.Off && h.leaving:
		return types.InstanceStateNameStopping
	case h.Off:
		return types.InstanceStateNameStopped
	}
	return types.InstanceStateNameRunning
}

// Numbers of the states (API reference, InstanceState).
var stateCodes = map[types.InstanceStateName]int32{
	types.InstanceStateNamePending:      0,
	types.InstanceStateNameRunning:      16,
	types.InstanceStateNameShuttingDown: 32,
	types.InstanceStateNameTerminated:   48,
	types.InstanceStateNameStopping:     64,
	types.InstanceStateNameStopped:      80,
}

// stateReason returns why the machine is off, with EC2's codes (API reference, StateReason); nil if it runs.
func (h *host) stateReason() *types.StateReason {
	code, message := "Client.UserInitiatedShutdown", "User initiated shutdown"
	switch {
	case !h.Off:
		return nil
	case h.Hibernated:
		code, message = "Client.UserInitiatedHibernate", "User initiated hibernate"
	}
	return &types.StateReason{Code: aws.String(code), Message: aws.String(code + ": " + message)}
}

func (f *Fleet) reservation(h *host) types.Reservation {
	state := h.instanceState()
	i := types.Instance{
		InstanceId:  aws.String(h.id),
		State:       &types.InstanceState{Code: aws.Int32(stateCodes[state]), Name: state},
		StateReason: h.stateReason(),
	}
	if h.Platform == "Windows" { // Linux has no value
		i.Platform = types.PlatformValuesWindows
	}
	if !h.NoProfile {
		i.IamInstanceProfile = &types.IamInstanceProfile{
			Arn: aws.String("arn:aws:iam::" + account + ":instance-profile/dcv-host"),
			Id:  aws.String("AIPA00000000000000000"),
		}
	}
	if !h.Untagged {
		i.Tags = []types.Tag{{Key: aws.String(session.FleetTagKey), Value: aws.String(f.tagValue)}}
	}
	if h.StopsWhenEmpty {
		i.Tags = append(i.Tags, types.Tag{Key: aws.String(stopTag), Value: aws.String("true")})
	}
	if h.OwnerTag != "" {
		i.Tags = append(i.Tags, types.Tag{Key: aws.String(session.OwnerTagKey), Value: aws.String(h.OwnerTag)})
	}
	if !h.StartedAt.IsZero() {
		i.LaunchTime = aws.Time(h.StartedAt.UTC().Truncate(time.Second))
	}
	return types.Reservation{
		ReservationId: aws.String("r-" + strings.TrimPrefix(h.id, "i-")),
		OwnerId:       aws.String(account),
		Instances:     []types.Instance{i},
	}
}

func ec2Refusal(code, format string, args ...any) error {
	return &smithy.GenericAPIError{Code: code, Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}
