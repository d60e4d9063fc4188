package session

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// A deletion is all entries of a request with the same session and owner, and their
// state.
type deletion struct {
	Entry

	step   step
	seen   Session // the record, as the last write found it
	is     Session // the record, as our write left it
	mark   Write   // ours, if we made one and know the record before it
	old    Record  // the record before our mark
	reason string  // why it failed, for the caller
	cause  error   // the same, for the log

	unclear int // writes without an answer, in a row
	// mayLand is true if a mark, or an earlier close time, had no answer: it may still
	// change the session later.
	mayLand   bool
	ordered   bool   // a command for its host had to be sent
	commandID string // of the one that was sent
	// wasWaiting is the record of a waiting deletion that a forced one has replaced.
	wasWaiting *Session
}

// errNotAsAsked means that the deletion was cancelled since, or a precondition fails.
var errNotAsAsked = errors.New("the session is not as the entry says")

// A step is what a deletion needs next.
type step int

const (
	toMark         step = iota // the session lives, as far as is known
	toRepeat                   // it is being deleted; note that the caller was answered so
	toClaim                    // it is being deleted, and the last attempt failed
	toBringForward             // it waits for its close time, which must be moved to an earlier one
	toSend                     // recorded; its host must be sent a close command or a notice
	done                       // DELETING, or failed with a reason
)

// group makes one deletion of all entries with the same session and owner: it
// is forced if any of them is. The second result has each entry's deletion.
func group(entries []Entry) (all, ofEntry []*deletion) {
	type key struct{ sessionID, owner string }
	known := make(map[key]*deletion, len(entries))
	for _, e := range entries {
		k := key{e.SessionID, e.Owner}
		del := known[k]
		if del == nil {
			del = &deletion{Entry: e}
			known[k] = del
			all = append(all, del)
		}
		del.Force = del.Force || e.Force
		del.AsksCloseAt = del.AsksCloseAt || e.AsksCloseAt
		if del.Force {
			del.GracePeriod, del.Message = 0, ""
		}
		ofEntry = append(ofEntry, del)
	}
	return all, ofEntry
}

// refusedByRecord decides what follows when the record, now in seen, did not meet the
// condition of the write.
func (del *deletion) refusedByRecord(exists bool, req Request, giveUp time.Duration) {
	s := del.seen
	ours := s.DeletionRequestID == req.ID || s.AttemptID == req.ID
	toBeClosed := s.State == Deleting && s.Confirmation == "" && !del.Force || !s.CloseUntil.IsZero()
	switch {
	case !exists || s.Owner != del.Owner:
		del.fail(NotFound, nil)
	case ours && toBeClosed && s.sendable(req.ID, del.GracePeriod):
		// Our own write, whose first answer was lost. The record before it is not known, so
		// it cannot be put back.
		del.step, del.is = toSend, s
	case ours:
		del.step, del.is = done, s
	case !s.State.lives() && s.State != Deleting:
		del.fail(NotFound, nil)
	case del.notAsAsked(req) != "":
		del.fail(del.notAsAsked(req), errNotAsAsked)
	case s.givenUpAndConfirmed() && !del.Force:
		del.step = done
	case s.State.lives():
		del.step = toMark // changed since we looked: put back, or listed again
	case s.Confirmation != "":
		del.step = done // it is ending; if its host still has to close it there is a lease
	case del.Force:
		del.step = toMark
	case del.earlierThan(s, req):
		del.step = toBringForward
	case claimable(s, req.At, giveUp):
		del.step = toClaim
	case s.RepeatedAt.IsZero():
		del.step = toRepeat
	default:
		del.step = done
	}
	if del.step == done && del.reason == "" {
		del.is = s
	}
}

// sendable tells whether a request must still send the command of its own open
// deletion. It must not if cleanup has sent a newer notice, or has begun to close a
// deletion that the request marked to wait.
func (s Session) sendable(requestID string, gracePeriod time.Duration) bool {
	if s.Waits() {
		return s.NoticeID == noticeAttempt(requestID)
	}
	return gracePeriod == 0
}

// earlierThan tells whether the entry asks for an earlier close time than that of the
// open deletion.
func (del *deletion) earlierThan(open Session, req Request) bool {
	return open.Waits() && (del.GracePeriod == 0 || req.At.Add(del.GracePeriod).Before(open.CloseAt))
}

// notAsAsked returns the reason if the deletion was cancelled since the request, or if
// a precondition fails.
func (del *deletion) notAsAsked(req Request) (reason string) {
	switch s := del.seen; {
	case !s.CancelledAt.Before(req.At) && !s.CancelledAt.IsZero():
		return reasonCancelledSince
	case del.HostID != "" && s.HostID != del.HostID:
		return fmt.Sprintf(reasonOtherHost, cmp.Or(s.HostID, noneRecorded), del.HostID)
	case del.CreationTime != "" && !sameCreation(s.CreationTime, del.CreationTime):
		return fmt.Sprintf(reasonOtherIncarnation, cmp.Or(s.CreationTime, "an unknown time"), del.CreationTime)
	}
	return ""
}

// OtherSession tells whether the reason is that a precondition failed: the session is
// not the one that the caller has seen.
func OtherSession(reason string) bool {
	for _, text := range []string{reasonOtherHost, reasonOtherIncarnation} {
		if before, _, _ := strings.Cut(text, "%"); strings.HasPrefix(reason, before) {
			return true
		}
	}
	return false
}

// predict sets the step and the CloseAt that the deletion's writes would lead to:
// toSend if a refusal of its host would put the mark back. An open deletion is never
// put back, and a forced one does not depend on a host's answer.
func (del *deletion) predict(req Request) {
	switch s := del.seen; {
	case del.step == done:
	case !s.State.lives() && s.State != Deleting:
		del.fail(NotFound, nil)
	case del.notAsAsked(req) != "":
		del.fail(del.notAsAsked(req), errNotAsAsked)
	case s.State.lives() && !del.Force && !s.givenUpAndConfirmed():
		del.step = toSend
		if del.GracePeriod > 0 {
			del.is.CloseAt = req.At.Add(del.GracePeriod)
		}
	case del.Force:
		del.step = done
	case del.earlierThan(s, req):
		del.step, del.is.CloseAt = done, earlier(s.CloseAt, req.At.Add(del.GracePeriod))
	default:
		del.step, del.is = done, s
	}
}

func (del *deletion) fail(reason string, cause error) {
	if del.mayLand {
		reason = reasonUnclear
	}
	del.step, del.reason, del.cause = done, reason, cause
}

func (del *deletion) log(log *slog.Logger, requestedBy string) {
	log = log.With("SessionId", del.SessionID, "HostId", del.seen.HostID, "Owner", del.Owner, "RequestedBy", requestedBy)
	if del.Reason != "" {
		log = log.With("DeletionReason", del.Reason)
	}
	accepted, forced := Count(DeletionsAccepted, 1), 0
	if del.Force {
		forced = 1
	}
	switch refusal := (*Refusal)(nil); {
	case del.reason == "" && del.Force && del.cause == nil:
		log.Info("deletion forced: the record ends immediately", "CommandId", del.commandID, "Metric", accepted, "Metric", Count(DeletionsForced, forced))
	case del.reason == "" && del.cause != nil:
		log.Warn("deletion accepted, but its command was not accepted: cleanup sends it again when the lease ends", "Cause", del.cause,
			"Metric", accepted, "Metric", Count(DeletionsForced, forced), "Metric", Count(AttemptsFailed, 1))
	case del.reason == "" && del.ordered && del.is.Waits():
		log.Info("deletion accepted: it waits for its close time", "CloseAt", del.is.CloseAt, "CommandId", del.commandID, "Metric", accepted)
	case del.reason == "" && !del.ordered:
		log.Info("deletion was accepted before: it continues", "Metric", accepted)
	case del.reason == "":
		log.Info("deletion accepted: waiting for the host's answer", "CommandId", del.commandID, "Metric", accepted)
	case del.cause == nil:
		log.Info("entry refused: the owner has no such session", "Metric", CountBy(EntriesRefused, RefusedNoSuchSession))
	case errors.Is(del.cause, errNotAsAsked) && !del.mayLand:
		log.Info("entry refused: the record does not match the request", "Reason", del.reason, "Metric", CountBy(EntriesRefused, RefusedNotAsAsked))
	case errors.As(del.cause, &refusal):
		log.Warn("entry refused: the caller must repeat it when the host is back, or force it", "Cause", del.cause,
			"Metric", CountBy(EntriesRefused, RefusedByHost), "Metric", Count(HostsUnreachable, 1))
	default:
		log.Warn("entry failed: the caller must repeat it", "Cause", del.cause, "Metric", CountBy(EntriesRefused, RefusedNotRecorded))
	}
}
