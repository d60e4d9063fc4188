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
	"dcv-session-broker/internal/events/cleanup"
	"dcv-session-broker/internal/events/endedsessions"
	"dcv-session-broker/internal/events/hostevents"
	"dcv-session-broker/internal/events/sessionstream"
	"dcv-session-broker/internal/httpapi/canceldeletions"
	"dcv-session-broker/internal/httpapi/deletesessions"
	"dcv-session-broker/internal/httpapi/describesessions"
	"dcv-session-broker/internal/local/delivery"
	"dcv-session-broker/internal/telemetry"
	"dcv-session-broker/internal/template"
)

// handlerOf makes each function from the local system's parts and the template's
// settings.
var handlerOf = map[string]func(p parts) any{
	"delete-sessions": func(p parts) any {
		settings := deletesessions.ReadSettings(p.env)
		settings.GiveUp = cmp.Or(p.override.GiveUpAfter, settings.GiveUp)
		return deletesessions.New(deletesessions.Parts{
			Table: p.table, Getter: p.reader, Notes: p.hosts, RefusedHosts: p.hosts, SystemsManager: p.systemsManager, Now: p.now, Log: p.log,
		}, settings).Handle
	},
	"cancel-deletions": func(p parts) any {
		return canceldeletions.New(canceldeletions.Parts{
			Table: p.table, Getter: p.reader, SystemsManager: p.systemsManager, Now: p.now, Log: p.log,
		}, canceldeletions.ReadSettings(p.env)).Handle
	},
	"describe-sessions": func(p parts) any {
		return describesessions.New(describesessions.Parts{Reader: p.reader, Notes: p.hosts, Now: p.now, Log: p.log}, describesessions.ReadSettings(p.env)).Handle
	},
	"host-events": func(p parts) any {
		return hostevents.New(hostevents.Parts{
			Table: p.table, Index: p.index, Getter: p.reader, HostTable: p.hosts, SystemsManager: p.systemsManager, EC2: p.systemsManager,
			Now: p.now, NewID: awsenv.NewID, Log: p.log,
		}, hostevents.ReadSettings(p.env)).Handle
	},
	"session-stream": func(p parts) any {
		return sessionstream.New(sessionstream.Parts{Table: p.table, Now: p.now, Log: p.log}).Handle
	},
	"ended-sessions": func(p parts) any {
		return endedsessions.New(endedsessions.Parts{Index: p.index, Getter: p.reader, Log: p.log}, endedsessions.ReadSettings(p.env)).Handle
	},
	"cleanup": func(p parts) any {
		settings := cleanup.ReadSettings(p.env)
		settings.GiveUp = cmp.Or(p.override.GiveUpAfter, settings.GiveUp)
		settings.SilentAfter = cmp.Or(p.override.SilentAfter, settings.SilentAfter)
		return cleanup.New(cleanup.Parts{
			Table: p.table, Index: p.index, Reader: p.reader, HostLister: p.hostLister, HostTable: p.hosts, SystemsManager: p.systemsManager, EC2: p.systemsManager,
			Now: p.now, NewID: awsenv.NewID, Log: p.log,
		}, settings).Handle
	},
}

// parts are the dependencies of a function. Each function has its own, so that its
// calls are counted.
type parts struct {
	tables
	systemsManager *countedSystemsManager
	env            *awsenv.Environment
	now            func() time.Time
	log            *slog.Logger
	override       Options // of times
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
			return fmt.Errorf("%s: the local system does not know how to make %s (internal/local/system/functions.go)", f.LogicalID, f.Name)
		}
		env := &awsenv.Environment{Getenv: func(name string) string { return f.Environment[name] }}
		out := sys.output(f)
		tables := sys.store.tables(f.Name)
		tables.table = &watchedTable{tables.table, f.Name, &sys.writers}
		handler := make(parts{
			tables:         tables,
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

// output returns the writer of a function's log lines and metrics.
func (sys *System) output(f template.Function) *telemetry.Output {
	stack := f.Environment["STACK"]
	if sys.opts.Output == nil {
		return telemetry.New(&keeper{log: sys.kept, function: f.Name, next: sys.opts.Log.With("Function", f.Name).Handler()}, io.Discard, stack, sys.now)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.Environment["LOG_LEVEL"])); err != nil {
		level = slog.LevelInfo
	}
	return telemetry.JSON(sys.opts.Output(f.Name), level, stack, sys.now)
}

// A reentrant handler can be invoked while it is working. That of aws-lambda-go keeps
// the answer in a buffer that the next event overwrites.
type reentrant struct{ handler any }

func (r reentrant) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	return lambda.NewHandler(r.handler).Invoke(ctx, event)
}
