package deletion

import (
	"context"
	"time"
)

// A Waiter looks at deletions until all have ended or the time-out has passed.
type Waiter struct {
	Deleter  *Deleter
	Progress *Progress
	// Timeout counts from the latest close time.
	Timeout time.Duration
	// Pause is the wait between the first looks; later waits are longer.
	Pause time.Duration
	Now   func() time.Time
}

// maxPause is the longest wait between two looks, each of which costs the stack some calls.
const maxPause = 10 * time.Second

// Wait returns when no item is open, or with timedOut when the time-out has passed. It waits longer if a close time turns
// out to be later than was known.
func (w *Waiter) Wait(ctx context.Context, items []*Item) (timedOut bool, err error) {
	defer w.Progress.Finish()
	began := w.Now()
	for pause := w.Pause; ; pause = min(pause*5/4, maxPause) {
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

// Later returns the later of two times.
func Later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Sleep waits until the time has passed or the context ends.
func Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
