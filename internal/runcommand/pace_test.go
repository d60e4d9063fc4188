package runcommand

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Promise 11: a large request that is throttled leaves no waiting to the next one.
func TestCallsThatAreNotMadeDelayNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace{pause: maxPause}
		large, stop := context.WithTimeout(t.Context(), 3*time.Second)
		defer stop()
		made := make(chan bool, 20)
		var wg sync.WaitGroup
		for range cap(made) {
			wg.Go(func() {
				if p.wait(large) == nil {
					made <- true
				}
			})
		}
		wg.Wait()
		if len(made) != 3 && len(made) != 4 {
			t.Errorf("%d calls in 3 s", len(made))
		}
		began := time.Now()
		if err := p.wait(t.Context()); err != nil || time.Since(began) > maxPause {
			t.Errorf("the next call waits %v, error %v", time.Since(began), err)
		}
	})
}

// Promise 11: the pause grows while tries are throttled, and ends after calls that are not.
func TestPauseGrowsAndEnds(t *testing.T) {
	var p pace
	for range 20 {
		p.heard(1)
	}
	if p.pause < maxPause*8/10 || p.pause > maxPause {
		t.Errorf("a pause of %v after 20 throttled calls", p.pause)
	}
	for range 40 {
		p.heard(0)
	}
	if p.slowed() {
		t.Errorf("a pause of %v after 40 calls", p.pause)
	}
}
