package runcommand

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"dcv-session-broker/internal/session"
)

// fleetTagKey is the tag that the template's policy asks of a host. It is
// fixed, since the key of a policy's condition cannot be a parameter.
const fleetTagKey = "DcvFleet"

// maxIsolationCalls bounds the calls spent on one refused command; what is not
// settled then is left to the lease.
const maxIsolationCalls = 20

var errUnsettled = errors.New("which hosts Systems Manager refuses was not found out in time")

// refused tells whether Systems Manager took the call and said no: nothing was
// sent. Throttling, server errors and lost answers say nothing of the kind.
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

// isolate settles a refused command. One host that is not connected fails the
// whole call with InvalidInstanceId, and one without the fleet's tag fails it
// with AccessDeniedException; the answer does not say which. So ask which hosts
// are not at fault, send to those, and only where that does not help, halve.
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
		if err == nil {
			return
		}
		if code(err) != code(cause) {
			o.goOn(ctx, rest, err)
			return
		}
		cmd, cause = rest, err
	}
	o.halve(ctx, cmd, cause)
}

// try sends a smaller command. The error is a refusal; otherwise all have their
// answers.
func (o *order) try(ctx context.Context, cmd command) (refusal error) {
	if len(cmd.groups) == 0 {
		return nil
	}
	err := errUnsettled
	if o.mayCall() {
		if err = o.sendCommand(ctx, cmd); refused(err) {
			return err
		}
	}
	o.answer(cmd.groups, func(string) error { return err })
	return nil
}

func (o *order) resend(ctx context.Context, cmd command) {
	if err := o.try(ctx, cmd); err != nil {
		o.goOn(ctx, cmd, err)
	}
}

// goOn settles a command that was refused again.
func (o *order) goOn(ctx context.Context, cmd command, cause error) {
	if o.asked[code(cause)] {
		o.halve(ctx, cmd, cause)
	} else {
		o.isolate(ctx, cmd, cause) // another fault, of other hosts
	}
}

func (o *order) halve(ctx context.Context, cmd command, cause error) {
	if len(cmd.groups) == 1 || concernsAll(cause) {
		o.refuse(cmd.groups, cause)
		return
	}
	half := len(cmd.groups) / 2
	o.resend(ctx, command{cmd.groups[:half]})
	o.resend(ctx, command{cmd.groups[half:]})
}

func (o *order) mayCall() bool {
	o.callsLeft--
	return o.callsLeft >= 0
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
// calls would be refused alike.
func concernsAll(err error) bool {
	var (
		document *types.InvalidDocument
		version  *types.InvalidDocumentVersion
	)
	return errors.As(err, &document) || errors.As(err, &version)
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

// reasonFor is what a caller is told of a host that Systems Manager refuses with
// that code.
func reasonFor(code string) string {
	switch code {
	case invalidInstance:
		return "is not connected to Systems Manager"
	case accessDenied:
		return "may not be commanded (it lacks the tag " + fleetTagKey + ", or the broker the permission)"
	case "UnsupportedPlatformType":
		return "runs a platform on which sessions cannot be closed"
	}
	return "was refused by Systems Manager"
}

func unmanageable(hostID string) *session.Refusal {
	return &session.Refusal{HostID: hostID, Reason: "is not one that Systems Manager can manage"}
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
// fleet are listed, 50 a page. In a fleet of more than maxPages of those,
// halving is no dearer.
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
		tagged, _, known := o.list(ctx, "tag:"+fleetTagKey, []string{o.FleetTag}, hostIDs)
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
	pages := ssm.NewDescribeInstanceInformationPaginator(o.API, &ssm.DescribeInstanceInformationInput{
		Filters:    []types.InstanceInformationStringFilter{{Key: aws.String(key), Values: values}},
		MaxResults: aws.Int32(50),
	})
	for n := 0; pages.HasMorePages() && len(listed) < len(hostIDs); n++ {
		if n == maxPages || !o.mayCall() {
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
