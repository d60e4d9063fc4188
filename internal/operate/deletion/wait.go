package deletion

import (
	"context"
	"time"
)

// A Waiter looks at deletions until all have ended, or too much time has gone by.
type Waiter struct {
	Deleter  *Deleter
	Progress *Progress
	// Timeout counts from the latest close time.
	Timeout time.Duration
	// Pause is between the first looks; later ones are further apart.
	Pause time.Duration
	Now   func() time.Time
}

// slowest is how far apart looks become: each costs the stack some calls.
const slowest = 10 * time.Second

// Wait returns when no item is open any more, or, with timedOut, when it is too late. An item may stay open for longer than the
// time-out if its close time is later than was known.
func (w *Waiter) Wait(ctx context.Context, items []*Item) (timedOut bool, err error) {
	defer w.Progress.Finish()
	began := w.Now()
	for pause := w.Pause; ; pause = min(pause*5/4, slowest) {
		if err := w.Deleter.Look(ctx, items); err != nil {
			return false, err
		}
		w.Progress.Show(items)
		if Count(items, Open) == 0 {
			return false, nil
		}
		if w.Now().After(Later(began, LatestClose(items)).Add(w.Timeout)) {
			return true, nil
		}
		if err := Sleep(ctx, pause); err != nil {
			return false, err
		}
	}
}

// Later is the later of two times.
func Later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Sleep waits, unless the context ends before.
func Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
