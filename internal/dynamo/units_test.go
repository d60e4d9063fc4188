package dynamo_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// A meter is a table in memory that counts write units as DynamoDB does for the same
// items. (DynamoDB Local does not report them for PartiQL.)
type meter struct {
	*memtable.Table
	store dynamodblocal.Store
	units map[string]float64 // of the table, and of each index
}

func newMeter(t *testing.T) *meter {
	client := dynamodb.NewFromConfig(dynamodblocal.ConfigForTest(t))
	name, _ := templateTable(t, client, "SessionsTable")
	return &meter{memtable.New(), dynamodblocal.Store{Client: client, TableName: name}, map[string]float64{}}
}

func (m *meter) Write(ctx context.Context, writes []session.Write) []session.Result {
	results := m.Table.Write(ctx, writes)
	for i, res := range results {
		switch {
		case errors.Is(res.Err, session.ErrCondition):
			m.units["conditions not met"]++ // as much as if it had been written (developer guide, "Working with items", conditional writes)
		case res.Err == nil:
			if err := m.put(ctx, writes[i].SessionID); err != nil {
				results[i].Err = err
			}
		}
	}
	return results
}

func (m *meter) put(ctx context.Context, id string) error {
	out, err := m.store.Client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &m.store.TableName, Item: dynamo.Item(m.Get(id)), ReturnConsumedCapacity: types.ReturnConsumedCapacityIndexes,
	})
	if err != nil {
		return err
	}
	m.units["table"] += *out.ConsumedCapacity.Table.CapacityUnits
	for name, index := range out.ConsumedCapacity.GlobalSecondaryIndexes {
		m.units[name] += *index.CapacityUnits
	}
	return nil
}

// take returns the units since the last call.
func (m *meter) take() (all float64, where string) {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m.units)) {
		all += m.units[name]
		parts = append(parts, name+" "+strconv.FormatFloat(m.units[name], 'g', -1, 64))
	}
	clear(m.units)
	return all, strings.Join(parts, ", ")
}

// takes is a fleet that accepts each command.
type takes struct{}

func (takes) Close(_ context.Context, attempt session.Attempt) []error {
	return make([]error, len(attempt.Closings))
}

func (takes) Notify(_ context.Context, notices []session.Notice) []error {
	return make([]error, len(notices))
}

func (takes) Statuses(context.Context, []string) (map[string]session.HostStatus, map[string]string, error) {
	return nil, nil, nil
}

// A bill is one deletion, step by step, with the units of each step.
type bill struct {
	*testing.T
	table *meter
	now   time.Time
	is    session.Session
	steps []string
	units float64
}

func newBill(t *testing.T) *bill {
	b := &bill{T: t, table: newMeter(t), now: noon}
	r := session.Listed(session.Session{
		ID: "0f0e0d0c-0b0a-4909-8807-060504030201", Owner: "alice", HostID: "i-0123456789abcdef0", Type: "virtual", Name: "desktop",
		CreationTime: "2026-11-23T08:30:00.262883Z", FirstSeenAt: noon.Add(-time.Hour),
	})
	r[session.AttrObservedAt] = session.FormatTime(noon.Add(-time.Hour))
	b.is = r.Session()
	b.table.Put(r)
	if err := b.table.put(t.Context(), b.is.ID); err != nil {
		t.Fatal(err)
	}
	b.table.take()
	return b
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

var quiet = slog.New(slog.DiscardHandler)

func (b *bill) index() session.Index {
	return session.WholeIndex{Index: b.table, Getter: memtable.Reader{Table: b.table.Table}}
}

func (b *bill) clock() time.Time { return b.now }

// step runs a step of the deletion, that long after the last one.
func (b *bill) step(name string, after time.Duration, do func() error) {
	b.Helper()
	b.now = b.now.Add(after)
	if err := do(); err != nil {
		b.Fatalf("%s: %v", name, err)
	}
	units, where := b.table.take()
	b.units += units
	b.steps = append(b.steps, name+": "+strconv.FormatFloat(units, 'g', -1, 64)+" ("+where+")")
	b.is = b.table.Get(b.is.ID).Session()
}

func (b *bill) mark(e session.Entry, mode session.ForceMode) {
	e.SessionID, e.Owner = b.is.ID, b.is.Owner
	b.step("mark", 0, func() error {
		d := session.Deleter{Table: b.table, Closer: takes{}, Notifier: takes{}, GiveUp: time.Hour, ForceMode: mode, Log: quiet}
		_, err := d.Delete(b.Context(), session.Request{
			ID: "11111111-2222-4333-8444-555555555555", By: "1234567890abcdefghijklmnop", At: b.now, Entries: []session.Entry{e},
		})
		return err
	})
}

func (b *bill) answer(after time.Duration, outcome session.Outcome) {
	b.step("host says "+string(outcome), after, func() error {
		c := session.Confirmer{Table: b.table, Now: b.clock, Log: quiet}
		return c.Apply(b.Context(), []session.Report{{HostID: b.is.HostID, AttemptID: b.is.AttemptID, SessionID: b.is.ID, Outcome: outcome}})[0]
	})
}

func (b *bill) warned() {
	b.step("host says warned", time.Second, func() error {
		r := session.WarningRecorder{Table: b.table, Now: b.clock, Log: quiet}
		return r.Apply(b.Context(), []session.Warning{{
			HostID: b.is.HostID, NoticeID: b.is.NoticeID, SessionID: b.is.ID, CloseAt: b.is.CloseAt, At: b.is.NoticeAt, Outcome: session.Warned,
		}})[0]
	})
}

func (b *bill) cleanup(name string, after time.Duration) {
	b.step(name, after, func() error {
		reaper := &session.HostReaper{Table: b.table, Index: b.index(), Instances: takes{}, HostTable: memtable.NewHosts(), Now: b.clock, Log: quiet}
		c := session.Cleaner{
			Table: b.table, Index: b.index(), Closer: takes{}, Notifier: takes{}, Reaper: reaper, GiveUp: time.Hour,
			Now: b.clock, NewID: func() string { return "66666666-7777-4888-8999-000000000000" }, Log: quiet,
		}
		return c.ProcessDue(b.Context())
	})
}

func (b *bill) vanish() {
	b.step("inventory without it", 0, func() error {
		ir := session.InventoryReconciler{Table: b.table, Index: b.index(), HostTable: memtable.NewHosts(), MaxSessions: 500, Now: b.clock, Log: quiet}
		_, err := ir.Apply(b.Context(), session.Inventory{ID: "22222222-2222-4333-8444-555555555555", HostID: b.is.HostID, SentAt: b.now, Complete: true})
		return err
	})
}

func (b *bill) finish() {
	b.step("end", time.Second, func() error {
		f := session.Finisher{Table: b.table, Now: b.clock, Log: quiet}
		return f.Finish(b.Context(), []session.Record{b.table.Get(b.is.ID)})[0]
	})
}

// The write units of each kind of deletion. Nearly all deletions of a fleet are of the
// first kind.
func TestWriteUnitsOfADeletion(t *testing.T) {
	const wait = 10 * time.Minute
	for name, tc := range map[string]struct {
		units float64
		run   func(*bill)
	}{
		"closed": {9, func(b *bill) {
			b.mark(session.Entry{}, session.Purge)
			b.answer(time.Second, session.OutcomeClosed)
			b.finish()
		}},
		"failed once": {18, func(b *bill) {
			b.mark(session.Entry{}, session.Purge)
			b.answer(time.Second, session.OutcomeFailed)
			b.cleanup("cleanup tries again", time.Minute)
			b.answer(time.Second, session.OutcomeClosed)
			b.finish()
		}},
		"given up, and closed later": {16, func(b *bill) {
			b.mark(session.Entry{}, session.Purge)
			b.cleanup("cleanup gives up", time.Hour)
			b.answer(time.Second, session.OutcomeClosed)
			b.finish()
		}},
		"removed by force": {8, func(b *bill) {
			b.mark(session.Entry{Force: true}, session.Purge)
			b.finish()
		}},
		"removed by force, best effort": {13, func(b *bill) {
			b.mark(session.Entry{Force: true}, session.BestEffort)
			b.finish()
			b.answer(time.Second, session.OutcomeClosed)
		}},
		"with a grace period": {16, func(b *bill) {
			b.mark(session.Entry{GracePeriod: wait}, session.Purge)
			b.warned()
			b.cleanup("cleanup closes", wait)
			b.answer(time.Second, session.OutcomeClosed)
			b.finish()
		}},
		"vanished": {8, func(b *bill) {
			b.vanish()
			b.finish()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBill(t)
			tc.run(b)
			if b.is.State != session.Deleted {
				t.Fatalf("%s at the end: %q", b.is.State, b.steps)
			}
			t.Logf("%g write units:\n\t%s", b.units, strings.Join(b.steps, "\n\t"))
			if b.units != tc.units {
				t.Errorf("%g write units, want %g", b.units, tc.units)
			}
		})
	}
}
