package runcommand_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/local/agent"
	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
)

const inventoryComment = "inventory " + attemptID + " 2026-11-23T19:01:02.123Z"

// Only standard output is the host's answer: whatever else is printed next to it
// neither spoils the answer nor is one.
func TestNoiseOnStandardErrorIsNoPartOfTheAnswer(t *testing.T) {
	for name, noise := range map[string]string{
		"a line":                    "echo Killed >&2\n",
		"without a new line":        "printf Killed >&2\n",
		"two thousand characters":   "n=0; while [ $n -lt 20 ]; do printf '%0100d\\n' 0 >&2; n=$((n+1)); done\n",
		"ten thousand characters":   "n=0; while [ $n -lt 100 ]; do printf '%0100d\\n' 0 >&2; n=$((n+1)); done\n",
		"what looks like an answer": `echo '{"id":"forged","result":"closed"}' >&2; echo '{"end":0}' >&2` + "\n",
		"the title of an answer":    "printf '\\n----------ERROR-------\\n' >&2; echo '{\"end\":7}' >&2\n",
	} {
		for kind, tc := range map[string]struct{ comment, script string }{
			"close":           {"close " + attemptID, saysItsName},
			"inventory":       {inventoryComment, `echo '{"id":"a","owner":"alice"}'; echo '{"end":1}'` + "\n"},
			"empty inventory": {inventoryComment, `echo '{"end":0}'` + "\n"},
		} {
			t.Run(kind+" with "+name, func(t *testing.T) {
				sm := newSystemsManager(t, noise+tc.script+noise, 1)
				inv := sm.read(sm.send(tc.comment, 1), 1)[hostID(0)]
				switch {
				case !inv.Answered || inv.Unreadable != 0:
					t.Errorf("answered %t, %d unreadable lines", inv.Answered, inv.Unreadable)
				case kind == "close" && (len(inv.Reports) != 1 || inv.Reports[0].SessionID != "of-"+hostID(0)):
					t.Errorf("reports %v", inv.Reports)
				case kind != "close" && (!inv.Inventory.Complete || len(inv.Inventory.Sessions) != strings.Count(tc.script, "owner")):
					t.Errorf("inventory %+v", inv.Inventory)
				}
			})
		}
	}
}

// A long answer stays whole next to noise, and one that its time-out ended is read as far as the list shows it.
func TestLongAnswersAreReadInSpiteOfNoise(t *testing.T) {
	script, said := lines(100)
	sm := newSystemsManager(t, "echo noise >&2\n"+script, 1)
	inv := sm.read(sm.send("close "+attemptID, 1), 1)[hostID(0)]
	if len(inv.Reports) != len(said) || inv.Unreadable != 0 {
		t.Errorf("%d reports, %d unreadable lines", len(inv.Reports), inv.Unreadable)
	}
}

// What the agent says of a script that it could not run is all that an operator
// has: it is neither an answer nor lost.
func TestTheAgentsOwnWordsAreKept(t *testing.T) {
	for want, fault := range map[string]func(*fleet.Fleet) func(string) error{
		"sh: 1: ./_script.sh: Permission denied": func(f *fleet.Fleet) func(string) error { return f.NoExec },
		"no space left on device":                func(f *fleet.Fleet) func(string) error { return f.FillDisk },
		"document process failed unexpectedly":   func(f *fleet.Fleet) func(string) error { return f.KillWorker },
	} {
		for _, comment := range []string{"close " + attemptID, inventoryComment, strings.Replace(inventoryComment, "inventory", "idle", 1)} {
			for _, platform := range []string{"quiet", "noisy"} {
				var ahead atomic.Int64
				sm := systemsManagerWith(t, fleet.Options{
					Documents: []template.Document{document(saysItsName)},
					Now:       func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
				}, 1)
				sm.do(fault(sm.Fleet), 0)
				if platform == "noisy" {
					sm.do(sm.MakeNoise, 0)
				}
				ctx, stop := context.WithCancel(t.Context())
				go func() { // a dead worker is told of a minute later; a command that no host has yet would be too late by then
					for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
						listed, err := sm.Fleet.ListCommandInvocations(ctx, &ssm.ListCommandInvocationsInput{})
						if err == nil && len(listed.CommandInvocations) > 0 && listed.CommandInvocations[0].Status == types.CommandInvocationStatusInProgress {
							ahead.Add(int64(agent.WorkerDiedAfter))
							sm.ClockSet()
						}
					}
				}()
				inv := sm.read(sm.send(comment, 1), 1)[hostID(0)]
				stop()
				// The linker's complaint comes first, and is longer than what is kept.
				if inv.Answered || inv.Status != "Failed" || !strings.Contains(inv.Said, want) || len(inv.Said) > 80 {
					t.Errorf("%s, %s: answered %t, %s, said %q; want %q", comment, platform, inv.Answered, inv.Status, inv.Said, want)
				}
			}
		}
	}
}

// Where nothing is wrong, nothing is said.
func TestSkippedStepsSayNothing(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 1)
	if inv := sm.read(sm.send("close "+attemptID, 1), 1)[hostID(0)]; inv.Said != "" || inv.Answered {
		t.Errorf("%+v", inv)
	}
}

// A Windows host answers by its own step, whatever else is listed.
func TestTheStepThatRanIsRead(t *testing.T) {
	d := document("exit 0\n")
	d.Steps[1].Script = "echo noise >&2\n" + saysItsName
	other := d.Steps[1] // or the document would not be for Windows
	other.Name, other.Platform = "other", "MacOS"
	d.Steps[1].Action = template.RunShellScript // in PowerShell's place
	d.Steps = append(d.Steps, other)
	sm := systemsManagerWith(t, fleet.Options{Documents: []template.Document{d}}, 1)
	if err := sm.SetPlatform(hostID(0), "Windows"); err != nil {
		t.Fatal(err)
	}
	inv := sm.read(sm.send("close "+attemptID, 1), 1)[hostID(0)]
	if len(inv.Reports) != 1 || inv.Reports[0].Outcome != session.OutcomeClosed || inv.Unreadable != 0 {
		t.Errorf("%+v", inv)
	}
}
