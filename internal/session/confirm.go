package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// A Confirmer records what hosts report.
type Confirmer struct {
	Table Table
	Index Index
	Now   func() time.Time
	Log   *slog.Logger
}

// Apply records each report, and answers each in its place: an error means that
// it must be applied again. A report that does not count (of an earlier
// attempt, of another host's session, the second of its kind) changes nothing
// and is no error.
func (c *Confirmer) Apply(ctx context.Context, reports []Report) []error {
	errs := make([]error, len(reports))
	for i, res := range recordReports(ctx, c.Table, reports, c.Now()) {
		r := reports[i]
		log := c.Log.With("SessionId", r.SessionID, "HostId", r.HostID, "RequestId", res.Old.text(AttrDeletionRequestID),
			"AttemptId", r.AttemptID, "CommandId", r.CommandID, "Outcome", string(r.Outcome))
		_, over := confirmations[r.Outcome]
		switch {
		case res.Err == nil && over:
			log.Info("deletion confirmed: the record ends next")
		case res.Err == nil:
			log.Warn("attempt failed: it is tried again", "Reason", r.withReason().Reason, "Metric", Count(AttemptsFailed, 1))
		case errors.Is(res.Err, ErrCondition):
			log.Info("report does not count: another attempt has the word, or the deletion is over")
		default:
			errs[i] = fmt.Errorf("session %s: report %q of host %s: %w", r.SessionID, r.Outcome, r.HostID, res.Err)
		}
	}
	return errs
}

// confirmations is what an outcome confirms; the others mean that the attempt
// failed.
var confirmations = map[Outcome]Confirmation{
	OutcomeClosed:   Closed,
	OutcomeAbsent:   Absent,
	OutcomeReplaced: Replaced,
}

// record writes what the reports mean, each for the attempt that it answers. A
// second write follows where the first has shown that the session was removed
// by force, or that the next attempt can be sooner.
func recordReports(ctx context.Context, table Table, reports []Report, now time.Time) []Result {
	type step struct {
		report int
		sooner bool // it changes no outcome
	}
	results := make([]Result, len(reports))
	var (
		steps  []step
		writes []Write
	)
	for i, r := range reports {
		steps = append(steps, step{report: i})
		if confirmation, over := confirmations[r.Outcome]; over {
			writes = append(writes, confirm(r, confirmation, now))
		} else {
			writes = append(writes, failAttempt(r.withReason(), now))
		}
	}
	for range 3 { // a record that was removed by force may end in between
		var (
			nextSteps  []step
			nextWrites []Write
		)
		for n, res := range table.Write(ctx, writes) {
			if steps[n].sooner {
				continue
			}
			i := steps[n].report
			results[i] = res
			w, ok := afterForce(reports[i], res, now)
			next := step{report: i}
			if !ok && res.Err == nil && reports[i].Outcome == OutcomeFailed {
				w, ok = rescheduleEarlier(res.Old, now)
				next.sooner = true
			}
			if ok {
				nextSteps, nextWrites = append(nextSteps, next), append(nextWrites, w)
			}
		}
		if steps, writes = nextSteps, nextWrites; len(writes) == 0 {
			break
		}
	}
	return results
}

// afterForce is what a report means that met a session which was removed by
// force, and which its host was still to close.
func afterForce(r Report, res Result, now time.Time) (Write, bool) {
	s := res.Old.Session()
	if !errors.Is(res.Err, ErrCondition) || s.AttemptID != r.AttemptID || s.HostID != r.HostID || s.CloseUntil.IsZero() {
		return Write{}, false
	}
	if _, over := confirmations[r.Outcome]; over {
		return finishClosing(res.Old, "Its host says: "+string(r.Outcome)+".", now), true
	}
	return closeFailed(res.Old, r.withReason(), now), s.AttemptFailedAt.IsZero()
}

// withReason has a person read why the attempt failed.
func (r Report) withReason() Report {
	switch {
	case r.Reason != "":
	case r.Outcome == OutcomeExpired:
		r.Reason = "The command was void when the host ran it: is its clock ahead?"
	default:
		r.Reason = string(r.Outcome)
	}
	return r
}

// Failed makes the reports that a host should have given, but for those that it
// gave: its part of the attempt has ended in some other way than by running the
// command to its end.
func (c *Confirmer) Failed(ctx context.Context, hostID, attemptID, reason string, given ...Report) ([]Report, error) {
	records, err := c.Index.OnHost(ctx, hostID)
	if err != nil {
		return nil, fmt.Errorf("host %s: read its sessions: %w", hostID, err)
	}
	named := map[string]bool{}
	for _, r := range given {
		named[r.SessionID] = true
	}
	var reports []Report
	for _, r := range records {
		if s := r.Session(); s.AttemptID == attemptID && !named[s.ID] && s.unanswered() {
			reports = append(reports, Report{
				HostID: hostID, AttemptID: attemptID, SessionID: s.ID, Outcome: OutcomeUnanswered, Reason: reason,
			})
		}
	}
	return reports, nil
}

// A Finisher ends what is confirmed. Nothing else writes DELETED.
type Finisher struct {
	Table Table
	Now   func() time.Time
	Log   *slog.Logger
}

// Finish ends the deletions that the records show as confirmed, and answers
// each in its place: an error means that it must be seen again. A record that
// shows none, or is not the newest, changes nothing and is no error.
func (f *Finisher) Finish(ctx context.Context, seen []Record) []error {
	now := f.Now()
	var (
		writes []Write
		at     []int
	)
	for i, r := range seen {
		s := r.Session()
		if s.Confirmation != "" && (s.State == Deleting || s.State == Unknown) {
			writes = append(writes, finish(r, now))
			at = append(at, i)
		}
	}
	errs := make([]error, len(seen))
	for i, res := range f.Table.Write(ctx, writes) {
		s := seen[at[i]].Session()
		log := f.Log.With("SessionId", s.ID, "HostId", s.HostID, "RequestId", s.DeletionRequestID, "Confirmation", string(s.Confirmation))
		switch {
		case res.Err == nil:
			f.deleted(log, s, now)
		case errors.Is(res.Err, ErrCondition):
			log.Info("deletion ended before, or a newer one has begun: nothing to do")
		default:
			errs[at[i]] = fmt.Errorf("session %s: finish: %w", s.ID, res.Err)
		}
	}
	return errs
}

// deleted logs the end. Of sessions that ended without anybody's request it is
// not measured how long that took.
func (f *Finisher) deleted(log *slog.Logger, s Session, now time.Time) {
	after := now.Sub(s.DeletionRequestedAt).Seconds()
	line := []any{"AfterSeconds", after, "Attempts", s.Attempts, "RequestedBy", s.DeletionRequestedBy}
	if s.DeletionRequestedBy != requestedByBroker {
		line = append(line, "Metric", Measure(DeletedAfterSeconds, after), "Metric", Measure(AttemptsPerDeletion, float64(s.Attempts)))
	}
	log.Info("session deleted", line...)
}
