package sim

import (
	"maps"
	"slices"
	"time"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// A backup is the Sessions table as it was, and what the model knew of it then.
type backup struct {
	records   []session.Record
	told      map[string]bool
	endedAt   map[string]time.Time
	deletions map[string]keptDeletion
}

// A loss is what a restored backup changed and the broker must correct.
type loss struct {
	at      time.Time
	writes  bool            // the operator makes the current changes
	missing map[string]bool // sessions that lived, and whose records the backup did not have
	revived map[string]bool // sessions that had ended, and live in the backup
}

// losses are the steps of a run at which tables lose their content; 0: never.
type losses struct{ hostTable, backedUp, restored int }

// planLosses plans, in a few seeds, a loss of the Hosts table or a restore of the
// Sessions table.
func planLosses(d dice, steps int) (at losses) {
	if d.chance(3 * percent) {
		at.hostTable = 1 + d.below(steps)
	}
	if d.chance(3 * percent) {
		at.backedUp = 1 + d.below(steps/2)
		at.restored = at.backedUp + 1 + d.below(steps/2)
	}
	return at
}

// lose carries out the losses of this step.
func (w *world) lose(step int) {
	at := w.setup.losses
	if step == 0 || step != at.hostTable && step != at.backedUp && step != at.restored {
		return
	}
	w.quiesce() // the step before may have resumed a function
	if step == at.hostTable {
		w.loseHostsTable()
	}
	switch step {
	case at.backedUp:
		w.kept = w.backUp()
	case at.restored:
		w.restore(w.kept)
	}
}

// loseHostsTable replaces the Hosts table with an empty one.
func (w *world) loseHostsTable() {
	w.seen.faults[hostTableLost]++
	w.say("operator", "FAULT: %s", hostTableLost)
	w.hostTable, w.hostsLostAt = memtable.NewHosts(), w.now()
}

// A keptDeletion is a deletion, and what was known of it at the backup. Notices are of the same one before and after.
type keptDeletion struct {
	of *deletion
	as deletion
}

func (w *world) backUp() backup {
	kept := backup{slices.Clone(w.records()), maps.Clone(w.model.told), maps.Clone(w.model.endedAt), map[string]keptDeletion{}}
	for id, d := range w.model.deletions {
		as := *d
		as.requests = maps.Clone(d.requests)
		kept.deletions[id] = keptDeletion{d, as}
	}
	return kept
}

// restore puts a backup's records into the table and removes all others while no function
// runs: an operator stops the functions before. What callers were told since the backup
// is lost. The stream shows the writes.
func (w *world) restore(kept backup) {
	for _, inv := range slices.Clone(w.running) {
		w.killFor(inv, killed)
	}
	w.quiesce()
	for len(w.late) > 0 {
		w.landLate(0)
	}
	w.seen.faults[sessionsRestored]++
	w.say("operator", "FAULT: %s", sessionsRestored)
	w.loss = loss{at: w.now(), missing: map[string]bool{}, revived: map[string]bool{}}
	before := map[string]bool{}
	for _, r := range kept.records {
		is := r.Session()
		before[is.ID] = true
		w.loss.revived[is.ID] = is.State == session.Ready && w.table.Get(is.ID).Session().State == session.Deleted
		w.table.Put(r)
	}
	for _, r := range w.table.All() {
		if s := r.Session(); !before[s.ID] {
			w.loss.missing[s.ID] = s.State == session.Ready && w.runs(s) != nil
			w.table.Delete(s.ID)
		}
	}
	w.model.told, w.model.endedAt, w.model.deletions = kept.told, kept.endedAt, map[string]*deletion{}
	for id, d := range kept.deletions {
		d.as.shown = d.of.shown // a restore does not change what was on the screens
		*d.of = d.as
		w.model.deletions[id] = d.of
	}
	clear(w.model.cancelFrom)
	clear(w.model.dead)
	w.loss.writes = true
	w.look(nil)
	w.loss.writes = false
}

// setRight counts the sessions that a restored backup had wrong and that are corrected.
func (w *world) setRight(c change) {
	id := c.is.ID
	switch {
	case w.loss.missing[id] && c.old == nil && c.is.State == session.Ready:
		w.seen.effects[lostRecordListed]++
	case w.loss.revived[id] && c.is.State == session.Deleted && c.was.State != session.Deleted:
		w.seen.effects[revivedEnds]++
	default:
		return
	}
	delete(w.loss.missing, id)
	delete(w.loss.revived, id)
}

// forgotten tells whether the newest state of that host may be unknown: a table was lost,
// and no inventory has come since.
func (w *world) forgotten(m *machine) bool {
	return w.tablesLost() && m != nil && !m.well()
}

func (w *world) tablesLost() bool { return !w.hostsLostAt.IsZero() || !w.loss.at.IsZero() }

// revivedOn tells whether a record may be wrong because a restored backup brought it back
// on a host that has been silent for long.
func (w *world) revivedOn(m *machine, r session.Record) bool {
	return !w.loss.at.IsZero() && r[session.AttrState] == string(session.Ready) && !m.reachable() && w.longUnheard(m)
}

func (w *world) longUnheard(m *machine) bool {
	return w.now().Sub(m.changed) > w.setup.silentAfter+w.untilSilent()
}
