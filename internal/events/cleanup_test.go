package events_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/events/cleanup"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// A fleetWorld is everything outside of cleanup and host-events: the tables, what
// hosts answer to one command, and what EC2 says.
type fleetWorld struct {
	*system
	hosts    *memtable.Hosts
	statuses map[string]session.HostStatus
	ec2      error
	asked    []string
	asking   func() // called while EC2 is asked
	index    error  // of by-host and due
	sending  error
	sent     []*ssm.SendCommandInput
	answers  []types.CommandInvocation
	reads    int
	hangs    bool // the indexes, and sending
}

func newFleetWorld(t *testing.T) *fleetWorld {
	f := &fleetWorld{system: newSystem(t, 0, ""), hosts: memtable.NewHosts(), statuses: map[string]session.HostStatus{}}
	f.now = func() time.Time { return t0.Add(time.Minute) }
	return f
}

func (f *fleetWorld) Statuses(_ context.Context, hostIDs []string) (map[string]session.HostStatus, error) {
	f.asked = append(f.asked, hostIDs...)
	if f.asking != nil {
		f.asking()
	}
	return f.statuses, f.ec2
}

func (f *fleetWorld) Due(ctx context.Context, shard string, now time.Time, limit int) ([]session.Record, error) {
	if err := f.hang(ctx); err != nil {
		return nil, err
	}
	records, _ := f.table.Due(ctx, shard, now, limit)
	return records, f.index
}

func (f *fleetWorld) hang(ctx context.Context) error {
	if f.hangs {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (f *fleetWorld) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	records, more, _ := f.table.OnHost(ctx, hostID, after, limit)
	return records, more, f.index
}

func (f *fleetWorld) SendCommand(ctx context.Context, in *ssm.SendCommandInput, _ ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	if err := f.hang(ctx); err != nil {
		return nil, err
	}
	f.sent = append(f.sent, in)
	return &ssm.SendCommandOutput{}, f.sending
}

func (f *fleetWorld) ListCommandInvocations(context.Context, *ssm.ListCommandInvocationsInput, ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	f.reads++
	return &ssm.ListCommandInvocationsOutput{CommandInvocations: f.answers}, nil
}

func (f *fleetWorld) reaper() *session.HostReaper {
	return &session.HostReaper{Table: f.failing(), Index: f, Instances: f, HostTable: f.hosts, EndStopped: true, Now: f.now, NewID: awsenv.NewID, Log: f.logger()}
}

func (f *fleetWorld) reconciler() *session.InventoryReconciler {
	return &session.InventoryReconciler{Table: f.failing(), Index: f, Getter: memtable.Reader{Table: f.table}, HostTable: f.hosts, MaxSessions: 1000, Now: f.now, Log: f.logger()}
}

func (f *fleetWorld) cleanup(task string, closeIdleAfter time.Duration) error {
	return f.cleanupFor(f.t.Context(), task, closeIdleAfter)
}

// cleanupFor is a run that has the time of ctx.
func (f *fleetWorld) cleanupFor(ctx context.Context, task string, closeIdleAfter time.Duration) error {
	unresponsive := &session.UnresponsiveMarker{Table: f.failing(), Index: f, HostTable: f.hosts, Reaper: f.reaper(), Now: f.now, Log: f.logger()}
	c := cleanup.Handler{
		Cleaner: &session.Cleaner{
			Table: f.failing(), Index: f, Reaper: f.reaper(), GiveUp: time.Hour, Now: f.now, NewID: awsenv.NewID, Log: f.logger(),
			Closer: &runcommand.Closer{API: f, Document: "Close", FleetTag: "test"},
		},
		RefusedHosts: &session.RefusedHostChecker{Hosts: f.hosts, Reaper: f.reaper(), Log: f.logger()},
		Gauge:        &session.OpenDeletionGauge{Index: f.table, Now: f.now, Log: f.logger()},
		Unresponsive: unresponsive,
		Walker:       &session.HostWalker{Hosts: f.table, HostTable: f.hosts, Reaper: f.reaper(), Unresponsive: unresponsive, Now: f.now, Log: f.logger()},
		Broadcaster:  &runcommand.Broadcaster{API: f, InventoryDocument: "Inventory", IdleDocument: "Idle", FleetTag: "test"},
		SilentAfter:  time.Minute, CloseIdleAfter: closeIdleAfter, Now: f.now, NewID: awsenv.NewID, Log: f.logger(),
	}
	return c.Handle(ctx, cleanup.Event{Task: task})
}

func (f *fleetWorld) documents() (names []string) {
	for _, in := range f.sent {
		names = append(names, *in.DocumentName)
	}
	return names
}

// answer is that the host's part of the command ended so.
func (f *fleetWorld) answer(hostID, comment, status, output string) {
	f.answers = append(f.answers, types.CommandInvocation{
		CommandId: aws.String("c1"), InstanceId: aws.String(hostID), Comment: aws.String(comment), Status: types.CommandInvocationStatus(status),
		CommandPlugins: []types.CommandPlugin{{Name: aws.String("linux"), Output: aws.String(output)}},
	})
}

// receive hands over the news of all hosts that have answered, and returns which
// of the messages are to come again.
func (f *fleetWorld) receive() (failed []string) {
	f.t.Helper()
	h := f.hostEvents()
	h.Reader = &runcommand.Reader{API: f}
	h.Confirmer.Index = f
	h.Reconciler, h.Reaper = f.reconciler(), f.reaper()
	h.IdleRecorder = &session.IdleRecorder{Table: f.failing(), Index: f, Now: f.now, Log: f.logger()}
	var bodies []string
	for _, a := range f.answers {
		bodies = append(bodies, finished("c1", *a.InstanceId))
	}
	response, err := h.Handle(f.t.Context(), batchOf(bodies...))
	if err != nil {
		f.t.Fatal(err)
	}
	for _, m := range response.BatchItemFailures {
		failed = append(failed, m.ItemIdentifier)
	}
	slices.Sort(failed)
	return failed
}

func (f *fleetWorld) put(id, hostID, state, attemptID string) {
	r := session.Listed(session.Session{ID: id, Owner: "alice", HostID: hostID, CreationTime: "2026-11-23T08:30:00Z", FirstSeenAt: t0.Add(-time.Hour)})
	if r["State"] = state; attemptID != "" {
		r["AttemptId"], r["DeletionRequestId"], r["Attempts"], r["DueLane"] = attemptID, "r1", int64(1), "0"
		r["DeletionRequestedAt"], r["NextAttemptAt"] = session.FormatTime(t0.Add(-3*time.Minute)), session.FormatTime(t0)
	}
	f.table.Put(r)
}

func (f *fleetWorld) has(id, attr string, want any) {
	f.t.Helper()
	if got := f.table.Get(id)[attr]; got != want {
		f.t.Errorf("%s: %s is %v, want %v", id, attr, got, want)
	}
}

func TestUnknownTaskIsAnError(t *testing.T) {
	for _, task := range []string{"", "deletion", "Inventory"} {
		f := newFleetWorld(t)
		if err := f.cleanup(task, time.Hour); err == nil || len(f.sent) > 0 {
			t.Errorf("%q: %v, sent %q", task, err, f.documents())
		}
	}
}

// Lambda kills a function at its deadline: the run says before that it failed.
func TestTaskThatHangsEndsInTime(t *testing.T) {
	for _, task := range []string{"deletions", "inventory", "idle"} {
		f := newFleetWorld(t)
		f.hangs = true
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 55*time.Second)
			defer cancel()
			if err := f.cleanupFor(ctx, task, time.Hour); err == nil || ctx.Err() != nil || !strings.Contains(f.log.String(), "task failed") {
				t.Errorf("%s: %v, its time is over: %t, log: %s", task, err, ctx.Err() != nil, &f.log)
			}
		})
	}
}

func TestIdleSessionsAreNotClosedUnlessAsked(t *testing.T) {
	f := newFleetWorld(t)
	if err := f.cleanup("idle", 0); err != nil || len(f.sent) > 0 {
		t.Errorf("%v, sent %q", err, f.documents())
	}
	if err := f.cleanup("idle", time.Hour); err != nil || !slices.Equal(f.documents(), []string{"Idle"}) {
		t.Errorf("%v, sent %q", err, f.documents())
	}
}

// Promise 11: all hosts are asked before the silent ones are looked at, however
// long that takes.
func TestInventoryIsSentBeforeSilentHostsAreLookedAt(t *testing.T) {
	f := newFleetWorld(t)
	if _, err := f.hosts.RecordAnswer(t.Context(), session.HostAnswer{HostID: hostID(0), SentAt: t0.Add(-time.Hour), At: t0.Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for _, ago := range []time.Duration{30 * time.Minute, 15 * time.Minute} {
		if err := f.hosts.RecordInventorySent(t.Context(), t0.Add(-ago)); err != nil {
			t.Fatal(err)
		}
	}
	f.put("s0", hostID(0), "READY", "")
	var sent []string
	f.asking = func() { sent = f.documents() }
	if err := f.cleanup("inventory", 0); err != nil || len(f.asked) == 0 {
		t.Errorf("asked about %q, %v", f.asked, err)
	}
	if !slices.Equal(sent, []string{"Inventory"}) {
		t.Errorf("sent before EC2 was asked: %q", sent)
	}
}

// Each inventory has a name and a time of its own, and is sent though the quiet
// hosts cannot be dealt with.
func TestInventoryIsAskedForWhateverFails(t *testing.T) {
	f := newFleetWorld(t)
	_, err := f.hosts.RecordAnswer(t.Context(), session.HostAnswer{HostID: hostID(0), SentAt: t0.Add(-time.Hour), At: t0.Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for _, ago := range []time.Duration{30 * time.Minute, 15 * time.Minute} {
		if err := f.hosts.RecordInventorySent(t.Context(), t0.Add(-ago)); err != nil {
			t.Fatal(err)
		}
	}
	f.put("s0", hostID(0), "READY", "")
	f.index = errors.New("no index")
	if err := f.cleanup("inventory", 0); !errors.Is(err, f.index) {
		t.Errorf("error %v", err)
	}
	f.index = nil
	f.sending = errors.New("throttled")
	if err := f.cleanup("inventory", 0); !errors.Is(err, f.sending) {
		t.Errorf("error %v", err)
	}
	f.has("s0", "State", "UNKNOWN")
	if !slices.Equal(f.documents(), []string{"Inventory", "Inventory"}) {
		t.Fatalf("sent %q", f.documents())
	}
	first, second := *f.sent[0].Comment, *f.sent[1].Comment
	if first == second || !strings.HasSuffix(first, " "+session.FormatTime(f.now())) {
		t.Errorf("sent as %q and %q", first, second)
	}
}

// What no host got, none has left unanswered.
func TestOnlyInventoriesThatWereSentCount(t *testing.T) {
	f := newFleetWorld(t)
	now := f.now()
	f.now = func() time.Time { return now }
	for _, sending := range []error{nil, nil, nil, errors.New("throttled")} {
		f.sending = sending
		if err := f.cleanup("inventory", 0); !errors.Is(err, sending) {
			t.Errorf("error %v", err)
		}
		now = now.Add(5 * time.Minute)
	}
	// Sent at 0, 5 and 10 minutes; now it is 20.
	if got, err := f.hosts.LastButTwo(t.Context()); err != nil || !got.Equal(now.Add(-20*time.Minute)) {
		t.Errorf("the last but two at %v, now %v, %v", got, now, err)
	}
}

// The inventory that a run sends is none that a host has left unanswered.
func TestOneUnansweredInventoryMakesNobodySilent(t *testing.T) {
	f := newFleetWorld(t)
	now := f.now()
	f.now = func() time.Time { return now }
	f.put("s0", hostID(0), "READY", "")
	for n, want := range []string{"READY", "READY", "READY", "UNKNOWN"} { // only the first is answered
		if err := f.cleanup("inventory", 0); err != nil {
			t.Fatal(err)
		}
		f.has("s0", "State", want)
		if n == 0 {
			if _, err := f.hosts.RecordAnswer(t.Context(), session.HostAnswer{HostID: hostID(0), SentAt: now, At: now.Add(time.Second)}); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(5 * time.Minute)
	}
}

func TestDeletionsFailIfTheIndexDoes(t *testing.T) {
	f := newFleetWorld(t)
	f.index = errors.New("no index")
	if err := f.cleanup("deletions", 0); !errors.Is(err, f.index) {
		t.Errorf("error %v", err)
	}
}

func sent(kind string) string { return kind + " id1 " + session.FormatTime(t0) }

func TestAnswersGoWhereTheyBelong(t *testing.T) {
	f := newFleetWorld(t)
	f.put("gone", hostID(0), "READY", "")
	f.put("left", hostID(1), "READY", "")
	f.put("open", hostID(2), "DELETING", "a1")
	f.answer(hostID(0), sent("inventory"), "Success", `{"id":"new","owner":"bob"}`+"\n"+`{"end":1}`)
	f.answer(hostID(1), sent("idle"), "Success", `{"id":"left","created":"2026-11-23T08:30:00Z","result":"closed","minutes":61}`+"\n"+`{"end":1}`)
	f.answer(hostID(2), "close a1", "Success", `{"id":"open","result":"closed"}`)
	for range 2 {
		if failed := f.receive(); len(failed) > 0 {
			t.Errorf("come again: %v", failed)
		}
	}
	f.has("new", "State", "READY")
	f.has("gone", "Confirmation", "vanished")
	f.has("left", "Confirmation", "closed")
	f.has("open", "Confirmation", "closed")
	if len(f.asked) > 0 {
		t.Errorf("EC2 was asked about hosts that answered: %q", f.asked)
	}
}

// Promise 8: what cannot be recorded of one answer comes again, and no other.
func TestWhatCannotBeRecordedComesAgain(t *testing.T) {
	f := newFleetWorld(t)
	f.answer(hostID(0), sent("inventory"), "Success", `{"id":"s0","owner":"bob"}`+"\n"+`{"end":1}`)
	f.answer(hostID(1), sent("inventory"), "Success", `{"id":"s1","owner":"bob"}`+"\n"+`{"end":1}`)
	f.writing = func(w session.Write) error {
		if w.SessionID == "s0" {
			return session.ErrUnclear
		}
		return nil
	}
	if failed := f.receive(); !slices.Equal(failed, []string{"m0"}) {
		t.Errorf("come again: %v", failed)
	}
	f.has("s1", "State", "READY")
	f.writing = nil
	if failed := f.receive(); len(failed) > 0 {
		t.Errorf("come again: %v", failed)
	}
	f.has("s0", "State", "READY")
}

func TestHostThatDidNotAnswer(t *testing.T) {
	for _, status := range []string{"TimedOut", "Undeliverable", "DeliveryTimedOut", "Failed", "Terminated", "Cancelled"} {
		t.Run(status, func(t *testing.T) {
			f := newFleetWorld(t)
			f.put("s0", hostID(0), "DELETING", "a1")
			f.put("other", hostID(0), "DELETING", "a2") // another attempt has the word there
			f.put("ready", hostID(0), "READY", "")
			f.answer(hostID(0), "close a1", status, "")
			if failed := f.receive(); len(failed) > 0 {
				t.Errorf("come again: %v", failed)
			}
			f.has("s0", "StateReason", "The host did not answer the close command (Systems Manager: "+status+").")
			f.has("s0", "AttemptFailedAt", session.FormatTime(f.now()))
			f.has("s0", "NextAttemptAt", session.FormatTime(t0)) // neither lost, nor hot
			f.has("other", "AttemptFailedAt", nil)
			f.has("ready", "State", "READY")
			if !slices.Equal(f.asked, []string{hostID(0)}) {
				t.Errorf("EC2 was asked about %q", f.asked)
			}

			f.ec2 = errors.New("throttled")
			if failed := f.receive(); !slices.Equal(failed, []string{"m0"}) {
				t.Errorf("EC2 does not answer, come again: %v", failed)
			}
			f.ec2, f.statuses[hostID(0)] = nil, session.Stopped
			if failed := f.receive(); len(failed) > 0 {
				t.Errorf("come again: %v", failed)
			}
			for _, id := range []string{"s0", "other", "ready"} {
				f.has(id, "Confirmation", "host-gone")
			}
		})
	}
}

// EC2's answers are behind its event: it is asked again, a few times. Should it
// still not show the host as stopped, cleanup asks once the host has been quiet.
func TestStoppedHostThatEC2DoesNotShowYet(t *testing.T) {
	for _, tc := range []struct {
		status   session.HostStatus
		received int
		again    bool
	}{
		{session.Stopping, 1, true}, {session.Stopping, 2, true}, {session.Stopping, 3, false}, {session.Stopping, 4, false},
		{session.Alive, 1, false}, {session.Stopped, 2, false},
	} {
		f := newFleetWorld(t)
		f.put("s0", hostID(0), "READY", "")
		f.statuses[hostID(0)] = tc.status
		h := f.hostEvents()
		h.Reaper = f.reaper()
		batch := batchOf(stopped(hostID(0)))
		batch.Records[0].Attributes = map[string]string{"ApproximateReceiveCount": fmt.Sprint(tc.received)}
		response, err := h.Handle(t.Context(), batch)
		if again := len(response.BatchItemFailures) > 0; err != nil || again != tc.again {
			t.Errorf("status %v, received %d times: comes again %v, %v", tc.status, tc.received, again, err)
		}
	}
	// The news of a command do not come again for that.
	f := newFleetWorld(t)
	f.statuses[hostID(0)] = session.Stopping
	f.answer(hostID(0), "close a1", "Undeliverable", "")
	if failed := f.receive(); len(failed) > 0 || len(f.asked) != 1 {
		t.Errorf("come again: %v, asked %q", failed, f.asked)
	}
}

// What cannot be written of one stopped host brings no other host's news back.
func TestStoppedHostThatCannotBeRecordedComesAgainAlone(t *testing.T) {
	f := newFleetWorld(t)
	for n := range 3 {
		f.put(sessionID(n), hostID(n), "READY", "")
		f.statuses[hostID(n)] = session.Stopped
	}
	f.writing = func(w session.Write) error {
		if w.SessionID == sessionID(1) {
			return session.ErrNotWritten
		}
		return nil
	}
	h := f.hostEvents()
	h.Reaper = f.reaper()
	response, err := h.Handle(t.Context(), batchOf(stopped(hostID(0)), stopped(hostID(1)), stopped(hostID(2))))
	if err != nil || len(response.BatchItemFailures) != 1 || response.BatchItemFailures[0].ItemIdentifier != "m1" {
		t.Errorf("come again: %v, %v", response, err)
	}
	f.has(sessionID(2), "Confirmation", "host-gone")
}

// EC2 tells of every instance of the account. One of which there is no session
// is not waited for.
func TestInstanceThatIsNoHostIsNotWaitedFor(t *testing.T) {
	f := newFleetWorld(t)
	f.put("s0", hostID(0), "READY", "")
	f.statuses[hostID(0)], f.statuses[hostID(1)] = session.Alive, session.Alive // they were hibernated
	h := f.hostEvents()
	h.Reaper = f.reaper()
	if response, err := h.Handle(t.Context(), batchOf(stopped(hostID(0)), stopped(hostID(1)))); err != nil || len(response.BatchItemFailures) > 0 {
		t.Fatal(response, err)
	}
	waitedFor, err := f.hosts.AnsweredBefore(t.Context(), f.now().Add(time.Hour), 10)
	if err != nil || !slices.Equal(waitedFor, []string{hostID(0)}) {
		t.Errorf("waited for %v, %v", waitedFor, err)
	}
}

// A step that was cut off, or whose output was, answers for some of its sessions:
// the attempt has failed for the others.
func TestHostThatAnsweredInPart(t *testing.T) {
	line := `{"id":"s0","result":"closed"}` + "\n"
	for name, tc := range map[string]struct {
		status, output string
		noted          bool
	}{
		"cut off":        {"TimedOut", line, true},
		"failed":         {"Failed", line, true},
		"output was cut": {"Success", line + `{"id":"s1","res`, true},
		"whole":          {"Success", line, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleetWorld(t)
			f.put("s0", hostID(0), "DELETING", "a1")
			f.put("s1", hostID(0), "DELETING", "a1")
			f.put("other", hostID(0), "DELETING", "a2")
			f.answer(hostID(0), "close a1", tc.status, tc.output)
			written := map[string]int{}
			f.writing = func(w session.Write) error { written[w.SessionID]++; return nil }
			if failed := f.receive(); len(failed) > 0 || len(f.asked) > 0 {
				t.Errorf("come again: %v, EC2 was asked about %q", failed, f.asked)
			}
			// Two writes of one session cannot go together.
			if written["s0"] != 1 || written["other"] != 0 {
				t.Errorf("written: %v", written)
			}
			f.has("s0", "Confirmation", "closed")
			f.has("s0", "StateReason", nil)
			f.has("other", "AttemptFailedAt", nil)
			if !tc.noted {
				f.has("s1", "AttemptFailedAt", nil)
				return
			}
			f.has("s1", "StateReason", "The host's answer to the close command says nothing of this session (Systems Manager: "+tc.status+").")
			f.has("s1", "AttemptFailedAt", session.FormatTime(f.now()))
			f.has("s1", "NextAttemptAt", session.FormatTime(t0))
		})
	}

	// What was said is recorded, whoever is missing.
	f := newFleetWorld(t)
	f.put("s0", hostID(0), "DELETING", "a1")
	f.answer(hostID(0), "close a1", "TimedOut", line)
	f.index = errors.New("no index")
	if failed := f.receive(); !slices.Equal(failed, []string{"m0"}) {
		t.Errorf("the index fails, come again: %v", failed)
	}
	f.has("s0", "Confirmation", "closed")
}

// An inventory that was cut lists what it shows, and is an answer; one that the
// host says has failed is none, whatever else it says.
func TestInventoryThatIsNotWhole(t *testing.T) {
	line := `{"id":"new","owner":"bob"}` + "\n"
	for name, tc := range map[string]struct {
		output   string
		answered bool
	}{
		"cut in mid-line": {line + `{"id":"s0","own`, true},
		"no last line":    {line, true},
		"failed":          {line + `{"failed":"dcv took too long"}`, false},
		"failed at first": {`{"failed":"dcv took too long"}` + "\n" + line + `{"end":1}`, false},
	} {
		f := newFleetWorld(t)
		f.put("s0", hostID(0), "READY", "")
		f.answer(hostID(0), sent("inventory"), "Success", tc.output)
		if failed := f.receive(); len(failed) > 0 {
			t.Errorf("%s: comes again: %v", name, failed)
		}
		f.has("s0", "State", "READY")
		f.has("s0", "Confirmation", nil)
		if listed := f.table.Get("new") != nil; listed != tc.answered {
			t.Errorf("%s: listed %v", name, listed)
		}
		newest, err := f.hosts.Newest(t.Context(), []string{hostID(0)})
		if _, answered := newest[hostID(0)]; err != nil || answered != tc.answered {
			t.Errorf("%s: noted as an answer: %v, %v", name, answered, err)
		}
	}
}

// Systems Manager keeps 24,000 characters of an output: an answer that is longer
// is cut in mid-line on its way.
func TestInventoryThatSystemsManagerCuts(t *testing.T) {
	s := newSystem(t, 1, `n=0
		while [ $n -lt 400 ]; do n=$((n + 1)); printf '{"id":"n%0100d","owner":"bob"}\n' $n; done
		echo '{"end":400}'`+"\n")
	known := s.table.Get("s0")
	known["FirstSeenAt"] = session.FormatTime(time.Now().Add(-time.Hour))
	s.table.Put(known)
	_, err := s.SendCommand(t.Context(), &ssm.SendCommandInput{
		DocumentName: aws.String("CloseDocument"), InstanceIds: []string{hostID(0)},
		Comment:    aws.String("inventory id1 " + session.FormatTime(time.Now())),
		Parameters: map[string][]string{"sessions": {"x"}, "voidAfter": {"1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := s.hostEvents()
	h.Reconciler = &session.InventoryReconciler{Table: s.table, Index: s.table, Getter: memtable.Reader{Table: s.table}, HostTable: memtable.NewHosts(), MaxSessions: 1000, Now: s.now, Log: s.logger()}
	response, err := h.Handle(t.Context(), batchOf(s.await(1)...))
	if err != nil || len(response.BatchItemFailures) > 0 {
		t.Fatal(response, err)
	}
	if r := s.table.Get("s0"); r["State"] != "READY" || r["Confirmation"] != nil {
		t.Errorf("s0 ended: %v", r)
	}
	if n := len(s.table.All()) - 1; n < 150 || n > 24_000/120 {
		t.Errorf("%d sessions listed", n)
	}
}

// One that ran the command, and said nothing, is there.
func TestHostThatSaidNothingIsThere(t *testing.T) {
	for _, output := range []string{"", "garbage", "{garbage", `{"failed":"dcv took too long"}`} {
		f := newFleetWorld(t)
		f.put("s0", hostID(0), "READY", "")
		for _, kind := range []string{sent("inventory"), sent("idle"), "close a1"} {
			f.answers = nil
			f.answer(hostID(0), kind, "Success", output)
			if failed := f.receive(); len(failed) > 0 || len(f.asked) > 0 {
				t.Errorf("%s of %q: come again %v, asked %q", kind, output, failed, f.asked)
			}
		}
		f.has("s0", "State", "READY")
		// It did not answer the inventory: in the end it counts as silent.
		if fresh, err := f.hosts.RecordAnswer(t.Context(), session.HostAnswer{HostID: hostID(0), SentAt: t0.Add(-time.Hour)}); !fresh || err != nil {
			t.Errorf("noted as an answer: %q, %v", output, err)
		}
	}
}
