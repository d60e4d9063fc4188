package runcommand_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// Promise 8: one old deletion does not make the commands of others void early.
func TestOldDeletionsHaveCommandsOfTheirOwn(t *testing.T) {
	minutes := []int{60, 2, 31, 59, -1, 33} // that each deletion has left
	sm := newSystemsManager(t, "exit 0\n", len(minutes))
	a := attempt(len(minutes))
	for i, m := range minutes {
		a.Closings[i].VoidAfter = a.At.Add(time.Duration(m) * time.Minute)
	}
	commands := make([]string, len(minutes))
	a.OnSent = func(closing int, commandID string) { commands[closing] = commandID }
	if refused, unclear := sm.outcome(a, sm.sender().Close(t.Context(), a)); len(refused)+len(unclear) > 0 {
		t.Fatalf("refused %v, unclear %v", refused, unclear)
	}
	for _, in := range sm.taken {
		seconds, err := strconv.ParseInt(in.Parameters["voidAfter"][0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		left := time.Unix(seconds, 0).Sub(a.At).Minutes()
		for i, m := range minutes {
			if !slices.Contains(in.InstanceIds, hostID(i)) {
				continue
			}
			if left > float64(m) || left < float64(m)/2-1 {
				t.Errorf("the command for %s, which has %d minutes left, is good for %.1f", sessionID(i), m, left)
			}
			if commands[i] == "" || commands[i] == commands[0] != strings.Contains(in.Parameters["sessions"][0], sessionID(0)+"~") {
				t.Errorf("the closing of %s is told %q, that of %s %q", sessionID(i), commands[i], sessionID(0), commands[0])
			}
		}
	}
	if len(sm.taken) != 4 {
		t.Errorf("%d commands", len(sm.taken))
	}
}

// slowSender takes a second for each command.
type slowSender struct{ runcommand.SenderAPI }

func (slowSender) SendCommand(context.Context, *ssm.SendCommandInput, ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	time.Sleep(time.Second)
	return &ssm.SendCommandOutput{}, nil
}

// The budget: commands of one attempt are sent side by side, whenever they are void.
func TestCommandsOfOneAttemptAreSentSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := session.Attempt{ID: "a1", At: time.Now()}
		for n, left := range []time.Duration{time.Minute, 10 * time.Minute, time.Hour} {
			a.Closings = append(a.Closings, session.Closing{Incarnation: session.Incarnation{SessionID: fmt.Sprint("s", n), NameOnHost: "s", HostID: hostID(n)}, VoidAfter: a.At.Add(left)})
		}
		(&runcommand.Sender{API: slowSender{}}).Close(t.Context(), a)
		if took := time.Since(a.At); took != time.Second {
			t.Errorf("three commands took %v", took)
		}
	})
}
