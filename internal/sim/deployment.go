package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"dcv-session-broker/internal/template"
)

// What decides when functions run, and with what, is read from template.yaml:
// the simulation is of the system as it is deployed.

var theTemplate = sync.OnceValue(func() *template.Template {
	t, err := template.Load("../../template.yaml", map[string]string{"CloseIdleAfterMinutes": "10", "StopEmptyHosts": "true"})
	if err != nil {
		panic(err)
	}
	return t
})

func function(name string) template.Function {
	for _, f := range theTemplate().Functions() {
		if f.Name == name {
			return f
		}
	}
	panic("sim: template.yaml has no function " + name)
}

// deployment is the template's numbers.
var deployment = sync.OnceValue(func() (d struct {
	timeouts     map[string]time.Duration
	environments map[string]map[string]string
	stream       template.StreamSource
	streamFilter *filter
	pipe         template.Pipe // to the bus, of the sessions that end
	pipeFilter   *filter
	source       template.QueueSource
	queue        template.Queue
	tasks        []task
	documents    map[string]template.Document
}) {
	d.timeouts, d.environments = map[string]time.Duration{}, map[string]map[string]string{}
	for _, f := range theTemplate().Functions() {
		d.environments[f.Name] = f.Environment
		d.timeouts[f.Name] = f.Timeout
	}
	d.documents = map[string]template.Document{}
	for _, document := range theTemplate().Documents() {
		d.documents[document.LogicalID] = document
	}
	d.stream = function("session-stream").Streams[0]
	d.streamFilter = newFilter(d.stream)
	d.pipe = theTemplate().Pipes()[0]
	d.pipeFilter = newFilter(d.pipe.Stream)
	d.source = function("host-events").Queues[0]
	for _, q := range theTemplate().Queues() {
		if q.LogicalID == d.source.Queue {
			d.queue = q
		}
	}
	for _, s := range function("cleanup").Schedules {
		if !s.Enabled {
			continue
		}
		var input struct{ Task string }
		if err := json.Unmarshal([]byte(s.Input), &input); err != nil || s.Every == 0 {
			panic(fmt.Sprintf("sim: schedule %s: %v", s.Event, err))
		}
		d.tasks = append(d.tasks, task{input.Task, s.Every})
	}
	return d
})

// A task is one that cleanup has a schedule for.
type task struct {
	name  string
	every time.Duration
}

// routed tells whether a rule of the template brings an event to host-events'
// queue. Whatever is not in its kind is the same for all events of that kind, so
// the answer is kept.
func routed(kind, event string) bool {
	routes.Lock()
	defer routes.Unlock()
	yes, known := routes.of[kind]
	if !known {
		for _, r := range theTemplate().Rules() {
			matches, err := r.Pattern.Match([]byte(event))
			if err != nil {
				panic(err)
			}
			yes = yes || matches && r.Enabled && slices.Contains(r.Queues, deployment().queue.LogicalID)
		}
		routes.of[kind] = yes
	}
	return yes
}

var routes = struct {
	sync.Mutex
	of map[string]bool
}{of: map[string]bool{}}
