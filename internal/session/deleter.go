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
	// Force ends the session's record immediately; the Deleter's ForceMode says
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
	// GiveUp is how long after its request a deletion of now on is tried.
	GiveUp    time.Duration
	ForceMode ForceMode
	Log       *slog.Logger
}

// answerTime is kept from the end of the request's time for the answer: without
// one the caller gets the gateway's, which says neither what was done nor when to
// come again.
const answerTime = 2 * time.Second

// putBackTime is kept from the end of the request's time for putting refused
// sessions back.
const putBackTime = 5 * time.Second

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
	req.By = callerName(req.By)
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
				writes = append(writes, stepWrite(del, req, d.ForceMode, d.GiveUp))
			}
		}
		if len(open) == 0 {
			return
		}
		for i, res := range d.Table.Write(ctx, writes) {
			d.applyResult(open[i], writes[i], res, req)
		}
	}
	for _, del := range deletions {
		if del.step < toClose {
			del.fail(reasonUnclear, errors.New("the record kept changing"))
		}
	}
}

// applyResult decides what the answer to a write means for the deletion.
func (d *Deleter) applyResult(del *deletion, w Write, res Result, req Request) {
	if res.Old != nil {
		del.seen = res.Old.Session()
	}
	del.mayLand = del.mayLand || del.step == toMark && res.mayLand()
	switch {
	case res.Err == nil:
		d.accepted(del, w, res.Old)
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

func (d *Deleter) accepted(del *deletion, w Write, old Record) {
	switch {
	case del.step == toRepeat, del.force && d.ForceMode != BestEffort:
		del.step = done
	case del.step == toMark && !del.force:
		del.mark, del.old = w, old
		del.step = toClose
	default:
		del.step = toClose
	}
}

// closeSessions sends the commands of what was recorded. A refused session goes back to
// what it was; anything unclear is left to its lease.
func (d *Deleter) closeSessions(ctx context.Context, req Request, deletions []*deletion, log *slog.Logger) {
	var sent []*deletion
	attempt := Attempt{ID: req.ID, OnSent: func(closing int, commandID string) { sent[closing].commandID = commandID }}
	for _, del := range deletions {
		if del.step == toClose {
			sent = append(sent, del)
			requestedAt, until := req.At, req.At.Add(d.GiveUp)
			if del.seen.State == Deleting && !del.force {
				// Open before: what came up since was not meant. Force begins again.
				requestedAt, until = del.seen.DeletionRequestedAt, tryUntil(del.seen, d.GiveUp)
			}
			attempt.add(del.seen, requestedAt, until)
		}
	}
	if len(sent) == 0 {
		return
	}
	sendCtx, cancel := EndEarlier(ctx, putBackTime)
	defer cancel()

	var refused []*deletion
	for i, err := range d.Closer.Close(sendCtx, attempt) {
		del := sent[i]
		del.step, del.cause, del.ordered = done, err, true
		if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
			refused = append(refused, del)
		}
	}
	refused = d.putBackRefused(ctx, req, refused)
	d.recordRefusals(ctx, req, refused, log)
}

// putBackRefused undoes the marks of refused deletions and fails them. It returns
// those that go on: not begun by this request, relied upon by another, or ones
// whose mark the table did not let go.
func (d *Deleter) putBackRefused(ctx context.Context, req Request, refused []*deletion) (goOn []*deletion) {
	var open []*deletion
	for _, del := range refused {
		if del.old == nil {
			goOn = append(goOn, del)
		} else {
			del.unclear = 0
			open = append(open, del)
		}
	}
	for range maxRounds {
		if len(open) == 0 {
			return goOn
		}
		var writes []Write
		for _, del := range open {
			writes = append(writes, putBack(del.mark, del.old, req))
		}
		var again []*deletion
		for i, res := range d.Table.Write(ctx, writes) {
			del := open[i]
			switch {
			case res.Err == nil, errors.Is(res.Err, ErrCondition) && alreadyPutBack(res.Old, req):
				del.fail(refusalReason(del.cause), del.cause)
			case errors.Is(res.Err, ErrCondition):
				goOn = append(goOn, del)
			default:
				if errors.Is(res.Err, ErrUnclear) {
					del.unclear++
				}
				again = append(again, del)
			}
		}
		open = again
	}
	for _, del := range open {
		if del.unclear > 0 {
			del.fail(reasonUnclear, del.cause)
		} else {
			goOn = append(goOn, del)
		}
	}
	return goOn
}

// alreadyPutBack tells whether the record that did not meet the put-back's condition
// shows that the put-back was done already, and only its answer lost: nothing
// of the request is left in it. What stands there instead may be another
// request's mark. That one is not ours to answer for, since it may be put back
// as well, unless it is ending.
func alreadyPutBack(now Record, req Request) bool {
	s := now.Session()
	confirmed := !s.State.lives() && s.Confirmation != ""
	return now != nil && s.DeletionRequestID != req.ID && !confirmed
}

// recordRefusals records the reason in deletions that go on, so that whoever
// looks, or repeats the request, knows.
func (d *Deleter) recordRefusals(ctx context.Context, req Request, refused []*deletion, log *slog.Logger) {
	if len(refused) == 0 {
		return
	}
	var reports []Report
	for _, del := range refused {
		refusal := (*Refusal)(nil)
		errors.As(del.cause, &refusal)
		reports = append(reports, refusal.report(req.ID, del.seen.HostID, del.sessionID))
	}
	for i, res := range recordReports(ctx, d.Table, reports, req.At) {
		if res.Err != nil && !errors.Is(res.Err, ErrCondition) {
			log.Warn("a refusal was not noted in the record; its lease still stands",
				"SessionId", refused[i].sessionID, "Cause", res.Err)
		}
	}
}

func refusalReason(cause error) string {
	refusal := (*Refusal)(nil)
	errors.As(cause, &refusal)
	host := refusal.HostID
	if host == "" {
		host = "(none is recorded)"
	}
	return "The session's host " + host + " " + refusal.Reason + "." + reasonRefused
}
