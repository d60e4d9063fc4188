package sim

import (
	"iter"
	"slices"
	"strings"
	"time"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// allRecords are the table's records, by ID, as its feed has shown them: with hundreds of
// hosts, copying the table each time would take most of a run.
type allRecords struct {
	records   []session.Record
	liveHosts []string  // of each record, by liveHostOf
	hosts     []string  // of each record, the host that it names
	versions  []version // of each
}

// records returns all records of the table. They must not be changed, and are valid until
// the next write.
func (w *world) records() []session.Record { return w.all.records }

// livingOn returns the records of the sessions that live on a host; see records.
func (w *world) livingOn(hostID string) iter.Seq[session.Record] {
	return func(yield func(session.Record) bool) {
		for i, host := range w.all.liveHosts {
			if host == hostID && !yield(w.all.records[i]) {
				return
			}
		}
	}
}

// liveHostOf returns the host under which the index lists a record; none: "".
func liveHostOf(r session.Record) string {
	host, _ := r[session.AttrLiveHostID].(string)
	return host
}

func namedHostOf(r session.Record) string {
	host, _ := r[session.AttrHostID].(string)
	return host
}

// unchangedSince returns when a record last changed: an index that is not further behind
// shows it.
func (w *world) unchangedSince(id string) time.Time {
	if i, there := w.all.find(id); there {
		return w.all.versions[i].until
	}
	return time.Time{}
}

// shownSince tells whether every index has shown the current record from that time on.
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

// newChanges returns the table's changes since the last call. From that time on an index
// may be behind them.
func (w *world) newChanges(at time.Time) []memtable.Change {
	changes := w.feed.Ready()
	for _, c := range changes {
		w.all.follow(c, at)
	}
	return changes
}
