package session_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// An upkeep is a world with cleanup: due deletions are tried again, hosts answer
// inventories, and EC2 says which hosts are gone.
type upkeep struct {
	*world
	now       time.Time
	hostTable *memtable.Hosts
	attempts  int // given names: a1, a2, ...

	// onHost and due are what the indexes show instead of what the table has.
	onHost, due func() []session.Record
	indexFails  error
	indexHangs  func(hostID string) bool
	limits      []int // asked of the index by-lease
	largestPage int   // of the index by-live-host
	maxSessions int   // of one host

	statuses   map[string]session.HostStatus
	owners     map[string]string // by host, of those that EC2 knows
	ec2Fails   error
	ec2Hangs   bool
	asking     func() // called while EC2 is asked
	asked      []string
	endStopped bool
}

func newUpkeep(t *testing.T, records ...session.Record) *upkeep {
	return &upkeep{
		world: newWorld(t, records...), now: t0, hostTable: memtable.NewHosts(),
		statuses: map[string]session.HostStatus{}, endStopped: true, maxSessions: 1000,
	}
}

// first seen, and last changed, by an inventory sent an hour ago.
func seen(r session.Record) session.Record {
	return with(r, "FirstSeenAt", session.FormatTime(at(-3600)), "ObservedAt", session.FormatTime(at(-3600)))
}

func (u *upkeep) clock() time.Time { return u.now }

func (u *upkeep) newID() string {
	u.attempts++
	return fmt.Sprint("a", u.attempts)
}

func (u *upkeep) whole() session.WholeIndex { return wholeIndex(u.table.Table) }

// wholeIndex is the table's index, as functions have it.
func wholeIndex(table *memtable.Table) session.WholeIndex {
	return session.WholeIndex{Index: notShown{table}, Getter: memtable.Reader{Table: table}}
}

// notShown is the table's index, with something in place of each attribute of deletions
// that it does not show: a condition or a change that is made of it panics.
type notShown struct{ *memtable.Table }

func (x notShown) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	records, more, err := x.Table.OnHost(ctx, hostID, after, limit)
	for _, r := range records {
		for _, attr := range session.DeletionAttrs {
			if !slices.Contains(session.AttrsByHost, attr) {
				r[attr] = notShown{}
			}
		}
	}
	return records, more, err
}

// An attribute that the index does not have must not be a condition of a write.
func TestConditionOfWhatAnIndexDoesNotShowFails(t *testing.T) {
	u := newUpkeep(t, seen(listedRecord))
	records, _, err := u.whole().OnHost(t.Context(), hostA, "", 1)
	if err != nil || len(records) != 1 {
		t.Fatal(records, err)
	}
	for _, attr := range session.DeletionAttrs {
		func() {
			shown := slices.Contains(session.AttrsByHost, attr)
			defer func() {
				if panics := recover() != nil; panics == shown {
					t.Errorf("a condition of %s, which is shown: %v, panics: %v", attr, shown, panics)
				}
			}()
			session.Same(records[0], attr)
		}()
	}
}

// A record with a deletion is read from the table before it is used: attributes that the
// index does not have do not count as missing.
func TestRecordsWithDeletionsAreReadFromTheTable(t *testing.T) {
	for _, r := range []session.Record{markedRecord, confirmedRecord, givenUpRecord, forcedRecord, with(listedRecord, "State", "UNKNOWN", "StateReason", "x")} {
		u := newUpkeep(t, r)
		records, more, err := u.whole().OnHost(t.Context(), hostA, "", 1)
		if diff := cmp.Diff([]session.Record{r}, records); diff != "" || more || err != nil {
			t.Errorf("%v, %v (-want +got):\n%s", more, err, diff)
		}
	}
	// Records that changed are left out, and the ones after them are shown.
	u := newUpkeep(t, with(markedRecord, "SessionId", "a"), with(listedRecord, "SessionId", "b"))
	stale := session.WholeIndex{Index: u.table, Getter: memtable.Reader{Table: memtable.New()}}
	if records, more, err := stale.OnHost(t.Context(), hostA, "", 1); len(records) != 1 || records[0]["SessionId"] != "b" || more || err != nil {
		t.Errorf("%v, %v, %v", records, more, err)
	}
	if due, err := stale.Due(t.Context(), "1", at(1000), 10); len(due) > 0 || err != nil {
		t.Errorf("due: %v, %v", due, err)
	}
}

func (u *upkeep) Due(ctx context.Context, shard string, now time.Time, limit int) ([]session.Record, error) {
	u.limits = append(u.limits, limit)
	if u.indexFails != nil || u.due == nil {
		records, _ := u.whole().Due(ctx, shard, now, limit)
		return records, u.indexFails
	}
	return slices.DeleteFunc(u.due(), func(r session.Record) bool { return r["DueLane"] != shard }), nil
}

func (u *upkeep) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	if u.indexHangs != nil && u.indexHangs(hostID) {
		<-ctx.Done()
		return nil, false, ctx.Err()
	}
	if u.indexFails != nil || u.onHost == nil {
		records, more, _ := u.whole().OnHost(ctx, hostID, after, limit)
		u.largestPage = max(u.largestPage, len(records))
		return records, more, u.indexFails
	}
	return u.onHost(), false, nil
}

func (u *upkeep) Statuses(ctx context.Context, hostIDs []string) (map[string]session.HostStatus, map[string]string, error) {
	u.asked = append(u.asked, hostIDs...)
	if u.asking != nil {
		u.asking()
	}
	if u.ec2Hangs {
		<-ctx.Done()
		return nil, nil, ctx.Err()
	}
	return u.statuses, u.owners, u.ec2Fails
}

func (u *upkeep) reaper() *session.HostReaper {
	return &session.HostReaper{
		Table: u.table, Index: u, Instances: u, HostTable: u.hostTable, EndStopped: u.endStopped, Now: session.Clock(u.clock), NewID: u.newID, Log: u.logger(),
	}
}

func (u *upkeep) cleaner() *session.Cleaner {
	return &session.Cleaner{
		Table: u.table, Index: u, Closer: u.hosts, Notifier: u.hosts, Reaper: u.reaper(), GiveUp: giveUp, Now: u.clock, NewID: u.newID, Log: u.logger(),
	}
}

func (u *upkeep) reconciler() *session.InventoryReconciler {
	return &session.InventoryReconciler{Table: u.table, Index: u, Getter: memtable.Reader{Table: u.table.Table}, HostTable: u.hostTable, MaxSessions: u.maxSessions, Now: u.clock, Log: u.logger()}
}

func (u *upkeep) unresponsiveMarker() *session.UnresponsiveMarker {
	return &session.UnresponsiveMarker{Table: u.table, Index: u, HostTable: u.hostTable, Reaper: u.reaper(), Now: u.clock, Log: u.logger()}
}

// clean processes what is due at that time.
func (u *upkeep) clean(when time.Time) {
	u.t.Helper()
	u.now = when
	if err := u.cleaner().ProcessDue(context.Background()); err != nil {
		u.t.Fatal(err)
	}
}

func (u *upkeep) checkHosts(when time.Time, hostIDs ...string) {
	u.t.Helper()
	u.now = when
	if _, err := u.reaper().Check(context.Background(), hostIDs); err != nil {
		u.t.Fatal(err)
	}
}

// take applies an inventory ten seconds after it was sent.
func (u *upkeep) take(inv session.Inventory) {
	u.t.Helper()
	u.now = inv.SentAt.Add(10 * time.Second)
	if _, err := u.reconciler().Apply(context.Background(), inv); err != nil {
		u.t.Fatal(err)
	}
}

func nthHost(n int) string { return fmt.Sprintf("i-%017d", n) }

// found is a session as the host of ready's records reports it.
func found(name, owner string) session.Found {
	return session.Found{NameOnHost: name, Owner: owner, Type: "virtual", CreationTime: "2026-11-23T08:30:00.262883Z"}
}

// inventory is a whole one.
func inventory(hostID string, sentAt time.Time, sessions ...session.Found) session.Inventory {
	return session.Inventory{
		ID: "inv-" + session.FormatTime(sentAt), HostID: hostID, Platform: "linux", SentAt: sentAt, Complete: true, Sessions: sessions,
	}
}

// same checks that the table is as it was.
func (u *upkeep) same(before []session.Record) {
	u.t.Helper()
	if diff := cmp.Diff(before, u.table.All()); diff != "" {
		u.t.Errorf("changed (-want +got):\n%s", diff)
	}
}

// tryWrite applies one write without the world's faults and records.
func (u *upkeep) tryWrite(w session.Write) {
	u.table.Table.Write(context.Background(), []session.Write{w})
}
