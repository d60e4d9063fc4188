package runcommand

import (
	"cmp"
	"math/bits"
	"slices"
	"time"

	"dcv-session-broker/internal/session"
)

// A voidPart has the indexes of closings whose commands are void at the same time.
type voidPart struct {
	closings  []int
	voidAfter time.Time
}

// partsByVoidAfter splits the closings at those indexes into parts whose deletions are
// tried for about the same time: a command is not void before half of the time that is
// left for any of its deletions. A command has one such time, and one old deletion must
// not shorten it for all.
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
