package sim

import (
	"context"
	"slices"
	"time"

	"dcv-session-broker/internal/session"
)

// Tags that limit instances to one owner each, and hosts whose root lies about owners.

// tagHosts gives hosts such tags in some seeds, and changes them. Some hosts lie about the
// owners of their sessions, and about nothing else.
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
			m.liesAboutOwners = true
			w.seen.faults[hostDisowns]++
			w.say(m.id, "FAULT: %s", hostDisowns)
		}
	}
}

func (w *world) anyTag() string {
	return oneOf(w.tagDice, []string{"alice", "bob", "alice", "bob", ""})
}

// withFalseOwners returns the sessions that such a host lists, with false owners.
func (w *world) withFalseOwners(shown []*desktop) (lies []*desktop) {
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

// keepsTag checks a tag that is recorded (promise 5): EC2 has just reported it, and it
// does not replace a later report.
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
		w.seen.effects[tagTaken]++
		w.changedAt = w.now() // the inventories to come set records right
	}
}

// Promise 5: a host that is limited to an owner reports only that owner's sessions. The tag
// that is recorded when its inventory is noted applies to that inventory; an unknown tag
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
		w.seen.effects[othersDoubted]++
		w.seen.premises[5]++
	}
}

// ownedTableMatchesHosts is tableMatchesHosts for a session of another owner than its host is
// limited to. If the host lied before, a record of the right owner may exist, and stays.
func (w *world) ownedTableMatchesHosts(d *desktop, s session.Session, listed bool) {
	w.seen.effects[othersNotListed]++
	held := w.keptTag(d.machine.id).Owner
	if listed && s.State == session.Ready && (s.Owner != held || s.CreationTime != d.createdText) {
		w.breaks(5, "%s is READY as a session of %s (%s), but %s is held to %q, and says that %q of %s runs", s.ID, s.Owner, s.CreationTime, d.machine.id, held, d.createdText, d.owner)
	}
}

// tagsAreRead changes tags once more: within a bounded time cleanup reads the tag of
// every host on which sessions run, listed or not (promise 5).
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
