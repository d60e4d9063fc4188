package sim

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"dcv-session-broker/internal/session"
)

// Promise 10, in any order: only the host's newest inventory changes records, as far as
// the broker could know when it read the host's records, and only if it is an hour old at
// most.
func (w *world) newestInventoryCounts(c change) {
	at := c.is.ObservedAt
	if c.by.function != "host-events" || at.IsZero() || at.Equal(c.was.ObservedAt) {
		return
	}
	if c.by.started.Sub(at) > time.Hour {
		w.breaks(10, "%s changes %s by an inventory of %s, which is more than an hour old", c.by, c.is.ID, at.Format(time.TimeOnly))
	}
	if c.by.looked[c.is.HostID].After(at) && !c.by.faulty && !c.by.faultyOf[c.is.HostID] {
		w.breaks(10, "%s changes %s by an inventory of %s, though it could know a newer one of %s", c.by, c.is.ID, at.Format(time.TimeOnly), c.is.HostID)
	}
}

// Promise 12: a host's answer that users were warned is recorded, for any notice of that
// close time.
func (w *world) warningsCount(inv *invocation, on *onHost) {
	if on.command.closeAt.IsZero() || on.machine.lied || len(on.output) > 2000 {
		return
	}
	for line := range strings.Lines(on.output) {
		var said struct{ ID, Result string }
		if json.Unmarshal([]byte(line), &said) != nil || said.Result != string(session.Warned) {
			continue
		}
		id := decoded(said.ID)
		s := w.table.Get(id).Session()
		n := w.model.notices[noticeKey{sessionID: id, warning: on.command.notice}]
		if n != nil && n.of == w.model.deletions[id] && s.State == session.Deleting && s.CloseAt.Equal(on.command.closeAt) && s.Confirmation == "" && !warned(s) {
			w.breaks(12, "%s has read that the users of %s were warned, and the record says %q", inv, id, s.Warning)
		}
	}
}

// Promise 8: the valid lines of a host count, whatever else it prints. A result is
// confirmed if the host reported it before host-events began to read, the read had no
// fault, it answers the current attempt, and the batch has the command's event: a command
// is read as a whole.
func (w *world) goodLinesCount(inv *invocation, batch []*message) {
	if inv.faulty {
		return
	}
	for _, on := range inv.reads {
		announced := slices.ContainsFunc(batch, func(m *message) bool {
			return strings.Contains(m.body, on.command.id) && strings.Contains(m.body, on.machine.id)
		})
		if announced && on.command.notice != "" && !inv.older && !inv.faultyOf[on.machine.id] && !on.finishedAt.After(inv.started) {
			w.warningsCount(inv, on)
		}
		if inv.faultyOf[on.machine.id] || !announced || on.command.attempt == "" || on.finishedAt.After(inv.started) || len(on.output) > 2000 {
			continue
		}
		for line := range strings.Lines(on.output) {
			var said struct{ ID, Result string }
			if json.Unmarshal([]byte(line), &said) != nil || !slices.Contains([]string{"closed", "absent", "replaced"}, said.Result) {
				continue
			}
			s := w.table.Get(decoded(said.ID)).Session()
			open := s.State == session.Deleting || s.State == session.Unknown
			if open && s.HostID == on.machine.id && s.AttemptID == on.command.attempt && s.Confirmation == "" {
				w.breaks(8, "%s has read that %s is %s, but it is not confirmed", inv, s.ID, said.Result)
			}
		}
	}
}
