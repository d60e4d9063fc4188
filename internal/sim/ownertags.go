package sim

import (
	"context"
	"slices"
	"time"

	"dcv-session-broker/internal/session"
)

// Tags that hold instances to one owner each; and hosts whose root lies about owners.

// tagHosts gives hosts such tags in some seeds, and has people change them. Some hosts lie
// about whose their sessions are, and about nothing else.
func (w *world) tagHosts() {
	if !w.tagDice.chance(20 * percent) {
		return
	}
	for _, m := range w.machines {
		if w.tagDice.chance(70 * percent) {
			m.ownerTag = w.anyTag()
		}
		for range w.tagDice.below(3) {
			w.after(w.tagDice.between(0, 3*time.Hour), func() {
				m.ownerTag = w.anyTag()
				w.say(m.id, "its tag says %q", m.ownerTag)
			})
		}
		if w.tagDice.chance(30 * percent) {
			m.disowns = true
			w.seen.faults[hostDisowns]++
			w.say(m.id, "FAULT: %s", hostDisowns)
		}
	}
}

func (w *world) anyTag() string {
	return oneOf(w.tagDice, []string{"alice", "bob", "alice", "bob", ""})
}

// disowned is what a host says whose root lies about owners.
func (w *world) disowned(shown []*desktop) (lies []*desktop) {
	for _, d := range shown {
		claim := *d
		if w.tagDice.chance(60 * percent) {
			claim.owner = oneOf(w.tagDice, []string{"alice", "bob", "mallory"})
		}
		lies = append(lies, &claim)
	}
	return lies
}

// keptTag is the tag of a host as the Hosts table has it.
func (w *world) keptTag(hostID string) session.OwnerTag {
	known, _ := w.hostTable.Silences(context.Background(), []string{hostID})
	return known[hostID].OwnerTag
}

// keepsTag holds promise 5 to a tag that is kept: EC2 has just said so, and nobody forgets
// what it said later.
func (w *world) keepsTag(inv *invocation, hostID string, keep func()) {
	was := w.keptTag(hostID)
	keep()
	is := w.keptTag(hostID)
	if is == was {
		return
	}
	if told, asked := inv.tagsTold[hostID]; !asked || told != is.Owner {
		w.breaks(5, "%s keeps that the tag of %s is %q, but EC2 has not said so", inv, hostID, is.Owner)
	}
	if is.ReadAt.Before(was.ReadAt) {
		w.breaks(5, "%s keeps of %s what EC2 said at %s, and forgets what it said at %s", inv, hostID, is.ReadAt, was.ReadAt)
	}
	if is.Owner != was.Owner {
		w.seen.deeds[tagTaken]++
		w.changedAt = w.now() // the inventories to come set records right
	}
}

// Promise 5: a host that is held to an owner reports only that owner's sessions. What is kept
// of its tag when its inventory is noted counts for that inventory; what is not known yet
// changes nothing.
func (w *world) ownerAsHeld(c change) {
	if c.by.function != "host-events" || c.by.older {
		return
	}
	was, is, held := c.was, c.is, c.by.heldTo[c.is.HostID].Owner
	lists := is.State == session.Ready && (was.State != session.Ready || was.Owner != is.Owner) ||
		waits(is) && is.StateBefore == session.Ready && was.StateBefore == session.Unknown
	switch {
	case held != "" && is.Owner != was.Owner && is.Owner != held:
		w.breaks(5, "%s makes %s a session of %s, but %s is held to %s", c.by, is.ID, is.Owner, is.HostID, held)
	case held != "" && lists && is.Owner != held:
		w.breaks(5, "%s lists %s of %s, but %s is held to %s", c.by, is.ID, is.Owner, is.HostID, held)
	case was.State == session.Ready && is.State == session.Unknown && (held == "" || is.Owner == held):
		w.breaks(9, "%s makes %s of %s UNKNOWN, and %s is held to %q", c.by, is.ID, is.Owner, is.HostID, held)
	case was.State == session.Ready && is.State == session.Unknown:
		w.seen.deeds[othersDoubted]++
		w.seen.premises[5]++
	}
}

// heldTellsTheTruth is tableTellsTheTruth of a session that is not the owner's whom its host
// is held to. If the host lied before, a record of that owner may be there, and stays.
func (w *world) heldTellsTheTruth(d *desktop, s session.Session, listed bool) {
	w.seen.deeds[othersNotListed]++
	held := w.keptTag(d.machine.id).Owner
	if listed && s.State == session.Ready && (s.Owner != held || s.CreationTime != d.createdText) {
		w.breaks(5, "%s is READY as a session of %s (%s), but %s is held to %q, and says that %q of %s runs", s.ID, s.Owner, s.CreationTime, d.machine.id, held, d.createdText, d.owner)
	}
}

// tagsAreRead has tags change once more: they are read by themselves, in a time that is
// bounded, of every host on which sessions run, listed or not (promise 5).
func (w *world) tagsAreRead() {
	if w.broken != nil || !slices.ContainsFunc(w.machines, func(m *machine) bool { return m.ownerTag != "" }) || !w.tagDice.chance(40*percent) {
		return
	}
	w.lastLook = true
	for _, m := range w.machines {
		if w.tagDice.chance(50 * percent) {
			m.ownerTag = w.anyTag()
			w.say(m.id, "its tag says %q", m.ownerTag)
		}
	}
	unread := func() *machine {
		for _, m := range w.machines {
			if kept := w.keptTag(m.id); m.well() && m.isEC2() && len(m.sessions) > 0 && (kept.ReadAt.IsZero() || kept.Owner != m.ownerTag) {
				return m
			}
		}
		return nil
	}
	end := w.now().Add(time.Hour + 4*w.setup.inventoryEvery + time.Minute)
	w.until(func() bool { return unread() == nil }, end)
	if m := unread(); m != nil {
		w.breaks(5, "the tag of %s says %q, and what is kept of it, since an hour, is %v", m.id, m.ownerTag, w.keptTag(m.id))
	}
}
