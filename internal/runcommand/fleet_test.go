package runcommand_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
)

// A systemsManager is the simulated one with its hosts. It keeps what it is
// asked, and can fail instead.
type systemsManager struct {
	*fleet.Fleet
	t     *testing.T
	ended chan invocation

	// fault is what the nth call of all fails with; nil is nothing.
	fault func(operation string, n int) error

	mu    sync.Mutex
	calls []string
	taken []*ssm.SendCommandInput // the commands that were not refused
}

type invocation struct{ commandID, hostID, status string }

// newSystemsManager has one host for each of hostIDs, with a session of the
// host's number, and a close document with that script.
func newSystemsManager(t *testing.T, script string, hosts int) *systemsManager {
	t.Helper()
	return systemsManagerWith(t, fleet.Options{Documents: []template.Document{document(script)}}, hosts)
}

func document(script string) template.Document {
	return template.Document{
		LogicalID:  "CloseDocument",
		Parameters: map[string]template.DocumentParameter{"sessions": {EnvVar: true}, "voidAfter": {EnvVar: true}},
		Steps: []template.Step{
			{Name: "linux", Action: template.RunShellScript, Platform: "Linux", Script: script, Timeout: time.Minute},
			{Name: "windows", Action: template.RunPowerShellScript, Platform: "Windows", Script: "exit 0\n", Timeout: time.Minute},
		},
	}
}

func systemsManagerWith(t *testing.T, opts fleet.Options, hosts int) *systemsManager {
	t.Helper()
	sm := &systemsManager{t: t, ended: make(chan invocation, 1000)}
	opts.Dir, opts.FleetTagValue, opts.Parallel = t.TempDir(), "test", 1 // most tests need no script to run
	opts.Emit = func(raw json.RawMessage) {
		var e struct {
			DetailType string            `json:"detail-type"`
			Detail     map[string]string `json:"detail"`
		}
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Error(err)
		}
		switch e.Detail["status"] {
		case "Pending", "InProgress", "Delayed":
			return
		}
		if e.DetailType == "EC2 Command Invocation Status-change Notification" {
			sm.ended <- invocation{e.Detail["command-id"], e.Detail["instance-id"], e.Detail["status"]}
		}
	}
	f, err := fleet.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	sm.Fleet = f
	for n := range hosts {
		sm.start(hostID(n), fleet.Session{ID: sessionID(n), Owner: "alice"})
	}
	return sm
}

func hostID(n int) string    { return fmt.Sprintf("i-%017d", n) }
func sessionID(n int) string { return fmt.Sprint("s", n) }

func (sm *systemsManager) start(hostID string, s fleet.Session) fleet.Session {
	sm.t.Helper()
	started, err := sm.StartSession(hostID, s)
	if err != nil {
		sm.t.Fatal(err)
	}
	return started
}

func (sm *systemsManager) do(what func(hostID string) error, hosts ...int) {
	sm.t.Helper()
	for _, n := range hosts {
		if err := what(hostID(n)); err != nil {
			sm.t.Fatal(err)
		}
	}
}

// running is the sessions on a host.
func (sm *systemsManager) running(hostID string) []string {
	sm.t.Helper()
	hosts, err := sm.Hosts()
	if err != nil {
		sm.t.Fatal(err)
	}
	var ids []string
	for _, h := range hosts {
		for _, s := range h.Sessions {
			if h.HostID == hostID {
				ids = append(ids, s.ID)
			}
		}
	}
	return ids
}

// await waits until so many invocations have ended.
func (sm *systemsManager) await(count int) []invocation {
	sm.t.Helper()
	var ended []invocation
	for len(ended) < count {
		select {
		case i := <-sm.ended:
			ended = append(ended, i)
		case <-sm.t.Context().Done():
			sm.t.Fatal("the invocations do not end")
		case <-time.After(5 * time.Minute): // only if something is broken
			sm.t.Fatalf("%d invocations ended, not %d", len(ended), count)
		}
	}
	return ended
}

func (sm *systemsManager) called(operation string) error {
	sm.mu.Lock()
	defer sm.mu.Unlock()
	sm.calls = append(sm.calls, operation)
	if sm.fault == nil {
		return nil
	}
	return sm.fault(operation, len(sm.calls))
}

func (sm *systemsManager) SendCommand(ctx context.Context, in *ssm.SendCommandInput, opts ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	if err := sm.called("SendCommand"); err != nil {
		return nil, err
	}
	out, err := sm.Fleet.SendCommand(ctx, in, opts...)
	if err == nil {
		sm.mu.Lock()
		defer sm.mu.Unlock()
		sm.taken = append(sm.taken, in)
	}
	return out, err
}

func (sm *systemsManager) DescribeInstanceInformation(ctx context.Context, in *ssm.DescribeInstanceInformationInput, opts ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error) {
	if err := sm.called("DescribeInstanceInformation"); err != nil {
		return nil, err
	}
	return sm.Fleet.DescribeInstanceInformation(ctx, in, opts...)
}

func (sm *systemsManager) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput, opts ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	if err := sm.called("ListCommandInvocations"); err != nil {
		return nil, err
	}
	return sm.Fleet.ListCommandInvocations(ctx, in, opts...)
}

func (sm *systemsManager) GetCommandInvocation(ctx context.Context, in *ssm.GetCommandInvocationInput, opts ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	if err := sm.called("GetCommandInvocation"); err != nil {
		return nil, err
	}
	return sm.Fleet.GetCommandInvocation(ctx, in, opts...)
}

func (sm *systemsManager) sender() *runcommand.Sender {
	return &runcommand.Sender{API: sm, CloseDocument: "CloseDocument", NotifyDocument: "NotifyDocument", FleetTag: "test"}
}

// attempt is to close the session of each host.
func attempt(hosts int) session.Attempt {
	a := session.Attempt{ID: "11111111-2222-3333-4444-555555555555", At: time.Now()}
	for n := range hosts {
		a.Closings = append(a.Closings, session.Closing{
			Incarnation: session.Incarnation{SessionID: sessionID(n), NameOnHost: sessionID(n), HostID: hostID(n), CreatedUntil: time.Now().Add(time.Minute)},
			VoidAfter:   a.At.Add(time.Hour),
		})
	}
	return a
}

// outcome sorts the answers of an attempt by what they mean, and checks that
// exactly the accepted ones were sent, once.
func (sm *systemsManager) outcome(a session.Attempt, errs []error) (refused map[string]string, unclear []string) {
	sm.t.Helper()
	if len(errs) != len(a.Closings) {
		sm.t.Fatalf("%d answers to %d closings", len(errs), len(a.Closings))
	}
	sent := map[string]int{}
	for _, in := range sm.taken {
		for _, group := range strings.Split(in.Parameters["sessions"][0], ";") {
			host, tokens, _ := strings.Cut(group, "=")
			for _, token := range strings.Split(tokens, ",") {
				sent[host+" "+token[:strings.IndexAny(token, "/@~")]]++
			}
		}
	}
	refused = map[string]string{}
	for i, err := range errs {
		c := a.Closings[i]
		want := 0
		switch r := (*session.Refusal)(nil); {
		case err == nil:
			want = 1
		case errors.As(err, &r):
			refused[c.HostID] = r.Reason
			if r.HostID != c.HostID {
				sm.t.Errorf("host %s is answered for host %s", c.HostID, r.HostID)
			}
		default:
			unclear = append(unclear, c.HostID)
			want = sent[c.HostID+" "+c.SessionID]
		}
		if n := sent[c.HostID+" "+c.SessionID]; n != want {
			sm.t.Errorf("%s on %s is answered %v, and sent %d times", c.SessionID, c.HostID, err, n)
		}
	}
	return refused, unclear
}
