package session_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// choices are the points at which a run can continue in several ways, and the ways that
// it took.
type choices struct {
	taken, limits []int
	next          int
	random        *rand.Rand // nil: as in taken, then always the first
	story         strings.Builder
}

// choose returns one of 0 ... n-1.
func (c *choices) choose(n int) int {
	if c.random != nil {
		return c.random.IntN(n)
	}
	if c.next == len(c.taken) {
		c.taken, c.limits = append(c.taken, 0), append(c.limits, n)
	}
	c.next++
	return c.taken[c.next-1]
}

func (c *choices) note(format string, args ...any) { fmt.Fprintf(&c.story, format+"\n", args...) }

// explore runs f once for every combination of its choices, until it returns what is
// wrong.
func explore(t *testing.T, f func(c *choices) (wrong string)) {
	t.Helper()
	const maxRuns = 100_000
	c := &choices{}
	for runs := 1; ; runs++ {
		if wrong := f(c); wrong != "" {
			t.Fatalf("%s, in the story:\n%s", wrong, c.story.String())
		}
		last := len(c.taken) - 1
		for last >= 0 && c.taken[last] == c.limits[last]-1 {
			last--
		}
		if last < 0 {
			t.Logf("%d stories", runs)
			return
		}
		if runs == maxRuns {
			t.Fatalf("there are more than %d stories", maxRuns)
		}
		c = &choices{taken: c.taken[:last+1], limits: c.limits[:last+1]}
		c.taken[last]++
	}
}

// sample is explore for tests with too many combinations: it runs some of them, always
// the same.
func sample(t *testing.T, stories uint64, f func(c *choices) (wrong string)) {
	t.Helper()
	for seed := range stories {
		c := &choices{random: rand.New(rand.NewPCG(seed, 0))}
		if wrong := f(c); wrong != "" {
			t.Fatalf("%s, in story %d:\n%s", wrong, seed, c.story.String())
		}
	}
}

// concurrently runs the calls, one at a time: each stops at its beginning and wherever it
// calls step, and choose says which continues. After each move, moved is called; ended is
// the call that ended by it, or -1.
func concurrently(choose func(n int) int, moved func(ended int), calls ...func(step func())) {
	type event struct {
		call  int
		ended bool
	}
	var (
		events  = make(chan event)
		resume  = make([]chan struct{}, len(calls))
		waiting []int
	)
	for i, call := range calls {
		resume[i] = make(chan struct{})
		waiting = append(waiting, i)
		go func() {
			<-resume[i]
			call(func() {
				events <- event{i, false}
				<-resume[i]
			})
			events <- event{i, true}
		}()
	}
	for len(waiting) > 0 {
		w := 0
		if len(waiting) > 1 {
			w = choose(len(waiting))
		}
		resume[waiting[w]] <- struct{}{}
		if e := <-events; e.ended {
			waiting = append(waiting[:w:w], waiting[w+1:]...)
			moved(e.call)
		} else {
			moved(-1)
		}
	}
}
