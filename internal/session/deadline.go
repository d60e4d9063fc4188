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

// Share is ctx, but over when one of so many that wait has had its share of the
// time that is left, or the least time that makes sense. What it leaves goes to
// the others.
func Share(ctx context.Context, waiting int, least time.Duration) (context.Context, context.CancelFunc) {
	return Shares(ctx, waiting, 1, least)
}

// Shares is Share for something that has so many of the shares.
func Shares(ctx context.Context, waiting, shares int, least time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, max(time.Until(deadline)/time.Duration(waiting)*time.Duration(shares), least))
}

// roundTime is kept for one round of cleanup's work: a page of records or hosts,
// with its writes, its commands, and a question to EC2.
const roundTime = 20 * time.Second

// timeFor tells whether ctx has that much time left.
func timeFor(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() == nil && (!ok || time.Until(deadline) > d)
}
