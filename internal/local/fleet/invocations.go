package fleet

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/template"
)

// Limits of the two ways to read invocations.
const (
	commandIDLength    = 36
	minPluginName      = 4
	maxInvocationsPage = 50
)

// GetCommandInvocation simulates Systems Manager's: one step of a command on one host.
func (f *Fleet) GetCommandInvocation(_ context.Context, in *ssm.GetCommandInvocationInput, _ ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	switch {
	case len(deref(in.CommandId)) != commandIDLength:
		return nil, invalid("commandId: must have length %d", commandIDLength)
	case !nodeID.MatchString(deref(in.InstanceId)):
		return nil, invalid("instanceId: must satisfy the pattern (^i-(\\w{8}|\\w{17})$)|(^mi-\\w{17}$)")
	case in.PluginName != nil && len(*in.PluginName) < minPluginName:
		return nil, invalid("pluginName: must have length greater than or equal to %d", minPluginName)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reads.exceeded(f.now()) {
		return nil, throttled()
	}
	var i *invocation
	if c, ok := f.commands[*in.CommandId]; ok {
		for _, candidate := range c.invocations {
			if candidate.host.id == *in.InstanceId && f.visible(candidate) {
				i = candidate
			}
		}
	}
	if i == nil {
		return nil, &types.InvocationDoesNotExist{}
	}
	steps := i.command.document.Steps
	n := 0
	if in.PluginName != nil {
		n = slices.IndexFunc(steps, func(s template.Step) bool { return s.Name == *in.PluginName })
	} else if len(steps) > 1 {
		n = -1
	}
	if n < 0 {
		return nil, &types.InvalidPluginName{}
	}
	r := i.result(n)
	out := &ssm.GetCommandInvocationOutput{
		CommandId:              in.CommandId,
		Comment:                aws.String(i.command.comment),
		DocumentName:           i.command.taken.DocumentName,
		DocumentVersion:        i.command.taken.DocumentVersion,
		ExecutionElapsedTime:   aws.String(""),
		ExecutionEndDateTime:   aws.String(""),
		ExecutionStartDateTime: aws.String(""),
		InstanceId:             in.InstanceId,
		PluginName:             aws.String(steps[n].Name),
		ResponseCode:           r.code,
		StandardErrorContent:   aws.String(r.stderr),
		StandardErrorUrl:       aws.String(""),
		StandardOutputContent:  aws.String(""),
		StandardOutputUrl:      aws.String(""),
		Status:                 types.CommandInvocationStatus(r.status),
		StatusDetails:          aws.String(r.details),
	}
	if r.status == types.CommandPluginStatusSuccess || r.status == types.CommandPluginStatusFailed {
		// "If ExecutionStatus is neither Succeeded nor Failed, then this string is empty."
		out.StandardOutputContent = aws.String(r.stdout)
	}
	if !r.end.IsZero() {
		out.ExecutionStartDateTime = aws.String(r.start.UTC().Format(milliseconds))
		out.ExecutionEndDateTime = aws.String(r.end.UTC().Format(milliseconds))
		out.ExecutionElapsedTime = aws.String(fmt.Sprintf("PT%gS", r.end.Sub(r.start).Round(time.Millisecond).Seconds()))
	}
	return out, nil
}

// ListCommandInvocations simulates Systems Manager's: commands on hosts, the newest first, and with Details their
// steps.
func (f *Fleet) ListCommandInvocations(_ context.Context, in *ssm.ListCommandInvocationsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	switch {
	case in.CommandId != nil && len(*in.CommandId) != commandIDLength:
		return nil, invalid("commandId: must have length %d", commandIDLength)
	case in.InstanceId != nil && !nodeID.MatchString(*in.InstanceId):
		return nil, invalid("instanceId: must satisfy the pattern (^i-(\\w{8}|\\w{17})$)|(^mi-\\w{17}$)")
	case in.Filters != nil:
		return nil, notSimulated("filters for invocations")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reads.exceeded(f.now()) {
		return nil, throttled()
	}
	var found []types.CommandInvocation
	for _, c := range slices.Backward(f.sent) {
		if in.CommandId != nil && c.id != *in.CommandId {
			continue
		}
		for _, i := range c.invocations {
			if f.visible(i) && (in.InstanceId == nil || i.host.id == *in.InstanceId) {
				found = append(found, i.listed(in.Details))
			}
		}
	}
	listed, next, err := page(found, in.NextToken, in.MaxResults, maxInvocationsPage, 1, maxInvocationsPage)
	return &ssm.ListCommandInvocationsOutput{CommandInvocations: listed, NextToken: next}, err
}

// visible tells whether an invocation can be read: right after SendCommand it cannot.
func (f *Fleet) visible(i *invocation) bool { return !f.now().Before(i.command.requested.Add(f.delay)) }

func (i *invocation) listed(details bool) types.CommandInvocation {
	listed := types.CommandInvocation{
		CommandId:         aws.String(i.command.id),
		CommandPlugins:    []types.CommandPlugin{},
		Comment:           aws.String(i.command.comment),
		DocumentName:      i.command.taken.DocumentName,
		DocumentVersion:   i.command.taken.DocumentVersion,
		InstanceId:        aws.String(i.host.id),
		InstanceName:      aws.String(""),
		RequestedDateTime: aws.Time(i.command.requested),
		Status:            i.status.code,
		StatusDetails:     aws.String(i.status.details),
		TraceOutput:       aws.String(""),
	}
	if !details {
		return listed
	}
	for n, s := range i.command.document.Steps {
		r := i.result(n)
		plugin := types.CommandPlugin{
			Name:          aws.String(s.Name),
			Output:        aws.String(r.output),
			ResponseCode:  r.code,
			Status:        r.status,
			StatusDetails: aws.String(r.details),
		}
		if !r.end.IsZero() {
			plugin.ResponseStartDateTime, plugin.ResponseFinishDateTime = aws.Time(r.start), aws.Time(r.end)
		}
		listed.CommandPlugins = append(listed.CommandPlugins, plugin)
	}
	return listed
}

// result returns how a step ended. If the host has not reported that, it has the status of the invocation.
func (i *invocation) result(step int) stepResult {
	if i.status.ended && step < len(i.results) {
		return i.results[step]
	}
	r := stepResult{status: types.CommandPluginStatus(i.status.code), details: i.status.details, code: -1}
	if i.status == delayed || i.status == cancelling { // a step has neither status
		r.status = types.CommandPluginStatusPending
	}
	return r
}

// page returns one page of a list. The token is opaque for clients.
func page[T any](all []T, token *string, size *int32, standard, least, most int32) (cut []T, next *string, err error) {
	count := standard
	if size != nil {
		if count = *size; count < least || count > most {
			return nil, nil, invalid("maxResults: must be between %d and %d", least, most)
		}
	}
	start := 0
	if text := deref(token); text != "" {
		decoded, _ := base64.URLEncoding.DecodeString(text)
		number, isToken := strings.CutPrefix(string(decoded), "from ")
		start, err = strconv.Atoi(number)
		if !isToken || err != nil || start < 0 || start > len(all) {
			return nil, nil, &types.InvalidNextToken{}
		}
	}
	end := min(start+int(count), len(all))
	if end < len(all) {
		next = aws.String(base64.URLEncoding.EncodeToString(fmt.Appendf(nil, "from %d", end)))
	}
	return all[start:end:end], next, nil
}
