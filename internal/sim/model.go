package sim

import (
	"time"

	"dcv-session-broker/internal/session"
)

// A model has what the promises are checked against: what was requested, answered and
// sent, as seen from outside. The machines have what really runs.
type model struct {
	requests map[string]*request          // by ID
	attempts map[string]map[string]*asked // by attempt and session
	told     map[string]bool              // sessions whose open deletion somebody was told of
	endedAt  map[string]time.Time         // when a session's last deletion ended, or was given up
	turns    []*turn                      // every write that must be announced
	noted    map[string][]noted           // by host

	deletions  map[string]*deletion // by session: the newest
	notices    map[noticeKey]*notice
	noticed    int                  // so many writes had a notice follow them
	oldShard   map[string]bool      // sessions that an older broker has put into a shard of its own
	olderLease map[string]time.Time // by session: the newest lease that an older broker has given it
	cancelFrom map[string]time.Time // by session: the newest cancel that was answered as a success began
	dead       map[group]bool       // by session and request: of deletions whose cancel was answered
}

// asked is what an attempt may do to one session.
type asked struct {
	by                *invocation
	hostID, name      string
	creation          string
	requestedAt, over time.Time // from when, and until when
	sent, putBack     bool
	of                *deletion
	notice            bool // it notifies users and closes nothing
}

func newModel() model {
	return model{
		requests: map[string]*request{}, attempts: map[string]map[string]*asked{},
		told: map[string]bool{}, endedAt: map[string]time.Time{}, noted: map[string][]noted{},
		deletions: map[string]*deletion{}, notices: map[noticeKey]*notice{}, oldShard: map[string]bool{},
		olderLease: map[string]time.Time{}, cancelFrom: map[string]time.Time{}, dead: map[group]bool{},
	}
}

// A change is one change of a record, and who made it.
type change struct {
	by      *invocation // nil: before the run, or by the table itself
	old     session.Record
	new     session.Record
	was, is session.Session
	begins  bool      // a deletion
	moves   bool      // a deletion waits, and another request brings its close time forward
	of      *deletion // the deletion from before the change; nil: none
}

// changed processes each change of the table, and checks the promises on it.
func (w *world) changed(by *invocation, old, new session.Record) {
	if w.loss.writes {
		return
	}
	c := change{by: by, old: old, new: new, was: old.Session(), is: new.Session()}
	another := c.is.State == session.Deleting && c.is.DeletionRequestID != c.was.DeletionRequestID
	c.moves = another && waits(c.was) && c.is.Confirmation == "" && c.is.DeletionRequestedAt.Equal(c.was.DeletionRequestedAt)
	c.begins = another && !c.moves
	c.of = w.model.deletions[c.is.ID]
	if new == nil {
		w.expiredRightly(c)
		return
	}
	w.changes[c.is.ID]++
	w.count(c)
	w.noteOwners(c)
	if by == nil {
		return
	}
	w.setRight(c)
	w.noteDeletion(c)
	w.gracedRightly(c)
	w.asDescribed(c)
	w.notOfBeforeCancel(c)
	w.hostIsBounded(c)
	w.silentRightly(c)
	w.durable(c)
	w.neverTakenBack(c)
	w.triedAsLongAsSet(c)
	w.deletedIsTrue(c)
	w.confirmedRightly(c)
	w.ownersOnly(c)
	w.hostsReportOwnSessions(c)
	w.ownerAsHeld(c)
	w.newestInventoryCounts(c)
	w.forcedIsForced(c)
	w.claimedRightly(c)
	w.noteAttempt(c)
	w.noteEnd(c)
}

// noteOwners records, for the requests under way, who owned their sessions and which of
// these could not be deleted.
func (w *world) noteOwners(c change) {
	for _, inv := range w.running {
		for _, r := range []*request{inv.request, inv.cancels} {
			if r == nil {
				continue
			}
			for _, s := range []session.Session{c.was, c.is} {
				g := group{s.ID, s.Owner}
				if _, asks := r.groups[g]; asks {
					r.owned[g] = true
					r.gone[g] = r.gone[g] || s.State == session.Deleted
				}
			}
			for g := range r.groups {
				if g.sessionID == c.is.ID && g.owner != c.is.Owner {
					r.gone[g] = true
				}
			}
		}
	}
}

// noteAttempt records an attempt when it is written to the table.
func (w *world) noteAttempt(c change) {
	takenBack := c.was.State == session.Deleting && c.is.State != session.Deleting
	if c.is.AttemptID == "" || takenBack || c.is.AttemptID == c.was.AttemptID && !c.begins {
		return
	}
	if c.begins && c.by.request != nil {
		c.by.request.marked[c.is.ID] = true
		if _, had := c.by.request.before[c.is.ID]; !had {
			c.by.request.before[c.is.ID] = c.old
		}
	}
	if c.is.Confirmation != "" && c.is.CloseUntil.IsZero() {
		return // nobody is asked
	}
	over := c.by.tryUntil(c.is)
	if !c.is.CloseUntil.IsZero() {
		over = c.is.CloseUntil
	}
	of := w.model.attempts[c.is.AttemptID]
	if of == nil {
		of = map[string]*asked{}
		w.model.attempts[c.is.AttemptID] = of
	}
	of[c.is.ID] = &asked{
		by: c.by, hostID: c.is.HostID, name: c.is.NameOnHost(), creation: c.is.CreationTime,
		requestedAt: c.is.DeletionRequestedAt, over: over, of: w.model.deletions[c.is.ID], notice: waits(c.is),
	}
}

func (w *world) noteEnd(c change) {
	id := c.is.ID
	switch {
	case c.is.State == session.Deleted && c.was.State != session.Deleted, c.by.function == "cleanup" && !c.is.GivenUpAt.IsZero() && c.was.GivenUpAt.IsZero():
		w.model.endedAt[id] = w.now()
		w.model.told[id] = false
	case c.was.State == session.Deleted && c.is.State == session.Deleted && !c.was.CloseUntil.IsZero() && c.is.CloseUntil.IsZero():
		w.model.endedAt[id] = w.now()
	}
}

// runs returns the session of a record if it really runs, or will run again after the
// host's start: the recorded incarnation, or, if none is recorded, one that is not newer
// than the request.
func (w *world) runs(s session.Session) *desktop {
	m := w.machine(s.HostID)
	if m == nil {
		return nil
	}
	d := m.find(s.NameOnHost())
	if d == nil {
		return nil
	}
	created, err := time.Parse(time.RFC3339Nano, s.CreationTime)
	if err != nil {
		if d.startedAt.After(s.DeletionRequestedAt) {
			return nil
		}
		return d
	}
	if !sameIncarnation(created, d.created) {
		return nil
	}
	return d
}

// trusted tells whether a host's answers can be compared with what runs there.
func (w *world) trusted(hostID string) bool {
	m := w.machine(hostID)
	return m != nil && !m.lied
}
