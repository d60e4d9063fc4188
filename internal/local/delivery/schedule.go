package delivery

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A Scheduler simulates EventBridge Scheduler for one schedule: it invokes a function
// repeatedly with the same input. As there, a run does not wait for the one before it.
type Scheduler struct {
	loop loop
	runs sync.WaitGroup
}

// Schedule begins to invoke the function, for the first time after one interval.
func Schedule(every time.Duration, input string, function *Function, log *slog.Logger) *Scheduler {
	s := &Scheduler{}
	s.loop.start(func(ctx context.Context) {
		for s.loop.sleep(ctx, every) {
			s.runs.Go(func() {
				if _, err := function.Invoke(context.WithoutCancel(ctx), []byte(input)); err != nil {
					orDiscard(log).Warn("scheduled run failed: the next one is on schedule", "Function", function.Name, "Input", input, "Cause", err)
				}
			})
		}
	})
	return s
}

// Stop ends the schedule after the runs under way.
func (s *Scheduler) Stop() {
	s.loop.stop()
	s.runs.Wait()
}
