package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// A WarningRecorder records hosts' answers to notices.
type WarningRecorder struct {
	Table Table
	Now   func() time.Time
	Log   *slog.Logger
}

// Apply records each warning, and answers each in its place. An error means that it
// must be applied again. These warnings do not count, and change nothing: the deletion
// is over or has another close time; an earlier notice; another host's session.
func (r *WarningRecorder) Apply(ctx context.Context, warnings []Warning) []error {
	errs := make([]error, len(warnings))
	for i, res := range recordWarnings(ctx, r.Table, warnings, r.Now()) {
		answer := warnings[i]
		log := r.Log.With("SessionId", answer.SessionID, "HostId", answer.HostID, "RequestId", res.Old.text(AttrDeletionRequestID),
			"NoticeId", answer.NoticeID, "CommandId", answer.CommandID, "CloseAt", answer.CloseAt, "Outcome", string(answer.Outcome), "Reason", answer.Reason)
		switch {
		case res.Err == nil && answer.Outcome == Warned:
			log.Info("user was warned")
		case res.Err == nil && answer.Outcome == Nobody:
			log.Info("no user was warned: nobody is connected")
		case res.Err == nil:
			log.Warn("user was not warned: cleanup asks the host again")
		case errors.Is(res.Err, ErrCondition):
			log.Info("result of a warning ignored: another attempt is current, or the deletion is over")
		default:
			errs[i] = fmt.Errorf("session %s: %q of host %s: %w", answer.SessionID, answer.Outcome, answer.HostID, res.Err)
		}
	}
	return errs
}

func recordWarnings(ctx context.Context, table Table, warnings []Warning, now time.Time) []Result {
	writes := make([]Write, len(warnings))
	for i, answer := range warnings {
		writes[i] = recordWarning(answer, now)
	}
	return table.Write(ctx, writes)
}
