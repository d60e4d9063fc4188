package memtable

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"dcv-session-broker/internal/session"
)

// An index has the records that have one attribute, by its value and their ID,
// so that asking for a few costs the same in a large table.
type index struct {
	attr    string
	records map[string]map[string]session.Record
}

func newIndexes() []*index {
	var all []*index
	for _, attr := range []string{session.AttrDueShard, session.AttrLiveHostID, session.AttrOwner} {
		all = append(all, &index{attr, map[string]map[string]session.Record{}})
	}
	return all
}

// replace has a record in place of another of the same ID; either may be nil.
func (x *index) replace(id string, old, r session.Record) {
	if key, there := old[x.attr].(string); there {
		if delete(x.records[key], id); len(x.records[key]) == 0 {
			delete(x.records, key)
		}
	}
	if key, there := r[x.attr].(string); there {
		if x.records[key] == nil {
			x.records[key] = map[string]session.Record{}
		}
		x.records[key][id] = r
	}
}

// by is the records whose attribute has the value and which fit, by ID.
func (t *Table) by(attr, value string, fits func(session.Record) bool) []session.Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	var found []session.Record
	for _, x := range t.indexes {
		if x.attr != attr {
			continue
		}
		for _, id := range slices.Sorted(maps.Keys(x.records[value])) {
			if r := x.records[value][id]; fits(r) {
				found = append(found, maps.Clone(r))
			}
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
