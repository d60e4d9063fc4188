// Package system is the whole system on one machine: the functions' real
// handlers, behind the HTTP API and the event routes of template.yaml, with an
// in-memory table (or DynamoDB Local) and simulated hosts that run the
// template's real scripts.
package system

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
	"dcv-session-broker/internal/page"
	"dcv-session-broker/internal/streamevent"
	"dcv-session-broker/internal/template"
)

// Options say what a System is made of.
type Options struct {
	// Template is the path of template.yaml; Parameters override its defaults.
	Template   string
	Parameters map[string]string
	// Dir is where the simulated hosts live. A System started again on the same
	// directory finds them again.
	Dir string
	// DynamoDB is the endpoint of a DynamoDB Local; without one the table is in
	// memory.
	DynamoDB string
	// DynamoDBKey is the access key for it; "" is "local".
	DynamoDBKey string
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
	// Steps is told of each thing that happens to a session, those of one session
	// in order, and of each action of the control API.
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

// A System is the whole system on this machine, running.
type System struct {
	opts      Options
	template  *template.Template
	fleet     *fleet.Fleet
	bus       *delivery.Bus
	store     store
	calls     *calls
	writers   writers
	started   time.Time
	kept      *keptLog
	queues    map[string]*delivery.Queue
	functions map[string]*delivery.Function
	routes    map[string]*delivery.Function // by "METHOD /path"
	streams   []*delivery.StreamPoller
	tasks     map[string]task // scheduled, by name
	feed      *page.Feed
	stories   page.Stories
	ahead     atomic.Int64 // of the real time: nanoseconds
	stop      []func()
}

// A task is one of cleanup's. Without an event it gets its schedule's.
type task func(ctx context.Context, event []byte) (answer []byte, err error)

// now is the system's clock; Advance sets it on.
func (sys *System) now() time.Time { return time.Now().Add(time.Duration(sys.ahead.Load())) }

// Advance sets the clock of the functions and of Systems Manager on by d, as if
// that time had gone by. The hosts keep their own.
func (sys *System) Advance(d time.Duration) {
	sys.ahead.Add(int64(d))
	sys.fleet.ClockSet()
}

// New starts the system. Close ends it.
func New(ctx context.Context, opts Options) (sys *System, err error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	sys = &System{
		opts:      opts,
		calls:     &calls{observe: opts.observe},
		started:   time.Now(),
		queues:    map[string]*delivery.Queue{},
		functions: map[string]*delivery.Function{},
		routes:    map[string]*delivery.Function{},
		tasks:     map[string]task{},
	}
	sys.kept = &keptLog{now: sys.now}
	sys.feed = sys.newFeed()
	sys.stop = append(sys.stop, sys.EndStreams)
	defer func() {
		if err != nil {
			sys.Close()
		}
	}()
	if sys.template, err = template.Load(opts.Template, opts.Parameters); err != nil {
		return sys, err
	}
	sys.makeQueues()
	if err := sys.startFleet(); err != nil {
		return sys, err
	}
	if err := sys.openStore(ctx); err != nil {
		return sys, err
	}
	if err := sys.makeFunctions(); err != nil {
		return sys, err
	}
	if err := sys.connect(); err != nil {
		return sys, err
	}
	// Last, since it begins to bring in what happened before.
	sys.stop = append(sys.stop, sys.store.follow(sys.changed))
	return sys, nil
}

// Close ends the system: first what brings events in, then what handles them,
// then the hosts and the table.
func (sys *System) Close() {
	for i := len(sys.stop) - 1; i >= 0; i-- {
		sys.stop[i]()
	}
	sys.stop = nil
}

// Handler is the HTTP API with its contract, the token endpoint for its
// clients, the control API under /local/, and the page at /.
func (sys *System) Handler() http.Handler {
	mux := http.NewServeMux()
	sys.control(mux)
	page.Register(mux)
	mux.HandleFunc("GET /openapi.yaml", serveContract)
	mux.HandleFunc("POST /oauth2/token", sys.issueToken)
	mux.HandleFunc("/", sys.gateway)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Go's router redirects such a path. API Gateway redirects nothing, and
		// no route of the template is spelled like that.
		if clean := path.Clean(r.URL.Path); r.URL.Path != clean && r.URL.Path != clean+"/" {
			sys.gateway(w, r)
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
func (sys *System) SystemsManager() http.Handler { return sys.fleet.Handler() }

// EC2 is the simulated EC2 over the wire.
func (sys *System) EC2() http.Handler { return sys.fleet.EC2Handler() }

// Invoke calls a function with an event, as `aws lambda invoke` does.
func (sys *System) Invoke(ctx context.Context, function string, event []byte) ([]byte, error) {
	f, ok := sys.functions[function]
	if !ok {
		return nil, fmt.Errorf("template.yaml has no function %q", function)
	}
	return f.Invoke(ctx, event)
}

func (sys *System) makeQueues() {
	for _, q := range sys.template.Queues() {
		sys.queues[q.LogicalID] = &delivery.Queue{Queue: q}
	}
	for _, q := range sys.queues {
		q.DeadLetters = sys.queues[q.DeadLetterQueue]
	}
}

func (sys *System) startFleet() error {
	sys.bus = &delivery.Bus{Rules: sys.template.Rules(), Queues: sys.queues, Keep: sys.opts.Kept, Log: sys.opts.Log}
	var err error
	sys.fleet, err = fleet.New(fleet.Options{
		Dir:           sys.opts.Dir,
		Documents:     sys.template.Documents(),
		FleetTagValue: sys.template.Parameters()["FleetTagValue"],
		Now:           sys.now,
		Emit:          sys.bus.Publish,
		Log:           sys.opts.Log,
		OldAgent:      sys.opts.OldAgents,
	})
	if err != nil {
		return fmt.Errorf("simulated hosts: %w", err)
	}
	sys.stop = append(sys.stop, sys.fleet.Close)
	return nil
}

// connect brings each source of events in the template to its function.
func (sys *System) connect() error {
	for _, f := range sys.template.Functions() {
		function := sys.functions[f.Name]
		for _, r := range f.Routes {
			sys.routes[r.Method+" "+r.Path] = function
		}
		for _, source := range f.Queues {
			if !source.Enabled {
				continue
			}
			queue := sys.queues[source.Queue]
			if queue == nil {
				return fmt.Errorf("%s: event %s: the template has no queue %s", f.LogicalID, source.Event, source.Queue)
			}
			poller := delivery.PollQueue(source, queue, function, sys.opts.Log)
			sys.stop = append(sys.stop, poller.Stop)
		}
		for _, source := range f.Streams {
			if !source.Enabled {
				continue
			}
			poller := delivery.PollStream(source, function, sys.queues[source.OnFailureQueue], sys.opts.Log)
			sys.streams = append(sys.streams, poller)
			sys.stop = append(sys.stop, poller.Stop)
		}
		for _, schedule := range f.Schedules {
			if err := sys.schedule(schedule, function); err != nil {
				return fmt.Errorf("%s: event %s: %w", f.LogicalID, schedule.Event, err)
			}
		}
	}
	for _, pipe := range sys.template.Pipes() {
		if pipe.Stream.Enabled {
			sys.lay(pipe)
		}
	}
	return nil
}

// lay begins to bring what the stream shows through a pipe.
func (sys *System) lay(pipe template.Pipe) {
	var enrichment *delivery.Function
	for _, f := range sys.template.Functions() {
		if f.LogicalID == pipe.Enrichment {
			enrichment = sys.functions[f.Name]
		}
	}
	put := func(event json.RawMessage) error {
		if sys.opts.Announced != nil {
			sys.opts.Announced(event)
		}
		sys.bus.PublishOn(pipe.Bus, event)
		return nil
	}
	poller := delivery.PollPipe(pipe, enrichment, put, sys.queues[pipe.Stream.OnFailureQueue], sys.opts.Log)
	sys.streams = append(sys.streams, poller)
	sys.stop = append(sys.stop, poller.Stop)
}

// schedule begins a schedule, unless it is switched off, and keeps its task so
// that it can be run by hand.
func (sys *System) schedule(schedule template.Schedule, function *delivery.Function) error {
	var input struct{ Task string }
	if err := json.Unmarshal([]byte(schedule.Input), &input); err != nil {
		return fmt.Errorf("input: %w", err)
	}
	sys.tasks[input.Task] = func(ctx context.Context, event []byte) ([]byte, error) {
		if len(event) == 0 {
			event = []byte(schedule.Input)
		}
		return function.Invoke(ctx, event)
	}
	every, overridden := sys.opts.Every[input.Task]
	if !overridden {
		every = schedule.Every
	}
	if every > 0 && (schedule.Enabled || overridden) {
		sys.stop = append(sys.stop, delivery.Schedule(every, schedule.Input, function, sys.opts.Log).Stop)
	}
	return nil
}

// changed is told of each change of the table, in order.
func (sys *System) changed(record streamevent.Record) {
	sys.tellChange(record)
	sys.feed.Poke()
	text, err := json.Marshal(record)
	if err != nil {
		sys.opts.Log.Error("stream record without a JSON form", "Cause", err)
		return
	}
	for _, s := range sys.streams {
		s.Publish(text)
	}
}
