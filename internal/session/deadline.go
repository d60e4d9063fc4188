package session

import (
	"context"
	"time"
)

// EndEarlier returns a context that ends that long before ctx. The rest of the time is
// for work that must always be done: Lambda ends a function at its deadline, and what
// it had only in memory is lost.
func EndEarlier(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-by))
}

// Shares divides the remaining time of ctx by waiting, and returns a context with so
// many shares of it, but with the time least at least. Unused time is left for the
// others.
func Shares(ctx context.Context, waiting, shares int, least time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, max(time.Until(deadline)/time.Duration(waiting)*time.Duration(shares), least))
}

// roundTime is reserved for one round of cleanup: a page of records or hosts, with its
// writes, its commands, and a call of EC2.
const roundTime = 20 * time.Second

// timeFor tells whether ctx has that much time left.
func timeFor(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() == nil && (!ok || time.Until(deadline) > d)
}
