package session

import (
	"fmt"
	"time"
)

// cancelAsRead is the cancel of a deletion that waits, or of a session without one.
func cancelAsRead(seen Record, by string, now time.Time) Write {
	if seen.Session().State == Deleting {
		return cancel(seen, by, now)
	}
	return cancelNothing(seen, now)
}

// cancel cancels a deletion that waits for its close time: the session has its earlier
// state, and no attributes of the deletion. The condition is that the deletion, its
// close time, its attempt and that state have not changed since they were read.
func cancel(waiting Record, by string, now time.Time) Write {
	s := waiting.Session()
	w := Write{
		SessionID: s.ID,
		If: []Condition{
			is(AttrOwner, s.Owner),
			is(AttrState, Deleting),
			is(AttrAttempts, 0),
			missing(AttrConfirmation),
			same(waiting, AttrDeletionRequestID),
			same(waiting, AttrAttemptID),
			same(waiting, AttrCloseAt),
			same(waiting, AttrStateBefore),
		},
		Set: Record{},
	}
	state := stateAgain(s)
	set(&w, AttrState, state)
	if state == Unknown {
		set(&w, AttrStateReason, reasonLongSilent)
		set(&w, AttrExpiresAt, now.Add(KeepUnknown).Unix())
	}
	// Not before the deletion that it cancels: the clock of the function that marked it
	// may be ahead.
	set(&w, AttrCancelledAt, later(later(now, s.CancelledAt), later(s.DeletionRequestedAt, s.RepeatedAt)))
	set(&w, AttrCancelledBy, by)
	set(&w, AttrNoticeAt, laterNotice(s, now))
	removeRest(&w)
	return w
}

// stateAgain returns the state that a cancel restores.
func stateAgain(waiting Session) State {
	if waiting.StateBefore.lives() {
		return waiting.StateBefore
	}
	return Ready
}

// cancelNothing records the cancel of a session without a deletion: a mark may be under
// way. CancelledBy is not changed: another cancel recognises its own write by it.
func cancelNothing(seen Record, now time.Time) Write {
	w := Write{
		SessionID: seen.text(AttrSessionID),
		If: []Condition{
			same(seen, AttrOwner),
			same(seen, AttrState),
			same(seen, AttrDeletionRequestID),
			same(seen, AttrCreationTime),
			same(seen, AttrGivenUpAt),
			before(AttrCancelledAt, now),
		},
		Set: Record{},
	}
	set(&w, AttrCancelledAt, now)
	return w
}

// cancelRefused returns why the deletion of a session cannot be cancelled, or "" if it
// can be, or if there is none.
func cancelRefused(s Session, e CancelEntry, now time.Time) (reason string) {
	switch {
	case s.Confirmation != "":
		return reasonCancelEnded
	case !s.GivenUpAt.IsZero():
		return fmt.Sprintf(reasonCancelGivenUp, s.GivenUpAt.Format(time.RFC3339))
	case s.State != Deleting:
		return ""
	case !s.Waits():
		return fmt.Sprintf(reasonCancelClosing, s.AttemptedAt.Format(time.RFC3339))
	case !now.Before(s.CloseAt):
		return fmt.Sprintf(reasonCancelLate, s.CloseAt.Format(time.RFC3339))
	case e.DeletionRequestID != "" && e.DeletionRequestID != s.DeletionRequestID:
		return fmt.Sprintf(reasonCancelOther, s.DeletionRequestID)
	}
	return ""
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
