package runcommand

import (
	"context"
	"errors"

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
	if _, throttled := retry.DefaultThrottleErrorCodes[api.ErrorCode()]; throttled {
		return false
	}
	var response *awshttp.ResponseError
	return api.ErrorFault() != smithy.FaultServer &&
		!(errors.As(err, &response) && response.HTTPStatusCode() >= 500)
}

// isolate settles a refused command. One host that is not connected fails the
// whole call with InvalidInstanceId, and one without the fleet's tag fails it
// with AccessDenied; the answer does not say which. So ask once which hosts are
// connected and tagged, send to those, and only if that is refused too, halve.
func (o *order) isolate(ctx context.Context, cmd command, cause error) {
	if len(cmd.groups) == 1 || concernsAll(cause) {
		o.refuse(cmd.groups, cause)
		return
	}
	o.callsLeft--
	reasons, err := o.faulty(ctx, cmd.hostIDs())
	if err != nil || len(reasons) == 0 {
		o.halve(ctx, cmd, cause)
		return
	}
	var good command
	for _, g := range cmd.groups {
		if reason, bad := reasons[g.hostID]; bad {
			o.answer([]group{g}, func(string) error {
				return &session.Refusal{HostID: g.hostID, Reason: reason, Err: cause}
			})
		} else {
			good.groups = append(good.groups, g)
		}
	}
	if len(good.groups) > 0 {
		o.resend(ctx, good)
	}
}

func (o *order) resend(ctx context.Context, cmd command) {
	if o.callsLeft <= 0 {
		o.answer(cmd.groups, func(string) error { return errUnsettled })
		return
	}
	o.callsLeft--
	switch err := o.sendCommand(ctx, cmd); {
	case !refused(err):
		o.answer(cmd.groups, func(string) error { return err })
	case len(cmd.groups) == 1 || concernsAll(err):
		o.refuse(cmd.groups, err)
	default:
		o.halve(ctx, cmd, err)
	}
}

func (o *order) halve(ctx context.Context, cmd command, cause error) {
	if len(cmd.groups) == 1 {
		o.refuse(cmd.groups, cause)
		return
	}
	half := len(cmd.groups) / 2
	o.resend(ctx, command{cmd.groups[:half]})
	o.resend(ctx, command{cmd.groups[half:]})
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

func (o *order) refuse(groups []group, cause error) {
	reason := "was refused by Systems Manager"
	var api smithy.APIError
	if errors.As(cause, &api) {
		switch api.ErrorCode() {
		case "InvalidInstanceId":
			reason = notConnected
		case "AccessDeniedException":
			reason = "may not be commanded (it lacks the tag " + fleetTagKey + ", or the broker the permission)"
		case "UnsupportedPlatformType":
			reason = "runs a platform on which sessions cannot be closed"
		}
	}
	o.answer(groups, func(hostID string) error {
		return &session.Refusal{HostID: hostID, Reason: reason, Err: cause}
	})
}

const (
	notConnected = "is not connected to Systems Manager"
	notInFleet   = "is not managed by Systems Manager, or lacks the tag " + fleetTagKey
)

// faulty asks which of the hosts are not connected nodes of the fleet, and says
// what is wrong with each.
func (o *order) faulty(ctx context.Context, hostIDs []string) (map[string]string, error) {
	reasons := make(map[string]string, len(hostIDs))
	for _, id := range hostIDs {
		reasons[id] = notInFleet
	}
	pages := ssm.NewDescribeInstanceInformationPaginator(o.API, &ssm.DescribeInstanceInformationInput{
		Filters: []types.InstanceInformationStringFilter{
			{Key: aws.String("InstanceIds"), Values: hostIDs},
			{Key: aws.String("tag:" + fleetTagKey), Values: []string{o.FleetTag}},
		},
		MaxResults: aws.Int32(50),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, info := range page.InstanceInformationList {
			if info.PingStatus == types.PingStatusOnline {
				delete(reasons, aws.ToString(info.InstanceId))
			} else {
				reasons[aws.ToString(info.InstanceId)] = notConnected
			}
		}
	}
	return reasons, nil
}
