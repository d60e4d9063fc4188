package events_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/events/hostevents"
	"dcv-session-broker/internal/events/sessionstream"
	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
	"dcv-session-broker/internal/template/templatetest"
)

// A system is the environment of the handlers: a table in memory, simulated hosts whose
// events arrive as messages, and ways to make them fail.
type system struct {
	*fleet.Fleet
	t      *testing.T
	table  *memtable.Table
	feed   *memtable.Feed
	events chan string // messages' bodies, as the template's rule lets them through
	now    func() time.Time
	log    strings.Builder

	// If set, these fail.
	writing func(w session.Write) error
	reading func(operation string) error

	mu    sync.Mutex
	calls []string // the reader's calls of Systems Manager
}

// newSystem makes a system with hosts that have one session each. Their close document
// is the script; "" is one that closes everything.
func newSystem(t *testing.T, hosts int, script string, more ...func(*fleet.Options)) *system {
	t.Helper()
	tmpl := templatetest.Load(t, nil)
	s := &system{t: t, table: memtable.New(), events: make(chan string, 1000), now: time.Now}
	s.feed = s.table.Feed()
	if script == "" {
		script = `for group in $(echo "$SSM_sessions" | tr ';' ' '); do
			case $group in "$AWS_SSM_INSTANCE_ID"=*)
				for token in $(echo "${group#*=}" | tr ',' ' '); do echo "{\"id\":\"${token%%[~@/]*}\",\"result\":\"closed\"}"; done
			esac
		done` + "\n"
	}
	parameter := template.DocumentParameter{EnvVar: true}
	opts := fleet.Options{
		Dir: t.TempDir(), FleetTagValue: "test",
		Documents: []template.Document{{
			LogicalID:  "CloseDocument",
			Parameters: map[string]template.DocumentParameter{"sessions": parameter, "voidAfter": parameter},
			Steps: []template.Step{
				{Name: "linux", Action: template.RunShellScript, Platform: "Linux", Script: script, Timeout: time.Minute},
				{Name: "windows", Action: template.RunPowerShellScript, Platform: "Windows", Script: "exit 0\n", Timeout: time.Minute},
			},
		}},
		Emit: func(event json.RawMessage) {
			for _, rule := range tmpl.Rules() {
				matches, err := rule.Pattern.Match(event)
				if err != nil {
					t.Error(err)
				}
				if matches && strings.Contains(string(event), "aws.ssm") {
					s.events <- string(event)
				}
			}
		},
	}
	for _, change := range more {
		change(&opts)
	}
	var err error
	if s.Fleet, err = fleet.New(opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Fleet.Close)
	for n := range hosts {
		if _, err := s.StartSession(hostID(n), fleet.Session{ID: sessionID(n), Owner: "alice"}); err != nil {
			t.Fatal(err)
		}
		s.list(n)
	}
	return s
}

func hostID(n int) string    { return fmt.Sprintf("i-%017d", n) }
func sessionID(n int) string { return fmt.Sprint("s", n) }

// list lists the session of host n, as an inventory would.
func (s *system) list(n int) {
	s.table.Put(session.Listed(session.Session{ID: sessionID(n), Owner: "alice", HostID: hostID(n), Type: "virtual"}))
}

func (s *system) logger() *slog.Logger { return slog.New(slog.NewTextHandler(&s.log, nil)) }

// delete requests the deletion of the hosts' sessions, and returns the resulting
// messages: one of each host.
func (s *system) delete(requestID string, hosts ...int) []string {
	s.t.Helper()
	req := session.Request{ID: requestID, By: "test", At: time.Now()}
	for _, n := range hosts {
		req.Entries = append(req.Entries, session.Entry{SessionID: sessionID(n), Owner: "alice"})
	}
	d := session.Deleter{
		Table: s.table, GiveUp: time.Hour, Log: slog.New(slog.DiscardHandler),
		Closer: &runcommand.Sender{API: s.Fleet, CloseDocument: "CloseDocument", FleetTag: "test"},
	}
	answers, err := d.Delete(s.t.Context(), req)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, a := range answers {
		if a.FailureReason != "" {
			s.t.Fatal(a)
		}
	}
	return s.await(len(hosts))
}

func (s *system) await(count int) []string {
	s.t.Helper()
	var bodies []string
	for len(bodies) < count {
		select {
		case body := <-s.events:
			bodies = append(bodies, body)
		case <-time.After(5 * time.Minute): // reached only if something is broken
			s.t.Fatalf("%d messages, not %d", len(bodies), count)
		}
	}
	return bodies
}

// hostEvents returns the handler of host-events without the parts for inventories and idle sessions.
func (s *system) hostEvents() *hostevents.Handler {
	var table = s.failing()
	return &hostevents.Handler{
		Reader:          &runcommand.Reader{API: s},
		Confirmer:       &session.Confirmer{Table: table, Index: wholeIndex(s.table), Now: s.now, Log: s.logger()},
		WarningRecorder: &session.WarningRecorder{Table: table, Now: s.now, Log: s.logger()},
		Reaper:          &session.HostReaper{Table: table, Index: wholeIndex(s.table), Instances: alive{}, HostTable: memtable.NewHosts(), Now: s.now, Log: s.logger()},
		Log:             s.logger(),
	}
}

func (s *system) sessionStream() *sessionstream.Handler {
	return &sessionstream.Handler{
		Finisher: &session.Finisher{Table: s.failing(), Now: s.now, Log: s.logger()},
		Log:      s.logger(),
	}
}

// receive delivers messages as one batch, with the IDs m0, m1, ..., and returns the IDs
// of those that must come again.
func (s *system) receive(bodies ...string) (failed []string) {
	s.t.Helper()
	return s.deliver(s.hostEvents(), bodies)
}

func (s *system) deliver(h *hostevents.Handler, bodies []string) (failed []string) {
	s.t.Helper()
	response, err := h.Handle(s.t.Context(), batchOf(bodies...))
	if err != nil {
		s.t.Fatalf("an error, which would have all of the batch come again: %v", err)
	}
	for _, f := range response.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	slices.Sort(failed)
	return failed
}

func batchOf(bodies ...string) lambdaevents.SQSEvent {
	var batch lambdaevents.SQSEvent
	for i, body := range bodies {
		batch.Records = append(batch.Records, lambdaevents.SQSMessage{MessageId: fmt.Sprint("m", i), Body: body})
	}
	return batch
}

// finished returns the event that a host has finished a command.
func finished(commandID, hostID string) string {
	return fmt.Sprintf(`{"source":"aws.ssm","detail-type":"EC2 Command Invocation Status-change Notification","detail":{"command-id":%q,"instance-id":%q}}`, commandID, hostID)
}

// stopped returns the event that an instance has stopped.
func stopped(hostID string) string {
	return fmt.Sprintf(`{"source":"aws.ec2","detail-type":"EC2 Instance State-change Notification","detail":{"instance-id":%q,"state":"stopped"}}`, hostID)
}

// confirmations returns the hosts' sessions and their confirmations.
func (s *system) confirmations() map[string]any {
	all := map[string]any{}
	for _, r := range s.table.All() {
		all[r[session.AttrSessionID].(string)] = r[session.AttrConfirmation]
	}
	return all
}

type alive struct{}

func (alive) Statuses(context.Context, []string) (map[string]session.HostStatus, map[string]string, error) {
	return nil, nil, nil
}

// failing returns the table with its failures.
func (s *system) failing() session.Table { return failing{s} }

type failing struct{ s *system }

func (f failing) Write(ctx context.Context, writes []session.Write) []session.Result {
	results := make([]session.Result, len(writes))
	for i, w := range writes {
		if f.s.writing != nil {
			if err := f.s.writing(w); err != nil {
				results[i].Err = err
				continue
			}
		}
		results[i] = f.s.table.Write(ctx, []session.Write{w})[0]
	}
	return results
}

func (s *system) asked(operation string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, operation)
	if s.reading == nil {
		return nil
	}
	return s.reading(operation)
}

// The reader's operations.
func (s *system) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput, opts ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	if err := s.asked("ListCommandInvocations of " + *in.CommandId); err != nil {
		return nil, err
	}
	return s.Fleet.ListCommandInvocations(ctx, in, opts...)
}

func (s *system) GetCommandInvocation(ctx context.Context, in *ssm.GetCommandInvocationInput, opts ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	if err := s.asked("GetCommandInvocation of " + *in.CommandId); err != nil {
		return nil, err
	}
	return s.Fleet.GetCommandInvocation(ctx, in, opts...)
}
