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

// Options configure a System.
type Options struct {
	// Template is the path of template.yaml; Parameters override its defaults.
	Template   string
	Parameters map[string]string
	// Dir is the directory of the simulated hosts. A System that is started on the same
	// directory has the same hosts.
	Dir string
	// DynamoDB is the endpoint of a DynamoDB Local; without one the table is in
	// memory.
	DynamoDB string
	// DynamoDBKey is its access key. The default is "local".
	DynamoDBKey string
	// OldAgents gives hosts an old agent, which pastes parameters into scripts.
	OldAgents bool
	// Bootstraps are built functions, by name, to run instead of the handlers in this
	// process. They need DynamoDB.
	Bootstraps map[string]string
	// Token is the bearer token that the API requires; "" accepts every call.
	Token string
	// GiveUpAfter and SilentAfter override the template's times. Every overrides the
	// intervals of its schedules, by task ("deletions", "inventory", "idle"); a negative
	// one is never.
	GiveUpAfter time.Duration
	SilentAfter time.Duration
	Every       map[string]time.Duration
	// Steps receives each change of a session, those of one session in order, and each
	// action of the control API.
	Steps func(Step)
	// Announced receives each of the system's own events on the bus, Kept each event for a
	// log group. Both may be nil.
	Announced func(event json.RawMessage)
	Kept      func(logGroup string, event json.RawMessage)
	// Log is the logger of the functions and the system; nil discards the lines.
	Log *slog.Logger
	// Output, if set, replaces Log for functions of this process: it receives their lines
	// and metrics, as in Lambda.
	Output func(function string) io.Writer

	// observe receives all calls of the services by functions, for tests.
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
	tasks     map[string]task // by name
	scheduled map[string]bool // the tasks whose schedules run
	feed      *page.Feed
	stories   page.Stories
	ahead     atomic.Int64 // of the real time, in nanoseconds
	stop      []func()
}

// A task runs one of cleanup's tasks. Without an event it gets its schedule's.
type task func(ctx context.Context, event []byte) (answer []byte, err error)

// now returns the time of the system's clock, which Advance sets forward.
func (sys *System) now() time.Time { return time.Now().Add(time.Duration(sys.ahead.Load())) }

// Advance sets the clock of the functions and of Systems Manager forward by d, but not
// the clocks of the hosts.
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
		scheduled: map[string]bool{},
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
	// Last, since it begins to deliver earlier changes.
	sys.stop = append(sys.stop, sys.store.follow(sys.changed))
	return sys, nil
}

// Close ends the system: first the sources of events, then the functions, then the
// hosts and the table.
func (sys *System) Close() {
	for i := len(sys.stop) - 1; i >= 0; i-- {
		sys.stop[i]()
	}
	sys.stop = nil
}

// Handler serves the HTTP API with its contract, the token endpoint for its clients,
// the control API under /local/, and the page at /.
func (sys *System) Handler() http.Handler {
	mux := http.NewServeMux()
	sys.control(mux)
	page.Register(mux)
	mux.HandleFunc("GET /openapi.yaml", serveContract)
	mux.HandleFunc("POST /oauth2/token", sys.issueToken)
	mux.HandleFunc("/", sys.gateway)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Go's router redirects such a path. API Gateway does not, and no route of the
		// template has such a path.
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

// SystemsManager serves the simulated Systems Manager over HTTP.
func (sys *System) SystemsManager() http.Handler { return sys.fleet.Handler() }

// EC2 serves the simulated EC2 over HTTP.
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

// connect connects each source of events in the template to its function.
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
			sys.startPipe(pipe)
		}
	}
	return nil
}

// startPipe begins to deliver the stream's records through a pipe.
func (sys *System) startPipe(pipe template.Pipe) {
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

// schedule starts a schedule, unless it is switched off, and keeps its task for the
// control API.
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
		sys.scheduled[input.Task] = true
		sys.stop = append(sys.stop, delivery.Schedule(every, schedule.Input, function, sys.opts.Log).Stop)
	}
	return nil
}

// changed receives each change of the table, in order.
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
