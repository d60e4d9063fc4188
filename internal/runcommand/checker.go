package runcommand

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/session"
)

// A Checker implements session.HostChecker: it asks Systems Manager about hosts
// without sending them anything.
type Checker struct {
	API interface {
		DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error)
	}
	FleetTag string
}

// maxFleetPages bounds the listing of the fleet by its tag: 2,000 nodes. In a larger
// fleet, a host that is not among the first 2,000 counts as tagged if Systems Manager
// knows it.
const maxFleetPages = 40

// Check implements session.HostChecker with one call for each 50 hosts. If Systems
// Manager knows any of them, it also lists the fleet until all of them were listed,
// since filters by tag cannot be combined with others.
func (c *Checker) Check(ctx context.Context, hostIDs []string) (map[string]*session.Refusal, error) {
	refusals := map[string]*session.Refusal{}
	var asked []string
	for _, id := range hostIDs {
		if hostIDPattern(id) {
			asked = append(asked, id)
		} else {
			refusals[id] = unmanageable(id)
		}
	}
	// A node that has lost its connection is listed, and accepts commands (isolate.go).
	connected := map[string]bool{}
	for some := range slices.Chunk(asked, 50) {
		_, err := c.list(ctx, "InstanceIds", some, func(info types.InstanceInformation) bool {
			connected[aws.ToString(info.InstanceId)] = true
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	untagged := map[string]bool{}
	for id := range connected {
		untagged[id] = true
	}
	whole := true
	if len(untagged) > 0 {
		var err error
		whole, err = c.list(ctx, "tag:"+session.FleetTagKey, []string{c.FleetTag}, func(info types.InstanceInformation) bool {
			delete(untagged, aws.ToString(info.InstanceId))
			return len(untagged) > 0
		})
		if err != nil {
			return nil, err
		}
	}
	for _, id := range asked {
		// In this order, since AWS evaluates the policy first.
		switch {
		case untagged[id] && whole:
			refusals[id] = &session.Refusal{HostID: id, Reason: reasonFor(accessDenied)}
		case !connected[id]:
			refusals[id] = &session.Refusal{HostID: id, Reason: reasonFor(invalidInstance)}
		}
	}
	return refusals, nil
}

// list lists nodes until it has seen enough. whole is false if there are more than it
// may list.
func (c *Checker) list(ctx context.Context, filter string, values []string, more func(types.InstanceInformation) bool) (whole bool, err error) {
	pages := nodePages(c.API, filter, values)
	for n := 0; pages.HasMorePages(); n++ {
		if n == maxFleetPages {
			return false, nil
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return false, fmt.Errorf("list nodes by %s: %w", filter, err)
		}
		for _, info := range page.InstanceInformationList {
			if !more(info) {
				return true, nil
			}
		}
	}
	return true, nil
}
