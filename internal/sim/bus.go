package sim

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

func (w *world) emitInvocation(on *onHost) {
	event := fmt.Sprintf(`{"source":"aws.ssm","detail-type":"EC2 Command Invocation Status-change Notification","detail":{"command-id":"%s","document-name":"%s","instance-id":"%s","requested-date-time":"%s","status":"%s"}}`,
		on.command.id, on.command.document, on.machine.id, on.command.sentAt.Format("2006-01-02T15:04:05.000Z"), on.status)
	w.emit("invocation "+on.command.document+" "+on.status, event)
}

func (w *world) emitInstance(m *machine, state string) {
	event := fmt.Sprintf(`{"source":"aws.ec2","detail-type":"EC2 Instance State-change Notification","detail":{"instance-id":"%s","state":"%s"}}`, m.id, state)
	w.emit("instance "+state, event)
}

// emit gives an event to EventBridge, which brings it to the queue once, never or twice,
// soon or late.
func (w *world) emit(kind, event string) {
	source := routed(kind, event)
	if source < 0 {
		return
	}
	copies := 1
	switch {
	case w.meets(eventLost):
		w.say("EventBridge", "FAULT: %s: %s", eventLost, event)
		return
	case w.meets(eventDoubled):
		w.say("EventBridge", "FAULT: %s: %s", eventDoubled, event)
		copies = 2
	}
	for range copies {
		in := w.dice.between(50*time.Millisecond, 2*time.Second)
		if w.meets(eventLate) {
			in = w.dice.between(time.Minute, oneOf(w.dice, []time.Duration{10 * time.Minute, 3 * time.Hour}))
			w.say("EventBridge", "FAULT: %s: by %s: %s", eventLate, in, event)
		}
		w.after(in, func() { w.enqueue(event, source) })
	}
}

// A message is in its queue until it was processed, or failed five times.
type message struct {
	n         int
	body      string
	source    int // the index of its queue in host-events' sources
	visibleAt time.Time
	received  int
	garbage   bool
}

func (m *message) id() string { return fmt.Sprintf("m%d", m.n) }

func (w *world) enqueue(event string, source int) {
	w.happened++
	w.queue = append(w.queue, &message{n: w.happened, body: event, source: source, visibleAt: w.now()})
	if w.meets(eventGarbage) {
		w.happened++
		w.say("EventBridge", "FAULT: %s", eventGarbage)
		w.queue = append(w.queue, &message{n: w.happened, body: `{"detail-type":"nonsense"`, source: source, visibleAt: w.now(), garbage: true})
	}
}

// polls returns the batches that Lambda may fetch now, from the queues and from the
// stream.
func (w *world) polls() (polls []func()) {
	now := w.now()
	for place, source := range deployment().sources {
		visible := slices.ContainsFunc(w.queue, func(m *message) bool { return m.source == place && !m.visibleAt.After(now) })
		busy := 0
		for _, inv := range w.running {
			if inv.function == "host-events" && inv.source == place {
				busy++
			}
		}
		if visible && busy < source.MaxConcurrency {
			polls = append(polls, func() { w.pollQueue(place) })
		}
	}
	for i := range w.shards {
		if s := &w.shards[i]; !s.busy && len(s.records) > 0 && !s.retryAt.After(now) {
			polls = append(polls, func() { w.pollShard(s) })
		}
	}
	for i := range w.pipe {
		if s := &w.pipe[i]; !s.busy && len(s.turns) > 0 && !s.retryAt.After(now) {
			polls = append(polls, func() { w.pollPipe(s) })
		}
	}
	return polls
}

// pollQueue hands some of a queue's visible messages to host-events.
func (w *world) pollQueue(place int) {
	now, source := w.now(), deployment().sources[place]
	visible, batch := make([]*message, 0, len(w.queue)), []*message(nil)
	for _, m := range w.queue {
		if m.source == place && !m.visibleAt.After(now) {
			visible = append(visible, m)
		}
	}
	for len(visible) > 0 && len(batch) < source.BatchSize {
		i := 0
		if w.meets(eventReordered) {
			i = w.dice.below(len(visible))
		}
		m := visible[i]
		visible = slices.Delete(visible, i, i+1)
		m.visibleAt = now.Add(source.queue.VisibilityTimeout)
		m.received++
		batch = append(batch, m)
		if w.dice.chance(25 * percent) {
			break
		}
	}
	event := events.SQSEvent{}
	for _, m := range batch {
		id := m.id()
		event.Records = append(event.Records, events.SQSMessage{
			MessageId: id, Body: m.body, Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.received)},
		})
	}
	var response events.SQSEventResponse
	inv := w.start("host-events", func(inv *invocation) {
		var err error
		response, err = w.hostEvents(inv).Handle(inv.ctx, event)
		if err != nil {
			panic(err)
		}
	}, func(inv *invocation) {
		failed := map[string]bool{}
		for _, f := range response.BatchItemFailures {
			failed[f.ItemIdentifier] = true
		}
		w.batchWorked(inv, batch, failed)
		for _, m := range batch {
			if !failed[m.id()] {
				w.worked(m)
			} else {
				w.back(m)
			}
		}
	}, func(*invocation) {
		for _, m := range batch {
			w.back(m)
		}
	})
	inv.source = place
	for _, m := range batch {
		w.say(inv, "is given m%d: %s", m.n, m.body)
	}
}

// worked deletes a message, unless SQS delivers it once more.
func (w *world) worked(m *message) {
	w.everProcessed = append(w.everProcessed, m.body)
	if w.meets(queueDoubled) {
		w.say("SQS", "FAULT: %s: m%d", queueDoubled, m.n)
		return
	}
	w.queue = slices.DeleteFunc(w.queue, func(o *message) bool { return o == m })
}

// back makes the message visible again after its time-out, or moves it to the dead-letter
// queue.
func (w *world) back(m *message) {
	if m.received >= deployment().sources[m.source].queue.MaxReceiveCount {
		w.seen.faults[deadLetter]++
		w.say("SQS", "m%d goes to the dead-letter queue", m.n)
		w.queue = slices.DeleteFunc(w.queue, func(o *message) bool { return o == m })
	}
}
