package sim

import (
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A campaign runs many seeds, several at the same time, and adds up their coverage.
type campaign struct {
	began time.Time

	mu      sync.Mutex
	next    int
	stopped bool
	seeds   int
	events  int
	virtual float64 // days: a Duration holds no more than 292 years
	seen    Coverage
	broken  []Outcome
}

func (c *campaign) run(t *testing.T, workers int) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // a run is small and short
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for seed, ok := c.take(); ok; seed, ok = c.take() {
				c.add(Run(t, seed, false))
			}
		})
	}
	working.Wait()
}

// take returns the next seed, unless there is none or a promise is broken.
func (c *campaign) take() (seed uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped || len(c.broken) > 0 || *seeds > 0 && c.next == *seeds {
		return 0, false
	}
	c.next++
	return *from + uint64(c.next-1), true
}

func (c *campaign) add(out Outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seeds++
	c.events += out.Events
	c.virtual += out.Virtual.Hours() / 24
	c.seen.add(out.Coverage)
	if out.Broken != nil {
		c.broken = append(c.broken, out)
	}
}

func (c *campaign) firstBroken() (first Outcome, broken bool) {
	if len(c.broken) == 0 {
		return Outcome{}, false
	}
	return slices.MinFunc(c.broken, func(a, b Outcome) int { return int(a.Seed) - int(b.Seed) }), true
}

// watch prints the progress, and stops the campaign on an interrupt.
func (c *campaign) watch(done chan struct{}, interrupted chan os.Signal) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-interrupted:
			c.mu.Lock()
			c.stopped = true
			c.mu.Unlock()
		case <-tick.C:
			if *progress {
				c.mu.Lock()
				fmt.Println(c.line())
				c.mu.Unlock()
			}
		}
	}
}

func (c *campaign) line() string {
	took := time.Since(c.began)
	seen := func(counts []int) string {
		n := 0
		for _, count := range counts {
			if count > 0 {
				n++
			}
		}
		return fmt.Sprintf("%d of %d", n, len(counts))
	}
	injected := 0
	for _, n := range c.seen.faults {
		injected += n
	}
	return fmt.Sprintf("%d seeds, %d events (%.0f a second), %d faults (%s kinds), %s transitions, %s promises at risk, %.0f virtual days, %s",
		c.seeds, c.events, float64(c.events)/took.Seconds(), injected, seen(c.seen.faults[:]), seen(c.seen.transitions[:]), seen(c.seen.premises[1:]),
		c.virtual, took.Round(time.Second))
}

// summary lists how often each fault, transition and promise at risk was seen.
func (c *campaign) summary() string {
	var b strings.Builder
	for f, n := range c.seen.faults {
		fmt.Fprintf(&b, "%12d  fault: %s\n", n, faultNames[f])
	}
	for tr, n := range c.seen.transitions {
		fmt.Fprintf(&b, "%12d  transition: %s\n", n, transitionNames[tr])
	}
	for d, n := range c.seen.effects {
		fmt.Fprintf(&b, "%12d  %s\n", n, effectNames[d])
	}
	for of, n := range c.seen.bounds {
		fmt.Fprintf(&b, "%12d  bound at risk: %s\n", n, boundNames[of])
	}
	for _, name := range slices.Sorted(maps.Keys(c.seen.ran)) {
		fmt.Fprintf(&b, "%12d  runs of %s\n", c.seen.ran[name], name)
	}
	for p, n := range c.seen.premises {
		if p > 0 {
			fmt.Fprintf(&b, "%12d  promise %d at risk: %s\n", n, p, promiseNames[p])
		}
	}
	return b.String()
}
