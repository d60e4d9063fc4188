package session

import (
	"fmt"
	"strings"
	"time"
)

// A deletion with a grace period waits for its CloseAt. Until then its user can work,
// is told when the session will be closed, and the deletion can be cancelled. A notice
// follows each of these writes: mark, earlier close time, notify again, cancel. The
// write names the notice by its own attempt, and orders it by NoticeAt. An answer to a
// notice confirms nothing and moves no lease. The first close attempt begins at
// CloseAt.

const (
	// noticePause is the least time between two notices while nobody was warned.
	noticePause = 2 * time.Minute
	// lastNotice is how long before CloseAt users are told once more.
	lastNotice = 5 * time.Minute
	// noticeTime bounds the notices of one round of cleanup: each text is a separate
	// command.
	noticeTime = 8 * time.Second
	// noticeLife is how long after its write a notice may be shown.
	noticeLife = 2 * time.Minute
)

// Waits tells whether the deletion waits for its CloseAt.
func (s Session) Waits() bool {
	return s.State == Deleting && s.Attempts == 0 && !s.CloseAt.IsZero() && s.Confirmation == ""
}

// mayBePutBack tells whether the request that marked the deletion may still put it
// back.
func (s Session) mayBePutBack(now time.Time) bool {
	return now.Before(s.DeletionRequestedAt.Add(Lease))
}

// ClosingBegan returns when the first close attempt began, or begins. A deletion that
// ended while it waited has no age. Times from before the request belong to an earlier
// deletion: an older broker, which does not know these attributes, has marked this one.
func (s Session) ClosingBegan() time.Time {
	began := s.ClosingSince
	if began.IsZero() {
		began = s.CloseAt
	}
	return later(began, s.DeletionRequestedAt)
}

// leaseShard returns the deletion's shard of the index of leases. With a grace period
// it is a separate one until the deletion is confirmed: functions from before grace
// periods do not read it, and would immediately close the sessions that they find due.
func (s Session) leaseShard() string {
	if s.CloseAt.IsZero() {
		return dueShard(s.ID)
	}
	return waitingShard(s.ID)
}

const waitingPrefix = "wait-"

func waitingShard(sessionID string) string { return waitingPrefix + dueShard(sessionID) }

// noticeAttempt names the attempt of a notice. An answer to a close command of the same
// request or run does not count for it.
func noticeAttempt(id string) string { return "notice-" + id }

// markWaiting begins the deletion of a session that lives, with a grace period. A
// cancel restores the state, so the session must be in the state that was read. The
// first write expects READY.
func markWaiting(d deletion, req Request) Write {
	state := Ready
	if d.seen.State.lives() {
		state = d.seen.State
	}
	w := d.ifMeant(req, state)
	w.If = append(w.If, missing(AttrConfirmation), before(AttrNoticeAt, laterNotice(d.seen, req.At)))
	notify(&w, d.seen, req.ID, req.At, req.At.Add(d.GracePeriod))
	set(&w, AttrAttempts, 0)
	set(&w, AttrStateBefore, state)
	setText(&w, AttrMessage, d.Message)
	beginRequested(&w, d, req)
	return w
}

// notify adds to a write the attributes of the notice that follows it, and a lease that ends no later than CloseAt.
func notify(w *Write, seen Session, id string, now, closeAt time.Time) {
	set(w, AttrCloseAt, closeAt)
	set(w, AttrAttemptID, noticeAttempt(id))
	set(w, AttrNoticeID, noticeAttempt(id))
	set(w, AttrNoticeAt, laterNotice(seen, now))
	set(w, AttrNextAttemptAt, nextNotice(now, closeAt, false))
	set(w, AttrDueShard, waitingShard(w.SessionID))
}

// laterNotice is a NoticeAt that is later than the one seen: a delayed command has a
// newer sending time than the notice that followed it.
func laterNotice(seen Session, now time.Time) time.Time {
	if later := seen.NoticeAt.Add(time.Millisecond); later.After(now) {
		return later
	}
	return now
}

// nextNotice returns when a deletion that waits is processed again: to tell users who
// were not warned yet, once more shortly before CloseAt, and at CloseAt.
func nextNotice(now, closeAt time.Time, warned bool) time.Time {
	left, next := closeAt.Sub(now), closeAt
	if again := now.Add(max(noticePause, left/4)); !warned && again.Before(next) {
		next = again
	}
	if last := closeAt.Add(-lastNotice); left > lastNotice && last.Before(next) {
		next = last
	}
	return next
}

// bringForward gives a deletion that waits an earlier close time.
func bringForward(d deletion, req Request) Write {
	w := takeOver(d, req)
	notify(&w, d.seen, req.ID, req.At, req.At.Add(d.GracePeriod))
	replaceText(&w, AttrMessage, d.Message)
	return w
}

// closeNow makes the first close attempt of a deletion that waits: a request without
// a grace period asks for it.
func closeNow(d deletion, req Request, giveUp time.Duration) Write {
	w := takeOver(d, req)
	if req.At.Before(d.seen.CloseAt) {
		set(&w, AttrCloseAt, req.At)
	}
	beginClosing(&w, d.seen, req.ID, req.At, giveUp)
	return w
}

// takeOver assigns the open deletion to another request with an earlier close time.
// Earlier notices are no longer true.
func takeOver(d deletion, req Request) Write {
	open := d.seen
	w := repeat(open, req)
	w.If = append(w.If, is(AttrAttemptID, open.AttemptID), is(AttrAttempts, 0), is(AttrCloseAt, open.CloseAt), missing(AttrConfirmation))
	set(&w, AttrDeletionRequestID, req.ID)
	set(&w, AttrDeletionRequestedBy, req.By)
	w.Remove = []string{AttrWarnedAt, AttrWarning}
	replaceText(&w, AttrDeletionReason, d.Reason) // the other request's is not this one's
	return w
}

// beginClosing begins the first close attempt of a deletion that waited. TryUntil is
// counted from now, which is long after CloseAt if cleanup did not run.
func beginClosing(w *Write, s Session, attemptID string, now time.Time, giveUp time.Duration) {
	until := now.Add(giveUp)
	set(w, AttrAttempts, 1)
	lease(w, waitingShard(s.ID), attemptID, now)
	set(w, AttrClosingSince, now)
	set(w, AttrTryUntil, until)
	set(w, AttrNextAttemptAt, nextAttempt(now, Lease, until))
}

// whileWaiting returns the write for a due deletion that waits.
func whileWaiting(due Record, attemptID string, now time.Time, giveUp time.Duration) Write {
	s := due.Session()
	w := Write{SessionID: s.ID, If: ifAsSeen(due), Set: Record{}}
	last := s.CloseAt.Add(-lastNotice)
	switch {
	case !now.Before(s.CloseAt):
		beginClosing(&w, s, attemptID, now, giveUp)
		if s.Warning == "" {
			w.If = append(w.If, missing(AttrWarning))
			set(&w, AttrWarning, unansweredNotice)
		}
	case s.WarnedAt.IsZero(), !now.Before(last) && s.NoticeAt.Before(last):
		notify(&w, s, attemptID, now, s.CloseAt)
		set(&w, AttrNextAttemptAt, nextNotice(now, s.CloseAt, !s.WarnedAt.IsZero()))
	default:
		set(&w, AttrNextAttemptAt, nextNotice(now, s.CloseAt, true))
	}
	return w
}

// notWarned tells whether the deletion is being closed, and its users could not be
// warned or the host did not report it.
func (s Session) notWarned() bool {
	return s.Attempts > 0 && strings.HasPrefix(s.Warning, string(NotWarned))
}

// recordWarning records the result of a notice. "warned" counts for any notice of this
// deletion's CloseAt; other results only for the newest notice, and not after "warned".
func recordWarning(answer Warning, now time.Time) Write {
	w := Write{SessionID: answer.SessionID, If: []Condition{is(AttrHostID, answer.HostID), is(AttrState, Deleting)}, Set: Record{}}
	switch answer.Outcome {
	case Warned:
		w.If = append(w.If, is(AttrCloseAt, answer.CloseAt), before(AttrDeletionRequestedAt, answer.At.Add(time.Millisecond)), missing(AttrWarnedAt))
		set(&w, AttrWarnedAt, now)
		set(&w, AttrWarning, warnedOnScreen)
		if answer.Reason != "" {
			set(&w, AttrWarning, fmt.Sprintf(warnedBy, answer.Reason))
		}
		return w
	case Nobody:
		set(&w, AttrWarning, nobodyConnected)
	default:
		set(&w, AttrWarning, fmt.Sprintf(warningFailed, answer.Reason))
	}
	w.If = append(w.If, is(AttrNoticeID, answer.NoticeID), is(AttrCloseAt, answer.CloseAt), missing(AttrWarnedAt))
	return w
}

// notice returns the notice that follows the write after which the session is so.
func notice(s Session, now time.Time) Notice {
	return Notice{
		Incarnation: s.incarnation(), ID: s.NoticeID, At: s.NoticeAt, CloseAt: s.CloseAt,
		Text:      noticeText(s.Message, s.CloseAt, now),
		VoidAfter: earlier(s.NoticeAt.Add(noticeLife), s.CloseAt),
	}
}

// noticeText returns the text for users: the message, and the broker's line. The minute
// is rounded down, so that no user is told a later time.
func noticeText(message string, closeAt, now time.Time) string {
	line := fmt.Sprintf("This session will be closed at %s UTC, ", closeAt.UTC().Format("2006-01-02 15:04"))
	switch left := int(closeAt.Sub(now).Minutes()); left {
	case 0:
		line += "in less than a minute."
	case 1:
		line += "in 1 minute."
	default:
		line += fmt.Sprintf("in %d minutes.", left)
	}
	if message != "" {
		line = message + "\n\n" + line
	}
	return line
}

// allClear returns the notice that revokes what users were told: the deletion was
// cancelled, or the session was removed by force. seen is the record before; at orders
// the notice.
func allClear(seen Session, at time.Time) Notice {
	return Notice{
		Incarnation: seen.incarnation(), ID: seen.NoticeID, At: at,
		Text:      "This session will not be closed. You can go on working.",
		VoidAfter: at.Add(noticeLife),
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
