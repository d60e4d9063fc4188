package runcommand_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dcv-session-broker/internal/session"
)

func TestCommandSaysAllThatHostsNeed(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 2)
	a := attempt(2)
	a.Closings[1].SessionID, a.Closings[1].CreationTime = "console-"+hostID(1), "2019-05-13T13:21:19.262883Z"
	a.Closings[1].NameOnHost = "console"
	if refused, unclear := sm.outcome(a, sm.sender().Close(t.Context(), a)); len(refused)+len(unclear) > 0 {
		t.Fatalf("refused %v, unclear %v", refused, unclear)
	}
	in := sm.taken[0]
	sessions := in.Parameters["sessions"][0]
	if !strings.HasPrefix(sessions, hostID(0)+"=s0~") || !strings.HasSuffix(sessions, ";"+hostID(1)+"=console-"+hostID(1)+"/console@fc6e5smi03") {
		t.Errorf("sessions: %q", sessions)
	}
	want := &ssm.SendCommandInput{
		DocumentName:   aws.String("CloseDocument"),
		InstanceIds:    []string{hostID(0), hostID(1)},
		Comment:        aws.String("close " + a.ID),
		TimeoutSeconds: aws.Int32(60),
		MaxErrors:      aws.String("100%"),
		MaxConcurrency: aws.String("100%"),
		Parameters: map[string][]string{
			"sessions":  {sessions},
			"voidAfter": {itoa(a.Closings[0].VoidAfter.Unix())},
		},
	}
	if diff := cmp.Diff(want, in, cmpopts.IgnoreUnexported(ssm.SendCommandInput{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A lease must not end before the last moment at which its command may work.
func TestCommandsEndBeforeTheirLease(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 1)
	sm.sender().Close(t.Context(), attempt(1))
	const execution = 60 // the document's steps
	if seconds := aws.ToInt32(sm.taken[0].TimeoutSeconds) + execution; float64(seconds) > session.Lease.Seconds() {
		t.Errorf("a command may work until %d s after it was sent, the lease is %v", seconds, session.Lease)
	}
}

func TestHealthyHostsNeedOneCallForFifty(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 101)
	a := attempt(101)
	refused, unclear := sm.outcome(a, sm.sender().Close(t.Context(), a))
	if len(refused)+len(unclear) > 0 || len(sm.calls) != 3 {
		t.Errorf("%d calls, refused %v, unclear %v", len(sm.calls), refused, unclear)
	}
}

func TestHostsThatCannotBeAreRefusedWithoutACall(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 1)
	a := attempt(4)
	a.Closings[1].HostID, a.Closings[2].HostID, a.Closings[3].HostID = "", "ip-10-0-0-1", "*"
	refused, _ := sm.outcome(a, sm.sender().Close(t.Context(), a))
	if len(refused) != 3 || len(sm.calls) != 1 {
		t.Errorf("%d calls, refused %v", len(sm.calls), refused)
	}
}

func TestNothingToCloseMakesNoCall(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 0)
	if errs := sm.sender().Close(t.Context(), attempt(0)); len(errs) != 0 || len(sm.calls) != 0 {
		t.Errorf("%v, calls %v", errs, sm.calls)
	}
}

func TestEachClosingIsToldItsCommand(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 60)
	a := attempt(60)
	a.Closings[3].HostID = "ip-10-0-0-1" // refused without a call
	commands := make([]string, len(a.Closings))
	a.OnSent = func(closing int, commandID string) { commands[closing] = commandID }
	sm.sender().Close(t.Context(), a)
	distinct := map[string]int{}
	for i, id := range commands {
		if (id == "") != (i == 3) {
			t.Errorf("closing %d: command %q", i, id)
		}
		distinct[id]++
	}
	if len(distinct) != 3 {
		t.Errorf("commands: %v", distinct)
	}
}
