package session

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// A Request is a validated batch of entries.
type Request struct {
	ID      string    // a UUID; also the name of the attempt that it begins
	By      string    // who asks, for the record
	At      time.Time // by a Clock
	Entries []Entry
}

// An Entry asks for the deletion of one session.
type Entry struct {
	SessionID string
	Owner     string
	// Force ends the session's record immediately; the Deleter's ForceMode says
	// whether its host is asked.
	Force bool

	// GracePeriod is the time between the mark and the close, in which the user is
	// warned and the deletion can be cancelled; 0 for none, as with Force.
	GracePeriod time.Duration
	// Message is what the user is shown, next to the broker's line; "" for that alone.
	Message string
	// Reason is why the session is ended, for people and the audit trail.
	Reason string
	// HostID and CreationTime, if not empty, are preconditions.
	HostID, CreationTime string
	// AsksCloseAt: the answer says when closing begins.
	AsksCloseAt bool
}

// A ForceMode says what a forced entry does in addition to ending the record.
type ForceMode string

const (
	// Purge: nothing. A session that still runs is listed again.
	Purge ForceMode = "purge"
	// BestEffort: the host is asked to close the session until it answers or until the
	// give-up time. Until then the session is not listed again.
	BestEffort ForceMode = "best-effort"
)

// An Answer is the answer to one entry: DELETING, or, if FailureReason is not empty,
// why nothing was done.
type Answer struct {
	SessionID     string
	FailureReason string
	// CloseAt is when closing begins, where the entry asks for it and the deletion
	// has, or had, a grace period.
	CloseAt time.Time
}

// ErrTableDown is returned when the table answered for none of the entries.
var ErrTableDown = errors.New("the sessions table accepted none of the entries")

// A Deleter carries out requests.
type Deleter struct {
	Table    Table
	Closer   SessionCloser
	Notifier Notifier
	// GiveUp is how long new deletions are tried after their first close attempt.
	GiveUp    time.Duration
	ForceMode ForceMode
	// RefusedHosts notes refused hosts, about which cleanup asks EC2. A client of EC2
	// here would make every cold start longer.
	RefusedHosts RefusedHostNotes
	Log          *slog.Logger
}

// answerTime is reserved at the end of the request's time for the answer. Otherwise the
// caller gets an answer of the gateway, which does not say what was done or when to
// repeat.
const answerTime = 2 * time.Second

// putBackTime is reserved at the end of the request's time for putting refused sessions
// back.
const putBackTime = 5 * time.Second

// Delete marks the sessions as DELETING, sends their hosts close commands, and answers
// each entry once, in the order of the request. An entry answered as DELETING is in the
// table with a lease, so the deletion goes on whatever happens next. An entry answered
// with a reason has changed nothing.
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
	d.send(ctx, req, deletions, log)

	tableDown := len(deletions) > 0
	log, write := joinLines(log)
	for _, del := range deletions {
		tableDown = tableDown && (errors.Is(del.cause, ErrNotWritten) || errors.Is(del.cause, ErrUnclear))
		del.log(log, req.By)
	}
	write()
	if tableDown {
		return nil, ErrTableDown
	}
	answers := make([]Answer, len(req.Entries))
	for i, e := range req.Entries {
		answers[i] = ofEntry[i].answer(e)
	}
	return answers, nil
}

// maxRounds bounds how many times a deletion is written, since another writer changed
// the record or an answer was lost.
const maxRounds = 5

// writeMarks writes every deletion to the table, or fails it.
func (d *Deleter) writeMarks(ctx context.Context, req Request, deletions []*deletion) {
	for range maxRounds {
		var (
			open   = make([]*deletion, 0, len(deletions))
			writes = make([]Write, 0, len(deletions))
		)
		for _, del := range deletions {
			if del.step < toSend {
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
		if del.step < toSend {
			del.fail(reasonUnclear, errors.New("the record kept changing"))
		}
	}
}

// applyResult decides what the answer to a write means for the deletion.
func (d *Deleter) applyResult(del *deletion, w Write, res Result, req Request) {
	if res.Old != nil {
		del.seen = res.Old.Session()
	}
	del.mayLand = del.mayLand || (del.step == toMark || del.step == toBringForward) && res.mayLand()
	switch {
	case res.Err == nil:
		d.accepted(del, w, res.Old)
	case errors.Is(res.Err, ErrCondition):
		del.unclear = 0
		del.refusedByRecord(res.Old != nil, req, d.GiveUp)
	case errors.Is(res.Err, ErrUnclear) && del.unclear == 0:
		del.unclear++ // it is written once more; the request's ID shows whose write landed
	case errors.Is(res.Err, ErrUnclear) || del.unclear > 0:
		del.fail(reasonUnclear, res.Err)
	default:
		del.fail(reasonNotRecorded, res.Err)
	}
}

func (d *Deleter) accepted(del *deletion, w Write, old Record) {
	del.is = w.after(old).Session()
	switch {
	case del.step == toRepeat:
		del.step = done
	case del.Force && d.ForceMode != BestEffort:
		if del.seen.Waits() {
			was := del.seen
			del.wasWaiting = &was
		}
		del.step = done
	case del.step == toMark && !del.Force:
		del.mark, del.old = w, old
		del.step = toSend
	default:
		del.step = toSend
	}
}

// SessionCloser closes sessions on the fleet's hosts.
type SessionCloser interface {
	// Close sends the hosts the close commands of one attempt. The results are in the
	// order of the closings:
	//
	//   - nil: the command was accepted; a Report will follow, or nothing will.
	//   - a *Refusal: no command was sent to that host, and none will be.
	//   - any other error: unclear; the command may run or not.
	Close(ctx context.Context, attempt Attempt) []error
}

// An Attempt is one try to close sessions on their hosts.
type Attempt struct {
	// ID is part of the command where hosts cannot change it, and comes back with each
	// Report.
	ID string
	// At is when it is made.
	At       time.Time
	Closings []Closing
	// OnSent, if set, receives the index of each closing whose command was accepted, and
	// the command's ID, for the log. It may be called in parallel.
	OnSent func(closing int, commandID string)
}

// A Closing asks a host to close one session.
type Closing struct {
	Incarnation
	// VoidAfter is when the deletion ends by itself. A host that gets the command later
	// does nothing.
	VoidAfter time.Time
}

// add adds the closing of a session, from its record after the attempt's write. A
// session that started after the request is not closed. tryFor is for records of older
// brokers.
func (a *Attempt) add(s Session, tryFor time.Duration) {
	a.Closings = append(a.Closings, Closing{Incarnation: s.incarnation(), VoidAfter: tryUntil(s, tryFor)})
}
