package session

import (
	"context"
	"log/slog"
	"time"
)

// A CancelRequest is a validated batch of cancels.
type CancelRequest struct {
	ID      string // a UUID
	By      string // who asks, for the log
	Entries []CancelEntry
}

// A CancelEntry asks for the deletion of one session to be taken back.
type CancelEntry struct {
	SessionID, Owner string
	// DeletionRequestID is the deletion's own, where not empty: no other is meant.
	DeletionRequestID string
}

// A CancelAnswer is what the caller is told of one entry: the state that the
// session has again, or, if FailureReason is not empty, why nothing was changed.
type CancelAnswer struct {
	SessionID     string
	State         State
	FailureReason string
}

// A Canceller carries out cancels.
type Canceller struct {
	Table    Table
	Getter   Getter
	Notifier Notifier
	Now      func() time.Time
	Log      *slog.Logger
}

// Cancel gives each session the state that it had before its deletion, tells
// whoever was warned, and answers each entry once, in the order of the request.
//
// ErrTableDown means that nothing could be read or written.
func (c *Canceller) Cancel(ctx context.Context, req CancelRequest) ([]CancelAnswer, error) {
	return nil, ErrTableDown
}

// DryRun answers each entry as Cancel would now, and changes nothing.
func (c *Canceller) DryRun(ctx context.Context, req CancelRequest) ([]CancelAnswer, error) {
	return nil, ErrTableDown
}
