package sim

import (
	"context"
	"maps"
	"slices"
	"time"

	"dcv-session-broker/internal/session"
)

// settle ends a run: no more faults, the hosts that can recover do, no more requests;
// then everything must come to its end.
func (w *world) settle() {
	w.quiesce()
	w.calm = true
	w.sends.perSecond, w.reads.perSecond = 0, 0
	w.aside("settle", "from now on nothing goes wrong")
	calmFrom := w.now()
	w.calmFrom = calmFrom
	for i := range w.shards {
		w.shards[i].retryAt = calmFrom
	}
	for _, m := range w.machines {
		if w.dice.chance(70 * percent) { // the others stay as they are until all has ended
			w.heal(m)
		}
	}
	open := w.openBestEffort()
	tried := w.openOnWellHosts()
	w.allEnd()
	w.allHaveEnded()
	w.noneIsGivenUp(tried)
	for _, m := range w.machines {
		w.heal(m)
	}
	w.closedByForce(open, calmFrom)
	w.deliverLate()
	w.until(w.pipesIdle, w.now().Add(time.Hour))
	w.allAreAnnounced()
	w.emptyHostsAreStopped()
	w.noIdle = true // otherwise the last inventory would be out of date
	w.tagsAreRead()
	w.terminateWithoutEvent()
	w.refusedEndAsNotFound()
	w.inventories()
	if w.loss.at.IsZero() {
		w.tableMatchesHosts()
	}
	w.goneHostsHaveNoSessions()
	if !w.loss.at.IsZero() { // of a host that is silent, or gone, it takes that long
		w.tableMatchesHosts()
	}
	w.sameEnd()
	w.expireRecords()
}

func (w *world) heal(m *machine) {
	m.offline, m.silent, m.tagged, m.dcv, m.liar, m.others = false, false, true, dcvWorks, false, 0
	m.floods, m.liesAboutOwners = false, false
	m.changed = w.now()
	if m.state == hibernated && w.dice.chance(50*percent) {
		w.turnOn(m)
	}
}

// slack is how long after the give-up time the last deletion may end: at the
// next run of cleanup, which may wait for a lease, and of the stream.
func (w *world) slack() time.Duration { return 13*time.Minute + 2*time.Minute }

// until runs steps until enough returns true, or until that time.
func (w *world) until(enough func() bool, end time.Time) {
	for w.broken == nil && w.now().Before(end) {
		w.quiesce()
		due, polls := w.due(), w.polls()
		switch {
		case len(w.parked) > 0:
			w.landOne(oneOf(w.dice, w.parked))
		case len(due)+len(polls) > 0:
			if n := w.dice.below(len(due) + len(polls)); n < len(due) {
				w.happen(due[n])
			} else {
				polls[n-len(due)]()
			}
		case len(w.running) == 0 && enough():
			return
		default:
			next, ok := w.next()
			if !ok {
				return
			}
			w.pass(max(next.Sub(w.now()), time.Millisecond))
		}
	}
}

func (w *world) anyOpen() bool {
	return slices.ContainsFunc(w.records(), func(r session.Record) bool { return r[session.AttrNextAttemptAt] != nil })
}

// Promise 2, never stuck: no record is DELETING, every confirmed deletion has ended, and
// no record has a lease.
func (w *world) allHaveEnded() {
	for _, r := range w.records() {
		s := r.Session()
		switch {
		case s.State == session.Deleting:
			w.breaks(2, "%s is stuck in DELETING (%s, requested at %s, attempts %d, reason %q)", s.ID, s.Confirmation, s.DeletionRequestedAt, s.Attempts, s.StateReason)
		case s.State == session.Unknown && s.Confirmation != "":
			w.breaks(2, "%s was confirmed, but is stuck in UNKNOWN", s.ID)
		case !s.CloseUntil.IsZero():
			w.breaks(2, "%s is still to be closed", s.ID)
		case !s.NextAttemptAt.IsZero():
			w.breaks(2, "%s is over, but keeps a lease", s.ID)
		}
	}
}

// openBestEffort returns the sessions that still ran, and still had to be closed, when
// the faults ended.
func (w *world) openBestEffort() (open []*desktop) {
	for _, r := range w.records() {
		s := r.Session()
		m := w.machine(s.HostID)
		enough := s.CloseUntil.Sub(w.now()) > w.slack()
		if d := w.runs(s); d != nil && enough && m.well() && m.platform != "macOS" && !m.lied {
			open = append(open, d)
		}
	}
	return open
}

// Promise 6, with best-effort: every session that its host could close in time is closed.
func (w *world) closedByForce(open []*desktop, calmFrom time.Time) {
	for _, d := range open {
		if d.machine.find(d.name) == d {
			w.breaks(6, "%s still runs %q, which was to be closed by force since %s", d.machine.id, d.name, calmFrom.Format(time.TimeOnly))
		}
	}
}

// deliverLate delivers everything that is still on its way, however late.
func (w *world) deliverLate() {
	for w.broken == nil && len(w.agenda) > 0 {
		latest := slices.MaxFunc(w.agenda, func(a, b happening) int { return a.at.Compare(b.at) }).at
		if latest.Sub(w.now()) < 6*time.Minute { // the rest are schedules
			break
		}
		w.until(func() bool { return false }, latest.Add(time.Second))
	}
	stalled := w.stalledUntil.Add(10 * time.Second) // later inventories show its results
	w.until(func() bool { return w.now().After(stalled) && len(w.queue) == 0 && !w.anyOpen() }, w.now().Add(w.setup.longestGiveUp+w.slack()))
}

// openOnWellHosts returns the open deletions, by session, that have enough time left to
// end as DELETED.
func (w *world) openOnWellHosts() map[string]string {
	open := map[string]string{}
	for _, r := range w.records() {
		s := r.Session()
		m := w.machine(s.HostID)
		left := s.TryUntil.Sub(w.now())
		if s.State == session.Deleting && s.Confirmation == "" && m != nil && m.well() && !m.lied && left > w.slack() {
			open[s.ID] = s.DeletionRequestID
		}
	}
	return open
}

// Promise 2: it is tried again, not only given up in the end.
func (w *world) noneIsGivenUp(tried map[string]string) {
	for _, r := range w.records() {
		if s := r.Session(); s.State == session.Unknown && s.DeletionRequestID != "" && tried[s.ID] == s.DeletionRequestID {
			w.breaks(2, "%s was given up, but its host had no fault for %s", s.ID, w.slack())
		}
	}
}

func (w *world) allWell() bool {
	return !slices.ContainsFunc(w.machines, func(m *machine) bool { return !m.well() })
}

// untilSilent is the time until a host has left two inventories that count unanswered and
// another is sent: every second one may find no host by its tag and then does not count.
func (w *world) untilSilent() time.Duration { return 6 * w.setup.inventoryEvery }

// inventories runs until every host that can answer has answered one, and the others are
// recorded as silent or gone.
func (w *world) inventories() {
	w.lastLook = true
	enough := w.now().Add(2*w.setup.inventoryEvery + time.Minute)
	if !w.allWell() {
		enough = w.now().Add(w.setup.silentAfter + w.untilSilent())
	}
	if w.tablesLost() { // an inventory finds a host that is unknown
		enough = w.now().Add(w.setup.silentAfter + 5*w.setup.inventoryEvery)
	}
	seen := func() bool { return w.now().After(w.changedAt.Add(2*w.setup.inventoryEvery + time.Minute)) } // a late command may still close a session
	w.until(func() bool { return w.now().After(enough) && seen() && len(w.queue) == 0 && !w.anyOpen() }, enough.Add(w.setup.longestGiveUp+w.slack()))
}

// Promise 9, re-cached: a session that still runs is listed, however its record was
// removed. A session that is READY on a host that answers really runs.
func (w *world) tableMatchesHosts() {
	byHost := map[string]map[string]session.Session{}
	for _, r := range w.records() {
		s := r.Session()
		m := w.machine(s.HostID)
		if m == nil || s.State == session.Deleted || s.State == session.Deleting {
			continue
		}
		if byHost[s.HostID] == nil {
			byHost[s.HostID] = map[string]session.Session{}
		}
		byHost[s.HostID][s.NameOnHost()] = s
		gone := m.state == terminated || m.state == stopped && w.setup.endStopped
		if s.State == session.Ready && (m.well() && m.find(s.NameOnHost()) == nil || gone) {
			w.breaks(9, "%s is READY, but does not run on %s", s.ID, s.HostID)
		}
		if s.State == session.Ready && !m.reachable() && w.longUnheard(m) {
			w.breaks(9, "%s is READY, but %s has not answered since %s", s.ID, s.HostID, m.changed.Format(time.TimeOnly))
		}
	}
	for _, m := range w.machines {
		if !m.well() || w.countOn(m.id) >= w.setup.maxSessions {
			continue
		}
		for _, d := range m.sessions {
			s, listed := byHost[m.id][d.name]
			if held := w.keptTag(m.id).Owner; held != "" && held != d.owner {
				w.ownedTableMatchesHosts(d, s, listed)
				continue
			}
			if !listed || s.State != session.Ready || s.CreationTime != d.createdText {
				w.breaks(9, "%q of %s runs on %s, but is not listed (%s, %s)", d.name, d.createdText, m.id, s.State, s.CreationTime)
			}
		}
	}
}

// terminateWithoutEvent makes a host silent and then terminates it without an event, or
// restores the Sessions table to an earlier time while the host is silent.
func (w *world) terminateWithoutEvent() {
	m := oneOf(w.dice, w.machines)
	if w.broken != nil || !w.dice.chance(6*percent) || !m.isEC2() || m.state != running || len(m.sessions) == 0 {
		return
	}
	w.lastLook = true
	kept := w.backUp()
	m.offline, m.changed = true, w.now()
	w.say(m.id, "FAULT: %s", hostDisconnects)
	isSilent := func() bool {
		silences, _ := w.hostTable.Silences(context.Background(), []string{m.id})
		return silences[m.id].Silent
	}
	w.until(isSilent, w.now().Add(w.setup.silentAfter+6*w.setup.inventoryEvery))
	if w.dice.chance(40 * percent) {
		w.restore(kept)
		return
	}
	m.state, m.since, m.sessions, m.changed, w.changedAt = terminated, w.now(), nil, w.now(), w.now()
	w.say(m.id, "FAULT: %s, and nobody tells", hostTerminates)
}

// Promise 9: sessions of a host that is gone end, although there was no event: cleanup
// asks EC2 about silent hosts at least every six hours, and about unknown hosts once they
// have been silent.
func (w *world) goneHostsHaveNoSessions() {
	onGone := func() session.Record {
		for _, r := range w.records() {
			hostID, _ := r[session.AttrLiveHostID].(string)
			m := w.machine(hostID)
			if hostID == goneHost || m != nil && (m.state == terminated || w.revivedOn(m, r)) {
				return r
			}
		}
		return nil
	}
	if onGone() == nil {
		return
	}
	w.seen.premises[9]++
	end := w.now().Add(6*time.Hour + w.setup.silentAfter + 5*w.setup.inventoryEvery*time.Duration(2+len(w.machines)))
	w.until(func() bool { return onGone() == nil }, end)
	if r := onGone(); r != nil {
		w.breaks(9, "%s is %s, though its host %s is gone, or silent, for hours", r[session.AttrSessionID], r[session.AttrState], r[session.AttrLiveHostID])
	}
}

// Promise 10, at least once and in any order: every event that was processed arrives once
// more, and after the next runs of cleanup no record has changed. The exceptions: a host
// no longer answers, so no inventory corrects what came out of order, and the end of a
// session is learnt only now; a session is listed and ended again whose record another
// host has taken over since; something that a lost table forgot is done again; a host's
// owner tag that changed earlier is read only now.
func (w *world) sameEnd() {
	if w.broken != nil {
		return
	}
	w.quiesce()
	before := map[string]session.Record{}
	for _, r := range w.records() {
		before[r[session.AttrSessionID].(string)] = r
	}
	tags := map[string]string{}
	for _, m := range w.machines {
		tags[m.id] = w.keptTag(m.id).Owner
	}
	w.aside("settle", "everything is delivered once more")
	again := slices.Clone(w.everProcessed)
	for len(again) > 0 {
		i := w.dice.below(len(again))
		w.enqueue(again[i], 0)
		again = slices.Delete(again, i, i+1)
	}
	for _, r := range w.streamed {
		r.at = w.now()
		w.shards[0].records = append(w.shards[0].records, r)
	}
	if len(w.everProcessed)+len(w.streamed) > 0 {
		w.seen.premises[10]++
	}
	enough := w.now().Add(time.Minute)
	if !w.allWell() {
		enough = enough.Add(w.setup.silentAfter + w.untilSilent())
	}
	w.until(func() bool { return w.now().After(enough) && len(w.queue) == 0 && !w.anyOpen() }, enough.Add(30*time.Minute))
	for _, r := range w.records() {
		id := r[session.AttrSessionID].(string)
		s := r.Session()
		m := w.machine(s.HostID)
		learnt := s.State == session.Deleted && m != nil && !m.well() && w.runs(s) == nil
		// A host that never existed is recorded as silent at some time.
		learnt = learnt || m != nil && w.keptTag(m.id).Owner != tags[m.id]
		learnt = learnt || m == nil && s.State == session.Unknown && before[id][session.AttrState] == string(session.Ready)
		if old := before[id]; !learnt && !w.forgotten(m) && !maps.Equal(r, old) {
			w.breaks(10, "%s changes when everything is delivered again:\n%v\n%v", id, before[id], r)
		}
	}
}

// expireRecords lets the table's time to live remove records.
func (w *world) expireRecords() {
	if w.broken != nil || !w.dice.chance(20*percent) {
		return
	}
	w.pass(oneOf(w.dice, []time.Duration{49 * time.Hour, 31 * 24 * time.Hour}))
	w.table.Sweep(w.now())
	w.look(nil)
}
