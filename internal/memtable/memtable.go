// Package memtable is the Sessions table in memory: what package dynamo is on
// DynamoDB, with the same answers and the same change feed, for the system on
// one machine and for tests. One suite holds both to that (session/tabletest).
// Only Put, which stands for what others do to the table, takes what DynamoDB
// would not.
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

// A Table is a table of sessions. It may be used by many goroutines; what it
// takes and gives are copies.
type Table struct {
	mu      sync.Mutex
	records map[string]session.Record
	indexes map[string]index
	changes int
	last    *entry // of the feed: the one to be filled next
}

// New is an empty table.
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

// Put registers the record, whatever there was before.
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

// Sweep removes what has expired, and tells how many records that were.
// DynamoDB's time to live does so some time after they expire; it, too, leaves
// alone what expired more than five years ago, taking it for a mistake.
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

// Get is the record, nil if there is none.
func (t *Table) Get(id string) session.Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.records[id])
}

// All is all records, sorted by session ID.
func (t *Table) All() []session.Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]session.Record, 0, len(t.records))
	for _, id := range slices.Sorted(maps.Keys(t.records)) {
		all = append(all, maps.Clone(t.records[id]))
	}
	return all
}

// put replaces a record, with the lock held. One that stays as it is makes no
// change in the feed: DynamoDB's stream shows none either.
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

// remove removes a record, with the lock held.
func (t *Table) remove(id string, expired bool) {
	if old := t.records[id]; old != nil {
		delete(t.records, id)
		t.replace(id, old, nil)
		t.note(Change{EventName: streamevent.Remove, Expired: expired, Old: old})
	}
}
