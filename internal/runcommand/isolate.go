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
// After throttling, server errors and lost answers that is not known.
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

// isolate handles a refused command. One host that is not connected fails the
// whole call with InvalidInstanceId, and one without the fleet's tag fails it
// with AccessDeniedException; the answer does not say which. So isolate asks which
// hosts are not at fault, and sends to those. Only if that does not help, it sends
// to a few hosts at a time, and then to each that is left: no healthy host waits
// because of others, however many there are. For 50 hosts, that is at most 68
// calls: 11 to ask and send what is left, 7 for eight hosts each, and 50.
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

// sectionHosts is how many hosts are sent to together when nobody can tell which
// of them are at fault.
const sectionHosts = 8

// sendInSections sends to eight hosts at a time, first to those that are most likely
// healthy. To the hosts of a section that was refused it sends one by one.
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

// healthyFirst sorts hosts by when they last answered an inventory. It was sent
// by the fleet's tag: those who answered the last one were connected and had the
// tag then.
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

// try sends a smaller command. The error is a refusal; otherwise all have their
// answers.
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

// concernsAll tells whether a refusal has nothing to do with the hosts: smaller
// calls would be refused, too.
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

// good asks Systems Manager which of the hosts are not what the call was
// refused for: first those that may not be, then fewer. There are none where it
// cannot tell, or not in a few calls. Those that it does not know are noted.
//
// A node that is stopped or deregistered is not listed any more. One that is,
// as ConnectionLost, has failed its health check, and commands for it may be
// taken all the same (amazon-ssm-agent issue 407).
//
// Filters of nodes by tag cannot be combined with others (Systems Manager API
// reference, DescribeInstanceInformation): for a missing tag all nodes of the
// fleet are listed, 50 a page. In a fleet of more than maxPages of those, sending
// to each host needs no more calls.
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

// list tells which of the hosts are listed by a filter, and which of those are
// online.
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

// note keeps which hosts Systems Manager does not know.
func (o *order) note(hostIDs []string, listed map[string]bool) {
	for _, id := range hostIDs {
		if !listed[id] {
			o.absent[id] = true
		}
	}
}
