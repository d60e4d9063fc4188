package runcommand

import (
	"cmp"
	"math/bits"
	"slices"
	"time"

	"dcv-session-broker/internal/session"
)

// A voidPart is closings, by their places, that go into commands which are void at
// the same time.
type voidPart struct {
	closings  []int
	voidAfter time.Time
}

// partsByVoidAfter splits the closings at those places into parts whose deletions
// are tried for about as long: no command is void in less than half the time that
// any of its deletions has left. A command has one such time, and one old deletion
// must not shorten it for all.
func partsByVoidAfter(attempt session.Attempt, which []int) []voidPart {
	ofLeft := map[int]*voidPart{}
	for _, i := range which {
		end := attempt.Closings[i].VoidAfter
		left := bits.Len64(uint64(max(end.Sub(attempt.At), 0) / DeliveryTimeout))
		p := ofLeft[left]
		if p == nil {
			p = &voidPart{}
			ofLeft[left] = p
		}
		p.closings = append(p.closings, i)
		if p.voidAfter.IsZero() || end.Before(p.voidAfter) {
			p.voidAfter = end
		}
	}
	var parts []voidPart
	for _, p := range ofLeft {
		parts = append(parts, *p)
	}
	slices.SortFunc(parts, func(a, b voidPart) int { return cmp.Compare(a.closings[0], b.closings[0]) })
	return parts
}
