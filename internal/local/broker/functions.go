package broker

import (
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/events"
	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/local/delivery"
	"dcv-session-broker/internal/local/template"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// handlerOf wires each function as its main does, with the settings that the
// template gives it.
var handlerOf = map[string]func(b *Broker, f template.Function, env *awsenv.Settings) any{
	"delete-sessions": func(b *Broker, f template.Function, env *awsenv.Settings) any {
		handler := &httpapi.DeleteSessions{
			Deleter: &session.Deleter{
				Table: b.store.table(f.Name),
				Hosts: &runcommand.Closer{
					API:      b.systemsManager(f.Name),
					Document: env.Text("CLOSE_DOCUMENT"),
					FleetTag: env.Text("FLEET_TAG_VALUE"),
				},
				GiveUp: time.Duration(env.Count("GIVE_UP_AFTER_MINUTES", 60)) * time.Minute,
				Log:    b.opts.Log,
			},
			MaxBatch: env.Count("MAX_BATCH_SIZE", 1000),
			Now:      time.Now,
			Log:      b.opts.Log,
		}
		return handler.Handle
	},
	"host-events": func(b *Broker, f template.Function, _ *awsenv.Settings) any {
		handler := &events.HostEvents{
			Reader:    &runcommand.Reader{API: b.systemsManager(f.Name)},
			Confirmer: &session.Confirmer{Table: b.store.table(f.Name), Now: time.Now, Log: b.opts.Log},
			Log:       b.opts.Log,
		}
		return handler.Handle
	},
	"session-stream": func(b *Broker, f template.Function, _ *awsenv.Settings) any {
		handler := &events.SessionStream{
			Finisher: &session.Finisher{Table: b.store.table(f.Name), Now: time.Now, Log: b.opts.Log},
			Log:      b.opts.Log,
		}
		return handler.Handle
	},
}

func (b *Broker) systemsManager(function string) *countedSystemsManager {
	return &countedSystemsManager{fleet: b.fleet, function: function, calls: b.calls}
}

func (b *Broker) makeFunctions() error {
	for _, f := range b.template.Functions() {
		if path := b.opts.Bootstraps[f.Name]; path != "" {
			running, err := b.startBootstrap(f, path)
			if err != nil {
				return err
			}
			b.functions[f.Name] = &delivery.Function{Name: f.Name, Timeout: f.Timeout, Handler: running}
			continue
		}
		make := handlerOf[f.Name]
		if make == nil {
			return fmt.Errorf("%s: the local system does not know how to wire %s (internal/local/broker/functions.go)", f.LogicalID, f.Name)
		}
		env := &awsenv.Settings{Getenv: func(name string) string { return f.Environment[name] }}
		handler := make(b, f, env)
		if err := env.Err(); err != nil {
			return fmt.Errorf("%s: Environment: %w", f.LogicalID, err)
		}
		b.functions[f.Name] = &delivery.Function{Name: f.Name, Timeout: f.Timeout, Handler: lambda.NewHandler(handler)}
	}
	return nil
}
