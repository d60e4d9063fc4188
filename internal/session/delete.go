package session

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// A Request is a validated batch of entries.
type Request struct {
	ID      string // a UUID; also the name of the attempt that it begins
	By      string // who asks, for the record
	At      time.Time
	Entries []Entry
}

// An Entry asks for one session to be deleted.
type Entry struct {
	SessionID string
	Owner     string
	// Force ends the session's record at once; the Deleter's ForceMode says
	// whether its host is asked.
	Force bool
}

// A ForceMode says what else a forced entry does than to end the record.
type ForceMode string

const (
	// Purge: nothing. A session that still runs is listed again.
	Purge ForceMode = "purge"
	// BestEffort: its host is to close it, and that is tried until it answers
	// or the time to give up; meanwhile it is not listed again.
	BestEffort ForceMode = "best-effort"
)

// An Answer is what the caller is told of one entry: DELETING, or, if
// FailureReason is not empty, why nothing was done.
type Answer struct {
	SessionID     string
	FailureReason string
}

// What callers read. NotFound is Session Manager's own sentence, to the letter:
// clients compare it. It also answers for a session of somebody else.
const (
	NotFound = "The requested dcvSession does not exist"

	reasonNotRecorded = "The deletion could not be recorded, and nothing was changed. Repeat the call."
	reasonUnclear     = "It is not certain that the deletion was recorded. Repeat the call: repeating is harmless."
	reasonRefused     = " Nothing was changed. Repeat the call when the host is back, or set Force to true to remove the session without its host."
)

// ErrTableDown is returned when the table answered for none of the entries.
var ErrTableDown = errors.New("the sessions table took none of the entries")

// A Deleter carries out requests.
type Deleter struct {
	Table  Table
	Closer SessionCloser
	// GiveUp is how long after its request a deletion is tried.
	GiveUp    time.Duration
	ForceMode ForceMode
	Log       *slog.Logger
}

// answerTime is kept from the end of the request's time for the answer: without
// one the caller gets the gateway's, which says neither what was done nor when to
// come again.
const answerTime = 2 * time.Second

// Delete marks the sessions as DELETING, has their hosts close them, and
// answers each entry once, in the order of the request. What it answers as
// DELETING is in the table with a lease, so that whatever happens next the
// deletion goes on; what it answers with a reason is as it was before.
//
// ErrTableDown means that nothing could be recorded: the caller should repeat
// the whole request.
func (d *Deleter) Delete(ctx context.Context, req Request) ([]Answer, error) {
	ctx, cancel := EndEarlier(ctx, answerTime)
	defer cancel()
	log := d.Log.With("RequestId", req.ID)
	deletions, ofEntry := group(req.Entries)

	d.writeMarks(ctx, req, deletions)
	d.closeSessions(ctx, req, deletions, log)

	tableDown := len(deletions) > 0
	for _, del := range deletions {
		tableDown = tableDown && (errors.Is(del.cause, ErrNotWritten) || errors.Is(del.cause, ErrUnclear))
		del.log(log, req.By)
	}
	if tableDown {
		return nil, ErrTableDown
	}
	answers := make([]Answer, len(req.Entries))
	for i, e := range req.Entries {
		answers[i] = Answer{SessionID: e.SessionID, FailureReason: ofEntry[i].reason}
	}
	return answers, nil
}

// A deletion is all entries of a request with the same session and owner, and
// how far it has come.
type deletion struct {
	sessionID, owner string
	force            bool

	step   step
	seen   Session // the record, as the last write found it
	old    Record  // the record before our mark, if we made one and know it
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
			del = &deletion{sessionID: e.SessionID, owner: e.Owner}
			known[k] = del
			all = append(all, del)
		}
		del.force = del.force || e.Force
		ofEntry = append(ofEntry, del)
	}
	return all, ofEntry
}

// maxRounds bounds how often a deletion is written again because the record
// was changed by others, or the answer was lost, between two writes.
const maxRounds = 5

// writeMarks brings every deletion into the table, or fails it.
func (d *Deleter) writeMarks(ctx context.Context, req Request, deletions []*deletion) {
	for range maxRounds {
		var (
			open   []*deletion
			writes []Write
		)
		for _, del := range deletions {
			if del.step < toClose {
				open = append(open, del)
				writes = append(writes, d.nextWrite(del, req))
			}
		}
		if len(open) == 0 {
			return
		}
		for i, res := range d.Table.Write(ctx, writes) {
			d.applyResult(open[i], res, req)
		}
	}
	for _, del := range deletions {
		if del.step < toClose {
			del.fail(reasonUnclear, errors.New("the record kept changing"))
		}
	}
}

func (d *Deleter) nextWrite(del *deletion, req Request) Write {
	switch {
	case del.step == toRepeat:
		return repeat(del.seen, req)
	case del.step == toClaim:
		return claimFailed(del.seen, req)
	case del.force && d.ForceMode == BestEffort:
		return markForced(*del, req, req.At.Add(d.GiveUp))
	case del.force:
		return markForced(*del, req, time.Time{})
	}
	w := mark(*del, req)
	if d.GiveUp < Lease { // as only a system to try things with has it
		set(&w, AttrNextAttemptAt, req.At.Add(d.GiveUp))
	}
	return w
}

// applyResult decides what the answer to a write means for the deletion.
func (d *Deleter) applyResult(del *deletion, res Result, req Request) {
	if res.Old != nil {
		del.seen = res.Old.Session()
	}
	del.mayLand = del.mayLand || del.step == toMark && res.mayLand()
	switch {
	case res.Err == nil:
		d.accepted(del, res.Old)
	case errors.Is(res.Err, ErrCondition):
		del.unclear = 0
		del.refusedByRecord(res.Old != nil, req, d.GiveUp)
	case errors.Is(res.Err, ErrUnclear) && del.unclear == 0:
		del.unclear++ // written once more, and judged by the request's ID
	case errors.Is(res.Err, ErrUnclear) || del.unclear > 0:
		del.fail(reasonUnclear, res.Err)
	default:
		del.fail(reasonNotRecorded, res.Err)
	}
}

func (d *Deleter) accepted(del *deletion, old Record) {
	switch {
	case del.step == toRepeat, del.force && d.ForceMode != BestEffort:
		del.step = done
	case del.step == toMark && !del.force:
		del.old = old
		del.step = toClose
	default:
		del.step = toClose
	}
}

// refusedByRecord is called when the record, now in seen, did not meet the
// condition of the write.
func (del *deletion) refusedByRecord(exists bool, req Request, giveUp time.Duration) {
	s := del.seen
	ours := s.DeletionRequestID == req.ID || s.AttemptID == req.ID
	toBeClosed := s.State == Deleting && s.Confirmation == "" && !del.force || !s.CloseUntil.IsZero()
	switch {
	case !exists || s.Owner != del.owner:
		del.fail(NotFound, nil)
	case ours && toBeClosed:
		// Our own write, whose first answer was lost. What the record was
		// before is lost too, so it cannot be put back.
		del.step = toClose
	case ours:
		del.step = done
	case s.givenUpAndConfirmed() && !del.force:
		del.step = done
	case s.State.lives():
		del.step = toMark // changed since we looked: put back, or listed again
	case s.State != Deleting:
		del.fail(NotFound, nil)
	case s.Confirmation != "":
		del.step = done // it is ending; what its host is still to close has a lease
	case del.force:
		del.step = toMark
	case claimable(s, req.At, giveUp):
		del.step = toClaim
	case s.RepeatedAt.IsZero():
		del.step = toRepeat
	default:
		del.step = done
	}
}

// givenUpAndConfirmed: a deletion that was given up, and is confirmed; the stream ends it.
func (s Session) givenUpAndConfirmed() bool { return s.State == Unknown && s.Confirmation != "" }

func (del *deletion) fail(reason string, cause error) {
	if del.mayLand {
		reason = reasonUnclear
	}
	del.step, del.reason, del.cause = done, reason, cause
}

func (del *deletion) log(log *slog.Logger, requestedBy string) {
	log = log.With("SessionId", del.sessionID, "HostId", del.seen.HostID, "Owner", del.owner, "RequestedBy", requestedBy)
	accepted, forced := Count(DeletionsAccepted, 1), 0
	if del.force {
		forced = 1
	}
	switch refusal := (*Refusal)(nil); {
	case del.reason == "" && del.force && del.cause == nil:
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
