package session

import (
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"
)

// stepWrite returns the write of the deletion's next step.
func stepWrite(del *deletion, req Request, mode ForceMode, giveUp time.Duration) Write {
	switch {
	case del.step == toRepeat:
		return repeat(del.seen, req)
	case del.step == toClaim:
		return claimFailed(del.seen, req)
	case del.step == toBringForward && del.GracePeriod == 0:
		return closeNow(*del, req, giveUp)
	case del.step == toBringForward:
		return bringForward(*del, req)
	case del.Force && mode == BestEffort:
		return markForced(*del, req, req.At.Add(giveUp))
	case del.Force:
		return markForced(*del, req, time.Time{})
	case del.GracePeriod > 0:
		return markWaiting(*del, req)
	}
	return mark(*del, req, req.At.Add(giveUp))
}

// deletionAttrs are all attributes that a deletion can leave in a record, from its mark
// to its end: every attribute that a rule sets is here, or belongs to a session's
// listing. A mark sets some of them and removes the others. A put-back restores the old
// value of each that the mark set or removed.
var deletionAttrs = []string{
	AttrState, AttrStateReason,
	AttrDeletionRequestedAt, AttrDeletionRequestID, AttrDeletionRequestedBy, AttrForce, AttrRepeatedAt,
	AttrAttemptID, AttrAttempts, AttrAttemptedAt, AttrAttemptFailedAt,
	AttrNextAttemptAt, AttrDueShard, AttrTryUntil,
	AttrConfirmation, AttrConfirmedAt, AttrCloseUntil,
	AttrGivenUpAt, AttrDeletedAt, AttrExpiresAt,
	AttrDeletionReason, AttrCloseAt, AttrClosingSince, AttrStateBefore, AttrMessage,
	AttrNoticeID, AttrWarnedAt, AttrWarning,
}

// cancelAttrs are kept after the deletion. They show that a write belongs to a request
// from before a cancel, or that a notice is older than another, however late these are.
// Marks and listing again keep them.
var cancelAttrs = []string{AttrCancelledAt, AttrCancelledBy, AttrNoticeAt}

// requestedByBroker is the DeletionRequestedBy of ends without a request.
const requestedByBroker = "dcv-session-broker"

// removeRest removes the attributes of a deletion that the write does not set.
func removeRest(w *Write) {
	w.Remove = slices.Grow(w.Remove, len(deletionAttrs))
	for _, attr := range deletionAttrs {
		if _, stays := w.Set[attr]; !stays {
			w.Remove = append(w.Remove, attr)
		}
	}
}

// callerName returns the caller's name for the record. Clients may choose their names:
// a name like the broker's, or a rule's, is changed, so that it is not taken for these.
// The same applies to a name that looks like a changed one.
func callerName(name string) string {
	const caller = "caller "
	if name == requestedByBroker || strings.HasPrefix(name, requestedByRule) || strings.HasPrefix(name, caller) {
		return caller + name
	}
	return name
}

// mark begins the deletion of a session that lives. The attempt is named after the
// request. tryUntil is the last time at which a command of this deletion is valid:
// later changes of the settings do not change it.
func mark(d deletion, req Request, tryUntil time.Time) Write {
	w := d.ifMeant(req, Ready, Creating, Unknown)
	w.If = append(w.If, missing(AttrConfirmation)) // given up and then confirmed: it is ending
	set(&w, AttrTryUntil, tryUntil)
	begin(&w, d, req)
	set(&w, AttrNextAttemptAt, nextAttempt(req.At, Lease, tryUntil))
	return w
}

// markForced ends a session's record. Mark and confirmation are one write, so that no
// crash can leave one without the other. It also replaces an open deletion. With
// closeUntil the host is still asked to close the session. An existing closeUntil is
// kept, so that repeats do not postpone its end.
func markForced(d deletion, req Request, closeUntil time.Time) Write {
	w := d.ifMeant(req, Ready, Creating, Unknown, Deleting)
	set(&w, AttrConfirmation, Forced)
	set(&w, AttrConfirmedAt, req.At)
	if !closeUntil.IsZero() {
		set(&w, AttrCloseUntil, closeUntil)
		w.If = append(w.If, missing(AttrCloseUntil))
	}
	begin(&w, d, req)
	return w
}

// ifMeant is the condition that the session is the one that the entry means, in one
// of these states, and that nobody has cancelled its deletion since the request.
func (del deletion) ifMeant(req Request, states ...any) Write {
	w := Write{
		SessionID: del.SessionID,
		If:        []Condition{is(AttrOwner, del.Owner), is(AttrState, states...), before(AttrCancelledAt, req.At)},
		Set:       make(Record, 14), // what a mark sets, without growing
	}
	if del.HostID != "" {
		w.If = append(w.If, is(AttrHostID, del.HostID))
	}
	switch {
	case del.CreationTime == "":
	case sameCreation(del.seen.CreationTime, del.CreationTime): // as hosts compare; the first write compares exact text
		w.If = append(w.If, is(AttrCreationTime, del.seen.CreationTime))
	default:
		w.If = append(w.If, is(AttrCreationTime, del.CreationTime))
	}
	return w
}

// begin begins the deletion with its first attempt.
func begin(w *Write, d deletion, req Request) {
	set(w, AttrAttempts, 1)
	lease(w, dueShard(d.SessionID), req.ID, req.At)
	beginRequested(w, d, req)
}

// beginRequested sets what each mark sets, and removes the rest of an earlier deletion:
// all that the write does not set until then.
func beginRequested(w *Write, d deletion, req Request) {
	set(w, AttrState, Deleting)
	set(w, AttrDeletionRequestedAt, req.At)
	set(w, AttrDeletionRequestID, req.ID)
	set(w, AttrDeletionRequestedBy, req.By)
	set(w, AttrForce, d.Force)
	setText(w, AttrDeletionReason, d.Reason)
	removeRest(w)
}

// putBack removes the request's own mark: the record is as before. It has no effect
// after another request was answered that the deletion is under way, or after the
// deletion has ended.
func putBack(mark Write, old Record, req Request) Write {
	w := Write{
		SessionID: old.text(AttrSessionID),
		If: []Condition{
			is(AttrState, Deleting),
			is(AttrDeletionRequestID, req.ID),
			is(AttrAttemptID, mark.Set[AttrAttemptID]),
			missing(AttrConfirmation),
			missing(AttrRepeatedAt),
		},
		Set: Record{},
	}
	for _, attr := range mark.changes() {
		v, had := old[attr]
		switch {
		case slices.Contains(cancelAttrs, attr): // it orders notices
		case had:
			w.Set[attr] = v
		default:
			w.Remove = append(w.Remove, attr)
		}
	}
	return w
}

// repeat records that another request was answered that this deletion is under way.
// After that, the request that began it cannot put it back.
func repeat(open Session, req Request) Write {
	w := Write{
		SessionID: open.ID,
		If: []Condition{
			is(AttrOwner, open.Owner),
			is(AttrState, Deleting),
			is(AttrDeletionRequestID, open.DeletionRequestID),
			before(AttrCancelledAt, req.At),
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
	lease(&w, open.leaseShard(), req.ID, req.At)
	w.Remove = []string{AttrAttemptFailedAt}
	return w
}

// claimable tells whether a repeated request may try again now: the last attempt has
// failed, some time ago, and a whole lease fits before the deletion is given up.
func claimable(open Session, now time.Time, tryFor time.Duration) bool {
	return !open.Waits() && open.Confirmation == "" && !open.AttemptFailedAt.IsZero() &&
		!now.Before(open.AttemptedAt.Add(RepeatPause)) &&
		!now.Add(Lease).After(tryUntil(open, tryFor))
}

// lease makes the attempt of that name the current one.
func lease(w *Write, shard, attemptID string, now time.Time) {
	set(w, AttrAttemptID, attemptID)
	set(w, AttrAttemptedAt, now)
	set(w, AttrNextAttemptAt, now.Add(Lease))
	set(w, AttrDueShard, shard)
}

// dueShards spread the index of leases over several partitions.
const dueShards = 4

// Shards are all shards of the index of leases.
func Shards() (all []string) {
	for n := range dueShards {
		shard := strconv.Itoa(n)
		all = append(all, shard, waitingPrefix+shard)
	}
	return all
}

func dueShard(sessionID string) string {
	h := fnv.New32a()
	h.Write([]byte(sessionID))
	return strconv.Itoa(int(h.Sum32() % dueShards))
}
