package sim

import (
	"slices"
	"time"

	"dcv-session-broker/internal/session"
)

// newsAge is the greatest age of the inventory because of which a host is stopped.
const newsAge = 90 * time.Second

// A noted answer is an answer to an inventory, as host-events has recorded it.
type noted struct {
	sentAt, at time.Time // of the inventory; and when it was recorded
	empty      bool
	readAt     time.Time // as the answer says
	fresh      bool      // no newer one was recorded before
}

func (w *world) note(a session.HostAnswer) {
	w.model.noted[a.HostID] = append(w.model.noted[a.HostID], noted{sentAt: a.SentAt, readAt: a.At, at: w.now(), empty: a.Complete && a.Sessions == 0})
}

// Promise 5, only what was asked: a host is stopped only if it is tagged for it, has had
// a session since its start, has reported in complete inventories during the whole grace
// time that nothing runs, and has no session in the table. What was known when the run
// began counts.
func (w *world) stopsHost(inv *invocation, m *machine) {
	w.seen.premises[5]++
	w.seen.effects[hostStopped]++
	now, grace := w.now(), inv.setup.stopEmpty
	switch {
	case grace == 0:
		w.breaks(5, "%s stops %s, but empty hosts are not to be stopped", inv, m.id)
	case !m.stopWhenEmpty:
		w.breaks(5, "%s stops %s, which is not tagged for it", inv, m.id)
	case !w.saidEmpty(m, inv.started.Add(-newsAge), now):
		w.breaks(5, "%s stops %s, which has not just said that nothing runs", inv, m.id)
	case !w.hasBeenEmpty(m, now.Add(-grace), inv.started):
		w.breaks(5, "%s stops %s, which has not been empty for %s, as far as it has said", inv, m.id, grace)
	}
	for _, d := range m.sessions {
		if !m.lied && d.startedAt.Before(inv.started.Add(-newsAge)) {
			w.breaks(5, "%s stops %s, where %q runs since %s", inv, m.id, d.name, d.startedAt.Format(time.TimeOnly))
		}
	}
	if r := w.livesOn(m.id, inv.started); r != nil {
		w.breaks(5, "%s stops %s, of which the table has %s (%s)", inv, m.id, r[session.AttrSessionID], r[session.AttrState])
	}
}

// emptyHostsAreStopped logs everybody out on hosts that are stopped when they are empty.
// Those on which nothing runs are then stopped, unless a condition forbids it.
func (w *world) emptyHostsAreStopped() {
	if w.setup.stopEmpty == 0 || w.broken != nil || !w.dice.chance(30*percent) {
		return
	}
	w.lastLook = true
	run := func(d time.Duration) {
		end := w.now().Add(d)
		w.until(func() bool { return w.now().After(end) && len(w.queue) == 0 && !w.anyOpen() }, end.Add(w.setup.longestGiveUp+w.slack()))
	}
	// Each host says what runs on it: if the first of two inventories goes out in
	// parts, it does not reach one that nobody knows yet.
	run(2*w.setup.inventoryEvery + time.Minute)
	var emptied []*machine
	for _, m := range w.machines {
		if len(m.sessions) == 0 || !m.well() || m.lied || !m.isEC2() || !m.stopWhenEmpty {
			continue
		}
		emptied = append(emptied, m)
		for len(m.sessions) > 0 {
			w.endDesktop(m.sessions[0], "all log out")
		}
	}
	// A run stops 20 hosts at most, and one run sees each inventory at least.
	wait := w.setup.stopEmpty + 2*time.Minute
	for range 3 + len(emptied)/20 {
		wait += w.setup.inventoryEvery
	}
	run(wait)
	for _, m := range emptied {
		if m.state == running && w.livesOn(m.id, w.now()) == nil {
			w.breaks(2, "%s is not stopped, although nothing runs on it", m.id)
		}
	}
}

// inventoriesOf are the host's answers to inventories, in the order in which those
// were sent.
func (w *world) inventoriesOf(m *machine) (all []*onHost) {
	for _, c := range w.commands {
		for _, on := range c.on {
			if c.document == inventoryDocument && on.machine == m && on.over {
				all = append(all, on)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *onHost) int { return a.command.surveyOf.Compare(b.command.surveyOf) })
	return all
}

func (on *onHost) saysEmpty() bool { return on.complete && len(on.lists) == 0 }

// saidEmpty tells whether the host has answered an inventory of that time that
// nothing runs.
func (w *world) saidEmpty(m *machine, from, until time.Time) bool {
	return slices.ContainsFunc(w.inventoriesOf(m), func(on *onHost) bool {
		return on.saysEmpty() && !on.command.surveyOf.Before(from) && !on.command.surveyOf.After(until)
	})
}

// hasBeenEmpty tells whether the host has reported since its start that something runs,
// and then, no later than until, that nothing runs; and nothing else was recorded of it
// between that report and known.
func (w *world) hasBeenEmpty(m *machine, until, known time.Time) bool {
	used := false
	for _, on := range w.inventoriesOf(m) {
		sent := on.command.surveyOf
		used = used || len(on.lists) > 0 && sent.After(m.launched)
		contradicted := slices.ContainsFunc(w.model.noted[m.id], func(n noted) bool {
			return n.sentAt.After(sent) && !n.empty && n.at.Before(known) && n.at.After(w.hostsLostAt)
		})
		if used && on.saysEmpty() && !sent.After(until) && !contradicted {
			return true
		}
	}
	return false
}

// livesOn returns a record of a session that lives on the host, or of an open deletion
// there, that every index has shown from that time on.
func (w *world) livesOn(hostID string, from time.Time) session.Record {
	for r := range w.livingOn(hostID) {
		if w.shownSince(recordID(r), from) {
			return r
		}
	}
	return nil
}
