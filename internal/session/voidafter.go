package session

import (
	"context"
	"math/bits"
	"time"
)

// parts splits closings into attempts of the same ID whose deletions are tried for
// about as long: no command is void in less than half the time that any of its
// deletions has left. A command has one such time, and one old deletion must not
// shorten it for all. at are the places of a part's closings among all.
func (a Attempt) parts(ends []time.Time, now time.Time) (parts []Attempt, at [][]int) {
	of := map[int]int{}
	for i, c := range a.Closings {
		left := bits.Len64(uint64(max(ends[i].Sub(now), 0) / shortestAttempt))
		n, known := of[left]
		if !known {
			n = len(parts)
			of[left] = n
			parts, at = append(parts, Attempt{ID: a.ID}), append(at, nil)
		}
		p := &parts[n]
		p.Closings, at[n] = append(p.Closings, c), append(at[n], i)
		if p.VoidAfter.IsZero() || ends[i].Before(p.VoidAfter) {
			p.VoidAfter = ends[i]
		}
	}
	for n := range parts {
		if a.OnSent != nil {
			parts[n].OnSent = func(closing int, commandID string) { a.OnSent(at[n][closing], commandID) }
		}
	}
	return parts, at
}

// closeParts has the hosts close sessions whose deletions end at those times, and
// answers each closing in its place.
func closeParts(ctx context.Context, closer SessionCloser, a Attempt, ends []time.Time, now time.Time) []error {
	parts, at := a.parts(ends, now)
	errs := make([]error, len(a.Closings))
	for n, part := range parts {
		for closing, err := range closer.Close(ctx, part) {
			errs[at[n][closing]] = err
		}
	}
	return errs
}
