package ssmtest

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"pgregory.net/rapid"
)

const (
	errorTitle = "\n----------ERROR-------\n"
	cutOutput  = "\n---Output truncated---"
	cutError   = "\n---Error truncated----"
	cutAll     = "--output truncated--"
)

// run has a host print that, and gives what is listed of it and what is read.
func run(t tb, s System, id, stdout, stderr string) (listed types.CommandPlugin, got *ssm.GetCommandInvocationOutput) {
	t.Helper()
	s.Prints(stdout, stderr, 0)
	command := send(t, s, byID(Both, id))
	awaitStatus(t, s, command, id, succeeded)
	return list(t, s, command, 50)[id].CommandPlugins[0], read(t, s, command, id)
}

// All of it as the agent's own code does it. One line on standard error is common.
func outputs(t *testing.T, create Factory) {
	s := create(t, Options{})
	id := addHosts(s, 1)[0]
	xs := func(n int) string { return strings.Repeat("x", n) }
	const noise = "ERROR: ld.so: object cannot be preloaded: ignored.\n"
	for _, c := range []struct{ what, stdout, stderr, listed, read string }{
		{"nothing", "", "", "", ""},
		{"a line", "a line\n", "", "a line\n", "a line\n"},
		{"noise alone", "", noise, errorTitle + noise, ""},
		{"a line and noise", "a line\n", noise, "a line\n" + errorTitle + noise, "a line\n"},
		{"all that is listed", xs(2499), "", xs(2499), xs(2499)},
		{"one byte more", xs(2500), "", xs(2500-len(cutOutput)) + cutOutput, xs(2500)},
		{"much, and noise", xs(5000), noise, xs(2500-len(cutOutput)-len(errorTitle)-len(noise)) + cutOutput + errorTitle + noise, xs(5000)},
		{"all that is kept", xs(23999), "", xs(2500-len(cutOutput)) + cutOutput, xs(23999)},
		{"more than is kept", xs(24000), "", xs(2500-len(cutOutput)) + cutOutput, xs(23980) + cutAll},
	} {
		listed, read := run(t, s, id, c.stdout, c.stderr)
		if got := aws.ToString(listed.Output); got != c.listed {
			t.Errorf("%s: listed\n%q, wanted\n%q", c.what, got, c.listed)
		}
		if got := aws.ToString(read.StandardOutputContent); got != c.read {
			t.Errorf("%s: read\n%q, wanted\n%q", c.what, got, c.read)
		}
		if read.Status != "Success" || read.ResponseCode != 0 || aws.ToString(read.StandardErrorContent) != c.stderr || aws.ToString(read.Comment) != "a comment" {
			t.Errorf("%s: %+v", c.what, read)
		}
	}
}

// randomOutputs holds what is so of every output.
func randomOutputs(t *testing.T, create Factory) {
	s := create(t, Options{})
	id := addHosts(s, 1)[0]
	length := rapid.OneOf(rapid.IntRange(0, 40), rapid.IntRange(1200, 1300), rapid.IntRange(2380, 2520), rapid.IntRange(7950, 8050), rapid.IntRange(23900, 24100))
	rapid.Check(asTB(t), func(r *rapid.T) {
		stdout := strings.Repeat("o", length.Draw(r, "stdout"))
		stderr := strings.Repeat("e", length.Draw(r, "stderr"))
		listed, read := run(r, s, id, stdout, stderr)
		output := aws.ToString(listed.Output)
		out, problem, hasTitle := strings.Cut(output, errorTitle)
		if len(output) > 2500 || hasTitle != (stderr != "") {
			r.Errorf("listed %d bytes, title %t", len(output), hasTitle)
		}
		shown := func(what, got, mark, all string, whole bool) {
			cut, isCut := strings.CutSuffix(got, mark)
			if got != all && !isCut || !strings.HasPrefix(all, cut) || whole && isCut {
				r.Errorf("%s: %q of %d", what, got, len(all))
			}
		}
		fits := len(stdout)+len(stderr)+len(errorTitle) < 2500
		shown("listed output", out, cutOutput, stdout, fits)
		shown("listed error", problem, cutError, stderr, fits)
		shown("output", aws.ToString(read.StandardOutputContent), cutAll, stdout, len(stdout) < 24000)
		shown("error", aws.ToString(read.StandardErrorContent), cutAll, stderr, len(stderr) < 8000)
		if len(aws.ToString(read.StandardOutputContent)) > 24000 || len(aws.ToString(read.StandardErrorContent)) > 8000 {
			r.Errorf("more is read than is kept")
		}
	})
}

// The agent drops a reply whose JSON is longer than 120,000 bytes (amazon-ssm-agent, mgsinteractor/utils). In Go's JSON each
// of <, > and & takes six, and what a list shows is in it with standard output and error. The script has run, nobody hears
// of it, and the command ends when its times for delivery and execution are over.
func droppedReplies(t *testing.T, create Factory) {
	s := create(t, Options{})
	id := addHosts(s, 1)[0]
	for _, c := range []struct {
		what, stdout, stderr string
		exit                 int
		drops                bool
	}{
		{"as long as names may be", strings.Repeat("<", 17000), "", 0, false},
		{"a thousand more", strings.Repeat("<", 18000), "", 0, true},
		{"all that is kept", strings.Repeat("&", 23990), "", 0, true},
		{"all that is kept, of what needs no escapes", strings.Repeat("~", 23990), strings.Repeat("~", 7990), 0, false},
		{"errors, too", strings.Repeat(">", 13000), strings.Repeat(">", 7000), 0, true},
		{"a failure", strings.Repeat("<", 18000), "", 1, true},
	} {
		s.Prints(c.stdout, c.stderr, c.exit)
		before := s.Runs()
		command := send(t, s, byID(Both, id))
		if !c.drops {
			awaitStatus(t, s, command, id, succeeded)
			continue
		}
		awaitRuns(t, s, before+1)
		s.Pass(50 * time.Second)
		if got := status(t, s, command, id); got != "InProgress/InProgress" {
			t.Fatalf("%s: within its time for delivery: %s", c.what, got)
		}
		s.Pass(3 * time.Minute)
		awaitStatus(t, s, command, id, "TimedOut/DeliveryTimedOut")
		if read := read(t, s, command, id); aws.ToString(read.StandardOutputContent)+aws.ToString(read.StandardErrorContent) != "" {
			t.Errorf("%s: read %.60q, %.60q", c.what, *read.StandardOutputContent, *read.StandardErrorContent)
		}
		if got := aws.ToString(list(t, s, command, 50)[id].CommandPlugins[0].Output); got != "" || s.Runs() != before+1 {
			t.Errorf("%s: listed %.60q, after %d runs", c.what, got, s.Runs()-before)
		}
	}
}

// A skipped step has no standard output, and its text in Output only. The agent's word for it, Skipped, is none of the
// API's CommandPluginStatus.
func skippedSteps(t *testing.T, create Factory) {
	s := create(t, Options{})
	id := addHosts(s, 1)[0]
	s.Prints("a line\n", "", 0)
	command := send(t, s, byID(Both, id))
	awaitStatus(t, s, command, id, succeeded)
	plugins := list(t, s, command, 50)[id].CommandPlugins
	const text = "Step execution skipped due to unsatisfied preconditions"
	if len(plugins) != 2 || aws.ToString(plugins[0].Name) != "linux" || aws.ToString(plugins[0].Output) != "a line\n" ||
		aws.ToString(plugins[1].Name) != "windows" || plugins[1].Status != types.CommandPluginStatusSuccess || !strings.HasPrefix(aws.ToString(plugins[1].Output), text) {
		t.Errorf("steps %+v", plugins)
	}
	read, err := s.GetCommandInvocation(t.Context(), &ssm.GetCommandInvocationInput{
		CommandId: &command, InstanceId: &id, PluginName: aws.String("windows"),
	})
	if err != nil || aws.ToString(read.StandardOutputContent) != "" || read.Status != types.CommandInvocationStatusSuccess {
		t.Errorf("the step of another platform: %+v, %v", read, err)
	}
}

// PluginName is required where a document has more than one step.
func pluginNames(t *testing.T, create Factory) {
	s := create(t, Options{})
	id := addHosts(s, 1)[0]
	s.Prints("a line\n", "", 0)
	for _, c := range []struct{ document, plugin, want string }{
		{Both, "", "InvalidPluginName"}, {Both, "other", "InvalidPluginName"}, {Both, "linux", ""},
		{OneStep, "", ""}, {OneStep, "linux", ""}, {OneStep, "windows", "InvalidPluginName"},
	} {
		in := &ssm.GetCommandInvocationInput{CommandId: aws.String(send(t, s, byID(c.document, id))), InstanceId: &id}
		awaitStatus(t, s, *in.CommandId, id, succeeded)
		if c.plugin != "" {
			in.PluginName = &c.plugin
		}
		read, err := s.GetCommandInvocation(t.Context(), in)
		if code(err) != c.want || err == nil && aws.ToString(read.StandardOutputContent) != "a line\n" {
			t.Errorf("%s, step %q: %+v, %v", c.document, c.plugin, read, err)
		}
	}
}

func invocationPages(t *testing.T, create Factory) {
	s := create(t, Options{})
	ids := addHosts(s, 12)
	s.Prints("a line\n", "", 0)
	command := send(t, s, byTag())
	for _, id := range ids {
		awaitStatus(t, s, command, id, succeeded)
	}
	for _, size := range []int32{1, 5, 12, 50} {
		if got := list(t, s, command, size); len(got) != len(ids) {
			t.Errorf("%d hosts in pages of %d", len(got), size)
		}
	}
	for _, in := range []*ssm.ListCommandInvocationsInput{
		{CommandId: &command, MaxResults: aws.Int32(51)}, {CommandId: &command, MaxResults: aws.Int32(0)},
	} {
		if _, err := s.ListCommandInvocations(t.Context(), in); code(err) != "ValidationException" {
			t.Errorf("pages of %d: %v", *in.MaxResults, err)
		}
	}
	if _, err := s.ListCommandInvocations(t.Context(), &ssm.ListCommandInvocationsInput{CommandId: &command, NextToken: aws.String("x")}); code(err) != "InvalidNextToken" {
		t.Errorf("a token of one's own: %v", err)
	}
	one, err := s.ListCommandInvocations(t.Context(), &ssm.ListCommandInvocationsInput{CommandId: &command, InstanceId: &ids[3], Details: true})
	if err != nil || len(one.CommandInvocations) != 1 || aws.ToString(one.CommandInvocations[0].InstanceId) != ids[3] {
		t.Errorf("one host: %+v, %v", one, err)
	}
	bare, err := s.ListCommandInvocations(t.Context(), &ssm.ListCommandInvocationsInput{CommandId: &command})
	if err != nil || len(bare.CommandInvocations) != len(ids) || len(bare.CommandInvocations[0].CommandPlugins) != 0 {
		t.Errorf("without Details: %+v, %v", bare, err)
	}
}

func notThereYet(t *testing.T, create Factory) {
	s := create(t, Options{InvocationDelay: 3 * time.Minute})
	id := addHosts(s, 1)[0]
	command := send(t, s, byID(OneStep, id))
	read := func() string {
		_, err := s.GetCommandInvocation(t.Context(), &ssm.GetCommandInvocationInput{CommandId: &command, InstanceId: &id})
		return code(err)
	}
	if got := read(); got != "InvocationDoesNotExist" || len(list(t, s, command, 50)) != 0 {
		t.Errorf("right after SendCommand: %s, listed %d", got, len(list(t, s, command, 50)))
	}
	s.Pass(4 * time.Minute)
	awaitStatus(t, s, command, id, succeeded)
	if got := read(); got != "" {
		t.Errorf("later: %s", got)
	}
	other := strings.Repeat("0", 36)
	if _, err := s.GetCommandInvocation(t.Context(), &ssm.GetCommandInvocationInput{CommandId: &other, InstanceId: &id}); code(err) != "InvocationDoesNotExist" {
		t.Errorf("a command that nobody sent: %v", err)
	}
	unasked := host(1)
	if _, err := s.GetCommandInvocation(t.Context(), &ssm.GetCommandInvocationInput{CommandId: &command, InstanceId: &unasked}); code(err) != "InvocationDoesNotExist" {
		t.Errorf("a host that was not asked: %v", err)
	}
}
