package session

import (
	"errors"
	"time"
)

// confirmations maps outcomes to confirmations; any other outcome means that the
// attempt failed.
var confirmations = map[Outcome]Confirmation{
	OutcomeClosed:   Closed,
	OutcomeAbsent:   Absent,
	OutcomeReplaced: Replaced,
}

// confirm records that the deletion may end, for the attempt that the report answers
// and no other. It changes no attribute of an index, since each index that shows a
// change costs another write, and two if a key changes. So the lease stays: if the
// table's stream loses the confirmation, cleanup writes to the record when the lease
// ends. confirmWithLease is for a deletion that needs another lease.
func confirm(r Report, c Confirmation, now time.Time) Write {
	w := ifCurrentAttempt(r)
	w.If = append(w.If, is(AttrDueShard, dueShard(r.SessionID)))
	set(&w, AttrConfirmation, c)
	set(&w, AttrConfirmedAt, now)
	w.Remove = []string{AttrStateReason, AttrAttemptFailedAt}
	return w
}

// keepsLease tells whether confirm can confirm the deletion.
func keepsLease(s Session) bool { return s.DueShard == dueShard(s.ID) }

// confirmWithLease is confirm for a deletion that was given up, and so has no lease, or
// that had a grace period, and so has a lease in a shard of those that wait.
func confirmWithLease(r Report, c Confirmation, now time.Time) Write {
	w := ifCurrentAttempt(r)
	set(&w, AttrConfirmation, c)
	set(&w, AttrConfirmedAt, now)
	set(&w, AttrNextAttemptAt, now.Add(Lease))
	set(&w, AttrDueShard, dueShard(r.SessionID))
	w.Remove = []string{AttrStateReason, AttrAttemptFailedAt}
	return w
}

// afterConfirm returns the write for a report when confirm found another lease.
func afterConfirm(r Report, res Result, now time.Time) (Write, bool) {
	c, over := confirmations[r.Outcome]
	s := res.Old.Session()
	open := s.HostID == r.HostID && s.AttemptID == r.AttemptID && (s.State == Deleting || s.State == Unknown) && s.Confirmation == ""
	if !over || !open || !errors.Is(res.Err, ErrCondition) {
		return Write{}, false
	}
	return confirmWithLease(r, c, now), true
}

// failAttempt records why the attempt failed, once. It does not change the lease, which
// says when the next attempt is due.
func failAttempt(r Report, now time.Time) Write {
	w := ifCurrentAttempt(r)
	w.If = append(w.If, is(AttrState, Deleting), missing(AttrAttemptFailedAt))
	set(&w, AttrStateReason, r.Reason)
	set(&w, AttrAttemptFailedAt, now)
	return w
}

// ifCurrentAttempt is the condition that a host's report about an attempt counts: the
// session is its own, the attempt is the current one of a deletion that is open or was
// given up, and nothing is confirmed yet.
func ifCurrentAttempt(r Report) Write {
	return Write{
		SessionID: r.SessionID,
		If: []Condition{
			is(AttrHostID, r.HostID),
			is(AttrAttemptID, r.AttemptID),
			is(AttrState, Deleting, Unknown),
			missing(AttrConfirmation),
		},
		Set: Record{},
	}
}

// rescheduleEarlier makes the next attempt earlier: the host has answered that this one
// failed, so only a pause remains. The pause grows with each attempt.
func rescheduleEarlier(old Record, now time.Time) (Write, bool) {
	s := old.Session()
	pause := min(failedPause<<min(max(s.Attempts-1, 0), 10), maxBackoff)
	next := now.Add(pause)
	if end := tryUntil(s, 0); end.After(s.DeletionRequestedAt) { // else nobody recorded it
		next = nextAttempt(now, pause, end)
	}
	if !next.Before(s.NextAttemptAt) {
		return Write{}, false
	}
	w := Write{
		SessionID: s.ID,
		If:        []Condition{same(old, AttrAttemptID), same(old, AttrNextAttemptAt), exists(AttrAttemptFailedAt)},
		Set:       Record{},
	}
	set(&w, AttrNextAttemptAt, next)
	return w, true
}

// finish ends a confirmed deletion, if it is still the one that was seen.
func finish(seen Record, now time.Time) Write {
	w := Write{
		SessionID: seen.text(AttrSessionID),
		If: []Condition{
			is(AttrState, Deleting, Unknown),
			same(seen, AttrDeletionRequestID),
			same(seen, AttrAttemptID),
			same(seen, AttrConfirmation),
			same(seen, AttrConfirmedAt),
			same(seen, AttrCloseUntil),
		},
		Set: Record{},
	}
	set(&w, AttrState, Deleted)
	set(&w, AttrDeletedAt, now)
	set(&w, AttrExpiresAt, now.Add(KeepDeleted).Unix())
	if _, closing := seen[AttrCloseUntil]; !closing {
		w.Remove = indexKeys
	}
	return w
}

// indexKeys are the keys of the indexes by-lease and by-live-host. A record has them
// until the deletion has ended and its host need not close the session any more.
var indexKeys = []string{AttrNextAttemptAt, AttrDueShard, AttrLiveHostID}
