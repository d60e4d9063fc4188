package session

import (
	"errors"
	"log/slog"
	"time"
)

// A deletion is all entries of a request with the same session and owner, and
// how far it has come.
type deletion struct {
	Entry

	step   step
	seen   Session // the record, as the last write found it
	is     Session // the record, as our write left it
	mark   Write   // ours, if we made one and know what was there before
	old    Record  // the record before our mark
	reason string  // why it failed, for the caller
	cause  error   // the same, for the log

	unclear int // writes without an answer, in a row
	// mayLand: a mark had no answer, so that nobody can say of the session that
	// nothing was changed: the mark may land after all that follows.
	mayLand   bool
	ordered   bool   // its host was to be sent a command
	commandID string // of the one that was sent
}

// A step is what a deletion needs next.
type step int

const (
	toMark   step = iota // the session lives, as far as is known
	toRepeat             // it is being deleted; note that we rely on that
	toClaim              // it is being deleted, and the last attempt failed
	toClose              // recorded; its host is to close it
	done                 // DELETING, or failed with a reason
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

// refusedByRecord is called when the record, now in seen, did not meet the
// condition of the write.
func (del *deletion) refusedByRecord(exists bool, req Request, giveUp time.Duration) {
	s := del.seen
	ours := s.DeletionRequestID == req.ID || s.AttemptID == req.ID
	toBeClosed := s.State == Deleting && s.Confirmation == "" && !del.Force || !s.CloseUntil.IsZero()
	switch {
	case !exists || s.Owner != del.Owner:
		del.fail(NotFound, nil)
	case ours && toBeClosed:
		// Our own write, whose first answer was lost. What the record was
		// before is lost too, so it cannot be put back.
		del.step = toClose
	case ours:
		del.step = done
	case s.givenUpAndConfirmed() && !del.Force:
		del.step = done
	case s.State.lives():
		del.step = toMark // changed since we looked: put back, or listed again
	case s.State != Deleting:
		del.fail(NotFound, nil)
	case s.Confirmation != "":
		del.step = done // it is ending; what its host is still to close has a lease
	case del.Force:
		del.step = toMark
	case claimable(s, req.At, giveUp):
		del.step = toClaim
	case s.RepeatedAt.IsZero():
		del.step = toRepeat
	default:
		del.step = done
	}
}

// predict is what the deletion's writes would come to: toClose where a refusal
// of its host would take the mark back. An open deletion is never taken back,
// and a forced one asks nobody, or does not depend on the answer.
func (del *deletion) predict() {
	switch {
	case del.step == done:
	case del.seen.State.lives() && !del.Force && !del.seen.givenUpAndConfirmed():
		del.step = toClose
	case del.seen.State.lives(), del.seen.State == Deleting:
		del.step = done
	default:
		del.fail(NotFound, nil)
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
	accepted, forced := Count(DeletionsAccepted, 1), 0
	if del.Force {
		forced = 1
	}
	switch refusal := (*Refusal)(nil); {
	case del.reason == "" && del.Force && del.cause == nil:
		log.Info("deletion forced: the record ends at once", "CommandId", del.commandID, "Metric", accepted, "Metric", Count(DeletionsForced, forced))
	case del.reason == "" && del.cause != nil:
		log.Warn("deletion accepted, but its command was not: tried again when the lease ends", "Cause", del.cause,
			"Metric", accepted, "Metric", Count(DeletionsForced, forced), "Metric", Count(AttemptsFailed, 1))
	case del.reason == "" && !del.ordered:
		log.Info("deletion was accepted before: it goes on", "Metric", accepted)
	case del.reason == "":
		log.Info("deletion accepted: waiting for the host's answer", "CommandId", del.commandID, "Metric", accepted)
	case del.cause == nil:
		log.Info("entry refused: no such session of that owner", "Metric", CountBy(EntriesRefused, RefusedNoSuchSession))
	case errors.As(del.cause, &refusal):
		log.Warn("entry refused: the caller is to repeat it when the host is back, or to force it", "Cause", del.cause,
			"Metric", CountBy(EntriesRefused, RefusedByHost), "Metric", Count(HostsUnreachable, 1))
	default:
		log.Warn("entry failed: the caller is to repeat it", "Cause", del.cause, "Metric", CountBy(EntriesRefused, RefusedNotRecorded))
	}
}
