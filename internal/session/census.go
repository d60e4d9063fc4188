package session

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"
)

// A Census counts what is open, for the operator.
type Census struct {
	Index OpenIndex
	Now   func() time.Time
	Log   *slog.Logger
}

// censusPage is how many records of a lane are counted: work for an operator's
// numbers must not grow with the trouble that they show. Beyond it they mean "or
// more".
const censusPage = 1000

// Take counts the deletions that have not ended, and tells how long ago the
// oldest was requested. Every one of them has a lease, and so is in the index:
// a query for each of its lanes, and half a read unit while nothing is open. The
// closing of what was removed by force is not counted: its record has ended.
func (c *Census) Take(ctx context.Context) error {
	now := c.Now()
	open, oldest := 0, now
	for lane := range dueLanes {
		records, err := c.Index.Open(ctx, strconv.Itoa(lane), censusPage)
		if err != nil {
			return fmt.Errorf("count the open deletions: %w", err)
		}
		for _, r := range records {
			if s := r.Session(); s.State == Deleting || s.ending() {
				open++
				if s.DeletionRequestedAt.Before(oldest) {
					oldest = s.DeletionRequestedAt
				}
			}
		}
	}
	age := now.Sub(oldest).Seconds()
	c.Log.Debug("open deletions counted", "Open", open, "OldestSeconds", age,
		"Metric", Measure(OpenDeletions, float64(open)), "Metric", Measure(OldestOpenDeletionSeconds, age))
	return nil
}
