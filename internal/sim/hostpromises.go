package sim

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"dcv-session-broker/internal/session"
)

// commandTaken compares a close command with the table: each of its sessions was recorded
// before for this attempt (1), with that host and incarnation, and the command expires
// with the deletion (5). A repeat sends nothing (7), and neither does force with purge
// (6).
func (w *world) commandTaken(inv *invocation, cmd *command) {
	if inv.request != nil && inv.request.dryRun {
		w.breaks(7, "%s sends a command, though it is a dry run", inv)
	}
	for _, on := range cmd.on {
		for _, a := range cmd.asks[on.machine.id] {
			at := w.model.attempts[cmd.attempt][a.sessionID]
			if at == nil {
				w.unrecorded(inv, a)
				continue
			}
			if at.sent {
				w.seen.premises[10]++ // the SDK has sent it twice
			}
			at.sent = true
			w.closesInTime(inv, a, at)
			created, err := time.Parse(time.RFC3339Nano, at.creation)
			switch {
			case at.hostID != on.machine.id || at.name != a.name:
				w.breaks(5, "%s asks %s to close %q, but %s is %q on %s", inv, on.machine.id, a.name, a.sessionID, at.name, at.hostID)
			case err == nil && (a.latest || !a.created.Equal(created)):
				w.breaks(5, "%s asks to close %s of %s, not that of %s", inv, a.sessionID, a.created, at.creation)
			case err != nil && (!a.latest || a.created.After(at.requestedAt.Add(session.CreationTolerance))):
				w.breaks(5, "%s asks to close %s as of %s, but it was requested at %s", inv, a.sessionID, a.created, at.requestedAt)
			case cmd.voidAfter > at.over.Unix():
				w.breaks(5, "the command of %s for %s outlives its deletion", inv, a.sessionID)
			case !inv.faulty && time.Unix(cmd.voidAfter, 0).Sub(w.now()) < at.over.Sub(w.now())/2-time.Minute:
				w.breaks(8, "the command of %s for %s is void at %d, long before its deletion is over at %s", inv, a.sessionID, cmd.voidAfter, at.over)
			case at.putBack:
				w.breaks(7, "%s sends a command for %s, which it has taken back", inv, a.sessionID)
			}
		}
	}
}

func (w *world) unrecorded(inv *invocation, a ask) {
	r := inv.request
	if r == nil {
		w.breaks(1, "%s sends a command for %s, which is not recorded", inv, a.sessionID)
		return
	}
	for g, forced := range r.groups {
		if g.sessionID == a.sessionID && forced && inv.setup.forceMode == session.Purge {
			w.breaks(6, "%s sends a command for %s, which is forced", inv, a.sessionID)
			return
		}
	}
	if s := w.table.Get(a.sessionID).Session(); s.DeletionRequestID != inv.id && s.DeletionRequestID != "" {
		w.breaks(7, "%s sends a command for %s, which it only repeats", inv, a.sessionID)
		return
	}
	w.breaks(1, "%s sends a command for %s, which is not recorded", inv, a.sessionID)
}

// Promise 5, only what was asked: a host closes a session only for an attempt that names
// it, in the recorded incarnation, or, if none is recorded, one that is at most the
// tolerance newer than the request; and not after the give-up time by its clock. If an
// open deletion is forced with purge, its command may still arrive for a minute: its
// owner requested that, too.
func (w *world) closesDesktop(on *onHost, a ask, d *desktop) {
	w.seen.premises[5]++
	m := on.machine
	at := w.model.attempts[on.command.attempt][a.sessionID]
	if at == nil || at.hostID != m.id || at.name != d.name {
		w.breaks(5, "%s closes %q of %s, which nobody asked for", m.id, d.name, d.createdText)
		return
	}
	created, err := time.Parse(time.RFC3339Nano, at.creation)
	switch {
	case err == nil && !sameIncarnation(created, d.created):
		w.breaks(5, "%s closes %q of %s, but that of %s was to be closed", m.id, d.name, d.createdText, at.creation)
	case err != nil && d.created.After(at.requestedAt.Add(session.CreationTolerance)):
		w.breaks(5, "%s closes %q of %s, which is newer than the request of %s", m.id, d.name, d.createdText, at.requestedAt)
	case w.now().After(at.over.Add(m.skew.Abs() + time.Second)):
		w.breaks(5, "%s closes %q, but its deletion was over at %s", m.id, d.name, at.over.Format(time.TimeOnly))
	case at.putBack:
		w.breaks(7, "%s closes %q, though the request was answered that nothing was changed", m.id, d.name)
	case at.of != nil && at.of.cancelled:
		w.breaks(2, "%s closes %q, whose deletion was cancelled", m.id, d.name)
	}
}

// Promise 8, one bad apple stays one: if no call failed, each attempt of this invocation
// is sent to every host that can be commanded, whatever the state of other hosts.
func (w *world) commanded(inv *invocation) {
	for _, attempt := range slices.Sorted(maps.Keys(w.model.attempts)) {
		of := w.model.attempts[attempt]
		for _, id := range slices.Sorted(maps.Keys(of)) {
			a := of[id]
			m := w.machine(a.hostID)
			if a.by != inv || m == nil || inv.faulty {
				continue
			}
			ok := m.known() && m.state != terminated && m.tagged && m.platform != "macOS" && m.changed.Before(inv.started)
			ok = ok && !inv.asked[m.id].gone // a host that has stopped without an event gets no command
			if ok && !a.sent && !a.putBack {
				w.breaks(8, "%s did not command %s to close %s (attempt %s)", inv, m.id, id, attempt)
			}
		}
	}
}

// taskDone checks promises 2 and 8 after a run of cleanup: a deletion past its time is
// given up by the next run, or, if an older broker, which does not know the recorded
// time, has renewed the lease, by the first run after that lease.
func (w *world) taskDone(inv *invocation) {
	w.commanded(inv)
	if inv.task != "deletions" || inv.faulty {
		return
	}
	for _, r := range w.records() {
		s := r.Session()
		end := inv.tryUntil(s)
		if lease := w.model.olderLease[s.ID]; lease.After(end) && lease.Equal(s.NextAttemptAt) {
			end = lease
		}
		if !inv.knows(s.DueShard) {
			w.seen.effects[oldBesideNew]++
			continue
		}
		if waits(s) && s.CloseAt.Before(inv.started.Add(-2*time.Second)) && !inv.stale[s.ID] && inv.unmet[s.ID] == 0 {
			w.breaks(12, "%s has left %s waiting, whose close time was %s", inv, s.ID, s.CloseAt)
		}
		if s.State == session.Deleting && s.Confirmation == "" && end.Before(inv.started.Add(-2*time.Second)) && !inv.stale[s.ID] {
			w.breaks(2, "%s has left %s DELETING, which was to be given up at %s", inv, s.ID, end)
		}
	}
}

// batchWorked checks promise 8 for a batch of messages: an unreadable message fails
// alone.
func (w *world) batchWorked(inv *invocation, batch []*message, failed map[string]bool) {
	for _, m := range batch {
		id := m.id()
		if m.garbage && len(batch) > 1 {
			w.seen.premises[8]++
		}
		switch {
		case m.garbage && !failed[id]:
			w.breaks(8, "%s reports %s as processed, but it cannot be read", inv, id)
		case !m.garbage && failed[id] && !inv.faulty && !inv.faultyOf[hostOf(m.body)]:
			w.breaks(8, "%s failed to process %s without a cause", inv, id)
		}
	}
	w.goodLinesCount(inv, batch)
}

// hostOf returns the host of a message.
func hostOf(body string) string {
	var event struct {
		Detail struct {
			InstanceID string `json:"instance-id"`
		} `json:"detail"`
	}
	_ = json.Unmarshal([]byte(body), &event)
	return event.Detail.InstanceID
}
