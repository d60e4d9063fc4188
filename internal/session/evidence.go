package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// evidence is a fact that ends everything before it: a host that is gone, or an
// inventory without the session.
type evidence struct {
	id           string // a UUID: the attempt of what it ends by itself
	confirmation Confirmation
	reason       string
	before       time.Time // what began earlier is over
	now          time.Time
}

// write writes the ends, and the other writes of the same step.
func (e evidence) write(ctx context.Context, table Table, writes []Write, log *slog.Logger) error {
	_, err := e.writeOrRead(ctx, table, writes, log)
	return err
}

// writeOrRead is write, and also returns the current records of those that have changed.
func (e evidence) writeOrRead(ctx context.Context, table Table, writes []Write, log *slog.Logger) (moved []Record, err error) {
	var errs []error
	for i, res := range table.Write(ctx, writes) {
		w := writes[i]
		was := res.Old.Session()
		requestID, itself := w.Set[AttrDeletionRequestID]
		if !itself {
			requestID = was.DeletionRequestID
		}
		log := log.With("SessionId", w.SessionID, "HostId", was.HostID, "RequestId", requestID)
		switch {
		case res.Err == nil && w.Set[AttrConfirmation] != nil:
			log.Info("session is over: the record ends next", "Confirmation", w.Set[AttrConfirmation], "Reason", e.reason)
		case res.Err == nil:
			log.Info("session updated: its host reports a change")
		case errors.Is(res.Err, ErrCondition):
			moved = append(moved, res.Old)
			log.Debug("record has changed since it was read: nothing to do")
		default:
			errs = append(errs, fmt.Errorf("session %s: %w", w.SessionID, res.Err))
		}
	}
	return moved, errors.Join(errs...)
}
