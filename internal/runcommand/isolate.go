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
	good, known := o.good(ctx, cmd.hostIDs(), cause)
	if !known || len(good) == len(cmd.groups) {
		o.halve(ctx, cmd, cause)
		return
	}
	var rest command
	for _, g := range cmd.groups {
		if good[g.hostID] {
			rest.groups = append(rest.groups, g)
		} else {
			o.refuse([]group{g}, cause)
		}
	}
	if len(rest.groups) > 0 {
		o.resend(ctx, rest)
	}
}

func (o *order) resend(ctx context.Context, cmd command) {
	if !o.mayCall() {
		o.answer(cmd.groups, func(string) error { return errUnsettled })
		return
	}
	switch err := o.sendCommand(ctx, cmd); {
	case !refused(err):
		o.answer(cmd.groups, func(string) error { return err })
	case !o.asked[code(err)]:
		o.isolate(ctx, cmd, err) // another fault, of other hosts
	default:
		o.halve(ctx, cmd, err)
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
		return &session.Refusal{HostID: hostID, Reason: reasonFor(code(cause)), Err: cause}
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
// refused for. known is false where it cannot tell, or not in a few calls.
//
// Filters of nodes by tag cannot be combined with others (Systems Manager API
// reference, DescribeInstanceInformation): for a missing tag all nodes of the
// fleet are listed, 50 a page. In a fleet of more than maxPages of those,
// halving is no dearer.
func (o *order) good(ctx context.Context, hostIDs []string, cause error) (good map[string]bool, known bool) {
	const maxPages = 6
	filter := types.InstanceInformationStringFilter{Key: aws.String("InstanceIds"), Values: hostIDs}
	online := func(info types.InstanceInformation) bool { return info.PingStatus == types.PingStatusOnline }
	switch code(cause) {
	case invalidInstance:
	case accessDenied:
		filter = types.InstanceInformationStringFilter{Key: aws.String("tag:" + fleetTagKey), Values: []string{o.FleetTag}}
		online = func(types.InstanceInformation) bool { return true }
	default:
		return nil, false
	}
	good = map[string]bool{}
	pages := ssm.NewDescribeInstanceInformationPaginator(o.API, &ssm.DescribeInstanceInformationInput{
		Filters:    []types.InstanceInformationStringFilter{filter},
		MaxResults: aws.Int32(50),
	})
	for n := 0; pages.HasMorePages(); n++ {
		if n == maxPages || !o.mayCall() {
			return nil, false
		}
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, false
		}
		for _, info := range page.InstanceInformationList {
			if id := aws.ToString(info.InstanceId); slices.Contains(hostIDs, id) && online(info) {
				good[id] = true
			}
		}
		if len(good) == len(hostIDs) {
			break
		}
	}
	return good, true
}
