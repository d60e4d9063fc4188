// Package ssmtest holds what every simulated Systems Manager, with its EC2, must do: one suite for the laptop's
// fleet, which runs real scripts in real time, and for the simulation's, which models them in virtual time. It is written
// from AWS's documents and from what its users and the agent's source say, not from either of the two.
//
// A new behaviour begins here: a case in the file that it belongs to (send.go, status.go, read.go, nodes.go), and what it
// needs of a System in this file. So the agent's own words, CommandBufferFull, commands by tag that end as a whole with
// ListCommands, and rates have their place when both simulations have them.
package ssmtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
)

// API is what the two simulations have of the SDK's clients.
type API interface {
	SendCommand(context.Context, *ssm.SendCommandInput, ...func(*ssm.Options)) (*ssm.SendCommandOutput, error)
	ListCommandInvocations(context.Context, *ssm.ListCommandInvocationsInput, ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error)
	ListCommands(context.Context, *ssm.ListCommandsInput, ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error)
	GetCommandInvocation(context.Context, *ssm.GetCommandInvocationInput, ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error)
	DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error)
	DescribeInstances(context.Context, *ec2.DescribeInstancesInput, ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error)
}

// The documents that a System has. OneStep has the name of one of the stack's: see Events.
const (
	Both    = "Both"              // steps "linux" and "windows", each for its platform; prints what Prints said last
	OneStep = "InventoryDocument" // only the step "linux"; else as Both
	Hanging = "Hanging"           // step "linux" prints that, and then hangs until its time-out ends it
	Asking  = "Asking"            // as OneStep, with the parameters of Asked
)

// Asked are the parameters of the document Asking.
func Asked() map[string]template.DocumentParameter {
	hello := "hello"
	return map[string]template.DocumentParameter{
		"name":     {AllowedPattern: regexp.MustCompile(`^[a-z]*$`), MaxChars: 5},
		"greeting": {Default: &hello, AllowedValues: []string{"hello", "hi"}},
	}
}

// A System is one simulation without hosts. Its fleet's tag is DcvFleet=FleetTag.
type System interface {
	API
	// AddHost starts a Linux host with the fleet's tag.
	AddHost(id string)
	// Change does something to a host.
	Change(id string, what Change)
	// Prints sets what scripts print and with what they exit from now on.
	Prints(stdout, stderr string, exit int)
	// Runs is how many scripts have begun so far.
	Runs() int
	// EndBroadcasts has commands by tag end as a whole from now on, before any host has them: as Cancelled, with these
	// details. "" ends that.
	EndBroadcasts(details string)
	// Await lets time pass until the condition holds, up to half a minute. It gives what the condition said last.
	Await(condition func() bool) bool
	// Pass lets that much time pass.
	Pass(d time.Duration)
	// Events are the EventBridge events so far. A simulation may leave out those that no rule of template.yaml wants.
	Events() []json.RawMessage
}

// Options are what a System is made with.
type Options struct {
	// HangsFor is how much real time the script of Hanging has, where it has real time. 0 is a short one.
	HangsFor time.Duration
	// InvocationDelay is how long after SendCommand an invocation cannot be read.
	InvocationDelay time.Duration
	// SendsPerSecond and ReadsPerSecond are how often calls are taken that send, and that read a command or nodes; 0 is any.
	SendsPerSecond, ReadsPerSecond int
}

// FleetTag is the value of the fleet's tag.
const FleetTag = "default"

// A Change is what can happen to a host.
type Change string

// What can happen. Start, Reconnect, Speak, Tag and RepairAgent undo what stands before them.
const (
	Stop        Change = "stop"
	Hibernate   Change = "hibernate"
	Terminate   Change = "terminate"
	Start       Change = "start"
	Disconnect  Change = "disconnect" // Systems Manager has lost it, and knows
	Reconnect   Change = "reconnect"
	Silence     Change = "silence" // Systems Manager has lost it, and does not know yet
	Speak       Change = "speak"
	Untag       Change = "untag"
	Tag         Change = "tag"
	KillWorker  Change = "kill worker" // of each command, during its script
	RepairAgent Change = "repair agent"
	NotLinux    Change = "another platform" // for which OneStep has no step
)

// Factory makes a System for a test.
type Factory func(t *testing.T, opts Options) System

// Run runs the suite. inside calls a test where a System can be made: a simulation in virtual time needs a bubble of its
// own for each.
func Run(t *testing.T, inside func(t *testing.T, test func(*testing.T, Factory))) {
	for name, test := range map[string]func(*testing.T, Factory){
		"SendCommand refuses a call as a whole":               refusals,
		"SendCommand takes 50 hosts, and a tag":               receivers,
		"SendCommand checks parameters":                       parameters,
		"random calls":                                        randomCalls,
		"statuses":                                            statuses,
		"a command waits for its host":                        waits,
		"a command that is not delivered times out":           deliveryTimeOut,
		"by tag a host that is lost prints nothing":           broadcastToLost,
		"a command by tag can end as a whole":                 endsAsAWhole,
		"commands come in pages":                              commandPages,
		"ends are events":                                     events,
		"outputs are shown as far as they go":                 outputs,
		"outputs of any length":                               randomOutputs,
		"steps for other platforms are skipped":               skippedSteps,
		"one step needs no name":                              pluginNames,
		"invocations come in pages":                           invocationPages,
		"an invocation cannot be read just after it began":    notThereYet,
		"nodes are described by filter":                       nodes,
		"nodes come in pages":                                 nodePages,
		"EC2 tells states and reasons":                        instances,
		"EC2 shows a terminated instance for a while":         forgotten,
		"EC2's changes of state are events":                   instanceEvents,
		"nothing is delivered to a host that is off":          stoppedHosts,
		"an agent's buffer is full":                           fullBuffer,
		"calls that come too fast are refused":                throttles,
		"a host that dies during a command reports a failure": diesAmid,
		"a host that dies during a command and stays off":     diesForGood,
		"a worker that dies during a command":                 workerDies,
		"a reply that is too long is dropped":                 droppedReplies,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inside(t, test)
		})
	}
}

// host is the n-th host's ID.
func host(n int) string { return fmt.Sprintf("i-%017x", 0xa00+n) }

func addHosts(s System, count int) (ids []string) {
	for n := range count {
		s.AddHost(host(n))
		ids = append(ids, host(n))
	}
	return ids
}

// code is the error's code as AWS spells it, "" for none.
func code(err error) string {
	var refusal smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refusal):
		return refusal.ErrorCode()
	}
	return err.Error()
}

// tb is what testing.T and rapid.T share.
type tb interface {
	Helper()
	Context() context.Context
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

func byID(document string, ids ...string) *ssm.SendCommandInput {
	return &ssm.SendCommandInput{
		DocumentName: aws.String(document), InstanceIds: ids, Comment: aws.String("a comment"), TimeoutSeconds: aws.Int32(60),
		MaxErrors: aws.String("100%"), MaxConcurrency: aws.String("100%"),
	}
}

func byTag() *ssm.SendCommandInput {
	in := byID(OneStep)
	in.Targets = []types.Target{{Key: aws.String("tag:" + session.FleetTagKey), Values: []string{FleetTag}}}
	return in
}

// send sends a command that is taken, and gives its ID.
func send(t tb, s System, in *ssm.SendCommandInput) string {
	t.Helper()
	out, err := s.SendCommand(t.Context(), in)
	if err != nil {
		t.Fatalf("SendCommand to %q: %v", in.InstanceIds, err)
	}
	return aws.ToString(out.Command.CommandId)
}

// list gives a command's invocations by host, from pages of that size.
func list(t tb, s System, command string, pageSize int32) map[string]types.CommandInvocation {
	t.Helper()
	found := map[string]types.CommandInvocation{}
	in := &ssm.ListCommandInvocationsInput{CommandId: &command, Details: true, MaxResults: &pageSize}
	for {
		out, err := s.ListCommandInvocations(t.Context(), in)
		if err != nil {
			t.Fatalf("ListCommandInvocations: %v", err)
		}
		if len(out.CommandInvocations) > int(pageSize) {
			t.Errorf("%d invocations on a page of %d", len(out.CommandInvocations), pageSize)
		}
		for _, i := range out.CommandInvocations {
			found[aws.ToString(i.InstanceId)] = i
		}
		if in.NextToken = out.NextToken; in.NextToken == nil {
			return found
		}
	}
}

// status is an invocation's status and its details, "" where there is none.
func status(t tb, s System, command, id string) string {
	t.Helper()
	i, there := list(t, s, command, 50)[id]
	if !there {
		return ""
	}
	return string(i.Status) + "/" + aws.ToString(i.StatusDetails)
}

// awaitStatus waits for an invocation to get there.
func awaitStatus(t tb, s System, command, id, want string) {
	t.Helper()
	if !s.Await(func() bool { return status(t, s, command, id) == want }) {
		t.Fatalf("host %s: %s, wanted %s", id, status(t, s, command, id), want)
	}
}

const succeeded = "Success/Success"
