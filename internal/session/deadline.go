package session

import (
	"context"
	"time"
)

// EndEarlier is ctx, but over that long before: what is left of the time is for
// what has to be done whatever came of the rest. Lambda kills a function at its
// deadline, and what it had only in memory is lost.
func EndEarlier(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-by))
}

// timeFor tells whether ctx has that much time left.
func timeFor(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() == nil && (!ok || time.Until(deadline) > d)
}
