package sim

import (
	"context"
	"log/slog"

	"dcv-session-broker/internal/ec2state"
	"dcv-session-broker/internal/events"
	"dcv-session-broker/internal/events/stream"
	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// The functions, wired as their mains do it, for one invocation: so each call
// over a boundary is known to be of that one.

func (w *world) deleteSessions(inv *invocation) *httpapi.DeleteSessions {
	return &httpapi.DeleteSessions{
		Deleter: &session.Deleter{
			Table: tableOf{w, inv}, Closer: w.closer(inv), GiveUp: w.setup.giveUp, ForceMode: w.setup.forceMode, Log: w.log(inv),
		},
		DryRunner: &session.DryRunner{
			Reader: readerOf{w, inv}, Notes: hostTableOf{w, inv},
			HostChecker: &runcommand.Checker{API: systemsManagerOf{w, inv}, FleetTag: fleetTag}, Log: w.log(inv),
		},
		MaxBatch: 1000, Now: w.now, Log: w.log(inv),
	}
}

func (w *world) describeSessions(inv *invocation) *httpapi.DescribeSessions {
	return &httpapi.DescribeSessions{
		Describer: &session.Describer{Reader: readerOf{w, inv}, Now: w.now}, FleetTag: fleetTag, Log: w.log(inv),
	}
}

func (w *world) hostEvents(inv *invocation) *events.HostEvents {
	return &events.HostEvents{
		Reader:       &runcommand.Reader{API: systemsManagerOf{w, inv}},
		Confirmer:    &session.Confirmer{Table: tableOf{w, inv}, Index: indexOf{w, inv}, Now: w.now, Log: w.log(inv)},
		Reconciler:   w.reconciler(inv),
		IdleRecorder: &session.IdleRecorder{Table: tableOf{w, inv}, Index: indexOf{w, inv}, Now: w.now, Log: w.log(inv)},
		Reaper:       w.reaper(inv),
		Log:          w.log(inv),
	}
}

func (w *world) sessionStream(inv *invocation) *stream.SessionStream {
	return &stream.SessionStream{
		Finisher: &session.Finisher{Table: tableOf{w, inv}, Now: w.now, Log: w.log(inv)}, Log: w.log(inv),
	}
}

func (w *world) cleanup(inv *invocation) *events.Cleanup {
	return &events.Cleanup{
		Cleaner: &session.Cleaner{
			Table: tableOf{w, inv}, Index: indexOf{w, inv}, Closer: w.closer(inv), Reaper: w.reaper(inv),
			GiveUp: w.setup.giveUp, Now: w.now, NewID: inv.newID, Log: w.log(inv),
		},
		Reconciler: w.reconciler(inv),
		Broadcaster: &runcommand.Broadcaster{
			API: systemsManagerOf{w, inv}, InventoryDocument: inventoryDocument, IdleDocument: idleDocument, FleetTag: fleetTag,
		},
		Gauge:       &session.OpenDeletionGauge{Index: indexOf{w, inv}, Now: w.now, Log: w.log(inv)},
		SilentAfter: w.setup.silentAfter, CloseIdleAfter: w.setup.closeIdle,
		Now: w.now, NewID: inv.newID, Log: w.log(inv),
	}
}

func (w *world) closer(inv *invocation) *runcommand.Closer {
	return &runcommand.Closer{API: systemsManagerOf{w, inv}, Document: closeDocument, FleetTag: fleetTag}
}

func (w *world) reaper(inv *invocation) *session.HostReaper {
	return &session.HostReaper{
		Table: tableOf{w, inv}, Index: indexOf{w, inv}, Instances: ec2state.New(ec2Of{w, inv}),
		HostTable: hostTableOf{w, inv}, EndStopped: w.setup.endStopped, Now: w.now, NewID: inv.newID, Log: w.log(inv),
	}
}

func (w *world) reconciler(inv *invocation) *session.InventoryReconciler {
	return &session.InventoryReconciler{
		Table: tableOf{w, inv}, Index: indexOf{w, inv}, HostTable: hostTableOf{w, inv}, Reaper: w.reaper(inv), Now: w.now, Log: w.log(inv),
	}
}

// log puts what functions log into the transcript. Only one function works at a
// time, but where the scheduler has just killed one; those say no more.
func (w *world) log(inv *invocation) *slog.Logger {
	if w.transcript == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(logHandler{w, inv, slog.NewTextHandler(logWriter{w, inv}, &slog.HandlerOptions{
		Level: slog.LevelInfo,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
				return slog.Attr{}
			}
			return a
		},
	})})
}

type logHandler struct {
	w   *world
	inv *invocation
	slog.Handler
}

func (h logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return !h.inv.killed && h.Handler.Enabled(ctx, level)
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.w, h.inv, h.Handler.WithAttrs(attrs)}
}

type logWriter struct {
	w   *world
	inv *invocation
}

func (l logWriter) Write(line []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.w.aside(l.inv, "    logs %s", line[:len(line)-1])
	return len(line), nil
}

// runTask invokes cleanup.
func (w *world) runTask(task string) {
	w.start("cleanup", func(inv *invocation) {
		inv.task = task
		_ = w.cleanup(inv).Handle(inv.ctx, events.CleanupEvent{Task: task})
	}, func(inv *invocation) { w.taskDone(inv) }, func(*invocation) {})
	w.say("scheduler", "runs cleanup: %s", task)
}
