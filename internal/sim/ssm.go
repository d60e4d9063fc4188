package sim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// systemsManagerOf is Systems Manager as an invocation uses it, including the SDK's own
// retries.
type systemsManagerOf tableOf

const (
	closeDocument     = "CloseDocument"
	notifyDocument    = "NotifyDocument"
	inventoryDocument = "InventoryDocument"
	idleDocument      = "IdleDocument"
	fleetTag          = "default" // as FleetTagValue is
	maxTries          = 3         // as in awsenv.Config
)

// SendCommand is tried as the SDK tries it: the Retryer sees each try and decides whether
// there is another.
func (s systemsManagerOf) SendCommand(ctx context.Context, in *ssm.SendCommandInput, options ...func(*ssm.Options)) (out *ssm.SendCommandOutput, err error) {
	s.w.counts(&s.inv.calls.sends)
	s.w.noticeTried(s.inv, in)
	opts := ssm.Options{Retryer: standardRetryer}
	for _, option := range options {
		option(&opts)
	}
	tries := 0
	land := func() bool {
		if tries++; tries > 1 && len(in.InstanceIds) > 0 && !s.w.calm && s.w.dice.chance(10*percent) {
			// A host disappears between two tries: the first may have been accepted.
			if m := s.w.machine(oneOf(s.w.dice, in.InstanceIds)); m != nil && !m.offline {
				s.w.ill(m, hostDisconnects, func() { m.offline = true }, false)
			}
		}
		var cmd *command
		cmd, err = s.w.trySend(s.inv, ctx, in)
		if err == nil {
			out = &ssm.SendCommandOutput{Command: &types.Command{CommandId: aws.String(cmd.id)}}
			return true
		}
		again := opts.Retryer.IsErrorRetryable(err) && ctx.Err() == nil
		if again && tries < maxTries {
			return false
		}
		err = &smithy.OperationError{ServiceID: "SSM", OperationName: "SendCommand", Err: err}
		return true
	}
	key := "send " + aws.ToString(in.DocumentName) + " " + strings.Join(in.InstanceIds, ",") + strings.Join(in.Parameters["sessions"], "")
	s.w.park(s.inv, ctx, key, land, func() {
		if cmd, err := s.w.takeCommand(s.inv, in); err == nil {
			s.w.say(s.inv, "its command %s is on its way nevertheless", cmd.id)
		}
	})
	return out, err
}

var standardRetryer = retry.NewStandard()

// trySend is one try of the SDK's.
func (w *world) trySend(inv *invocation, ctx context.Context, in *ssm.SendCommandInput) (*command, error) {
	inv.sent = true
	what := fmt.Sprintf("SendCommand %s to %s", aws.ToString(in.DocumentName), strings.Join(in.InstanceIds, " "))
	fails := func(f fault, err error) (*command, error) {
		inv.faulty = true
		w.say(inv, "FAULT: %s: %s", f, what)
		return nil, err
	}
	switch {
	case ctx.Err() != nil:
		if w.dice.chance(50 * percent) {
			_, _ = w.takeCommand(inv, in)
		}
		return fails(slowCall, &aws.RequestCanceledError{Err: ctx.Err()})
	case w.meets(sendThrottled):
		return fails(sendThrottled, answer(http.StatusBadRequest, errThrottled))
	case w.exceeded(&w.sends):
		return fails(rateExceeded, answer(http.StatusBadRequest, errThrottled))
	case w.meets(documentOlder):
		inv.olderDocument = true
		return fails(documentOlder, answer(http.StatusBadRequest, &types.InvalidParameters{}))
	case w.meets(sendFails):
		return fails(sendFails, w.noAnswer())
	case w.meets(sendAnswerLost):
		_, _ = w.takeCommand(inv, in)
		return fails(sendAnswerLost, w.noAnswer())
	}
	cmd, err := w.takeCommand(inv, in)
	if err != nil {
		w.say(inv, "%s: %v", what, err)
		inv.refused = true
		return nil, answer(http.StatusBadRequest, err)
	}
	w.say(inv, "%s: taken as %s (%s)", what, cmd.id, cmd.comment)
	return cmd, nil
}

// noAnswer returns the SDK's error for a server that fails, or a connection that breaks.
func (w *world) noAnswer() error {
	if w.dice.chance(50 * percent) {
		return answer(http.StatusInternalServerError, &smithy.GenericAPIError{Code: "InternalServerError", Fault: smithy.FaultServer})
	}
	return &smithyhttp.RequestSendError{Err: errors.New("connection reset by peer")}
}

func answer(status int, err error) error {
	return &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: err,
	}}
}

// takeCommand is what Systems Manager does with a call: one host that it refuses fails
// the call for all.
func (w *world) takeCommand(inv *invocation, in *ssm.SendCommandInput) (*command, error) {
	if declared, is := w.declared[aws.ToString(in.DocumentName)]; is {
		if _, err := declared.Values(in.Parameters); err != nil {
			return nil, &types.InvalidParameters{Message: aws.String(err.Error())}
		}
	}
	to, err := w.receivers(in)
	if err != nil {
		return nil, err
	}
	if aws.ToString(in.MaxErrors) != "100%" || aws.ToString(in.MaxConcurrency) != "100%" {
		w.breaks(8, "%s sends a command that ends for all others, or waits for them, when one host fails", inv)
	}
	cmd := newCommand(in, w.now())
	cmd.id = fmt.Sprintf("c0000000-0000-4000-8000-%012d", len(w.commands)+1)
	if len(in.Targets) > 0 {
		to = w.broadcast(cmd, to)
	}
	for _, m := range to {
		on := &onHost{command: cmd, machine: m, status: "Pending", details: "Pending", code: -1, said: map[string]string{}}
		cmd.on = append(cmd.on, on)
		w.after(w.dice.between(50*time.Millisecond, 2*time.Second), func() { w.deliver(on) })
	}
	w.commands = append(w.commands, cmd)
	if cmd.document == notifyDocument {
		w.noticeTaken(inv, cmd)
	} else {
		w.commandTaken(inv, cmd)
	}
	w.idleAsSet(inv, cmd)
	return cmd, nil
}

// receivers returns the hosts that get the command. The policy is checked first.
func (w *world) receivers(in *ssm.SendCommandInput) (to []*machine, err error) {
	document, known := w.documents[aws.ToString(in.DocumentName)]
	switch {
	case !known:
		return nil, &types.InvalidDocument{}
	case len(in.InstanceIds) > 50, (len(in.InstanceIds) == 0) == (len(in.Targets) == 0), len(aws.ToString(in.Comment)) > 100:
		return nil, &smithy.GenericAPIError{Code: "ValidationException", Fault: smithy.FaultClient}
	}
	for _, id := range in.InstanceIds {
		if m := w.machine(id); m != nil && !m.tagged {
			return nil, &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "not authorized", Fault: smithy.FaultClient}
		}
	}
	for n, id := range in.InstanceIds {
		m := w.machine(id)
		switch {
		case slices.Contains(in.InstanceIds[:n], id):
			return nil, &types.DuplicateInstanceId{}
		case m == nil || !m.known():
			return nil, &types.InvalidInstanceId{}
		case !document.isFor(m.platform):
			return nil, &types.UnsupportedPlatformType{}
		}
		to = append(to, m)
	}
	if len(in.Targets) > 0 { // without any host the command ends as a whole
		for _, m := range w.machines {
			if m.tagged && m.known() && document.isFor(m.platform) {
				to = append(to, m)
			}
		}
	}
	return to, nil
}
