// Package cleanup is the function behind the schedules: deletions that are due,
// inventories, idle sessions, empty hosts, sessions that end by rule.
package cleanup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/ec2state"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// Settings are what template.yaml sets for the function.
type Settings struct {
	SessionsTable, HostsTable       string
	IndexStep                       string
	CloseDocument, NotifyDocument   string
	InventoryDocument, IdleDocument string
	FleetTag                        string
	GiveUp, SilentAfter             time.Duration
	// CloseIdleAfter and StopEmptyAfter are 0 for never.
	CloseIdleAfter, StopEmptyAfter time.Duration
	EndStopped                     bool
	RuleDefaults                   RuleDefaults
}

// ReadSettings reads the settings; env collects their faults.
func ReadSettings(env *awsenv.Environment) Settings {
	return Settings{
		SessionsTable:     env.Text("SESSIONS_TABLE"),
		HostsTable:        env.Text("HOSTS_TABLE"),
		IndexStep:         env.IndexStep(),
		CloseDocument:     env.Text("CLOSE_DOCUMENT"),
		NotifyDocument:    env.Text("NOTIFY_DOCUMENT"),
		InventoryDocument: env.Text("INVENTORY_DOCUMENT"),
		IdleDocument:      env.Text("IDLE_DOCUMENT"),
		FleetTag:          env.Text("FLEET_TAG_VALUE"),
		GiveUp:            env.Minutes("GIVE_UP_AFTER_MINUTES", 60, 1),
		SilentAfter:       env.Minutes("SILENT_AFTER_MINUTES", 15, 1),
		CloseIdleAfter:    env.Minutes("CLOSE_IDLE_AFTER_MINUTES", 0, 0),
		StopEmptyAfter:    env.Minutes("STOP_EMPTY_AFTER_MINUTES", 0, 0),
		EndStopped:        env.Switch("END_SESSIONS_OF_STOPPED_HOSTS", true),
		RuleDefaults: RuleDefaults{
			GracePeriod: awsenv.Parsed(env, "GRACE_PERIOD_SECONDS", session.ParseGracePeriod),
			Message:     awsenv.Parsed(env, "GRACE_MESSAGE", session.ParseText),
		},
	}
}

// Parts are the function's dependencies.
type Parts struct {
	Table session.Table
	Index interface {
		session.Index
		session.OpenIndex
	}
	Reader     session.Reader
	HostLister session.HostLister
	HostTable  interface {
		session.HostTable
		session.HostNotes
		session.HostWalk
		session.RefusedHosts
	}
	SystemsManager runcommand.BroadcasterAPI
	EC2            ec2state.StopAPI
	Now            func() time.Time
	NewID          func() string
	Log            *slog.Logger
}

// New makes the function.
func New(p Parts, s Settings) *Handler {
	p.Now = session.Clock(p.Now)
	index := session.WholeIndex{Index: p.Index, Getter: p.Reader}
	reaper := &session.HostReaper{
		Table: p.Table, Index: index, Instances: ec2state.New(p.EC2), HostTable: p.HostTable,
		EndStopped: s.EndStopped, Now: p.Now, NewID: p.NewID, Log: p.Log,
	}
	unresponsive := &session.UnresponsiveMarker{
		Table: p.Table, Index: index, HostTable: p.HostTable, Reaper: reaper, Now: p.Now, Log: p.Log,
	}
	hosts := &runcommand.Sender{
		API: p.SystemsManager, CloseDocument: s.CloseDocument, NotifyDocument: s.NotifyDocument, FleetTag: s.FleetTag,
		Answered: p.HostTable.Newest,
	}
	broadcaster := &runcommand.Broadcaster{
		API: p.SystemsManager, InventoryDocument: s.InventoryDocument, IdleDocument: s.IdleDocument, FleetTag: s.FleetTag,
	}
	return &Handler{
		Cleaner: &session.Cleaner{
			Table: p.Table, Index: index, Closer: hosts, Notifier: hosts, Reaper: reaper,
			GiveUp: s.GiveUp, Now: p.Now, NewID: p.NewID, Log: p.Log,
		},
		RefusedHosts: &session.RefusedHostChecker{RefusedHosts: p.HostTable, Reaper: reaper, Log: p.Log},
		Gauge:        &session.OpenDeletionGauge{Index: p.Index, Now: p.Now, Log: p.Log},
		Unresponsive: unresponsive,
		Walker: &session.HostWalker{
			HostLister: p.HostLister, HostTable: p.HostTable, Reaper: reaper, Unresponsive: unresponsive, Now: p.Now, Log: p.Log,
		},
		Inventories: &session.InventorySender{
			HostTable: p.HostTable, Broadcaster: broadcaster, Now: p.Now, NewID: p.NewID, Log: p.Log,
		},
		Broadcaster: broadcaster,
		Stopper: &session.Stopper{
			Index: p.Index, Notes: p.HostTable, Instances: ec2state.NewStopper(p.EC2, s.FleetTag),
			Grace: s.StopEmptyAfter, Now: p.Now, Log: p.Log,
		},
		RuleRunner: &session.RuleRunner{
			Table: p.Table, Reader: p.Reader, Closer: hosts, Notifier: hosts, GiveUp: s.GiveUp, Now: p.Now, NewID: p.NewID, Log: p.Log,
		},
		RuleDefaults: s.RuleDefaults,
		SilentAfter:  s.SilentAfter, CloseIdleAfter: s.CloseIdleAfter, Now: p.Now, NewID: p.NewID, Log: p.Log,
	}
}

// A Handler handles the schedules' events, {"task": ...}.
type Handler struct {
	Cleaner      *session.Cleaner
	RefusedHosts *session.RefusedHostChecker
	Gauge        *session.OpenDeletionGauge
	Unresponsive *session.UnresponsiveMarker
	Walker       *session.HostWalker
	Inventories  *session.InventorySender
	Broadcaster  *runcommand.Broadcaster
	// Stopper stops empty hosts, if its Grace is not 0.
	Stopper    *session.Stopper
	RuleRunner *session.RuleRunner
	// RuleDefaults are for rules without a grace period, and for idle closing.
	RuleDefaults RuleDefaults
	// SilentAfter is how long a host may not answer inventories before it is silent.
	SilentAfter time.Duration
	// CloseIdleAfter is how long a session is idle before it is closed; 0 is never.
	CloseIdleAfter time.Duration
	Now            func() time.Time
	NewID          func() string
	Log            *slog.Logger
}

// An Event names a task: "deletions", "inventory", "idle", "stop" or "close".
type Event struct {
	Task string `json:"task"`

	whole json.RawMessage // it has the rule
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *Event) UnmarshalJSON(raw []byte) error {
	e.whole = slices.Clone(raw)
	type plain Event
	return json.Unmarshal(raw, (*plain)(e))
}

// answerTime is reserved at the end of the function's time for logging the task's
// result.
const answerTime = 2 * time.Second

// Handle runs the task. Every task may run at any time, any number of times, also at
// the same time. Only "close" has an answer: a *RuleAnswer.
func (c *Handler) Handle(ctx context.Context, event Event) (answer any, err error) {
	ctx, stop := session.EndEarlier(ctx, answerTime)
	defer stop()
	if event.Task == "close" {
		answer, err = c.closeByRule(ctx, event)
	} else {
		err = c.do(ctx, event.Task)
	}
	if err != nil {
		c.Log.Error("task failed: the next run goes on", "Task", event.Task, "Cause", err)
		return nil, fmt.Errorf("task %q: %w", event.Task, err)
	}
	c.Log.Info("task done", "Task", event.Task)
	return answer, nil
}

func (c *Handler) do(ctx context.Context, task string) error {
	switch task {
	case "deletions":
		return errors.Join(c.Cleaner.ProcessDue(ctx), c.Gauge.Publish(ctx), c.RefusedHosts.Check(ctx))
	case "inventory":
		// All hosts are sent the inventory before silent hosts are processed, however long that takes.
		unanswered, err := c.Inventories.Send(ctx)
		return errors.Join(err, c.Unresponsive.Mark(ctx, c.SilentAfter, unanswered), c.Walker.Walk(ctx))
	case "idle":
		if c.CloseIdleAfter == 0 {
			c.Log.Info("idle sessions are not closed: CLOSE_IDLE_AFTER_MINUTES is 0")
			return nil
		}
		return c.Broadcaster.CloseIdle(ctx, c.NewID(), c.Now(), session.IdleLimit{
			After: c.CloseIdleAfter, GracePeriod: c.RuleDefaults.GracePeriod, Message: c.RuleDefaults.Message,
		})
	case "stop":
		if c.Stopper.Grace == 0 {
			c.Log.Info("empty hosts are not stopped: STOP_EMPTY_AFTER_MINUTES is 0")
			return nil
		}
		return c.Stopper.Stop(ctx)
	}
	return errors.New(`no such task: "deletions", "inventory", "idle", "stop" or "close"`)
}
