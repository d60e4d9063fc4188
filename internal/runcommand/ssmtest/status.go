package ssmtest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// How scripts end is how invocations do.
func statuses(t *testing.T, create Factory) {
	s := create(t, Options{HangsFor: 8 * time.Second})
	id := addHosts(s, 1)[0]
	for exit, want := range map[int]string{0: succeeded, 1: "Failed/Failed", 126: "Failed/Failed"} {
		s.Prints("said\n", "", exit)
		command := send(t, s, byID(Both, id))
		awaitStatus(t, s, command, id, want)
		plugin := list(t, s, command, 50)[id].CommandPlugins[0]
		if plugin.ResponseCode != int32(exit) || !strings.HasPrefix(aws.ToString(plugin.Output), "said\n") {
			t.Errorf("exit %d: %+v", exit, plugin)
		}
	}
	s.Prints("said\n", "", 0)
	command := send(t, s, byID(Hanging, id))
	awaitStatus(t, s, command, id, "InProgress/InProgress")
	s.Pass(time.Minute)
	awaitStatus(t, s, command, id, "TimedOut/ExecutionTimedOut")
	plugin := list(t, s, command, 50)[id].CommandPlugins[0]
	if plugin.ResponseCode != 137 || aws.ToString(plugin.Output) != "said\n" {
		t.Errorf("a script that hangs: %d, %q", plugin.ResponseCode, aws.ToString(plugin.Output))
	}
	// StandardOutputContent: "if ExecutionStatus is neither Succeeded nor Failed, then this string is empty" (API reference)
	if read := read(t, s, command, id); aws.ToString(read.StandardOutputContent) != "" || read.StatusDetails == nil || *read.StatusDetails != "ExecutionTimedOut" {
		t.Errorf("a script that hangs: %+v", read)
	}
}

// read reads a command of one step.
func read(t tb, s System, command, id string) *ssm.GetCommandInvocationOutput {
	t.Helper()
	out, err := s.GetCommandInvocation(t.Context(), &ssm.GetCommandInvocationInput{CommandId: &command, InstanceId: &id, PluginName: aws.String("linux")})
	if err != nil {
		t.Fatalf("GetCommandInvocation: %v", err)
	}
	return out
}

// A registered node that is lost may be taken; an undelivered command is kept until its TimeoutSeconds.
func waits(t *testing.T, create Factory) {
	s := create(t, Options{})
	ids := addHosts(s, 2)
	s.Prints("", "", 0)
	s.Change(ids[1], Silence)
	command := send(t, s, byID(OneStep, ids...))
	awaitStatus(t, s, command, ids[0], succeeded)
	awaitStatus(t, s, command, ids[1], "Delayed/Delayed")
	s.Pass(20 * time.Second)
	s.Change(ids[1], Speak)
	awaitStatus(t, s, command, ids[1], succeeded)
}

func deliveryTimeOut(t *testing.T, create Factory) {
	s := create(t, Options{})
	id := addHosts(s, 1)[0]
	s.Change(id, Silence)
	command := send(t, s, byID(OneStep, id))
	s.Pass(55 * time.Second)
	if got := status(t, s, command, id); got != "Delayed/Delayed" {
		t.Errorf("after 55 s of 60: %s", got)
	}
	s.Pass(3 * time.Minute) // the steps' time counts too
	awaitStatus(t, s, command, id, "TimedOut/DeliveryTimedOut")
	s.Change(id, Speak)
	s.Pass(time.Minute)
	if got := status(t, s, command, id); got != "TimedOut/DeliveryTimedOut" {
		t.Errorf("once it speaks: %s", got)
	}
}

// For a command by tag, what happens to a host that is lost is told by its invocation, if there is one.
func broadcastToLost(t *testing.T, create Factory) {
	s := create(t, Options{})
	ids := addHosts(s, 3)
	s.Prints("said\n", "", 0)
	s.Change(ids[1], Disconnect)
	s.Change(ids[2], Stop)
	command := send(t, s, byTag())
	awaitStatus(t, s, command, ids[0], succeeded)
	s.Pass(5 * time.Minute)
	for _, id := range ids[1:] {
		i, there := list(t, s, command, 50)[id]
		told := []string{"Undeliverable", "DeliveryTimedOut", "Delayed"}
		if there && !slices.Contains(told, aws.ToString(i.StatusDetails)) {
			t.Errorf("host %s: %s", id, aws.ToString(i.StatusDetails))
		}
	}
}

// A command for a host that stopped unnoticed is not delivered, also if it never starts again.
func stoppedHosts(t *testing.T, create Factory) {
	s := create(t, Options{})
	ids := addHosts(s, 2)
	for _, id := range ids {
		s.Change(id, Silence)
	}
	command := send(t, s, byID(OneStep, ids...))
	s.Change(ids[0], Stop)
	s.Change(ids[1], Terminate)
	s.Pass(5 * time.Minute)
	for _, id := range ids {
		if !s.Await(func() bool {
			details := status(t, s, command, id)
			return details == "TimedOut/DeliveryTimedOut" || details == "Failed/Undeliverable"
		}) {
			t.Errorf("host %s: %s", id, status(t, s, command, id))
		}
	}
}

// The agent does not go on with a command during which its instance died: a minute after the next start it reports a failure.
// What the script had printed is lost (amazon-ssm-agent 3.3.1142.0, run). What hibernation does to it is not known.
func diesAmid(t *testing.T, create Factory) {
	s := create(t, Options{HangsFor: time.Minute})
	id := addHosts(s, 1)[0]
	s.Prints("said\n", "", 0)
	in := byID(Hanging, id)
	in.TimeoutSeconds = aws.Int32(3600)
	command := send(t, s, in)
	awaitRuns(t, s, 1)
	s.Change(id, Stop)
	s.Pass(5 * time.Minute)
	if got := status(t, s, command, id); got != "InProgress/InProgress" {
		t.Errorf("while the host is off: %s", got)
	}
	s.Change(id, Start)
	s.Pass(55 * time.Second)
	if got := status(t, s, command, id); got != "InProgress/InProgress" {
		t.Errorf("55 s after it started again: %s", got)
	}
	s.Pass(10 * time.Second)
	awaitStatus(t, s, command, id, "Failed/Failed")
	saysWorkerDied(t, s, command, id)
	if got := s.Runs(); got != 1 {
		t.Errorf("it was run %d times", got)
	}
}

func awaitRuns(t tb, s System, count int) {
	t.Helper()
	if !s.Await(func() bool { return s.Runs() == count }) {
		t.Fatalf("%d scripts were run, wanted %d", s.Runs(), count)
	}
}

// saysWorkerDied: without standard output, the agent's own words stand in the list.
func saysWorkerDied(t tb, s System, command, id string) {
	t.Helper()
	plugin := list(t, s, command, 50)[id].CommandPlugins[0]
	if plugin.ResponseCode != 1 || !strings.HasPrefix(aws.ToString(plugin.Output), "document process failed unexpectedly") {
		t.Errorf("step %d, %q", plugin.ResponseCode, aws.ToString(plugin.Output))
	}
	if read := read(t, s, command, id); aws.ToString(read.StandardOutputContent)+aws.ToString(read.StandardErrorContent) != "" || read.Status != "Failed" {
		t.Errorf("%+v", read)
	}
}

// A worker that is killed alone takes the answer with it: its script does its work, and a minute later the agent reports a
// failure (amazon-ssm-agent 3.3.1142.0, run).
func workerDies(t *testing.T, create Factory) {
	s := create(t, Options{})
	ids := addHosts(s, 2)
	s.Prints("said\n", "", 0)
	s.Change(ids[0], KillWorker)
	in := byID(Both, ids...)
	in.TimeoutSeconds = aws.Int32(600)
	command := send(t, s, in)
	awaitStatus(t, s, command, ids[1], succeeded)
	awaitRuns(t, s, 2)
	s.Pass(25 * time.Second)
	if got := status(t, s, command, ids[0]); got != "InProgress/InProgress" {
		t.Errorf("25 s later: %s", got)
	}
	s.Pass(65 * time.Second)
	awaitStatus(t, s, command, ids[0], "Failed/Failed")
	saysWorkerDied(t, s, command, ids[0])
	s.Change(ids[0], RepairAgent)
	awaitStatus(t, s, send(t, s, byID(Both, ids[0])), ids[0], succeeded)
	if got := s.Runs(); got != 3 {
		t.Errorf("%d scripts were run", got)
	}
}

// Nobody hears of it any more: the command ends when its times for delivery and execution are over.
func diesForGood(t *testing.T, create Factory) {
	s := create(t, Options{HangsFor: time.Minute})
	ids := addHosts(s, 2)
	command := send(t, s, byID(Hanging, ids...))
	awaitRuns(t, s, 2)
	s.Change(ids[0], Stop)
	s.Change(ids[1], Terminate)
	s.Pass(55 * time.Second)
	for _, id := range ids {
		if got := status(t, s, command, id); got != "InProgress/InProgress" {
			t.Errorf("host %s within its time for delivery: %s", id, got)
		}
	}
	s.Pass(3 * time.Minute)
	for _, id := range ids {
		awaitStatus(t, s, command, id, "TimedOut/DeliveryTimedOut")
	}
	s.Change(ids[0], Start)
	s.Pass(2 * time.Minute)
	if got := status(t, s, command, ids[0]); got != "TimedOut/DeliveryTimedOut" {
		t.Errorf("once it started again: %s", got)
	}
	if got := s.Runs(); got != 2 {
		t.Errorf("they were run %d times", got)
	}
}

type event struct {
	Source     string
	DetailType string `json:"detail-type"`
	Detail     struct {
		Command   string `json:"command-id"`
		Document  string `json:"document-name"`
		Instance  string `json:"instance-id"`
		Requested string `json:"requested-date-time"`
		Status    string
		State     string
	}
}

func eventsOf(s System, source, detailType string) (found []event) {
	for _, raw := range s.Events() {
		var e event
		if err := json.Unmarshal(raw, &e); err != nil {
			panic(err)
		}
		if e.Source == source && e.DetailType == detailType {
			found = append(found, e)
		}
	}
	return found
}

func invocationEvents(s System) []event {
	return eventsOf(s, "aws.ssm", "EC2 Command Invocation Status-change Notification")
}

// final are the statuses that EventBridge has for an end.
var final = []string{"Success", "Failed", "TimedOut", "Cancelled"}

// Where nothing is lost there is one event for each invocation's end.
func events(t *testing.T, create Factory) {
	s := create(t, Options{})
	ids := addHosts(s, 3)
	s.Change(ids[2], Silence)
	s.Prints("", "", 3)
	command := send(t, s, byID(OneStep, ids...))
	want := map[string]string{ids[0]: "Failed", ids[1]: "Failed", ids[2]: "TimedOut"}
	ended := func() map[string]string {
		got := map[string]string{}
		for _, e := range invocationEvents(s) {
			if !slices.Contains(final, e.Detail.Status) {
				continue
			}
			if _, err := time.Parse(time.RFC3339, e.Detail.Requested); err != nil || e.Detail.Command != command || e.Detail.Document != OneStep {
				t.Fatalf("%+v", e)
			}
			if got[e.Detail.Instance] != "" {
				t.Fatalf("%s has ended twice", e.Detail.Instance)
			}
			got[e.Detail.Instance] = e.Detail.Status
		}
		return got
	}
	awaitStatus(t, s, command, ids[0], "Failed/Failed")
	awaitStatus(t, s, command, ids[1], "Failed/Failed")
	s.Pass(5 * time.Minute)
	if !s.Await(func() bool { return len(ended()) == len(want) }) {
		t.Fatalf("ends: %v", ended())
	}
	for id, is := range ended() {
		if want[id] != is {
			t.Errorf("host %s: %s, wanted %s", id, is, want[id])
		}
	}
}
