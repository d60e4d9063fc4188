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
	sources      []queueSource // of host-events
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
	for _, source := range function("host-events").Queues {
		for _, q := range theTemplate().Queues() {
			if q.LogicalID == source.Queue {
				d.sources = append(d.sources, queueSource{source, q})
			}
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

// A queueSource is a queue of host-events, and how Lambda reads it.
type queueSource struct {
	template.QueueSource
	queue template.Queue
}

// routed returns the index of the queue to which the template's rules bring an event; -1:
// none. It depends on the kind alone, so the answer is cached.
func routed(kind, event string) int {
	routes.Lock()
	defer routes.Unlock()
	to, known := routes.of[kind]
	if !known {
		to = -1
		for _, r := range theTemplate().Rules() {
			matches, err := r.Pattern.Match([]byte(event))
			if err != nil {
				panic(err)
			}
			for place, source := range deployment().sources {
				if matches && r.Enabled && slices.Contains(r.Queues, source.Queue) {
					to = place
				}
			}
		}
		routes.of[kind] = to
	}
	return to
}

var routes = struct {
	sync.Mutex
	of map[string]int
}{of: map[string]int{}}
