package session

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// putBackTime is kept from the end of the request's time for putting refused
// sessions back.
const putBackTime = 5 * time.Second

// closeSessions sends the commands of what was recorded. A refused session goes back to
// what it was; anything unclear is left to its lease.
func (d *Deleter) closeSessions(ctx context.Context, req Request, deletions []*deletion, log *slog.Logger) {
	var sent []*deletion
	attempt := Attempt{ID: req.ID, OnSent: func(closing int, commandID string) { sent[closing].commandID = commandID }}
	for _, del := range deletions {
		if del.step == toClose {
			sent = append(sent, del)
			requestedAt := req.At
			if del.seen.State == Deleting && !del.force {
				// Open before: what came up since was not meant. Force begins anew.
				requestedAt = del.seen.DeletionRequestedAt
			}
			attempt.add(del.seen, requestedAt, requestedAt.Add(d.GiveUp))
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

// add adds the closing of a session whose deletion was requested at that time,
// and is tried until end. The command is void as soon as one of its deletions
// would be given up.
func (a *Attempt) add(s Session, requestedAt, end time.Time) {
	a.Closings = append(a.Closings, Closing{
		SessionID:    s.ID,
		NameOnHost:   s.NameOnHost(),
		HostID:       s.HostID,
		CreationTime: s.CreationTime,
		CreatedUntil: requestedAt.Add(CreationTolerance),
	})
	if a.VoidAfter.IsZero() || end.Before(a.VoidAfter) {
		a.VoidAfter = end
	}
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
			writes = append(writes, putBack(del.old, req))
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
