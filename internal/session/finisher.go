package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// A Finisher ends confirmed deletions. Nothing else writes DELETED.
type Finisher struct {
	Table Table
	Now   func() time.Time
	Log   *slog.Logger
}

// Finish ends the deletions that the records show as confirmed, and answers each in its
// place. An error means that the record must be delivered again. A record without a
// confirmation, or an old one, changes nothing and is no error.
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
	lines, write := joinLines(f.Log)
	defer write()
	for i, res := range f.Table.Write(ctx, writes) {
		s := seen[at[i]].Session()
		log := lines.With("SessionId", s.ID, "HostId", s.HostID, "RequestId", s.DeletionRequestID, "Confirmation", string(s.Confirmation))
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

// deleted logs the end. If nobody requested the end of a session, the time that it took
// is not measured.
func (f *Finisher) deleted(log *slog.Logger, s Session, now time.Time) {
	after := max(now.Sub(s.ClosingBegan()), 0).Round(time.Millisecond).Seconds()
	line := []any{"AfterSeconds", after, "Attempts", s.Attempts, "RequestedBy", s.DeletionRequestedBy}
	if s.DeletionRequestedBy != requestedByBroker {
		line = append(line, "Metric", Measure(DeletedAfterSeconds, after), "Metric", Measure(AttemptsPerDeletion, float64(s.Attempts)))
	}
	log.Info("session deleted", line...)
}
