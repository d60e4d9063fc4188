package runcommand

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"dcv-session-broker/internal/session"
)

// refused tells whether Systems Manager refused the call, so that nothing was sent.
// After throttling, server errors and lost answers it is not known whether something
// was sent.
func refused(err error) bool {
	var api smithy.APIError
	if err == nil || !errors.As(err, &api) {
		return false
	}
	if throttled(err) {
		return false
	}
	var response *awshttp.ResponseError
	return api.ErrorFault() != smithy.FaultServer &&
		!(errors.As(err, &response) && response.HTTPStatusCode() >= 500)
}

func throttled(err error) bool {
	_, busy := retry.DefaultThrottleErrorCodes[code(err)]
	return busy
}

// isolate handles a refused command. One host that is not connected fails the whole
// call with InvalidInstanceId, and one without the fleet's tag fails it with
// AccessDeniedException. The answer does not say which host it is. So isolate asks
// which hosts are not at fault, and sends to those. If that does not help, it sends to
// eight hosts at a time, and then to each of the rest. So no healthy host waits because
// of others, however many there are. For 50 hosts these are at most 68 calls: 11 to ask
// and send what is left, 7 for eight hosts each, and 50.
func (o *order) isolate(ctx context.Context, cmd command, cause error) {
	if len(cmd.groups) == 1 || concernsAll(cause) {
		o.refuse(cmd.groups, cause)
		return
	}
	o.asked[code(cause)] = true
	for _, good := range o.good(ctx, cmd.hostIDs(), cause) {
		var rest command
		for _, g := range cmd.groups {
			if good[g.hostID] {
				rest.groups = append(rest.groups, g)
			} else {
				o.refuse([]group{g}, cause)
			}
		}
		if len(rest.groups) == len(cmd.groups) {
			continue
		}
		err := o.try(ctx, rest)
		switch {
		case err == nil:
			return
		case !o.asked[code(err)]: // another fault, of other hosts
			o.isolate(ctx, rest, err)
			return
		}
		cmd, cause = rest, err
	}
	o.sendInSections(ctx, cmd, cause)
}

// sectionHosts is how many hosts one command is for while the hosts at fault are not
// known.
const sectionHosts = 8

// sendInSections sends to eight hosts at a time, first to those that are most likely
// healthy. If a section is refused, it sends to its hosts one by one.
func (o *order) sendInSections(ctx context.Context, cmd command, cause error) {
	if len(cmd.groups) == 1 || concernsAll(cause) {
		o.refuse(cmd.groups, cause)
		return
	}
	var left []group
	for some := range slices.Chunk(o.healthyFirst(ctx, cmd.groups), min(sectionHosts, (len(cmd.groups)+1)/2)) {
		err := o.try(ctx, command{some})
		switch {
		case err != nil && len(some) == 1:
			o.refuse(some, err)
		case err != nil:
			left = append(left, some...)
		}
	}
	for alone := range slices.Chunk(left, 1) {
		if err := o.try(ctx, command{alone}); err != nil {
			o.refuse(alone, err)
		}
	}
}

// healthyFirst sorts hosts by when they last answered an inventory. Inventories are
// sent by the fleet's tag, so a host that answered the last one was connected and had
// the tag then.
func (o *order) healthyFirst(ctx context.Context, groups []group) []group {
	if o.Answered == nil {
		return groups
	}
	answered, err := o.Answered(ctx, command{groups}.hostIDs())
	if err != nil { // they are all sent to, in any order
		return groups
	}
	return slices.SortedStableFunc(slices.Values(groups), func(a, b group) int {
		return answered[b.hostID].Compare(answered[a.hostID])
	})
}

// try sends a smaller command. An error is a refusal. Without an error all items have
// their answers.
func (o *order) try(ctx context.Context, cmd command) (refusal error) {
	if len(cmd.groups) == 0 {
		return nil
	}
	err := o.sendCommand(ctx, cmd)
	if refused(err) {
		return err
	}
	o.answer(cmd.groups, func(string) error { return err })
	return nil
}

// code is the service's name for an error, "" if it has none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// concernsAll tells whether the hosts are not the cause of a refusal: smaller calls
// would be refused, too.
func concernsAll(err error) bool {
	var (
		document *types.InvalidDocument
		version  *types.InvalidDocumentVersion
		// The document is older than this function, for as long as a stack is updated.
		parameters *types.InvalidParameters
	)
	return errors.As(err, &document) || errors.As(err, &version) || errors.As(err, &parameters)
}

// refuse gives the hosts at fault their answer.
func (o *order) refuse(groups []group, cause error) {
	o.answer(groups, func(hostID string) error {
		why := code(cause)
		if o.absent[hostID] {
			why = invalidInstance
		}
		return &session.Refusal{HostID: hostID, Reason: reasonFor(why), Err: cause}
	})
}

// reasonFor returns the clause of a Refusal for a host that Systems Manager refuses
// with that code.
func reasonFor(code string) string {
	switch code {
	case invalidInstance:
		return session.NotConnected
	case accessDenied:
		return session.NotPermitted
	case "UnsupportedPlatformType":
		return session.WrongPlatform
	}
	return session.Refused
}

func unmanageable(hostID string) *session.Refusal {
	return &session.Refusal{HostID: hostID, Reason: session.NotManageable}
}

const (
	invalidInstance = "InvalidInstanceId"
	accessDenied    = "AccessDeniedException"
)

// good returns the hosts that are not the cause of the refusal, by Systems Manager's
// list of nodes. It returns none if the list does not tell, or not in a few calls. It
// notes the hosts that Systems Manager does not know.
//
// A node that is stopped or deregistered is no longer listed. A node that is listed as
// ConnectionLost has failed its health check, and may still accept commands
// (amazon-ssm-agent issue 407).
//
// Filters of nodes by tag cannot be combined with others (Systems Manager API
// reference, DescribeInstanceInformation). So for a missing tag all nodes of the fleet
// are listed, 50 a page. In a fleet of more than maxPages of those, sending to each
// host needs no more calls.
func (o *order) good(ctx context.Context, hostIDs []string, cause error) []map[string]bool {
	switch code(cause) {
	case invalidInstance:
		listed, online, known := o.list(ctx, "InstanceIds", hostIDs, hostIDs)
		if !known {
			return nil
		}
		o.note(hostIDs, listed)
		return []map[string]bool{listed, online}
	case accessDenied:
		tagged, _, known := o.list(ctx, "tag:"+session.FleetTagKey, []string{o.FleetTag}, hostIDs)
		if !known {
			return nil
		}
		rest := slices.DeleteFunc(slices.Clone(hostIDs), func(id string) bool { return tagged[id] })
		if len(rest) > 0 {
			if listed, _, known := o.list(ctx, "InstanceIds", rest, rest); known {
				o.note(rest, listed)
			}
		}
		return []map[string]bool{tagged}
	}
	return nil
}

// list returns which of the hosts a filter lists, and which of those are online.
func (o *order) list(ctx context.Context, key string, values, hostIDs []string) (listed, online map[string]bool, known bool) {
	const maxPages = 6
	listed, online = map[string]bool{}, map[string]bool{}
	pages := nodePages(o.API, key, values)
	for n := 0; pages.HasMorePages() && len(listed) < len(hostIDs); n++ {
		if n == maxPages {
			return nil, nil, false
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, nil, false
		}
		for _, info := range page.InstanceInformationList {
			if id := aws.ToString(info.InstanceId); slices.Contains(hostIDs, id) {
				listed[id] = true
				online[id] = info.PingStatus == types.PingStatusOnline
			}
		}
	}
	return listed, online, true
}

// note stores which hosts Systems Manager does not know.
func (o *order) note(hostIDs []string, listed map[string]bool) {
	for _, id := range hostIDs {
		if !listed[id] {
			o.absent[id] = true
		}
	}
}
