package memtable

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"dcv-session-broker/internal/session"
)

// An index has the records with one attribute, by its value and their ID, so that
// reading a few costs the same in a large table.
type index map[string]map[string]session.Record

// newIndexes returns the table's indexes, by their attributes.
func newIndexes() map[string]index {
	return map[string]index{session.AttrDueShard: {}, session.AttrLiveHostID: {}, session.AttrOwner: {}}
}

// replace replaces a record by another one of the same ID in all indexes; either may be
// nil.
func (t *Table) replace(id string, old, r session.Record) {
	for attr, x := range t.indexes {
		if key, there := old[attr].(string); there {
			if delete(x[key], id); len(x[key]) == 0 {
				delete(x, key)
			}
		}
		if key, there := r[attr].(string); there {
			if x[key] == nil {
				x[key] = map[string]session.Record{}
			}
			x[key][id] = r
		}
	}
}

// projections are the attributes that an index shows in addition to its keys, by the
// index's attribute. A test compares them with template.yaml.
var projections = map[string][]string{
	session.AttrDueShard:   session.AttrsByLease,
	session.AttrLiveHostID: session.AttrsByHost,
	session.AttrOwner:      session.AttrsByOwner,
}

// Shown returns the part of a record that the index of that attribute shows.
func Shown(attr string, r session.Record) session.Record {
	keys := []string{session.AttrSessionID, attr}
	if attr == session.AttrDueShard {
		keys = append(keys, session.AttrNextAttemptAt)
	}
	shown := session.Record{}
	for _, name := range slices.Concat(keys, projections[attr]) {
		if v, there := r[name]; there {
			shown[name] = v
		}
	}
	return shown
}

// by returns, by ID, the records in the index whose attribute has the value and for
// which fits is true.
func (t *Table) by(attr, value string, fits func(session.Record) bool) []session.Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	var found []session.Record
	records := t.indexes[attr][value]
	for _, id := range slices.Sorted(maps.Keys(records)) {
		if r := records[id]; fits(r) {
			found = append(found, Shown(attr, r))
		}
	}
	return found
}

// Due implements session.Index.
func (t *Table) Due(ctx context.Context, shard string, now time.Time, limit int) ([]session.Record, error) {
	return t.leased(ctx, shard, session.FormatTime(now), limit)
}

// Open implements session.OpenIndex.
func (t *Table) Open(ctx context.Context, shard string, limit int) ([]session.Record, error) {
	return t.leased(ctx, shard, "~", limit) // sorts behind every time
}

func (t *Table) leased(ctx context.Context, shard, until string, limit int) ([]session.Record, error) {
	due := t.by(session.AttrDueShard, shard, func(r session.Record) bool {
		next, leased := r[session.AttrNextAttemptAt].(string)
		return leased && next <= until
	})
	slices.SortStableFunc(due, func(a, b session.Record) int {
		return cmp.Compare(a[session.AttrNextAttemptAt].(string), b[session.AttrNextAttemptAt].(string))
	})
	return due[:min(len(due), limit)], ctx.Err()
}

// OnHost implements session.Index.
func (t *Table) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	return page(ctx, t.by(session.AttrLiveHostID, hostID, all), after, limit)
}

func all(session.Record) bool { return true }
