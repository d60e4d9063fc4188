package sim

import (
	"iter"
	"slices"
	"strings"
	"time"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// allRecords are the table's, by ID, as its feed has shown them: with hundreds of
// hosts it would take most of a run's time to copy them again and again.
type allRecords struct {
	records   []session.Record
	liveHosts []string  // of each, as liveHostOf says
	hosts     []string  // of each, the host that it names
	versions  []version // of each
}

// records are all of the table. Nobody changes them, and they stay as they are
// until the next write only.
func (w *world) records() []session.Record { return w.all.records }

// livingOn are the records of what lives on a host, as records gives them.
func (w *world) livingOn(hostID string) iter.Seq[session.Record] {
	return func(yield func(session.Record) bool) {
		for i, host := range w.all.liveHosts {
			if host == hostID && !yield(w.all.records[i]) {
				return
			}
		}
	}
}

// liveHostOf is the host that an index lists a record under; none: "".
func liveHostOf(r session.Record) string {
	host, _ := r[session.AttrLiveHostID].(string)
	return host
}

func namedHostOf(r session.Record) string {
	host, _ := r[session.AttrHostID].(string)
	return host
}

// unchangedSince is since when a record is as it is: an index that is no further
// behind shows it.
func (w *world) unchangedSince(id string) time.Time {
	if i, there := w.all.find(id); there {
		return w.all.versions[i].until
	}
	return time.Time{}
}

// shownSince tells whether every index has shown a record as it is from that time on.
func (w *world) shownSince(id string, from time.Time) bool {
	return w.unchangedSince(id).Before(from.Add(-w.setup.staleFor))
}

func (all *allRecords) find(id string) (i int, there bool) {
	return slices.BinarySearchFunc(all.records, id, func(r session.Record, id string) int { return strings.Compare(recordID(r), id) })
}

func (all *allRecords) follow(c memtable.Change, at time.Time) {
	i, there := all.find(changedID(c))
	switch {
	case c.New == nil:
		all.records, all.versions = slices.Delete(all.records, i, i+1), slices.Delete(all.versions, i, i+1)
		all.liveHosts, all.hosts = slices.Delete(all.liveHosts, i, i+1), slices.Delete(all.hosts, i, i+1)
	case there:
		all.records[i], all.liveHosts[i], all.hosts[i], all.versions[i] = c.New, liveHostOf(c.New), namedHostOf(c.New), version{c.Old, at}
	default:
		all.records, all.versions = slices.Insert(all.records, i, c.New), slices.Insert(all.versions, i, version{c.Old, at})
		all.liveHosts, all.hosts = slices.Insert(all.liveHosts, i, liveHostOf(c.New)), slices.Insert(all.hosts, i, namedHostOf(c.New))
	}
}

func changedID(c memtable.Change) string {
	if c.New == nil {
		return recordID(c.Old)
	}
	return recordID(c.New)
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
