package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// Cleanup handles the schedules' events, {"task": ...}.
type Cleanup struct {
	Cleaner     *session.Cleaner
	Gauge       *session.OpenDeletionGauge
	Reconciler  *session.InventoryReconciler
	Broadcaster *runcommand.Broadcaster
	// Stopper stops empty hosts, if its Grace is not 0.
	Stopper *session.Stopper
	// SilentAfter is how long a host may leave inventories unanswered.
	SilentAfter time.Duration
	// CloseIdleAfter is how long nobody uses a session before it is closed; 0
	// is never.
	CloseIdleAfter time.Duration
	Now            func() time.Time
	NewID          func() string
	Log            *slog.Logger
}

// A CleanupEvent names a task: "deletions", "inventory", "idle" or "stop".
type CleanupEvent struct {
	Task string `json:"task"`
}

// Handle does the task. Every task may run at any time, any number of times,
// also at once.
func (c *Cleanup) Handle(ctx context.Context, event CleanupEvent) error {
	err := c.do(ctx, event.Task)
	if err != nil {
		c.Log.Error("task failed: the next run goes on", "Task", event.Task, "Cause", err)
		return fmt.Errorf("task %q: %w", event.Task, err)
	}
	c.Log.Info("task done", "Task", event.Task)
	return nil
}

func (c *Cleanup) do(ctx context.Context, task string) error {
	switch task {
	case "deletions":
		return errors.Join(c.Cleaner.ProcessDue(ctx), c.Gauge.Publish(ctx))
	case "inventory":
		unresponsive := c.Reconciler.MarkUnresponsive(ctx, c.SilentAfter)
		return errors.Join(unresponsive, c.inventory(ctx))
	case "idle":
		if c.CloseIdleAfter == 0 {
			c.Log.Info("idle sessions are not closed: CLOSE_IDLE_AFTER_MINUTES is 0")
			return nil
		}
		return c.Broadcaster.CloseIdle(ctx, c.NewID(), c.Now(), c.CloseIdleAfter)
	case "stop":
		if c.Stopper.Grace == 0 {
			c.Log.Info("empty hosts are not stopped: STOP_EMPTY_AFTER_MINUTES is 0")
			return nil
		}
		return c.Stopper.Stop(ctx)
	}
	return errors.New(`no such task: "deletions", "inventory", "idle" or "stop"`)
}

// inventory is noted when it is sent, not before: one that no host got leaves
// none unanswered.
func (c *Cleanup) inventory(ctx context.Context) error {
	now := c.Now()
	if err := c.Broadcaster.Inventory(ctx, c.NewID(), now); err != nil {
		return err
	}
	c.Log.Info("inventory sent: its hosts answer to host-events", "Metric", session.Count(session.InventoriesSent, 1))
	return c.Reconciler.HostTable.RecordInventorySent(ctx, now)
}
