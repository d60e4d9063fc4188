package sim

import (
	"slices"
	"strings"
	"time"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// allRecords are the table's, by ID, as its feed has shown them: with hundreds of
// hosts it would take most of a run's time to copy them again and again.
type allRecords struct {
	records  []session.Record
	versions []version // of each
}

// records are all of the table. Nobody changes them, and they stay as they are
// until the next write only.
func (w *world) records() []session.Record { return w.all.records }

func (all *allRecords) follow(c memtable.Change, at time.Time) {
	r := c.New
	if r == nil {
		r = c.Old
	}
	i, there := slices.BinarySearchFunc(all.records, recordID(r), func(r session.Record, id string) int { return strings.Compare(recordID(r), id) })
	switch {
	case c.New == nil:
		all.records, all.versions = slices.Delete(all.records, i, i+1), slices.Delete(all.versions, i, i+1)
	case there:
		all.records[i], all.versions[i] = c.New, version{c.Old, at}
	default:
		all.records, all.versions = slices.Insert(all.records, i, c.New), slices.Insert(all.versions, i, version{c.Old, at})
	}
}

func recordID(r session.Record) string {
	id, _ := r[session.AttrSessionID].(string)
	return id
}

// newChanges are those of the table since the last look. An index may be behind
// them from that time on.
func (w *world) newChanges(at time.Time) []memtable.Change {
	changes := w.feed.Ready()
	for _, c := range changes {
		w.all.follow(c, at)
	}
	return changes
}
