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

// floods is what a host that floods says runs on it, besides the rest: sessions
// that nobody has heard of before, each time.
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

// Promise 11, bounded: what one host has living in the table, whatever it says.
// One answer may pass it, since two may be applied at the same time, and an index
// is behind.
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
	n := w.livingOn(hostID)
	if n >= w.setup.maxSessions {
		w.seen.premises[11]++
	}
	if n > w.setup.maxSessions+answer {
		w.breaks(11, "%s lists %s: %s has %d sessions in the table, and may have %d", c.by, c.is.ID, hostID, n, w.setup.maxSessions)
	}
}

func (w *world) livingOn(hostID string) (n int) {
	for _, r := range w.records() {
		if r[session.AttrLiveHostID] == hostID {
			n++
		}
	}
	return n
}

// asksAboutHosts holds promise 11 to the order in which cleanup works: whatever
// is to be learnt of some hosts, all have been asked what runs on them, and what
// is due and can still be tried is claimed, before.
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
		old := w.versions[s.ID].until.Before(inv.started.Add(-staleAtMost)) // every index shows it
		if due && old && s.TryUntil.Sub(w.now()) > time.Hour/4 {
			w.breaks(11, "%s asks EC2 about hosts before it has claimed %s", inv, s.ID)
		}
	}
}

// staleAtMost is how far an index is behind where that is bounded.
const staleAtMost = 2 * time.Second

// Promise 9: a session is UNKNOWN only where its host has left two inventories
// unanswered when this run began; the one that it has sent itself is none of them.
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
	missed := map[time.Time]bool{}
	for _, at := range w.inventoriesSent {
		ended := slices.ContainsFunc(w.commands, func(cmd *command) bool {
			return cmd.document == inventoryDocument && cmd.surveyOf.Equal(at) && cmd.ended != ""
		})
		if !ended && at.After(answered) && at.Before(c.by.started) {
			missed[at.UTC()] = true
		}
	}
	if len(missed) < 2 {
		w.breaks(9, "%s makes %s UNKNOWN, but %s has left %d inventories unanswered since %s", c.by, c.is.ID, c.is.HostID, len(missed), answered.Format(time.TimeOnly))
	}
}
