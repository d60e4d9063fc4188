// Package ec2state asks EC2 for the state of hosts. Package session decides what that
// means for their sessions.
package ec2state

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"dcv-session-broker/internal/session"
)

// API is the part of *ec2.Client that is used here.
type API interface {
	DescribeInstances(context.Context, *ec2.DescribeInstancesInput, ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error)
}

// Instances asks EC2 for the status of hosts. It implements session.Instances.
type Instances struct {
	api API
}

// New returns Instances of the hosts' account and region.
func New(api API) *Instances { return &Instances{api} }

const (
	// maxPerCall is how many values a filter can have ("up to 200 values per filter
	// in a single request": EC2 User Guide, Using_Filtering).
	maxPerCall = 200
	// pageSize is the largest there is, so that a call has one page as a rule.
	// AWS asks for paginated requests, since others are more likely to be
	// throttled (API reference, DescribeInstances).
	pageSize = 1000
)

// isInstanceID tells whether it looks like an instance's ID to Systems Manager (API
// reference, SendCommand: InstanceIds): ^i-(\w{8}|\w{17})$. mi-… is a machine that is
// not EC2's.
func isInstanceID(id string) bool {
	rest, ok := strings.CutPrefix(id, "i-")
	return ok && (len(rest) == 8 || len(rest) == 17) && !strings.ContainsFunc(rest, func(r rune) bool {
		return r > 'z' || r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// Statuses asks EC2 about the hosts, 200 in a call, and has an answer for each of
// them. What does not have the ID of an instance is not asked about and counts
// as alive: EC2 cannot know it, and in a filter * and ? would be patterns. With
// an error there are no statuses at all, since half an answer reads like hosts that
// are gone.
func (i *Instances) Statuses(ctx context.Context, hostIDs []string) (statuses map[string]session.HostStatus, owners map[string]string, err error) {
	statuses, owners = make(map[string]session.HostStatus, len(hostIDs)), map[string]string{}
	var asked []string
	for _, id := range hostIDs {
		if _, twice := statuses[id]; twice {
			continue
		}
		statuses[id] = session.Alive
		if isInstanceID(id) {
			asked = append(asked, id)
		}
	}
	for ids := range slices.Chunk(asked, maxPerCall) {
		found, err := i.describe(ctx, ids)
		if err != nil {
			return nil, nil, fmt.Errorf("describe %d instances: %w", len(ids), err)
		}
		for _, id := range ids {
			statuses[id] = session.Terminated // unless EC2 knows it
			if instance, ok := found[id]; ok {
				statuses[id], owners[id] = status(instance), owner(instance)
			}
		}
	}
	return statuses, owners, nil
}

// owner returns the value of an instance's tag DcvOwner, or "". Keys of tags are
// case-sensitive, and each is there once (EC2 User Guide, Using_Tags: "Tag keys and
// values are case-sensitive", "For each resource, each tag key must be unique").
func owner(i types.Instance) string {
	for _, tag := range i.Tags {
		if aws.ToString(tag.Key) == session.OwnerTagKey {
			return aws.ToString(tag.Value)
		}
	}
	return ""
}

// describe returns the instances that EC2 knows: all except those that were terminated
// some time ago ("usually less than one hour"), and, since its answers are eventually
// consistent, those launched a moment ago, which cannot have been a host of sessions
// yet (API reference, DescribeInstances). A filter only does not match the others; an
// unknown ID in InstanceIds would fail the whole call.
func (i *Instances) describe(ctx context.Context, ids []string) (map[string]types.Instance, error) {
	found := make(map[string]types.Instance, len(ids))
	pages := ec2.NewDescribeInstancesPaginator(i.api, &ec2.DescribeInstancesInput{
		Filters:    []types.Filter{{Name: aws.String("instance-id"), Values: ids}},
		MaxResults: aws.Int32(pageSize),
		// A setting of the account can hide instances that an AWS service manages. They would
		// look terminated.
		IncludeManagedResources: aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range page.Reservations {
			for _, instance := range r.Instances {
				found[aws.ToString(instance.InstanceId)] = instance
			}
		}
	}
	return found, nil
}

// status returns what an instance's state means for its sessions.
func status(i types.Instance) session.HostStatus {
	if i.State == nil {
		return session.Alive
	}
	switch i.State.Name {
	case types.InstanceStateNameShuttingDown, types.InstanceStateNameTerminated:
		return session.Terminated
	case types.InstanceStateNameStopping:
		return session.Stopping
	case types.InstanceStateNameStopped:
		if !mayResume(i) {
			return session.Stopped
		}
	}
	return session.Alive
}

// mayResume tells whether the stopped instance was, or may have been, hibernated.
//
// The code of a requested hibernation, also of a Spot Instance, is
// Client.UserInitiatedHibernate (API reference, StateReason). An instance that was shut
// down instead can have it, too ("If hibernation fails, a normal shutdown occurs":
// StopInstances). That its sessions are gone shows once it runs again.
//
// A hibernation that EC2 begins when it interrupts a Spot Instance has no code of its
// own in that list, only Server.SpotInstanceShutdown for a stop. The instance does not
// show it otherwise: the Spot request decides what an interruption does
// (InstanceInterruptionBehavior), and that may be to hibernate whether or not
// HibernationOptions.Configured is set (API reference, SpotMarketOptions). So a Spot
// Instance that its user did not stop may come back with its sessions.
func mayResume(i types.Instance) bool {
	var code string
	if i.StateReason != nil {
		code = aws.ToString(i.StateReason.Code)
	}
	byClient := strings.HasPrefix(code, "Client.")
	return code == "Client.UserInitiatedHibernate" || i.InstanceLifecycle == types.InstanceLifecycleTypeSpot && !byClient
}
