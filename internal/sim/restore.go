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

// A loss is what a restored backup changed, as far as it must be set right.
type loss struct {
	at      time.Time
	writes  bool            // what changes now is the operator's doing
	missing map[string]bool // sessions that lived, and whose records the backup did not have
	revived map[string]bool // sessions that had ended, and live in the backup
}

// losses are the steps of a run at which what the tables hold is lost; 0: never.
type losses struct{ hostTable, backedUp, restored int }

// planLosses has the Hosts table be lost, or the Sessions table restored, in few
// seeds.
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

// lose is what is lost at this step.
func (w *world) lose(step int) {
	at := w.setup.losses
	if step == 0 || step != at.hostTable && step != at.backedUp && step != at.restored {
		return
	}
	w.quiesce() // the step before may have let a function go on
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

// loseHostsTable has the Hosts table made again, empty.
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

// restore puts a backup's records into the table, and removes all others, while no
// function runs: an operator who does so stops the functions before. What
// callers were told since is lost with it. The stream shows the writes.
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
		d.as.shown = d.of.shown // on the screens it was all the same
		*d.of = d.as
		w.model.deletions[id] = d.of
	}
	clear(w.model.cancelFrom)
	clear(w.model.dead)
	w.loss.writes = true
	w.look(nil)
	w.loss.writes = false
}

// setRight counts what a restored backup had wrong and is right again.
func (w *world) setRight(c change) {
	id := c.is.ID
	switch {
	case w.loss.missing[id] && c.old == nil && c.is.State == session.Ready:
		w.seen.deeds[lostRecordListed]++
	case w.loss.revived[id] && c.is.State == session.Deleted && c.was.State != session.Deleted:
		w.seen.deeds[revivedEnds]++
	default:
		return
	}
	delete(w.loss.missing, id)
	delete(w.loss.revived, id)
}

// forgotten tells whether of that host it may not be known any more what came
// last, since a table was lost and no inventory has said so after that.
func (w *world) forgotten(m *machine) bool {
	return w.tablesLost() && m != nil && !m.well()
}

func (w *world) tablesLost() bool { return !w.hostsLostAt.IsZero() || !w.loss.at.IsZero() }

// revivedOn tells whether a restored backup may have brought back a session on a
// host of which nobody has heard since long, so that it is not true.
func (w *world) revivedOn(m *machine, r session.Record) bool {
	return !w.loss.at.IsZero() && r[session.AttrState] == string(session.Ready) && !m.reachable() && w.longUnheard(m)
}

func (w *world) longUnheard(m *machine) bool {
	return w.now().Sub(m.changed) > w.setup.silentAfter+w.untilSilent()
}
