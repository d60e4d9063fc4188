package sim

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"dcv-session-broker/internal/session"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// systemsManagerOf is Systems Manager as an invocation's SDK has it: what the
// SDK does of its own accord, to try a call again, is part of it.
type systemsManagerOf tableOf

const (
	closeDocument     = "CloseDocument"
	inventoryDocument = "InventoryDocument"
	idleDocument      = "IdleDocument"
	maxTries          = 3 // as awsenv.Config has it
)

// SendCommand is tried as the SDK tries it: the Retryer sees each try, and says
// whether there is another.
func (s systemsManagerOf) SendCommand(ctx context.Context, in *ssm.SendCommandInput, options ...func(*ssm.Options)) (out *ssm.SendCommandOutput, err error) {
	opts := ssm.Options{Retryer: standardRetryer}
	for _, option := range options {
		option(&opts)
	}
	tries := 0
	land := func() bool {
		if tries++; tries > 1 && len(in.InstanceIds) > 0 && !s.w.calm && s.w.dice.chance(10*percent) {
			// A host that goes between two tries: the first may have been taken.
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
			s.w.say(s.inv, "its command %s is on its way all the same", cmd.id)
		}
	})
	return out, err
}

var standardRetryer = retry.NewStandard()

// trySend is one try of the SDK's.
func (w *world) trySend(inv *invocation, ctx context.Context, in *ssm.SendCommandInput) (*command, error) {
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
		return fails(sendThrottled, answer(http.StatusBadRequest, &smithy.GenericAPIError{Code: "ThrottlingException", Message: "Rate exceeded", Fault: smithy.FaultClient}))
	case w.meets(sendFails):
		return fails(sendFails, w.noAnswer())
	case w.meets(sendAnswerLost):
		_, _ = w.takeCommand(inv, in)
		return fails(sendAnswerLost, w.noAnswer())
	}
	cmd, err := w.takeCommand(inv, in)
	if err != nil {
		w.say(inv, "%s: %v", what, err)
		return nil, answer(http.StatusBadRequest, err)
	}
	w.say(inv, "%s: taken as %s (%s)", what, cmd.id, cmd.comment)
	return cmd, nil
}

// noAnswer is what the SDK makes of a server that fails, or of a connection that
// breaks.
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

// takeCommand is what Systems Manager does with the call when it arrives: one
// host that it will not command fails the call for all.
func (w *world) takeCommand(inv *invocation, in *ssm.SendCommandInput) (*command, error) {
	var to []*machine
	for _, id := range in.InstanceIds {
		m := w.machine(id)
		switch {
		case m == nil:
			return nil, &types.InvalidInstanceId{}
		case !m.tagged: // the policy is asked first
			return nil, &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "not authorized", Fault: smithy.FaultClient}
		}
		to = append(to, m)
	}
	for _, m := range to {
		switch {
		case !m.known():
			return nil, &types.InvalidInstanceId{}
		case m.platform == "macOS":
			return nil, &types.UnsupportedPlatformType{}
		}
	}
	if len(in.Targets) > 0 {
		for _, m := range w.machines {
			if m.tagged && m.known() && m.platform != "macOS" {
				to = append(to, m)
			}
		}
		if len(to) == 0 {
			return nil, &types.InvalidInstanceId{}
		}
	}
	if aws.ToString(in.MaxErrors) != "100%" || aws.ToString(in.MaxConcurrency) != "100%" {
		w.breaks(8, "%s sends a command that ends for all others, or waits for them, when one host fails", inv)
	}
	cmd := newCommand(in, w.now())
	cmd.id = fmt.Sprintf("c0000000-0000-4000-8000-%012d", len(w.commands)+1)
	for _, m := range to {
		on := &onHost{command: cmd, machine: m, status: "Pending", said: map[string]string{}}
		cmd.on = append(cmd.on, on)
		w.after(w.dice.between(50*time.Millisecond, 2*time.Second), func() { w.deliver(on) })
	}
	w.commands = append(w.commands, cmd)
	w.commandTaken(inv, cmd)
	return cmd, nil
}

// ListCommandInvocations shows at most 2,500 characters of an output.
func (s systemsManagerOf) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput, _ ...func(*ssm.Options)) (out *ssm.ListCommandInvocationsOutput, err error) {
	what := "read " + aws.ToString(in.CommandId) + " " + aws.ToString(in.InstanceId)
	err = s.read(ctx, what, func() {
		out = &ssm.ListCommandInvocationsOutput{}
		for _, on := range s.w.command(aws.ToString(in.CommandId)).invocations() {
			if in.InstanceId != nil && *in.InstanceId != on.machine.id || on.justNow(s.w, s.inv) {
				continue
			}
			s.inv.reads = append(s.inv.reads, on)
			out.CommandInvocations = append(out.CommandInvocations, types.CommandInvocation{
				CommandId: in.CommandId, InstanceId: aws.String(on.machine.id), Comment: aws.String(on.command.comment),
				Status: types.CommandInvocationStatus(on.status), StatusDetails: aws.String(on.details),
				CommandPlugins: []types.CommandPlugin{
					{Name: aws.String("linux"), Output: aws.String(listed(on.output))},
					{Name: aws.String("windows"), Output: aws.String("")},
				},
			})
		}
	})
	return out, err
}

func listed(output string) string {
	if len(output) <= 2500 {
		return output
	}
	const mark = "\n---Output truncated---"
	return output[:2500-len(mark)] + mark
}

func (on *onHost) justNow(w *world, inv *invocation) bool {
	if w.now().Sub(on.finishedAt) < 2*time.Second && w.meets(notYetVisible) {
		inv.faulty = true
		w.say("Systems Manager", "FAULT: %s: %s on %s", notYetVisible, on.command.id, on.machine.id)
		return true
	}
	return false
}

func (s systemsManagerOf) GetCommandInvocation(ctx context.Context, in *ssm.GetCommandInvocationInput, _ ...func(*ssm.Options)) (out *ssm.GetCommandInvocationOutput, err error) {
	err = s.read(ctx, "read all of "+aws.ToString(in.CommandId)+" "+aws.ToString(in.InstanceId), func() {
		for _, on := range s.w.command(aws.ToString(in.CommandId)).invocations() {
			if on.machine.id == *in.InstanceId {
				out = &ssm.GetCommandInvocationOutput{StandardOutputContent: aws.String(on.output[:min(len(on.output), 24_000)])}
			}
		}
	})
	if err == nil && out == nil {
		err = &types.InvocationDoesNotExist{}
	}
	return out, err
}

func (s systemsManagerOf) DescribeInstanceInformation(ctx context.Context, in *ssm.DescribeInstanceInformationInput, _ ...func(*ssm.Options)) (out *ssm.DescribeInstanceInformationOutput, err error) {
	filter := in.Filters[0]
	err = s.read(ctx, "nodes by "+aws.ToString(filter.Key), func() {
		out = &ssm.DescribeInstanceInformationOutput{}
		for _, m := range s.w.machines {
			asked := *filter.Key == "InstanceIds" && slices.Contains(filter.Values, m.id) || *filter.Key == "tag:"+session.FleetTagKey && m.tagged
			if !asked || m.state == terminated || m.state != running && !m.known() { // a stopped node is not listed
				continue
			}
			ping := types.PingStatusOnline
			if !m.known() {
				ping = types.PingStatusConnectionLost
			}
			out.InstanceInformationList = append(out.InstanceInformationList, types.InstanceInformation{InstanceId: aws.String(m.id), PingStatus: ping})
		}
	})
	return out, err
}

func (s systemsManagerOf) read(ctx context.Context, what string, read func()) (err error) {
	s.w.park(s.inv, ctx, what, func() bool {
		switch {
		case ctx.Err() != nil:
			s.inv.faulty = true
			err = ctx.Err()
		case s.w.meets(readThrottled):
			s.inv.faulty = true
			s.w.say(s.inv, "FAULT: %s: %s", readThrottled, what)
			err = &smithy.GenericAPIError{Code: "ThrottlingException", Fault: smithy.FaultClient}
		default:
			s.w.say(s.inv, "%s", what)
			read()
		}
		return true
	}, nil)
	return err
}
