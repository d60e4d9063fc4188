package system

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/ec2state"
	"dcv-session-broker/internal/events"
	"dcv-session-broker/internal/events/stream"
	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/local/delivery"
	"dcv-session-broker/internal/local/template"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/telemetry"
)

// handlerOf wires each function as its main does, with the settings that the
// template gives it.
var handlerOf = map[string]func(p parts) any{
	"delete-sessions": func(p parts) any {
		handler := &httpapi.DeleteSessions{
			Deleter: &session.Deleter{
				Table:     p.table,
				Closer:    p.closer(),
				GiveUp:    p.giveUp(),
				ForceMode: session.ForceMode(p.env.OneOf("FORCE_MODE", string(session.Purge), string(session.BestEffort))),
				Log:       p.log,
			},
			DryRunner: &session.DryRunner{
				Reader:      p.reader,
				Notes:       p.hosts,
				HostChecker: &runcommand.Checker{API: p.systemsManager, FleetTag: p.env.Text("FLEET_TAG_VALUE")},
				Log:         p.log,
			},
			MaxBatch: p.env.Count("MAX_BATCH_SIZE", 1000),
			Now:      p.now,
			Log:      p.log,
		}
		return handler.Handle
	},
	"describe-sessions": func(p parts) any {
		handler := &httpapi.DescribeSessions{
			Describer: &session.Describer{Reader: p.reader, Now: p.now},
			FleetTag:  p.env.Text("FLEET_TAG_VALUE"),
			Log:       p.log,
		}
		return handler.Handle
	},
	"host-events": func(p parts) any {
		handler := &events.HostEvents{
			Reader:       &runcommand.Reader{API: p.systemsManager},
			Confirmer:    &session.Confirmer{Table: p.table, Index: p.index, Now: p.now, Log: p.log},
			Reconciler:   p.reconciler(),
			IdleRecorder: &session.IdleRecorder{Table: p.table, Index: p.index, Now: p.now, Log: p.log},
			Reaper:       p.reaper(),
			Log:          p.log,
		}
		return handler.Handle
	},
	"session-stream": func(p parts) any {
		handler := &stream.SessionStream{
			Finisher: &session.Finisher{Table: p.table, Now: p.now, Log: p.log},
			Log:      p.log,
		}
		return handler.Handle
	},
	"ended-sessions": func(p parts) any {
		handler := &stream.EndedSessions{Index: p.index, Reader: p.reader, Stack: p.env.Text("STACK"), Log: p.log}
		return handler.Handle
	},
	"cleanup": func(p parts) any {
		handler := &events.Cleanup{
			Cleaner: &session.Cleaner{
				Table: p.table, Index: p.index, Closer: p.closer(), Reaper: p.reaper(),
				GiveUp: p.giveUp(), Now: p.now, NewID: awsenv.NewID, Log: p.log,
			},
			Gauge:      &session.OpenDeletionGauge{Index: p.index, Now: p.now, Log: p.log},
			Reconciler: p.reconciler(),
			Broadcaster: &runcommand.Broadcaster{
				API:               p.systemsManager,
				InventoryDocument: p.env.Text("INVENTORY_DOCUMENT"),
				IdleDocument:      p.env.Text("IDLE_DOCUMENT"),
				FleetTag:          p.env.Text("FLEET_TAG_VALUE"),
			},
			Stopper: &session.Stopper{
				Index: p.index, Notes: p.hosts, Instances: ec2state.NewStopper(p.systemsManager, p.env.Text("FLEET_TAG_VALUE")),
				Grace: p.env.Minutes("STOP_EMPTY_AFTER_MINUTES", 0, 0), Now: p.now, Log: p.log,
			},
			SilentAfter:    p.silentAfter(),
			CloseIdleAfter: p.env.Minutes("CLOSE_IDLE_AFTER_MINUTES", 0, 0),
			Now:            p.now, NewID: awsenv.NewID, Log: p.log,
		}
		return handler.Handle
	},
}

// parts are what functions are wired from; each function has its own, so that
// its calls are counted.
type parts struct {
	tables
	systemsManager *countedSystemsManager
	env            *awsenv.Settings
	now            func() time.Time
	log            *slog.Logger
	override       Options // of times
}

func (p parts) closer() *runcommand.Closer {
	return &runcommand.Closer{API: p.systemsManager, Document: p.env.Text("CLOSE_DOCUMENT"), FleetTag: p.env.Text("FLEET_TAG_VALUE")}
}

func (p parts) giveUp() time.Duration {
	templates := p.env.Minutes("GIVE_UP_AFTER_MINUTES", 60, 1)
	return cmp.Or(p.override.GiveUpAfter, templates)
}

func (p parts) silentAfter() time.Duration {
	templates := p.env.Minutes("SILENT_AFTER_MINUTES", 15, 1)
	return cmp.Or(p.override.SilentAfter, templates)
}

func (p parts) reaper() *session.HostReaper {
	return &session.HostReaper{
		Table: p.table, Index: p.index, Instances: ec2state.New(p.systemsManager), HostTable: p.hosts,
		EndStopped: p.env.Switch("END_SESSIONS_OF_STOPPED_HOSTS", true),
		Now:        p.now, NewID: awsenv.NewID, Log: p.log,
	}
}

func (p parts) reconciler() *session.InventoryReconciler {
	return &session.InventoryReconciler{Table: p.table, Index: p.index, HostTable: p.hosts, Reaper: p.reaper(), Now: p.now, Log: p.log}
}

func (sys *System) systemsManager(function string) *countedSystemsManager {
	return &countedSystemsManager{fleet: sys.fleet, function: function, calls: sys.calls}
}

func (sys *System) makeFunctions() error {
	for _, f := range sys.template.Functions() {
		if path := sys.opts.Bootstraps[f.Name]; path != "" {
			running, err := sys.startBootstrap(f, path)
			if err != nil {
				return err
			}
			sys.functions[f.Name] = &delivery.Function{Name: f.Name, Timeout: f.Timeout, Handler: running}
			continue
		}
		make := handlerOf[f.Name]
		if make == nil {
			return fmt.Errorf("%s: the local system does not know how to wire %s (internal/local/system/functions.go)", f.LogicalID, f.Name)
		}
		env := &awsenv.Settings{Getenv: func(name string) string { return f.Environment[name] }}
		out := sys.output(f)
		handler := make(parts{
			tables:         sys.store.tables(f.Name),
			systemsManager: sys.systemsManager(f.Name),
			env:            env,
			now:            sys.now,
			log:            out.Log,
			override:       sys.opts,
		})
		if err := env.Err(); err != nil {
			return fmt.Errorf("%s: Environment: %w", f.LogicalID, err)
		}
		sys.functions[f.Name] = &delivery.Function{Name: f.Name, Timeout: f.Timeout, Handler: out.Reporting(reentrant{handler})}
	}
	return nil
}

// output is where a function's lines and metrics go.
func (sys *System) output(f template.Function) *telemetry.Output {
	stack := f.Environment["STACK"]
	if sys.opts.Output == nil {
		return telemetry.New(sys.opts.Log.Handler(), io.Discard, stack, sys.now)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.Environment["LOG_LEVEL"])); err != nil {
		level = slog.LevelInfo
	}
	return telemetry.JSON(sys.opts.Output(f.Name), level, stack, sys.now)
}

// A reentrant handler can be invoked again while it works: aws-lambda-go's own
// keeps the answer in a buffer that the next event overwrites.
type reentrant struct{ handler any }

func (r reentrant) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	return lambda.NewHandler(r.handler).Invoke(ctx, event)
}
