package events_test

import (
	"context"
	"hash/fnv"
	"slices"
	"strconv"
	"testing"
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

// A fleetWorld simulates the environment of cleanup and host-events: the tables, the
// hosts' answers to one command, and EC2's answers.
type fleetWorld struct {
	*system
	hosts    *memtable.Hosts
	statuses map[string]session.HostStatus
	ec2      error
	asked    []string
	asking   func() // called during EC2's call
	index    error  // the error of by-live-host and by-lease
	sending  error
	sent     []*ssm.SendCommandInput
	listing  error
	answers  []types.CommandInvocation
	reads    int
	reading  error
	hangs    bool // the indexes, and sending

	ruleDefaults cleanup.RuleDefaults
}

func newFleetWorld(t *testing.T) *fleetWorld {
	f := &fleetWorld{system: newSystem(t, 0, ""), hosts: memtable.NewHosts(), statuses: map[string]session.HostStatus{}}
	f.now = func() time.Time { return t0.Add(time.Minute) }
	return f
}

func (f *fleetWorld) Statuses(_ context.Context, hostIDs []string) (map[string]session.HostStatus, map[string]string, error) {
	f.asked = append(f.asked, hostIDs...)
	if f.asking != nil {
		f.asking()
	}
	return f.statuses, nil, f.ec2
}

// wholeIndex returns the table's index with the functions' interface.
func wholeIndex(table *memtable.Table) session.WholeIndex {
	return session.WholeIndex{Index: table, Getter: memtable.Reader{Table: table}}
}

func (f *fleetWorld) Due(ctx context.Context, shard string, now time.Time, limit int) ([]session.Record, error) {
	if err := f.hang(ctx); err != nil {
		return nil, err
	}
	records, _ := wholeIndex(f.table).Due(ctx, shard, now, limit)
	return records, f.index
}

func (f *fleetWorld) hang(ctx context.Context) error {
	if f.hangs {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (f *fleetWorld) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	records, more, _ := wholeIndex(f.table).OnHost(ctx, hostID, after, limit)
	return records, more, f.index
}

func (f *fleetWorld) SendCommand(ctx context.Context, in *ssm.SendCommandInput, _ ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	if err := f.hang(ctx); err != nil {
		return nil, err
	}
	f.sent = append(f.sent, in)
	return &ssm.SendCommandOutput{}, f.sending
}

// ListCommands returns no commands, or does not answer.
func (f *fleetWorld) ListCommands(ctx context.Context, _ *ssm.ListCommandsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	if err := f.hang(ctx); err != nil {
		return nil, err
	}
	return &ssm.ListCommandsOutput{}, f.listing
}

func (f *fleetWorld) ListCommandInvocations(context.Context, *ssm.ListCommandInvocationsInput, ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	f.reads++
	return &ssm.ListCommandInvocationsOutput{CommandInvocations: f.answers}, f.reading
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

// cleanupFor runs cleanup within the time of ctx.
func (f *fleetWorld) cleanupFor(ctx context.Context, task string, closeIdleAfter time.Duration) error {
	_, err := f.handler(closeIdleAfter).Handle(ctx, cleanup.Event{Task: task})
	return err
}

func (f *fleetWorld) handler(closeIdleAfter time.Duration) *cleanup.Handler {
	unresponsive := &session.UnresponsiveMarker{Table: f.failing(), Index: f, HostTable: f.hosts, Reaper: f.reaper(), Now: f.now, Log: f.logger()}
	broadcaster := &runcommand.Broadcaster{API: f, InventoryDocument: "Inventory", IdleDocument: "Idle", FleetTag: "test"}
	return &cleanup.Handler{
		Cleaner: &session.Cleaner{
			Table: f.failing(), Index: f, Reaper: f.reaper(), GiveUp: time.Hour, Now: f.now, NewID: awsenv.NewID, Log: f.logger(),
			Closer: &runcommand.Sender{API: f, CloseDocument: "Close", FleetTag: "test"},
		},
		RefusedHosts: &session.RefusedHostChecker{RefusedHosts: f.hosts, Reaper: f.reaper(), Log: f.logger()},
		Gauge:        &session.OpenDeletionGauge{Index: f.table, Now: f.now, Log: f.logger()},
		Unresponsive: unresponsive,
		Walker:       &session.HostWalker{HostLister: f.table, HostTable: f.hosts, Reaper: f.reaper(), Unresponsive: unresponsive, Now: f.now, Log: f.logger()},
		Inventories:  &session.InventorySender{HostTable: f.hosts, Broadcaster: broadcaster, Now: f.now, NewID: awsenv.NewID, Log: f.logger()},
		Broadcaster:  broadcaster,
		RuleRunner: &session.RuleRunner{
			Table: f.failing(), Reader: memtable.Reader{Table: f.table}, GiveUp: time.Hour, Now: f.now, NewID: awsenv.NewID, Log: f.logger(),
			Closer:   &runcommand.Sender{API: f, CloseDocument: "Close", FleetTag: "test"},
			Notifier: &runcommand.Sender{API: f, NotifyDocument: "Notify", FleetTag: "test"},
		},
		RuleDefaults: f.ruleDefaults,
		SilentAfter:  time.Minute, CloseIdleAfter: closeIdleAfter, Now: f.now, NewID: awsenv.NewID, Log: f.logger(),
	}
}

func (f *fleetWorld) documents() (names []string) {
	for _, in := range f.sent {
		names = append(names, *in.DocumentName)
	}
	return names
}

// answer sets the end of the host's invocation.
func (f *fleetWorld) answer(hostID, comment, status, output string) {
	f.answers = append(f.answers, types.CommandInvocation{
		CommandId: aws.String("c1"), InstanceId: aws.String(hostID), Comment: aws.String(comment), Status: types.CommandInvocationStatus(status),
		CommandPlugins: []types.CommandPlugin{{Name: aws.String("linux"), Output: aws.String(output)}},
	})
}

// receive delivers the events of all hosts that have answered, and returns the messages
// that must come again.
func (f *fleetWorld) receive() []string {
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
	return f.deliver(h, bodies)
}

// receiveAll receives, and no other messages than these may have to come again.
func (f *fleetWorld) receiveAll(except ...string) {
	f.t.Helper()
	if failed := f.receive(); !slices.Equal(failed, except) {
		f.t.Errorf("come again: %q, want %q", failed, except)
	}
}

func (f *fleetWorld) put(id, hostID, state, attemptID string) {
	r := session.Listed(session.Session{ID: id, Owner: "alice", HostID: hostID, CreationTime: "2026-11-23T08:30:00Z", FirstSeenAt: t0.Add(-time.Hour)})
	if r["State"] = state; attemptID != "" {
		r["AttemptId"], r["DeletionRequestId"], r["Attempts"], r["DueLane"] = attemptID, "r1", int64(1), shardOf(id)
		r["DeletionRequestedAt"], r["NextAttemptAt"] = session.FormatTime(t0.Add(-3*time.Minute)), session.FormatTime(t0)
	}
	f.table.Put(r)
}

// shardOf returns a session's shard of the index of leases, as functions choose it.
func shardOf(id string) string {
	h := fnv.New32a()
	h.Write([]byte(id))
	return strconv.Itoa(int(h.Sum32() % 4))
}

func (f *fleetWorld) has(id, attr string, want any) {
	f.t.Helper()
	if got := f.table.Get(id)[attr]; got != want {
		f.t.Errorf("%s: %s is %v, want %v", id, attr, got, want)
	}
}
