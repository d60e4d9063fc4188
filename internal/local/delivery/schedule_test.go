package delivery_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dcv-session-broker/internal/local/delivery"
)

func TestScheduleRunsAgainWhateverBecameOfTheLastRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex
		var runs []string
		s := delivery.Schedule(time.Minute, `{"Task": "deletions"}`, function(func(_ context.Context, input []byte) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			runs = append(runs, time.Since(began).String()+" "+string(input))
			switch len(runs) {
			case 1:
				return nil, errFunction
			case 2:
				panic("out of order")
			}
			return nil, nil
		}), nil)
		time.Sleep(3*time.Minute + time.Second)
		s.Stop()
		time.Sleep(time.Hour)
		want(t, "runs", runs, `1m0s {"Task": "deletions"}`, `2m0s {"Task": "deletions"}`, `3m0s {"Task": "deletions"}`)
	})
}

func TestScheduleDoesNotWaitForTheLastRunButStopDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		s := delivery.Schedule(time.Minute, `{}`, function(func(ctx context.Context, _ []byte) ([]byte, error) {
			g.pass()
			if ctx.Err() != nil {
				t.Error("Stop cut a run short")
			}
			return nil, nil
		}), nil)
		time.Sleep(2*time.Minute + time.Second)
		if g.waiting() != 2 {
			t.Errorf("%d runs at the same time, not 2", g.waiting())
		}
		stopped := stopping(s.Stop)
		for range 2 {
			if stopped() {
				t.Error("stopped before the end of a run")
			}
			g.open <- struct{}{}
		}
		if !stopped() {
			t.Error("not stopped")
		}
	})
}
