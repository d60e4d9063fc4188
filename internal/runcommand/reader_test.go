package runcommand_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
)

const attemptID = "11111111-2222-3333-4444-555555555555"

// send sends the document to hosts 0 ... hosts-1, and waits for their answers.
func (sm *systemsManager) send(comment string, hosts int) (commandID string) {
	sm.t.Helper()
	commandID = sm.begin(comment, hosts)
	sm.await(hosts)
	return commandID
}

func (sm *systemsManager) begin(comment string, hosts int) (commandID string) {
	sm.t.Helper()
	out, err := sm.Fleet.SendCommand(sm.t.Context(), &ssm.SendCommandInput{
		DocumentName: aws.String("CloseDocument"), InstanceIds: hostIDs(upTo(hosts)...), Comment: aws.String(comment),
		Parameters: map[string][]string{"sessions": {"x"}, "voidAfter": {"1"}},
	})
	if err != nil {
		sm.t.Fatal(err)
	}
	return aws.ToString(out.Command.CommandId)
}

// read reads what the hosts 0 ... hosts-1 answered, all of which must be known.
func (sm *systemsManager) read(commandID string, hosts int) map[string]runcommand.Invocation {
	sm.t.Helper()
	invocations, errs := (&runcommand.Reader{API: sm}).Read(sm.t.Context(), commandID, hostIDs(upTo(hosts)...))
	if len(errs) > 0 || len(invocations) != hosts {
		sm.t.Fatalf("%d invocations, errors %v", len(invocations), errs)
	}
	return invocations
}

func ids(reports []session.Report) []string {
	var all []string
	for _, r := range reports {
		all = append(all, r.SessionID)
	}
	return all
}

const saysItsName = `echo "{\"id\":\"of-$AWS_SSM_INSTANCE_ID\",\"result\":\"closed\"}"` + "\n"

func TestOneCallReadsAllHostsOfACommand(t *testing.T) {
	for _, hosts := range []int{1, 50} {
		sm := newSystemsManager(t, saysItsName, hosts)
		invocations := sm.read(sm.send("close "+attemptID, hosts), hosts)
		for n := range hosts {
			inv := invocations[hostID(n)]
			want := []session.Report{{
				HostID: hostID(n), AttemptID: attemptID, SessionID: "of-" + hostID(n), Outcome: session.OutcomeClosed,
			}}
			if diff := cmp.Diff(want, inv.Reports); diff != "" || inv.HostID != hostID(n) || inv.Status != "Success" || inv.Unreadable != 0 {
				t.Errorf("%+v (-want +got):\n%s", inv, diff)
			}
		}
		if !slices.Equal(sm.calls, []string{"ListCommandInvocations"}) {
			t.Errorf("calls %v", sm.calls)
		}
	}
}

// lines is a script that says so many lines.
func lines(count int) (script string, said []string) {
	for n := range count {
		said = append(said, fmt.Sprint("session-", n))
	}
	return fmt.Sprintf(`n=0; while [ $n -lt %d ]; do echo "{\"id\":\"session-$n\",\"result\":\"failed\",\"reason\":\"dcv took too long\"}"; n=$((n+1)); done`+"\n", count), said
}

// The list shows 2,500 characters, the invocation by itself 24,000.
func TestLongOutputIsReadWhole(t *testing.T) {
	for _, count := range []int{20, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 350} {
		t.Run(fmt.Sprint(count, " lines"), func(t *testing.T) {
			script, said := lines(count)
			sm := newSystemsManager(t, script, 2)
			invocations := sm.read(sm.send("close "+attemptID, 2), 2)
			for host, inv := range invocations {
				if diff := cmp.Diff(said, ids(inv.Reports)); diff != "" || inv.Unreadable != 0 {
					t.Errorf("host %s: %d unreadable (-want +got):\n%s", host, inv.Unreadable, diff)
				}
			}
		})
	}
}

func TestOnlyTheHostWithALongOutputCostsACall(t *testing.T) {
	script, _ := lines(100)
	sm := newSystemsManager(t, `if [ $AWS_SSM_INSTANCE_ID != `+hostID(1)+" ]; then exit 0; fi\n"+script, 3)
	sm.read(sm.send("close "+attemptID, 3), 3)
	if !slices.Equal(sm.calls, []string{"ListCommandInvocations", "GetCommandInvocation"}) {
		t.Errorf("calls %v", sm.calls)
	}
}

func TestCutOutputIsReadAsFarAsItGoes(t *testing.T) {
	script, said := lines(1000)
	sm := newSystemsManager(t, script, 1)
	inv := sm.read(sm.send("close "+attemptID, 1), 1)[hostID(0)]
	if n := len(inv.Reports); n < 300 || n >= 1000 || inv.Unreadable != 1 || !slices.Equal(ids(inv.Reports), said[:n]) {
		t.Errorf("%d reports, %d unreadable", n, inv.Unreadable)
	}
}

// Of a script that was cut off the service shows nothing by itself, but some in
// the list.
func TestOutputOfAScriptThatWasCutOffIsReadAsFarAsItGoes(t *testing.T) {
	script, said := lines(100)
	d := document(script + "exec sleep 3600\n")
	d.Steps[0].Timeout = 3 * time.Second // by then it has said all, on a busy machine too
	sm := systemsManagerWith(t, fleet.Options{Documents: []template.Document{d}}, 1)
	inv := sm.read(sm.send("close "+attemptID, 1), 1)[hostID(0)]
	if n := len(inv.Reports); n < 30 || !slices.Equal(ids(inv.Reports), said[:n]) {
		t.Errorf("%d lines are read", n)
	}
}

func TestScriptThatFailsIsHeard(t *testing.T) {
	sm := newSystemsManager(t, saysItsName+"echo oops >&2; exit 7\n", 1)
	inv := sm.read(sm.send("close "+attemptID, 1), 1)[hostID(0)]
	if inv.Status != "Failed" || len(inv.Reports) != 1 {
		t.Errorf("%+v", inv)
	}
}

func TestGarbageIsCounted(t *testing.T) {
	sm := newSystemsManager(t, "echo '{ welcome }'; "+saysItsName+"echo '{\"id\":\"s2\",\"result\":\"clo'\n", 1)
	inv := sm.read(sm.send("close "+attemptID, 1), 1)[hostID(0)]
	if len(inv.Reports) != 1 || inv.Unreadable != 2 {
		t.Errorf("%+v", inv)
	}
}

func TestSilentHostIsRead(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 1)
	inv := sm.read(sm.send("close "+attemptID, 1), 1)[hostID(0)]
	if inv.HostID != hostID(0) || inv.Status != "Success" || len(inv.Reports) != 0 || inv.Unreadable != 0 {
		t.Errorf("%+v", inv)
	}
}

func TestCommandsOfOthersAreNotOurs(t *testing.T) {
	for _, comment := range []string{"", "maintenance", "closed " + attemptID, "Close " + attemptID} {
		sm := newSystemsManager(t, saysItsName, 1)
		invocations, errs := (&runcommand.Reader{API: sm}).Read(t.Context(), sm.send(comment, 1), hostIDs(0))
		if len(invocations) > 0 || !errors.Is(errs[hostID(0)], runcommand.ErrNotOurs) {
			t.Errorf("comment %q: %v, %v", comment, invocations, errs)
		}
	}
}

func TestInvocationThatIsNotThereYetIsToComeAgain(t *testing.T) {
	t.Run("not shown yet", func(t *testing.T) {
		now := time.Now()
		sm := systemsManagerWith(t, fleet.Options{
			Documents: []template.Document{document(saysItsName)}, InvocationDelay: time.Hour, Now: func() time.Time { return now },
		}, 1)
		commandID := sm.send("close "+attemptID, 1)
		_, errs := (&runcommand.Reader{API: sm}).Read(t.Context(), commandID, hostIDs(0))
		if !errors.Is(errs[hostID(0)], runcommand.ErrNotThere) {
			t.Errorf("errors %v", errs)
		}
		now = now.Add(2 * time.Hour)
		sm.read(commandID, 1)
	})
	t.Run("not ended yet", func(t *testing.T) {
		gate := filepath.Join(t.TempDir(), "gate")
		sm := newSystemsManager(t, "if [ $AWS_SSM_INSTANCE_ID = "+hostID(1)+" ]; then while [ ! -e "+gate+" ]; do sleep 0.01; done; fi\n"+saysItsName, 2)
		commandID := sm.begin("close "+attemptID, 2)
		sm.await(1)
		invocations, errs := (&runcommand.Reader{API: sm}).Read(t.Context(), commandID, hostIDs(0, 1))
		if len(invocations) != 1 || len(errs) != 1 || !errors.Is(errs[hostID(1)], runcommand.ErrNotThere) {
			t.Errorf("%v, errors %v", invocations, errs)
		}
		if err := os.WriteFile(gate, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		sm.await(1)
		sm.read(commandID, 2)
	})
	t.Run("another command's host", func(t *testing.T) {
		sm := newSystemsManager(t, saysItsName, 2)
		invocations, errs := (&runcommand.Reader{API: sm}).Read(t.Context(), sm.send("close "+attemptID, 1), hostIDs(0, 1))
		if len(invocations) != 1 || !errors.Is(errs[hostID(1)], runcommand.ErrNotThere) {
			t.Errorf("%v, errors %v", invocations, errs)
		}
	})
}
