package sim

import (
	"slices"
	"strings"
	"time"

	"dcv-session-broker/internal/session"
)

// A deletion is what the model knows of one deletion of a session, from its mark on.
type deletion struct {
	requests  map[string]bool // that have begun it, or moved its close time
	closeAt   time.Time       // the earliest that was asked for; zero: without a grace period
	since     time.Time       // when closeAt was written
	firstAt   time.Time       // of its first close attempt; zero: none yet
	giveUp    time.Duration   // as it was set then
	cancelled bool
	// untold: it was cancelled, and users were not told because no notice was recorded.
	untold bool
	shown  map[time.Time]bool // the close times that somebody connected had on the screen
}

// A notice is a message to users that a write has recorded.
type notice struct {
	of                     *deletion
	hostID, name, creation string
	closeAt                time.Time // zero: of a cancel
	requestedAt            time.Time // DeletionRequestedAt
	at                     time.Time // of the write
	n                      int       // the writes that notices follow are counted
	tried                  bool      // its command was to be sent
}

// noticeKey names a notice: a warning by its ID, a cancel's by its order, since those of
// many deletions are one command.
type noticeKey struct {
	sessionID string
	warning   string
	cancel    int64 // in milliseconds since 1970
}

// warned tells whether the record says that its users were warned.
func warned(s session.Session) bool { return strings.HasPrefix(s.Warning, string(session.Warned)) }

// noteDeletion records a new deletion, and the requests that bring its close time
// forward.
func (w *world) noteDeletion(c change) {
	was, is, d := c.was, c.is, c.of
	w.noteNotice(c)
	switch {
	case c.begins:
		began := &deletion{requests: map[string]bool{is.DeletionRequestID: true}, closeAt: is.CloseAt, since: w.now()}
		if !waits(is) {
			began.closeAt, began.firstAt, began.giveUp = time.Time{}, w.now(), c.by.setup.giveUp
		}
		w.model.deletions[is.ID] = began
	case d == nil:
	case was.State == session.Deleting && is.State != session.Deleting && (c.by.cancels != nil || c.by.request != nil):
		d.cancelled, d.untold = c.by.cancels != nil, was.NoticeID == ""
		delete(w.model.deletions, is.ID)
	case c.moves:
		d.requests[is.DeletionRequestID] = true
		d.closeAt, d.since = is.CloseAt, w.now()
	}
	if d != nil && waits(was) && is.State == session.Deleting && is.Attempts > 0 && !c.begins {
		d.firstAt, d.giveUp = w.now(), c.by.setup.giveUp
	}
	w.ofNewNotice(is)
}

// noteNotice records the notice that must follow the write, in the order of the writes.
func (w *world) noteNotice(c change) {
	was, is := c.was, c.is
	n := &notice{of: c.of, hostID: is.HostID, name: is.NameOnHost(), creation: is.CreationTime, closeAt: is.CloseAt, requestedAt: is.DeletionRequestedAt, at: is.NoticeAt}
	key := noticeKey{sessionID: is.ID, warning: is.NoticeID}
	switch taken := was.NoticeID != "" && is.NoticeID == ""; {
	case taken && c.by.cancels != nil, taken && waits(was) && c.begins && is.Confirmation == session.Forced:
		n.closeAt, n.requestedAt = time.Time{}, was.DeletionRequestedAt
		if c.by.cancels == nil { // its order is not recorded
			n.at = later(c.by.request.at, was.NoticeAt.Add(time.Millisecond))
		}
		key = noticeKey{sessionID: is.ID, cancel: n.at.UnixMilli()}
		if r := c.by.request; r != nil && is.CloseUntil.IsZero() && !c.by.older {
			r.toTell[is.ID] = n
		}
	case is.NoticeAt.IsZero() && !was.NoticeAt.IsZero() && !c.by.older:
		w.breaks(12, "%s forgets that a notice to the users of %s followed the write of %s", c.by, is.ID, was.NoticeAt)
	case is.NoticeID == "" || is.NoticeAt.Equal(was.NoticeAt):
		return
	}
	if !is.NoticeAt.IsZero() && is.NoticeAt.Before(was.NoticeAt) || is.NoticeID != was.NoticeID && is.NoticeID != "" && is.NoticeAt.Equal(was.NoticeAt) {
		w.breaks(12, "%s orders a notice to the users of %s that seems older than the one before (%s, %s)", c.by, is.ID, is.NoticeAt, was.NoticeAt)
	}
	w.model.noticed++
	n.n = w.model.noticed
	w.model.notices[key] = n
}

// ofNewNotice links a notice to its deletion, once that has begun.
func (w *world) ofNewNotice(is session.Session) {
	if n := w.model.notices[noticeKey{sessionID: is.ID, warning: is.NoticeID}]; n != nil && is.NoticeID != "" {
		n.of = w.model.deletions[is.ID]
	}
}

// The rules of deletions with a grace period, including promise 12, which hold at every
// change of the table.
func (w *world) gracedRightly(c change) {
	if c.is.CloseAt.IsZero() && c.was.CloseAt.IsZero() {
		return
	}
	w.waitsRightly(c)
	w.closeTimeHolds(c)
	w.closedRightly(c)
	w.warnedRightly(c)
}

// A deletion that waits has a lease no later than its close time, in a shard that older
// brokers do not read, and no trace of an attempt.
func (w *world) waitsRightly(c change) {
	s := c.is
	open := s.State == session.Deleting && s.Confirmation == "" && !s.CloseAt.IsZero()
	if open && !strings.HasPrefix(s.DueShard, "wait-") && !c.by.older && !w.model.oldShard[s.ID] {
		w.breaks(12, "%s waits for its close time, or is closed since, in the shard %q, which older brokers read", s.ID, s.DueShard)
	}
	if c.by.older && open {
		w.model.oldShard[s.ID] = true // an older broker has claimed it
	}
	if !waits(s) {
		return
	}
	switch {
	case !s.TryUntil.IsZero() || !s.AttemptFailedAt.IsZero():
		w.breaks(12, "%s waits for its close time, but has TryUntil (%s) or a failed attempt", s.ID, s.TryUntil)
	case !slices.Contains([]session.State{session.Ready, session.Creating, session.Unknown}, s.StateBefore):
		w.breaks(2, "%s waits for its close time, and cannot be cancelled: it was %q", s.ID, s.StateBefore)
	case s.NextAttemptAt.After(s.CloseAt):
		w.breaks(12, "%s is looked at again at %s, and is to be closed at %s", s.ID, s.NextAttemptAt, s.CloseAt)
	case s.NoticeID == "" || s.NoticeAt.IsZero():
		w.breaks(12, "%s waits for its close time without a notice", s.ID)
	}
}

// Promise 12: a close time is the one that was requested, and changes only for an earlier
// one or for force. While a deletion waits only requests and cleanup claim it.
func (w *world) closeTimeHolds(c change) {
	was, is := c.was, c.is
	switch {
	case c.begins && !is.CloseAt.IsZero() && is.Confirmation == "" && !c.by.older:
		w.seen.effects[deletionWaits]++
		if grace := c.by.graceOf(is); grace == 0 || !is.CloseAt.Equal(is.DeletionRequestedAt.Add(grace)) {
			w.breaks(12, "%s has %s closed at %s, and is to wait for %s", c.by, is.ID, is.CloseAt, grace)
		}
	case is.State != session.Deleting || was.State != session.Deleting || is.CloseAt.Equal(was.CloseAt) || c.begins:
	case c.by.request == nil || !waits(was) || is.CloseAt.After(was.CloseAt):
		w.breaks(12, "%s moves the close time of %s from %s to %s", c.by, is.ID, was.CloseAt, is.CloseAt)
	default:
		w.seen.effects[closeTimeMoved]++
		if grace := c.by.graceOf(is); c.by.request.forced(is) || !is.CloseAt.Equal(c.by.request.at.Add(grace)) {
			w.breaks(12, "%s moves the close time of %s to %s, and is to wait for %s", c.by, is.ID, is.CloseAt, grace)
		}
	}
}

// Promise 12: the first close attempt is not before the close time, and its record says
// whether users were warned, or why not. Without faults it follows within two minutes.
func (w *world) closedRightly(c change) {
	was, is := c.was, c.is
	if !waits(was) || is.State != session.Deleting || is.Confirmation != "" || is.Attempts == 0 || c.begins {
		return
	}
	w.seen.premises[12]++
	byRequest := c.by.request != nil && c.by.graceOf(is) == 0
	switch {
	case w.now().Before(was.CloseAt) && !byRequest:
		w.breaks(12, "%s begins to close %s, which has time until %s", c.by, is.ID, was.CloseAt)
	case is.Warning == "" && !byRequest:
		w.breaks(12, "%s begins to close %s, and the record does not say whether its users were warned", c.by, is.ID)
	case w.calm && w.now().After(later(was.CloseAt, w.calmFrom).Add(125*time.Second)):
		w.breaks(12, "%s begins to close %s, whose close time was %s", c.by, is.ID, was.CloseAt)
	case !warned(is) && !byRequest && w.couldBeWarned(was):
		w.breaks(12, "%s begins to close %s, whose users were connected for the last six minutes, and were not warned: %q", c.by, is.ID, is.Warning)
	}
}

// couldBeWarned tells whether, in the last six minutes before the close time, nothing
// failed and somebody was connected: then a notice was sent again in that time.
func (w *world) couldBeWarned(s session.Session) bool {
	d := w.runs(s)
	if d == nil || !w.calm {
		return false
	}
	m, from := d.machine, s.CloseAt.Add(-6*time.Minute)
	return m.well() && m.changed.Before(from) && w.calmFrom.Before(from) && d.connections > 0 && d.usedSince.Before(from) &&
		w.stalledUntil.Before(from) && m.skew.Abs() < 10*time.Second
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// Promise 12: the record says that users were warned of a close time if, and only if,
// somebody who was connected had it on the screen. An answer to a notice moves no lease.
func (w *world) warnedRightly(c change) {
	was, is := c.was, c.is
	d := w.model.deletions[is.ID]
	if d == nil || is.State != session.Deleting || c.begins {
		return
	}
	switch same := is.CloseAt.Equal(was.CloseAt) && !c.moves; {
	case warned(is) && (is.Warning != was.Warning || c.moves) && !d.shown[is.CloseAt] && w.trusted(is.HostID):
		w.breaks(12, "%s says that the users of %s were warned of %s, and nobody connected had that on the screen", c.by, is.ID, is.CloseAt)
	case same && warned(was) && !warned(is):
		w.breaks(12, "%s says that the users of %s were not warned (%s), and they were", c.by, is.ID, is.Warning)
	case is.Warning != was.Warning && c.by.function == "host-events" && !warned(is) && !c.by.heardOfNotice(is):
		w.breaks(12, "%s says of the newest notice to the users of %s: %q, and its host has not said so", c.by, is.ID, is.Warning)
	case is.Warning != was.Warning && c.by.function == "host-events" && !is.NextAttemptAt.Equal(was.NextAttemptAt):
		w.breaks(12, "%s records the result of a notice to %s, and moves its lease", c.by, is.ID)
	}
	if warned(is) && !warned(was) {
		w.seen.effects[userWarned]++
	}
}

// heardOfNotice tells whether the invocation has read the answer to the session's newest
// notice, and it says that nobody was warned.
func (inv *invocation) heardOfNotice(s session.Session) bool {
	return slices.ContainsFunc(inv.reads, func(on *onHost) bool {
		return on.command.notice == s.NoticeID && on.machine.id == s.HostID && on.said[s.ID] != "" && strings.HasPrefix(s.Warning, on.said[s.ID])
	})
}

// A request with preconditions deletes only the session with that host and that
// incarnation.
func (w *world) asDescribed(c change) {
	if !c.begins && !c.moves || c.by.request == nil || c.by.older {
		return
	}
	s := c.is
	e := c.by.request.asked[group{s.ID, s.Owner}]
	asked, _ := time.Parse(time.RFC3339Nano, e.CreationTime)
	created, _ := time.Parse(time.RFC3339Nano, s.CreationTime)
	if e.HostID != "" && e.HostID != s.HostID || e.CreationTime != "" && !sameIncarnation(asked, created) {
		w.breaks(5, "%s deletes %s on %s of %s, and it was to be on %q, of %q", c.by, s.ID, s.HostID, s.CreationTime, e.HostID, e.CreationTime)
	}
}

// allEnd continues until all deletions should have ended. Requests under way may still
// begin deletions that wait for their close time.
func (w *world) allEnd() {
	settled := w.calmFrom.Add(3 * time.Minute)
	for end := w.calmFrom; w.broken == nil; {
		ended := w.lastCloseTime(w.calmFrom).Add(w.setup.longestGiveUp + w.slack())
		if !ended.After(end) {
			return
		}
		end = ended
		w.until(func() bool { return w.now().After(settled) && !w.anyOpen() }, end)
	}
}

// lastCloseTime is when the last of the open deletions is, or was, to be closed: one that
// a late write began may end its wait right before the time that is known without it.
func (w *world) lastCloseTime(last time.Time) time.Time {
	for _, r := range w.records() {
		if s := r.Session(); s.State == session.Deleting {
			last = later(last, s.CloseAt)
		}
	}
	return last
}

// graceOf is the grace period that the invocation has asked for, for the deletion of that
// session.
func (inv *invocation) graceOf(s session.Session) time.Duration {
	switch {
	case inv.request != nil:
		return inv.request.grace[group{s.ID, s.Owner}]
	case inv.rule != nil:
		return inv.rule.grace
	}
	return 0
}

// forced tells whether the request asks for that session by force.
func (r *request) forced(s session.Session) bool { return r.groups[group{s.ID, s.Owner}] }

// addGrace adds fields to an entry that only newer brokers know: a grace period, a
// message, or preconditions.
func (w *world) addGrace(e *entry) {
	d := w.other
	if e.Force || !d.chance(w.setup.graceEntries) {
		return
	}
	grace := oneOf(d, []int{0, 60, 60, 120, 120, 300, 600, 1500})
	switch n := d.below(10); {
	case n < 8:
		e.GracePeriod = &grace
	case w.setup.grace > 0:
		e.Message = "You have the stack's time."
	}
	if e.GracePeriod != nil && grace > 0 && d.chance(50*percent) {
		e.Message = "Save your work."
	}
	if d.chance(30 * percent) {
		e.Reason = "maintenance"
	}
	if s := w.table.Get(e.SessionID).Session(); s.ID != "" && d.chance(20*percent) {
		e.HostID, e.CreationTime = oneOf(d, []string{"", s.HostID, goneHost}), oneOf(d, []string{"", s.CreationTime, "2000-01-01T00:00:00.5Z"})
	}
}

// setGrace notes the grace periods of a request: its own, or the function's setting.
func (r *request) setGrace() {
	for _, e := range r.entries {
		g := group{e.SessionID, e.Owner}
		switch {
		case r.groups[g] || r.inv.older:
		case e.GracePeriod != nil:
			r.grace[g] = time.Duration(*e.GracePeriod) * time.Second
		default:
			r.grace[g] = r.inv.setup.grace
			r.bad = r.bad || r.grace[g] == 0 && e.Message != "" // nobody would see the message
		}
	}
}
