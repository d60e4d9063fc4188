// Package memtable is the Sessions table in memory, for the system on one machine and
// for tests. It has the same answers and the same change feed as package dynamo; one
// suite tests both (session/tabletest). Only Put, which simulates other writers,
// accepts what DynamoDB would refuse.
package memtable

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/streamevent"
)

// A Table is a table of sessions. Several goroutines may use it; it copies records on
// the way in and out.
type Table struct {
	mu      sync.Mutex
	records map[string]session.Record
	indexes map[string]index
	changes int
	last    *entry // the feed's entry for the next change
}

// New returns an empty table.
func New() *Table {
	return &Table{records: make(map[string]session.Record), indexes: newIndexes(), last: newEntry()}
}

// Write implements session.Table. All writes of a call happen in the order given,
// each immediately.
func (t *Table) Write(ctx context.Context, writes []session.Write) []session.Result {
	results := make([]session.Result, len(writes))
	for i, w := range writes {
		if err := ctx.Err(); err != nil {
			results[i] = failed(w, session.ErrNotWritten, err)
			continue
		}
		results[i] = t.write(w)
	}
	return results
}

func (t *Table) write(w session.Write) session.Result {
	if err := check(w); err != nil {
		return failed(w, session.ErrNotWritten, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.records[w.SessionID]
	unmet := w.New && old != nil || !w.New && (old == nil || !meets(old, w.If))
	changed := session.Record{session.AttrSessionID: w.SessionID}
	if !w.New {
		maps.Copy(changed, old)
	}
	maps.Copy(changed, w.Set)
	for _, attr := range w.Remove {
		delete(changed, attr)
	}
	if w.New || !unmet {
		if err := checkChange(w, changed); err != nil {
			return failed(w, session.ErrNotWritten, err)
		}
	}
	if unmet {
		res := failed(w, session.ErrCondition, nil)
		res.Old = maps.Clone(old)
		return res
	}
	t.put(w.SessionID, changed)
	return session.Result{Old: maps.Clone(old)}
}

// Put writes the record and replaces an existing one.
func (t *Table) Put(r session.Record) {
	id, _ := r[session.AttrSessionID].(string)
	if id == "" {
		panic("memtable: a record without " + session.AttrSessionID)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.put(id, maps.Clone(r))
}

// Delete removes the record, if there is one.
func (t *Table) Delete(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(id, false)
}

// Sweep removes expired records, and returns how many. DynamoDB's time to live does so
// some time after they expire. Neither removes what expired more than five years ago,
// which DynamoDB takes for a mistake.
func (t *Table) Sweep(now time.Time) (removed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(t.records)) {
		expires, _ := t.records[id][session.AttrExpiresAt].(int64)
		if expires < now.Unix() && expires > now.AddDate(-5, 0, 0).Unix() {
			t.remove(id, true)
			removed++
		}
	}
	return removed
}

// Get returns the record, or nil if there is none.
func (t *Table) Get(id string) session.Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.records[id])
}

// All returns all records, sorted by session ID.
func (t *Table) All() []session.Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]session.Record, 0, len(t.records))
	for _, id := range slices.Sorted(maps.Keys(t.records)) {
		all = append(all, maps.Clone(t.records[id]))
	}
	return all
}

// put replaces a record. The lock must be held. An equal record makes no change in the
// feed, as in DynamoDB's stream.
func (t *Table) put(id string, r session.Record) {
	old := t.records[id]
	t.records[id] = r
	t.replace(id, old, r)
	switch {
	case old == nil:
		t.note(Change{EventName: streamevent.Insert, New: r})
	case !maps.Equal(old, r):
		t.note(Change{EventName: streamevent.Modify, Old: old, New: r})
	}
}

// remove removes a record. The lock must be held.
func (t *Table) remove(id string, expired bool) {
	if old := t.records[id]; old != nil {
		delete(t.records, id)
		t.replace(id, old, nil)
		t.note(Change{EventName: streamevent.Remove, Expired: expired, Old: old})
	}
}
