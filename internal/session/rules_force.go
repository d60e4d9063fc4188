package session

import (
	"errors"
	"fmt"
	"time"
)

// afterForce returns the write for a report on a session that was removed by force and
// that its host was still to close.
func afterForce(r Report, res Result, now time.Time) (Write, bool) {
	s := res.Old.Session()
	if !errors.Is(res.Err, ErrCondition) || s.AttemptID != r.AttemptID || s.HostID != r.HostID || s.CloseUntil.IsZero() {
		return Write{}, false
	}
	if _, over := confirmations[r.Outcome]; over {
		return finishClosing(res.Old, fmt.Sprintf(reasonHostSays, r.Outcome), now), true
	}
	return closeFailed(res.Old, r.withReason(), now), s.AttemptFailedAt.IsZero()
}

// finishClosing ends the closing of a session that was removed by force: its host has
// answered, the session is gone, or the time is over. The session counts as ended at
// this time, so that an earlier inventory does not affect it.
func finishClosing(old Record, reason string, now time.Time) Write {
	w := ifStillClosing(old)
	set(&w, AttrStateReason, removedByForce+reason)
	w.Remove = []string{AttrCloseUntil, AttrAttemptFailedAt}
	if old.Session().State == Deleted {
		set(&w, AttrDeletedAt, now)
		set(&w, AttrExpiresAt, now.Add(KeepDeleted).Unix())
		w.Remove = append(w.Remove, indexKeys...)
	}
	return w
}

// closeFailed records why the attempt to close a session that was removed by force
// failed, as failAttempt does for a deletion.
func closeFailed(old Record, r Report, now time.Time) Write {
	w := ifStillClosing(old)
	w.If = append(w.If, missing(AttrAttemptFailedAt))
	set(&w, AttrStateReason, removedByForce+r.Reason)
	set(&w, AttrAttemptFailedAt, now)
	return w
}

// ifStillClosing is the condition that a session that was removed by force is still to
// be closed, by the same attempt.
func ifStillClosing(old Record) Write {
	return Write{
		SessionID: old.text(AttrSessionID),
		If: []Condition{
			same(old, AttrState),
			same(old, AttrDeletionRequestID),
			same(old, AttrAttemptID),
			exists(AttrCloseUntil),
		},
		Set: Record{},
	}
}
