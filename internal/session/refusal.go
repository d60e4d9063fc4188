package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// A Refusal means that no command was, or will be, sent to a host.
type Refusal struct {
	HostID string
	// Reason is for the caller of the API: a clause of reasons.go about the host, such
	// as NotConnected.
	Reason string
	// Err is the cause, for the log.
	Err error
}

func (r *Refusal) Error() string {
	if r.Err == nil {
		return "host " + r.HostID + " " + r.Reason
	}
	return "host " + r.HostID + " " + r.Reason + ": " + r.Err.Error()
}

func (r *Refusal) Unwrap() error { return r.Err }

// report returns the refusal as the outcome of an attempt.
func (r *Refusal) report(attemptID, hostID, sessionID string) Report {
	return Report{
		HostID: hostID, AttemptID: attemptID, SessionID: sessionID,
		Outcome: OutcomeUnanswered, Reason: fmt.Sprintf(reasonHostRefused, r.Reason),
	}
}

// warning returns the refusal as the result of the session's notice.
func (r *Refusal) warning(s Session) Warning {
	return Warning{
		HostID: s.HostID, NoticeID: s.NoticeID, SessionID: s.ID, CloseAt: s.CloseAt,
		Outcome: NotWarned, Reason: fmt.Sprintf(reasonHostRefused, r.Reason),
	}
}

// recordRefusedNotices records why users were not told. It fails no attempt: cleanup
// sends the notice again.
func recordRefusedNotices(ctx context.Context, table Table, warnings []Warning, now time.Time, log *slog.Logger) {
	for i, res := range recordWarnings(ctx, table, warnings, now) {
		if res.Err != nil && !errors.Is(res.Err, ErrCondition) {
			log.Warn("failed to record why users were not warned", "SessionId", warnings[i].SessionID, "Cause", res.Err)
		}
	}
}

// putBackRefused removes the marks of refused deletions and fails them. It returns the
// deletions that go on: those that this request did not begin, that another request
// repeated, or whose mark could not be removed.
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
				now := res.Old.Session() // another request may have changed the close time
				del.is.CloseAt, del.is.Confirmation = now.CloseAt, now.Confirmation
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

// alreadyPutBack tells whether the put-back was done already, and only its answer was
// lost: then the record, which did not meet the condition of the put-back, has nothing
// of the request. It may have the mark of another request instead. This request must
// not answer DELETING for that one, which may be put back, too, unless it is ending.
// A request for an earlier close time has its ID in the record, but continues the
// deletion that this request began, and nobody puts it back.
func alreadyPutBack(now Record, req Request) bool {
	s := now.Session()
	confirmed := !s.State.lives() && s.Confirmation != ""
	takenOver := s.State == Deleting && s.DeletionRequestedAt.Equal(req.At) && !s.RepeatedAt.IsZero()
	return now != nil && s.DeletionRequestID != req.ID && !confirmed && !takenOver
}

// recordRefusals records refusals as the reasons of deletions that go on.
func recordRefusals(ctx context.Context, table Table, refusals []Report, now time.Time, log *slog.Logger) {
	for i, res := range recordReports(ctx, table, refusals, now) {
		if res.Err != nil && !errors.Is(res.Err, ErrCondition) {
			log.Warn("failed to record that Systems Manager refused the host: cleanup tries again when the lease ends", "SessionId", refusals[i].SessionID, "Cause", res.Err)
		}
	}
}

func refusalReason(cause error) string {
	refusal := (*Refusal)(nil)
	errors.As(cause, &refusal)
	return fmt.Sprintf(reasonRefused, cmp.Or(refusal.HostID, noneRecorded), refusal.Reason)
}

const noneRecorded = "(none is recorded)"
