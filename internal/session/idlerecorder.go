package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// An IdleReport is a host's answer about its idle sessions.
type IdleReport struct {
	ID       string // the command's, a UUID
	HostID   string
	Sessions []IdleSession
}

// An IdleSession is one decision of a host.
type IdleSession struct {
	NameOnHost, CreationTime string
	// Outcome is OutcomeClosed, OutcomeInUse, OutcomeWarned or OutcomeFailed.
	Outcome                       Outcome
	IdleMinutes, NumOfConnections int64
	Reason                        string
}

// An IdleRecorder records the sessions that hosts have closed because nobody used them.
// There is no mark before: until the host reports a close, the session is READY.
type IdleRecorder struct {
	Table Table
	Index Index
	Now   func() time.Time
	Log   *slog.Logger
}

// Apply records what a host closed. It may be applied again at any time.
func (k *IdleRecorder) Apply(ctx context.Context, report IdleReport) error {
	closed := map[string]IdleSession{}
	for _, s := range report.Sessions {
		k.Log.Info("host checked an idle session", "HostId", report.HostID, "NameOnHost", s.NameOnHost, "Outcome", string(s.Outcome),
			"IdleMinutes", s.IdleMinutes, "Connections", s.NumOfConnections, "Reason", s.Reason)
		if s.Outcome == OutcomeClosed {
			closed[s.NameOnHost] = s
		}
	}
	if len(closed) == 0 {
		return nil
	}
	end := evidence{id: report.ID, confirmation: Closed, now: k.Now()}
	end.before = end.now // the incarnation says which session it was
	var errs []error
	for records, err := range onHost(ctx, k.Index, report.HostID) {
		if err != nil {
			errs = append(errs, fmt.Errorf("host %s: read its sessions: %w", report.HostID, err))
			break
		}
		errs = append(errs, end.write(ctx, k.Table, end.closedIdle(records, closed), k.Log))
	}
	return errors.Join(errs...)
}
