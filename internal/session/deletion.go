package session

import (
	"hash/fnv"
	"strconv"
	"time"
)

const (
	// Lease is how long an attempt has the word: long enough for its command
	// to be delivered and to run (DeliveryTimeout plus the close document's
	// own time-out), so that when the lease ends no host still works on it.
	Lease = 2 * time.Minute

	// failedPause is the least time between an attempt that its host says has
	// failed, and the next one; it doubles from attempt to attempt.
	failedPause = 30 * time.Second

	// RepeatPause is the least time between two attempts that callers bring
	// about by repeating a request.
	RepeatPause = 10 * time.Second

	// KeepDeleted is how long a DELETED record can be looked at.
	KeepDeleted = 48 * time.Hour

	// KeepUnknown is how long a record is kept whose host is not heard of.
	KeepUnknown = 30 * 24 * time.Hour

	// MaxIDBytes bounds a session's ID and its owner, in bytes of UTF-8. DCV's
	// own IDs have at most 128 characters; a listed ID may have a host's ID
	// behind it.
	MaxIDBytes = 256

	// CreationTolerance is how much later than the request a session may have
	// been created, by its host's clock, and still be taken for the one that
	// was meant, where no incarnation was recorded. Hosts that keep time are
	// off by milliseconds; five seconds forgive one that keeps it badly, and
	// are less than it takes to log out and get a new console session.
	CreationTolerance = 5 * time.Second

	dueShards = 4
)

// Everything that a mark writes, and everything of an earlier deletion that it
// takes away. A put-back gives each of them its old value.
var deletionAttrs = []string{
	AttrState, AttrStateReason,
	AttrDeletionRequestedAt, AttrDeletionRequestID, AttrDeletionRequestedBy, AttrForce, AttrRepeatedAt,
	AttrAttemptID, AttrAttempts, AttrAttemptedAt, AttrAttemptFailedAt,
	AttrNextAttemptAt, AttrDueShard,
	AttrConfirmation, AttrConfirmedAt, AttrCloseUntil,
	AttrGivenUpAt, AttrDeletedAt, AttrExpiresAt,
}

// mark begins the deletion of a session that lives. The attempt is named after
// the request.
func mark(d deletion, req Request) Write {
	w := Write{
		SessionID: d.sessionID,
		If: []Condition{
			is(AttrOwner, d.owner),
			is(AttrState, Ready, Creating, Unknown),
			missing(AttrConfirmation), // given up and then confirmed: it is ending
		},
		Set: Record{},
	}
	begin(&w, d, req)
	return w
}

// markForced ends a session by decree: mark and confirmation in one write, so
// that no crash can leave one without the other. It also takes over a deletion
// that is still open. With closeUntil its host is to close it all the same; what
// is to be closed already stays as it is, or repeats would put off its end.
func markForced(d deletion, req Request, closeUntil time.Time) Write {
	w := Write{
		SessionID: d.sessionID,
		If: []Condition{
			is(AttrOwner, d.owner),
			is(AttrState, Ready, Creating, Unknown, Deleting),
		},
		Set: Record{},
	}
	set(&w, AttrConfirmation, Forced)
	set(&w, AttrConfirmedAt, req.At)
	if !closeUntil.IsZero() {
		set(&w, AttrCloseUntil, closeUntil)
		w.If = append(w.If, missing(AttrCloseUntil))
	}
	begin(&w, d, req)
	return w
}

// begin sets what a mark sets, and removes the rest of an earlier deletion: all
// that the write does not set by now.
func begin(w *Write, d deletion, req Request) {
	set(w, AttrState, Deleting)
	set(w, AttrDeletionRequestedAt, req.At)
	set(w, AttrDeletionRequestID, req.ID)
	set(w, AttrDeletionRequestedBy, req.By)
	set(w, AttrForce, d.force)
	set(w, AttrAttempts, 1)
	lease(w, d.sessionID, req.ID, req.At)
	for _, attr := range deletionAttrs {
		if _, stays := w.Set[attr]; !stays {
			w.Remove = append(w.Remove, attr)
		}
	}
}

// lease gives the word to the attempt of that name.
func lease(w *Write, sessionID, attemptID string, now time.Time) {
	set(w, AttrAttemptID, attemptID)
	set(w, AttrAttemptedAt, now)
	set(w, AttrNextAttemptAt, now.Add(Lease))
	set(w, AttrDueShard, dueShard(sessionID))
}

func dueShard(sessionID string) string {
	h := fnv.New32a()
	h.Write([]byte(sessionID))
	return strconv.Itoa(int(h.Sum32() % dueShards))
}

// putBack undoes the request's own mark: the record is again what it was. Not
// once somebody else relies on the deletion, or it is over.
func putBack(old Record, req Request) Write {
	w := Write{
		SessionID: old.text(AttrSessionID),
		If: []Condition{
			is(AttrState, Deleting),
			is(AttrAttemptID, req.ID),
			missing(AttrConfirmation),
			missing(AttrRepeatedAt),
		},
		Set: Record{},
	}
	for _, attr := range deletionAttrs {
		if v, had := old[attr]; had {
			w.Set[attr] = v
		} else {
			w.Remove = append(w.Remove, attr)
		}
	}
	return w
}

// repeat notes that another request was told of this open deletion, so that
// the one that began it cannot take it back any more.
func repeat(open Session, req Request) Write {
	w := Write{
		SessionID: open.ID,
		If: []Condition{
			is(AttrOwner, open.Owner),
			is(AttrState, Deleting),
			is(AttrDeletionRequestID, open.DeletionRequestID),
		},
		Set: Record{},
	}
	set(&w, AttrRepeatedAt, req.At)
	return w
}

// claimFailed gives an open deletion whose last attempt failed a new attempt,
// named after the request that asks for it.
func claimFailed(open Session, req Request) Write {
	w := repeat(open, req)
	w.If = append(w.If, is(AttrAttemptID, open.AttemptID), exists(AttrAttemptFailedAt), missing(AttrConfirmation))
	set(&w, AttrAttempts, open.Attempts+1)
	lease(&w, open.ID, req.ID, req.At)
	w.Remove = []string{AttrAttemptFailedAt}
	return w
}

// claimable tells whether a repeated request may try again now: the last
// attempt has failed, some time ago, and another one has its whole lease before
// the deletion is given up. One command serves many deletions and is void when
// the first of them is over: a last-minute attempt would spoil those of others.
func claimable(open Session, now time.Time, giveUp time.Duration) bool {
	return open.Confirmation == "" && !open.AttemptFailedAt.IsZero() &&
		!now.Before(open.AttemptedAt.Add(RepeatPause)) &&
		!now.Add(Lease).After(open.DeletionRequestedAt.Add(giveUp))
}

// confirm records that the deletion may end, for the attempt that the report
// answers and no other. A deletion that was given up is still confirmed. The
// lease goes on: should the table's stream lose the confirmation, cleanup
// shows it again.
func confirm(r Report, c Confirmation, now time.Time) Write {
	w := ifCurrentAttempt(r)
	set(&w, AttrConfirmation, c)
	set(&w, AttrConfirmedAt, now)
	set(&w, AttrNextAttemptAt, now.Add(Lease))
	set(&w, AttrDueShard, dueShard(r.SessionID))
	w.Remove = []string{AttrStateReason, AttrAttemptFailedAt}
	return w
}

// failAttempt records why the attempt failed, once. Its lease stays as it is: it says
// when the next attempt is due.
func failAttempt(r Report, now time.Time) Write {
	w := ifCurrentAttempt(r)
	w.If = append(w.If, is(AttrState, Deleting), missing(AttrAttemptFailedAt))
	set(&w, AttrStateReason, r.Reason)
	set(&w, AttrAttemptFailedAt, now)
	return w
}

// ifCurrentAttempt is the condition that a host's word about an attempt counts: the
// session is its own, the attempt is the current one of a deletion that is
// open or was given up, and nothing is confirmed yet.
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

// indexKeys are what keeps a record in the indexes due and by-host: until the
// deletion has ended, and its host need not close the session any more.
var indexKeys = []string{AttrNextAttemptAt, AttrDueShard, AttrLiveHostID}

// removedByForce begins what is told of such a session.
const removedByForce = "Removed by force. "

// finishClosing ends the closing of a session that was removed by force: its host has
// answered, or there is nothing left to close, or no time left. Only now it
// has ended: an inventory that was sent before says nothing of it.
func finishClosing(old Record, reason string, now time.Time) Write {
	w := ifStillClosing(old)
	set(&w, AttrStateReason, removedByForce+reason)
	w.Remove = []string{AttrCloseUntil, AttrAttemptFailedAt}
	if old.Session().State == Deleted {
		set(&w, AttrDeletedAt, now)
		w.Remove = append(w.Remove, indexKeys...)
	}
	return w
}

// closeFailed records why the attempt to close a session that was removed by
// force failed, as failAttempt does of a deletion.
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

// rescheduleEarlier brings the next attempt forward: the host has answered that this one
// failed, so nothing is waited for but a pause, longer from attempt to attempt.
func rescheduleEarlier(old Record, now time.Time) (Write, bool) {
	s := old.Session()
	next := now.Add(min(failedPause<<min(max(s.Attempts-1, 0), 10), maxBackoff))
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

// same is the condition that an attribute is as it was seen, there or not.
func same(seen Record, attr string) Condition {
	if v, ok := seen[attr]; ok {
		return is(attr, v)
	}
	return missing(attr)
}

func set(w *Write, attr string, v any) { w.Set[attr] = value(v) }
