package session

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"
)

// nextWrite returns the next write for a due deletion.
func nextWrite(due Record, attemptID string, now time.Time, tryFor time.Duration) Write {
	s := due.Session()
	switch {
	case s.State != Deleting && (s.Confirmation == "" || s.State == Deleted) && s.CloseUntil.IsZero():
		return dropLease(due)
	case !s.unanswered():
		return touch(due, now)
	case s.Waits():
		return whileWaiting(due, attemptID, now, tryFor)
	}
	switch end := tryUntil(s, tryFor); {
	case !now.Before(end) && !s.CloseUntil.IsZero():
		return finishClosing(due, unconfirmed(due, tryFor), now)
	case !now.Before(end):
		return giveUp(due, unconfirmed(due, tryFor), now)
	case end.Sub(now) < shortestAttempt:
		return waitForEnd(due, end)
	default:
		return claim(due, attemptID, now, end)
	}
}

// tryUntil returns when an open deletion is given up, or the closing of a session that
// was removed by force: the time in the record. tryFor is for records of older brokers.
func tryUntil(s Session, tryFor time.Duration) time.Time {
	switch {
	case !s.CloseUntil.IsZero():
		return s.CloseUntil
	case s.TryUntil.After(s.DeletionRequestedAt): // else it is of the deletion before: an older broker has marked this one
		return s.TryUntil
	}
	return s.DeletionRequestedAt.Add(tryFor)
}

// unconfirmed returns why a deletion is given up.
func unconfirmed(due Record, tryFor time.Duration) string {
	s := due.Session()
	tried := tryUntil(s, tryFor).Sub(s.ClosingBegan())
	reason := fmt.Sprintf(reasonUnconfirmed, tried, s.Attempts)
	if last := strings.TrimPrefix(lastReason(due), removedByForce); last != "" {
		reason += " Last: " + last
	}
	return reason
}

// claim gives a due deletion a new attempt: only one claimer's write meets the
// condition. Each lease is longer than the one before, up to maxBackoff, and differs
// between deletions. The last attempt is shortly before the end, when the deletion is
// given up.
func claim(due Record, attemptID string, now, end time.Time) Write {
	s := due.Session()
	w := Write{SessionID: s.ID, If: ifAsSeen(due), Set: Record{}, Remove: []string{AttrAttemptFailedAt}}
	set(&w, AttrAttempts, s.Attempts+1)
	if reason := lastReason(due); reason != "" {
		set(&w, AttrStateReason, reason)
	}
	lease(&w, s.leaseShard(), attemptID, now)
	backoff := min(Lease<<min(max(s.Attempts-1, 0), 10), maxBackoff)
	set(&w, AttrNextAttemptAt, nextAttempt(now, backoff+jitter(s.ID+attemptID, backoff/4), end))
	return w
}

// nextAttempt returns when a deletion is tried again after a pause. A pause that would
// be too long is shortened, so that there is one more attempt shortly before the end,
// in case the host was fixed meanwhile. If no attempt fits, it returns the end.
func nextAttempt(now time.Time, pause time.Duration, end time.Time) time.Time {
	last := end.Add(-Lease)
	switch next := now.Add(pause); {
	case !next.After(last):
		return next
	case last.Sub(now) >= failedPause:
		return last
	}
	return end
}

// lastReason returns why the last attempt failed: the recorded reason, or that it had
// no answer.
func lastReason(due Record) string {
	s := due.Session()
	_, failed := due[AttrAttemptFailedAt]
	reason := fmt.Sprintf(NoAnswer, s.Attempts)
	switch {
	case failed:
		return s.StateReason
	case !s.CloseUntil.IsZero():
		return removedByForce + reason
	}
	return reason
}

const (
	maxBackoff = 10 * time.Minute
	// shortestAttempt is how long before its end a deletion is still tried: a host
	// without problems answers in less time. Cleanup runs each minute, so an attempt
	// that is planned a Lease before the end begins in time.
	shortestAttempt = Lease / 2
)

// jitter returns a part of the duration: always the same part for one text, and evenly
// spread over many texts.
func jitter(text string, over time.Duration) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(text))
	return time.Duration(h.Sum64() % uint64(over))
}

// giveUp ends a deletion that no host has confirmed in time. AttemptId stays, so that a
// later confirmation still counts.
func giveUp(due Record, reason string, now time.Time) Write {
	w := Write{
		SessionID: due.text(AttrSessionID),
		If:        ifAsSeen(due),
		Set:       Record{},
		Remove:    []string{AttrNextAttemptAt, AttrDueShard, AttrAttemptFailedAt},
	}
	set(&w, AttrState, Unknown)
	set(&w, AttrStateReason, reason)
	set(&w, AttrGivenUpAt, now)
	set(&w, AttrExpiresAt, now.Add(KeepUnknown).Unix())
	return w
}

// waitForEnd leaves an open deletion alone until its end.
func waitForEnd(due Record, end time.Time) Write {
	w := Write{SessionID: due.text(AttrSessionID), If: ifAsSeen(due), Set: Record{}}
	set(&w, AttrNextAttemptAt, end)
	if reason := lastReason(due); reason != "" {
		set(&w, AttrStateReason, reason)
	}
	return w
}

// touch changes a confirmed deletion, so that the table's stream shows it again: a
// write that changes nothing makes no stream record.
func touch(due Record, now time.Time) Write {
	w := Write{
		SessionID: due.text(AttrSessionID),
		If: []Condition{
			is(AttrState, Deleting, Unknown),
			same(due, AttrConfirmation),
			same(due, AttrNextAttemptAt),
		},
		Set: Record{},
	}
	set(&w, AttrNextAttemptAt, now.Add(Lease))
	return w
}

// dropLease removes a lease without an open deletion; no rule leaves one.
func dropLease(due Record) Write {
	return Write{
		SessionID: due.text(AttrSessionID),
		If:        ifAsSeen(due),
		Remove:    []string{AttrNextAttemptAt, AttrDueShard},
	}
}

// ifAsSeen is the condition that a due deletion has not changed since it was read: it
// has the same attempt and lease, and has not ended.
func ifAsSeen(due Record) []Condition {
	return []Condition{
		same(due, AttrState),
		same(due, AttrAttemptID),
		same(due, AttrNextAttemptAt),
		same(due, AttrConfirmation),
		same(due, AttrCloseUntil),
	}
}
