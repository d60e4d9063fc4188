package runcommand

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// A pace puts a pause between the calls of one function while Systems Manager
// throttles: its rates are for the whole account, and not documented. The pause grows
// by half after each throttled try, and shrinks by a tenth after each call. The zero
// value has no pause.
type pace struct {
	mu    sync.Mutex
	pause time.Duration
	next  time.Time // when the next call may be made
}

const (
	minPause = 50 * time.Millisecond // a shorter one is none
	maxPause = time.Second
)

// wait waits until a call may be made. If ctx ends before that, it returns immediately,
// and the call that is not made does not delay later ones.
func (p *pace) wait(ctx context.Context) error {
	p.mu.Lock()
	now := time.Now()
	at := now
	if p.next.After(now) {
		at = p.next
	}
	if deadline, limited := ctx.Deadline(); limited && at.After(deadline) {
		p.mu.Unlock()
		return context.DeadlineExceeded
	}
	p.next = at.Add(p.pause)
	p.mu.Unlock()
	if at.Equal(now) {
		return ctx.Err()
	}
	select {
	case <-time.After(at.Sub(now)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// heard notes how many tries of a call were throttled.
func (p *pace) heard(throttled int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range throttled {
		p.pause = min(max(p.pause*3/2, 2*minPause), maxPause)
	}
	if p.pause = p.pause * 9 / 10; p.pause < minPause {
		p.pause = 0
	}
}

// slowed tells whether Systems Manager throttled one of the last calls.
func (p *pace) slowed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pause > 0
}

// throttledTries counts the tries of a call that are throttled: if the time ends while the
// SDK waits for the next try, its error does not say that they were.
type throttledTries struct {
	aws.Retryer
	n int
}

// count is an option of the call.
func (t *throttledTries) count(opts *ssm.Options) {
	if opts.Retryer != nil {
		t.Retryer, opts.Retryer = opts.Retryer, t
	}
}

// IsErrorRetryable implements aws.Retryer.
func (t *throttledTries) IsErrorRetryable(err error) bool {
	if throttled(err) {
		t.n++
	}
	return t.Retryer.IsErrorRetryable(err)
}

// explain adds ErrThrottled to the call's error.
func (t *throttledTries) explain(err error) error {
	if throttled(err) || t.n > 0 && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrThrottled, err)
	}
	return err
}
