package sim

import (
	"fmt"
	"slices"
	"time"

	"dcv-session-broker/internal/session"
)

// floodedAt is how many sessions a host may have in the table where hosts flood:
// more than really run on any.
const floodedAt = 9

// floods returns the sessions that a flooding host invents in addition to its own: new
// ones each time.
func (w *world) floods() (invented []*desktop) {
	w.seen.faults[hostFloods]++
	for range 3 + w.dice.below(6) {
		w.happened++
		created := w.now().Truncate(time.Microsecond)
		invented = append(invented, &desktop{
			name: fmt.Sprintf("f%d", w.happened), owner: "mallory", kind: "virtual",
			created: created, createdText: created.Format("2006-01-02T15:04:05.000000Z"),
		})
	}
	return invented
}

// Promise 11, bounded: the number of one host's living sessions in the table. The
// sessions of one answer may exceed it, since two answers may be applied at the same time
// and an index is behind. When the bound is lowered, listed sessions stay.
func (w *world) hostIsBounded(c change) {
	hostID := c.is.HostID
	lives := c.new[session.AttrLiveHostID] != nil && c.old[session.AttrLiveHostID] == nil
	if !lives || c.by.function != "host-events" || w.setup.staleFor > time.Second {
		return
	}
	answer := 0
	for _, on := range c.by.reads {
		if on.machine.id == hostID {
			answer = max(answer, len(on.lists))
		}
	}
	n, most := w.countOn(hostID), w.mostSessions(c.by.setup.maxSessions)
	if n >= most {
		w.seen.premises[11]++
	}
	if n > most+answer {
		w.breaks(11, "%s lists %s: %s has %d sessions in the table, and may have %d", c.by, c.is.ID, hostID, n, most)
	}
}

// countOn is how many sessions live on the host, by the table.
func (w *world) countOn(hostID string) (n int) {
	for range w.livingOn(hostID) {
		n++
	}
	return n
}

// asksAboutHosts checks the order of cleanup's work (promise 11): before it asks EC2
// about some hosts, the inventory is sent to all, and due deletions that can still be
// tried are claimed.
func (w *world) asksAboutHosts(inv *invocation) {
	if inv.task == "inventory" && !inv.sent {
		w.breaks(11, "%s asks EC2 about hosts before it has sent the inventory", inv)
	}
	if inv.task != "deletions" || inv.faulty || w.setup.staleFor > time.Second {
		return
	}
	for _, r := range w.records() {
		s := r.Session()
		due := s.State == session.Deleting && s.Confirmation == "" && s.NextAttemptAt.Before(inv.started) && !s.NextAttemptAt.IsZero()
		old := w.unchangedSince(s.ID).Before(inv.started.Add(-staleAtMost)) // every index shows it
		if due && old && inv.knows(s.DueShard) && inv.tryUntil(s).Sub(w.now()) > time.Hour/4 {
			w.breaks(11, "%s asks EC2 about hosts before it has claimed %s", inv, s.ID)
		}
	}
}

// staleAtMost is the bound of how far an index is behind, in seeds that have one.
const staleAtMost = 2 * time.Second

// Promise 9: a session becomes UNKNOWN only if its host had left two inventories
// unanswered when this run began, and has been silent for SilentAfterMinutes. The run's
// own inventory does not count.
func (w *world) silentRightly(c change) {
	if c.was.State != session.Ready || c.is.State != session.Unknown || c.by.function != "cleanup" {
		return
	}
	var answered time.Time
	for _, n := range w.model.noted[c.is.HostID] {
		if n.fresh && n.at.Before(c.by.started) && n.readAt.After(answered) {
			answered = n.readAt
		}
	}
	missed, last := 0, time.Time{}
	for _, at := range w.inventoriesSent {
		ended := slices.ContainsFunc(w.commands, func(cmd *command) bool {
			return cmd.document == inventoryDocument && cmd.surveyOf.Equal(at) && cmd.ended != ""
		})
		// Two runs that overlap send one inventory, in effect.
		if !ended && at.After(answered) && at.Before(c.by.started) && !at.Before(last.Add(session.SentApart)) {
			missed++
			last = at
		}
	}
	if quiet := w.now().Sub(answered); quiet < c.by.setup.silentAfter {
		w.breaks(9, "%s makes %s UNKNOWN, whose host has answered %s ago, and is set to wait %s", c.by, c.is.ID, quiet, c.by.setup.silentAfter)
	}
	if missed < 2 && !c.by.older { // older ones count what no host had
		w.breaks(9, "%s makes %s UNKNOWN, but %s has left %d inventories unanswered since %s", c.by, c.is.ID, c.is.HostID, missed, answered.Format(time.TimeOnly))
	}
}
