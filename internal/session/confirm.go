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
	now := c.Now()
	writes := make([]Write, len(reports))
	for i, r := range reports {
		switch r.Outcome {
		case OutcomeClosed:
			writes[i] = confirm(r, Closed, now)
		case OutcomeAbsent:
			writes[i] = confirm(r, Absent, now)
		case OutcomeReplaced:
			writes[i] = confirm(r, Replaced, now)
		default:
			if r.Reason == "" {
				r.Reason = string(r.Outcome)
			}
			writes[i] = fail(r, now)
		}
	}
	errs := make([]error, len(reports))
	for i, res := range c.Table.Write(ctx, writes) {
		r := reports[i]
		log := c.Log.With("SessionId", r.SessionID, "HostId", r.HostID, "AttemptId", r.AttemptID, "Outcome", string(r.Outcome))
		switch {
		case res.Err == nil && writes[i].Set[AttrConfirmation] != nil:
			log.Info("deletion confirmed: the record ends next")
		case res.Err == nil:
			log.Warn("attempt failed: tried again when the lease ends", "Reason", r.Reason)
		case errors.Is(res.Err, ErrCondition):
			log.Info("report does not count: another attempt has the word, or the deletion is over")
		default:
			errs[i] = fmt.Errorf("session %s: report %q of host %s: %w", r.SessionID, r.Outcome, r.HostID, res.Err)
		}
	}
	return errs
}

// Failed makes the reports of a host that gave none: its part of the attempt
// has ended in some other way than by running the command.
func (c *Confirmer) Failed(ctx context.Context, hostID, attemptID, reason string) ([]Report, error) {
	records, err := c.Index.OnHost(ctx, hostID)
	if err != nil {
		return nil, fmt.Errorf("host %s: read its sessions: %w", hostID, err)
	}
	var reports []Report
	for _, r := range records {
		if s := r.Session(); s.AttemptID == attemptID && s.Confirmation == "" {
			reports = append(reports, Report{
				HostID: hostID, AttemptID: attemptID, SessionID: s.ID, Outcome: OutcomeFailed, Reason: reason,
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
			log.Info("session deleted", "AfterSeconds", now.Sub(s.DeletionRequestedAt).Seconds())
		case errors.Is(res.Err, ErrCondition):
			log.Info("deletion ended before, or a newer one has begun: nothing to do")
		default:
			errs[at[i]] = fmt.Errorf("session %s: finish: %w", s.ID, res.Err)
		}
	}
	return errs
}
