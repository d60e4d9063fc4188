package runcommand

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
)

// A pace keeps the calls of one function apart for as long as Systems Manager throttles:
// its rates are for the whole account, and documented nowhere. The pause before a call is
// half as long again after each try that is throttled, and a tenth shorter after each call. The
// zero value has no pause. Calls at the same time do not know of each other.
type pace struct {
	mu    sync.Mutex
	pause time.Duration
}

const (
	minPause = 50 * time.Millisecond // a shorter one is none
	maxPause = time.Second
)

// wait waits for the pause.
func (p *pace) wait(ctx context.Context) error {
	p.mu.Lock()
	pause := p.pause
	p.mu.Unlock()
	if pause == 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(pause):
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

// throttledTries is how many of the tries that the SDK made of a call were throttled.
func throttledTries(of middleware.Metadata) (n int) {
	tries, _ := retry.GetAttemptResults(of)
	for _, try := range tries.Results {
		if throttled(try.Err) {
			n++
		}
	}
	return n
}
