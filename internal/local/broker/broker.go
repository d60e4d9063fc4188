// Package broker is the whole system on one machine: the functions' real
// handlers, behind the HTTP API and the event routes of template.yaml, with an
// in-memory table (or DynamoDB Local) and simulated hosts that run the
// template's real scripts.
package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path"
	"sync/atomic"
	"time"

	"dcv-session-broker/internal/httpapi/contract"
	"dcv-session-broker/internal/local/delivery"
	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/local/streamevent"
	"dcv-session-broker/internal/local/template"
)

// Options say what a Broker is made of.
type Options struct {
	// Template is the path of template.yaml; Parameters override its defaults.
	Template   string
	Parameters map[string]string
	// Dir is where the simulated hosts live. A Broker started again on the same
	// directory finds them again.
	Dir string
	// DynamoDB is the endpoint of a DynamoDB Local; without one the table is in
	// memory.
	DynamoDB string
	// OldAgents gives hosts an agent that pastes parameters into scripts.
	OldAgents bool
	// Bootstraps are built functions, by name, to run in place of the handlers
	// in this process. They need DynamoDB.
	Bootstraps map[string]string
	// Token is the bearer token that the API wants; "" lets everybody in.
	Token string
	// GiveUpAfter and SilentAfter override the template's times; Every the
	// intervals of its schedules, by task ("deletions", "inventory", "idle"); a
	// negative one is never.
	GiveUpAfter time.Duration
	SilentAfter time.Duration
	Every       map[string]time.Duration
	// Steps is told of each change of a session's state, in order.
	Steps func(Step)
	// Announced is told of each event of the system's own on the bus, and Kept of
	// each that a rule has a log group keep; both may be nil.
	Announced func(event json.RawMessage)
	Kept      func(logGroup string, event json.RawMessage)
	// Log takes what the functions and the system log; nil is nothing.
	Log *slog.Logger
	// Output, if it is there, takes all that functions of this process write in
	// place of Log: lines and metrics, as in Lambda.
	Output func(function string) io.Writer

	// observe is told of all that functions ask of the services, for tests.
	observe func(function, operation string, in any)
}

// A Broker is the system, running.
type Broker struct {
	opts      Options
	template  *template.Template
	fleet     *fleet.Fleet
	bus       *delivery.Bus
	store     store
	calls     *calls
	queues    map[string]*delivery.Queue
	functions map[string]*delivery.Function
	routes    map[string]*delivery.Function // by "METHOD /path"
	streams   []*delivery.StreamPoller
	tasks     map[string]func(context.Context) error // scheduled, by name
	ahead     atomic.Int64                           // of the real time: nanoseconds
	stop      []func()
}

// now is the system's clock; Advance sets it on.
func (b *Broker) now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

// Advance sets the clock of the functions and of Systems Manager on by d, as if
// that time had gone by. The hosts keep their own.
func (b *Broker) Advance(d time.Duration) {
	b.ahead.Add(int64(d))
	b.fleet.ClockSet()
}

// New starts the system. Close ends it.
func New(ctx context.Context, opts Options) (b *Broker, err error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	b = &Broker{
		opts:      opts,
		calls:     &calls{observe: opts.observe},
		queues:    map[string]*delivery.Queue{},
		functions: map[string]*delivery.Function{},
		routes:    map[string]*delivery.Function{},
		tasks:     map[string]func(context.Context) error{},
	}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if b.template, err = template.Load(opts.Template, opts.Parameters); err != nil {
		return b, err
	}
	b.makeQueues()
	if err := b.startFleet(); err != nil {
		return b, err
	}
	if err := b.openStore(ctx); err != nil {
		return b, err
	}
	if err := b.makeFunctions(); err != nil {
		return b, err
	}
	if err := b.connect(); err != nil {
		return b, err
	}
	// Last, since it begins to bring in what happened before.
	b.stop = append(b.stop, b.store.follow(b.changed))
	return b, nil
}

// Close ends the system: first what brings events in, then what handles them,
// then the hosts and the table.
func (b *Broker) Close() {
	for i := len(b.stop) - 1; i >= 0; i-- {
		b.stop[i]()
	}
	b.stop = nil
}

// Handler is the HTTP API with its contract, the token endpoint for its
// clients, and the control API under /local/.
func (b *Broker) Handler() http.Handler {
	mux := http.NewServeMux()
	b.control(mux)
	mux.HandleFunc("GET /openapi.yaml", serveContract)
	mux.HandleFunc("POST /oauth2/token", b.issueToken)
	mux.HandleFunc("/", b.gateway)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Go's router redirects such a path. API Gateway redirects nothing, and
		// no route of the template is spelled like that.
		if clean := path.Clean(r.URL.Path); r.URL.Path != clean && r.URL.Path != clean+"/" {
			b.gateway(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func serveContract(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml") // RFC 9512
	w.Write(contract.OpenAPI)
}

// SystemsManager is the simulated Systems Manager over the wire.
func (b *Broker) SystemsManager() http.Handler { return b.fleet.Handler() }

// EC2 is the simulated EC2 over the wire.
func (b *Broker) EC2() http.Handler { return b.fleet.EC2Handler() }

// Invoke calls a function with an event, as `aws lambda invoke` does.
func (b *Broker) Invoke(ctx context.Context, function string, event []byte) ([]byte, error) {
	f, ok := b.functions[function]
	if !ok {
		return nil, fmt.Errorf("template.yaml has no function %q", function)
	}
	return f.Invoke(ctx, event)
}

func (b *Broker) makeQueues() {
	for _, q := range b.template.Queues() {
		b.queues[q.LogicalID] = &delivery.Queue{Queue: q}
	}
	for _, q := range b.queues {
		q.DeadLetters = b.queues[q.DeadLetterQueue]
	}
}

func (b *Broker) startFleet() error {
	b.bus = &delivery.Bus{Rules: b.template.Rules(), Queues: b.queues, Keep: b.opts.Kept, Log: b.opts.Log}
	var err error
	b.fleet, err = fleet.New(fleet.Options{
		Dir:           b.opts.Dir,
		Documents:     b.template.Documents(),
		FleetTagValue: b.template.Parameters()["FleetTagValue"],
		Now:           b.now,
		Emit:          b.bus.Publish,
		Log:           b.opts.Log,
		OldAgent:      b.opts.OldAgents,
	})
	if err != nil {
		return fmt.Errorf("simulated hosts: %w", err)
	}
	b.stop = append(b.stop, b.fleet.Close)
	return nil
}

// connect brings each source of events in the template to its function.
func (b *Broker) connect() error {
	for _, f := range b.template.Functions() {
		function := b.functions[f.Name]
		for _, r := range f.Routes {
			b.routes[r.Method+" "+r.Path] = function
		}
		for _, source := range f.Queues {
			if !source.Enabled {
				continue
			}
			queue := b.queues[source.Queue]
			if queue == nil {
				return fmt.Errorf("%s: event %s: the template has no queue %s", f.LogicalID, source.Event, source.Queue)
			}
			poller := delivery.PollQueue(source, queue, function, b.opts.Log)
			b.stop = append(b.stop, poller.Stop)
		}
		for _, source := range f.Streams {
			if !source.Enabled {
				continue
			}
			poller := delivery.PollStream(source, function, b.queues[source.OnFailureQueue], b.opts.Log)
			b.streams = append(b.streams, poller)
			b.stop = append(b.stop, poller.Stop)
		}
		for _, schedule := range f.Schedules {
			if err := b.schedule(schedule, function); err != nil {
				return fmt.Errorf("%s: event %s: %w", f.LogicalID, schedule.Event, err)
			}
		}
	}
	for _, pipe := range b.template.Pipes() {
		if pipe.Stream.Enabled {
			b.lay(pipe)
		}
	}
	return nil
}

// lay begins to bring what the stream shows through a pipe.
func (b *Broker) lay(pipe template.Pipe) {
	var enrichment *delivery.Function
	for _, f := range b.template.Functions() {
		if f.LogicalID == pipe.Enrichment {
			enrichment = b.functions[f.Name]
		}
	}
	put := func(event json.RawMessage) error {
		if b.opts.Announced != nil {
			b.opts.Announced(event)
		}
		b.bus.PublishOn(pipe.Bus, event)
		return nil
	}
	poller := delivery.PollPipe(pipe, enrichment, put, b.queues[pipe.Stream.OnFailureQueue], b.opts.Log)
	b.streams = append(b.streams, poller)
	b.stop = append(b.stop, poller.Stop)
}

// schedule begins a schedule, unless it is switched off, and keeps its task so
// that it can be run by hand.
func (b *Broker) schedule(schedule template.Schedule, function *delivery.Function) error {
	var input struct{ Task string }
	if err := json.Unmarshal([]byte(schedule.Input), &input); err != nil {
		return fmt.Errorf("input: %w", err)
	}
	b.tasks[input.Task] = func(ctx context.Context) error {
		_, err := function.Invoke(ctx, []byte(schedule.Input))
		return err
	}
	every, overridden := b.opts.Every[input.Task]
	if !overridden {
		every = schedule.Every
	}
	if every > 0 && (schedule.Enabled || overridden) {
		b.stop = append(b.stop, delivery.Schedule(every, schedule.Input, function, b.opts.Log).Stop)
	}
	return nil
}

// changed is told of each change of the table, in order.
func (b *Broker) changed(record streamevent.Record) {
	if step, ok := stepOf(record); ok && b.opts.Steps != nil {
		b.opts.Steps(step)
	}
	text, err := json.Marshal(record)
	if err != nil {
		b.opts.Log.Error("stream record without a JSON form", "Cause", err)
		return
	}
	for _, s := range b.streams {
		s.Publish(text)
	}
}
