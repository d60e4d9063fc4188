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

// Apply records each report, and answers each in its place. An error means that it must
// be applied again. A report that does not count (of an earlier attempt, of another
// host's session, the second of its kind) changes nothing and is no error.
func (c *Confirmer) Apply(ctx context.Context, reports []Report) []error {
	errs := make([]error, len(reports))
	lines, write := joinLines(c.Log)
	defer write()
	for i, res := range recordReports(ctx, c.Table, reports, c.Now()) {
		r := reports[i]
		log := lines.With("SessionId", r.SessionID, "HostId", r.HostID, "RequestId", res.Old.text(AttrDeletionRequestID),
			"AttemptId", r.AttemptID, "CommandId", r.CommandID, "Outcome", string(r.Outcome))
		_, over := confirmations[r.Outcome]
		switch {
		case res.Err == nil && over:
			log.Info("deletion confirmed: the record ends next")
		case res.Err == nil:
			log.Warn("attempt failed: it is tried again", "Reason", r.withReason().Reason, "Metric", Count(AttemptsFailed, 1))
		case errors.Is(res.Err, ErrCondition):
			log.Info("report ignored: another attempt is current, or the deletion is over")
		default:
			errs[i] = fmt.Errorf("session %s: report %q of host %s: %w", r.SessionID, r.Outcome, r.HostID, res.Err)
		}
	}
	return errs
}

// Failed returns failed reports for the sessions of an attempt that the host has not
// reported, although its part of the command has ended.
func (c *Confirmer) Failed(ctx context.Context, hostID, attemptID, reason string, given ...Report) ([]Report, error) {
	named := map[string]bool{}
	for _, r := range given {
		named[r.SessionID] = true
	}
	var reports []Report
	for records, err := range onHost(ctx, c.Index, hostID) {
		if err != nil {
			return nil, fmt.Errorf("host %s: read its sessions: %w", hostID, err)
		}
		for _, r := range records {
			if s := r.Session(); s.AttemptID == attemptID && !named[s.ID] && s.unanswered() {
				reports = append(reports, Report{
					HostID: hostID, AttemptID: attemptID, SessionID: s.ID, Outcome: OutcomeUnanswered, Reason: reason,
				})
			}
		}
	}
	return reports, nil
}

// recordReports writes the result of each report, for the attempt that it answers. It
// writes a second time if the first write shows that the session was removed by force,
// that the deletion needs another lease, or that the next attempt can be earlier.
func recordReports(ctx context.Context, table Table, reports []Report, now time.Time) []Result {
	type written struct {
		report      int  // its place
		reschedules bool // it changes no outcome
	}
	results := make([]Result, len(reports))
	var (
		open   []written // of each write
		writes []Write
	)
	for i, r := range reports {
		open = append(open, written{report: i})
		if confirmation, over := confirmations[r.Outcome]; over {
			writes = append(writes, confirm(r, confirmation, now))
		} else {
			writes = append(writes, failAttempt(r.withReason(), now))
		}
	}
	for range 3 { // a record that was removed by force may end in between
		var (
			nextOpen   []written
			nextWrites []Write
		)
		for n, res := range table.Write(ctx, writes) {
			if open[n].reschedules {
				continue
			}
			i := open[n].report
			results[i] = res
			w, ok := afterForce(reports[i], res, now)
			if !ok {
				w, ok = afterConfirm(reports[i], res, now)
			}
			next := written{report: i}
			if !ok && res.Err == nil && reports[i].Outcome == OutcomeFailed {
				w, ok = rescheduleEarlier(res.Old, now)
				next.reschedules = true
			}
			if ok {
				nextOpen, nextWrites = append(nextOpen, next), append(nextWrites, w)
			}
		}
		if open, writes = nextOpen, nextWrites; len(writes) == 0 {
			break
		}
	}
	return results
}

// An Outcome is a host's result for one session that it was asked to close.
type Outcome string

const (
	OutcomeClosed   Outcome = "closed"
	OutcomeAbsent   Outcome = "absent"
	OutcomeReplaced Outcome = "replaced"
	// OutcomeExpired: the command came after its VoidAfter; nothing was done.
	OutcomeExpired Outcome = "expired"
	OutcomeFailed  Outcome = "failed"
	// OutcomeUnanswered: the host did not answer; the command was refused, or could not be
	// delivered or run.
	OutcomeUnanswered Outcome = "unanswered"
	// OutcomeInUse: a session that was to be closed for being idle is in use.
	OutcomeInUse Outcome = "in-use"
	// OutcomeWarned: the users of such a session see when it will be closed.
	OutcomeWarned Outcome = "warned"
)

// A Report is a host's result for one session of an attempt.
type Report struct {
	HostID    string // by the sender of the report, not by its text
	AttemptID string // by the command, not by the host
	SessionID string
	Outcome   Outcome
	Reason    string // why it failed; at most a line
	CommandID string // the command that it answers, for the log
}

// withReason fills in a default reason.
func (r Report) withReason() Report {
	switch {
	case r.Reason != "":
	case r.Outcome == OutcomeExpired:
		r.Reason = reasonVoid
	default:
		r.Reason = string(r.Outcome)
	}
	return r
}
