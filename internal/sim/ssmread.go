package sim

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"dcv-session-broker/internal/local/agent"
	"dcv-session-broker/internal/session"
)

func (s systemsManagerOf) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput, _ ...func(*ssm.Options)) (out *ssm.ListCommandInvocationsOutput, err error) {
	what := "read " + aws.ToString(in.CommandId) + " " + aws.ToString(in.InstanceId)
	var refusal error
	err = s.read(ctx, what, func() {
		out = &ssm.ListCommandInvocationsOutput{}
		var shown []*onHost
		for _, on := range s.w.command(aws.ToString(in.CommandId)).invocations() {
			if in.InstanceId != nil && *in.InstanceId != on.machine.id || on.justNow(s.w, s.inv) {
				continue
			}
			shown = append(shown, on)
		}
		shown, out.NextToken, refusal = page(shown, in.NextToken, in.MaxResults, 50, 1, 50)
		for _, on := range shown {
			s.inv.reads = append(s.inv.reads, on)
			listed := types.CommandInvocation{
				CommandId: in.CommandId, InstanceId: aws.String(on.machine.id), DocumentName: aws.String(on.command.document),
				Comment: aws.String(s.inv.comment(on.command)),
				Status:  types.CommandInvocationStatus(on.status), StatusDetails: aws.String(on.details),
			}
			if in.Details {
				listed.CommandPlugins = s.w.plugins(s.inv, on)
			}
			out.CommandInvocations = append(out.CommandInvocations, listed)
		}
	})
	return out, cmp.Or(err, refusal)
}

// plugins returns the document's steps. The agent reports a step for another platform as
// skipped.
func (w *world) plugins(inv *invocation, on *onHost) (plugins []types.CommandPlugin) {
	for _, step := range w.documents[on.command.document].steps {
		plugin := types.CommandPlugin{
			Name: aws.String(step.name), Status: types.CommandPluginStatus(on.status), StatusDetails: aws.String(on.details),
			Output: aws.String(inv.listed(on)), ResponseCode: on.code,
		}
		switch {
		case on.died && step.platform == on.machine.platform:
			plugin.Output = aws.String(agent.WorkerDied)
		case on.status == "Delayed":
			plugin.Status = types.CommandPluginStatusPending
		case on.begun && step.platform != on.machine.platform:
			plugin.Status, plugin.StatusDetails, plugin.ResponseCode = types.CommandPluginStatusSuccess, aws.String("Success"), 0
			plugin.Output = aws.String(agent.SkippedText(step.platform, step.name))
		}
		plugins = append(plugins, plugin)
	}
	return plugins
}

func (on *onHost) justNow(w *world, inv *invocation) bool {
	if w.hidden(on) {
		return true
	}
	if w.now().Sub(on.finishedAt) < 2*time.Second && w.meets(notYetVisible) {
		inv.faulty = true
		w.say("Systems Manager", "FAULT: %s: %s on %s", notYetVisible, on.command.id, on.machine.id)
		return true
	}
	return false
}

// hidden tells whether the invocation cannot be read yet.
func (w *world) hidden(on *onHost) bool { return w.now().Before(on.command.sentAt.Add(w.hiddenFor)) }

func (s systemsManagerOf) GetCommandInvocation(ctx context.Context, in *ssm.GetCommandInvocationInput, _ ...func(*ssm.Options)) (out *ssm.GetCommandInvocationOutput, err error) {
	refusal := error(&types.InvocationDoesNotExist{})
	err = s.read(ctx, "read all of "+aws.ToString(in.CommandId)+" "+aws.ToString(in.InstanceId), func() {
		for _, on := range s.w.command(aws.ToString(in.CommandId)).invocations() {
			if on.machine.id == *in.InstanceId && !s.w.hidden(on) {
				out, refusal = s.w.invocation(s.inv, on, in)
			}
		}
	})
	return out, cmp.Or(err, refusal)
}

// invocation returns one step of a command on one host. Without a name it is the only
// step.
func (w *world) invocation(inv *invocation, on *onHost, in *ssm.GetCommandInvocationInput) (*ssm.GetCommandInvocationOutput, error) {
	plugins := w.plugins(inv, on)
	n := slices.IndexFunc(plugins, func(p types.CommandPlugin) bool { return in.PluginName != nil && *p.Name == *in.PluginName })
	switch {
	case in.PluginName == nil && len(plugins) == 1:
		n = 0
	case n < 0:
		return nil, &types.InvalidPluginName{}
	}
	out := &ssm.GetCommandInvocationOutput{
		CommandId: in.CommandId, InstanceId: in.InstanceId, PluginName: plugins[n].Name, Comment: aws.String(on.command.comment),
		DocumentName: aws.String(on.command.document), ResponseCode: plugins[n].ResponseCode,
		Status: types.CommandInvocationStatus(plugins[n].Status), StatusDetails: plugins[n].StatusDetails,
		StandardOutputContent: aws.String(""), StandardErrorContent: aws.String(""),
	}
	if w.documents[on.command.document].steps[n].platform != on.machine.platform {
		return out, nil
	}
	out.StandardErrorContent = aws.String(agent.Stderr(on.stderr))
	if on.status == "Success" || on.status == "Failed" { // of others it is empty (API reference)
		out.StandardOutputContent = aws.String(agent.Stdout(on.output))
	}
	return out, nil
}

func (s systemsManagerOf) DescribeInstanceInformation(ctx context.Context, in *ssm.DescribeInstanceInformationInput, _ ...func(*ssm.Options)) (out *ssm.DescribeInstanceInformationOutput, err error) {
	var refusal error
	s.w.counts(&s.inv.calls.nodes)
	err = s.read(ctx, "nodes by "+aws.ToString(in.Filters[0].Key), func() {
		out = &ssm.DescribeInstanceInformationOutput{}
		var nodes []types.InstanceInformation
		for _, m := range s.w.machines {
			if m.state == terminated || m.state != running && !m.known() { // a stopped node is not listed
				continue
			}
			node := types.InstanceInformation{InstanceId: aws.String(m.id), PingStatus: types.PingStatusOnline}
			if !m.known() {
				node.PingStatus = types.PingStatusConnectionLost
			}
			fits := true
			for _, filter := range in.Filters {
				switch key := aws.ToString(filter.Key); {
				case len(filter.Values) == 0 || len(filter.Values) > 100:
					refusal = &smithy.GenericAPIError{Code: "ValidationException", Fault: smithy.FaultClient}
				case key == "InstanceIds":
					fits = fits && slices.Contains(filter.Values, m.id)
				case key == "PingStatus":
					fits = fits && slices.Contains(filter.Values, string(node.PingStatus))
				case strings.HasPrefix(key, "tag:"):
					fits = fits && m.tagged && key == "tag:"+session.FleetTagKey && slices.Contains(filter.Values, fleetTag)
				default:
					refusal = &types.InvalidFilterKey{}
				}
			}
			if fits {
				nodes = append(nodes, node)
			}
		}
		if refusal == nil {
			out.InstanceInformationList, out.NextToken, refusal = page(nodes, in.NextToken, in.MaxResults, 10, 5, 50)
			if aws.ToString(out.NextToken) == "300" && s.inv.request != nil {
				s.w.seen.effects[nodesUnlisted]++
			}
		}
	})
	return out, cmp.Or(err, refusal)
}

// page returns one page of a list.
func page[T any](all []T, token *string, size *int32, standard, least, most int32) ([]T, *string, error) {
	count := standard
	if size != nil {
		if count = *size; count < least || count > most {
			return nil, nil, &smithy.GenericAPIError{Code: "ValidationException", Fault: smithy.FaultClient}
		}
	}
	start := 0
	if token != nil {
		var err error
		if start, err = strconv.Atoi(*token); err != nil || start > len(all) {
			return nil, nil, &types.InvalidNextToken{}
		}
	}
	end := min(start+int(count), len(all))
	if end == len(all) {
		return all[start:], nil, nil
	}
	return all[start:end], aws.String(fmt.Sprint(end)), nil
}

func (s systemsManagerOf) read(ctx context.Context, what string, read func()) (err error) {
	s.w.park(s.inv, ctx, what, func() bool {
		err = s.w.fails(s.inv, ctx, what, readThrottled, errThrottled)
		switch {
		case err != nil:
		case s.w.exceeded(&s.w.reads):
			s.inv.faulty = true
			s.w.say(s.inv, "FAULT: %s: %s", rateExceeded, what)
			err = errThrottled
		default:
			s.w.say(s.inv, "%s", what)
			read()
		}
		return true
	}, nil)
	return err
}
