package session

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// An OpenDeletionGauge measures the open deletions, for the operator.
type OpenDeletionGauge struct {
	Index OpenIndex
	Now   func() time.Time
	Log   *slog.Logger
}

// gaugePage is how many records of a shard are counted, so that the work does not grow
// with the backlog. At this number the values mean "or more".
const gaugePage = 1000

// Publish counts the deletions that have not ended, and measures how long ago the
// closing of the oldest began. Every open deletion has a lease, and so is in the index:
// Publish queries each shard, which costs half a read unit while nothing is open.
// Deletions that wait for their close time are counted separately. The closing of a
// session that was removed by force is not counted: its record has ended.
func (c *OpenDeletionGauge) Publish(ctx context.Context) error {
	now := c.Now()
	open, waiting, oldest := 0, 0, now
	for _, shard := range Shards() {
		records, err := c.Index.Open(ctx, shard, gaugePage)
		if err != nil {
			return fmt.Errorf("count the open deletions: %w", err)
		}
		for _, r := range records {
			// The index does not show a confirmation. If one comes while a deletion
			// waits, or after it was given up, the deletion gets a lease in one of the
			// usual shards.
			switch s := r.Session(); {
			case s.Waits() && strings.HasPrefix(shard, waitingPrefix):
				waiting++
			case s.State == Deleting, s.State == Unknown:
				open++
				oldest = earlier(oldest, s.ClosingBegan())
			}
		}
	}
	age := now.Sub(oldest).Seconds()
	c.Log.Debug("open deletions counted", "Open", open, "OldestSeconds", age,
		"Metric", Measure(OpenDeletions, float64(open)), "Metric", Measure(OldestOpenDeletionSeconds, age))
	if waiting > 0 { // each metric with values costs
		c.Log.Debug("waiting deletions counted", "Waiting", waiting, "Metric", Measure(WaitingDeletions, float64(waiting)))
	}
	return nil
}
