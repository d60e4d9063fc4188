package delivery

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/template"
)

// A Queue is an SQS standard queue.
type Queue struct {
	template.Queue
	// DeadLetters receives the messages that were received too often. If it is nil they stay.
	DeadLetters *Queue

	mu       sync.Mutex
	messages []*message
	changed  func()
}

type message struct {
	id        string
	body      string
	sentAt    time.Time
	visibleAt time.Time
	received  int
}

// Send puts a message into the queue.
func (q *Queue) Send(body string) {
	now := time.Now()
	q.mu.Lock()
	q.messages = append(q.messages, &message{id: awsenv.NewID(), body: body, sentAt: now, visibleAt: now.Add(q.Delay)})
	changed := q.changed
	q.mu.Unlock()
	if changed != nil {
		changed()
	}
}

// Bodies returns the bodies of all messages in the queue, visible or not.
func (q *Queue) Bodies() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	bodies := make([]string, len(q.messages))
	for i, m := range q.messages {
		bodies[i] = m.body
	}
	return bodies
}

// receive returns up to n visible messages and hides them for the visibility time-out.
// If there is none, next is when to look again. Messages that were received too often
// first go to the dead letters.
func (q *Queue) receive(n int) (batch []message, next time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	next = time.Hour
	kept := q.messages[:0]
	for _, m := range q.messages {
		wait := m.visibleAt.Sub(now)
		if wait <= 0 && q.DeadLetters != nil && m.received >= q.MaxReceiveCount {
			q.DeadLetters.Send(m.body)
			continue
		}
		kept = append(kept, m)
		switch {
		case wait > 0:
			next = min(next, wait)
		case len(batch) < n:
			m.received++
			m.visibleAt = now.Add(q.VisibilityTimeout)
			batch = append(batch, *m) // a copy: it can be shown again meanwhile
		default:
			next = 0
		}
	}
	q.messages = kept
	return batch, next
}

// visible returns the number of messages that can be received.
func (q *Queue) visible() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for _, m := range q.messages {
		if !m.visibleAt.After(now) {
			n++
		}
	}
	return n
}

func (q *Queue) delete(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, m := range q.messages {
		if m.id == id {
			q.messages = append(q.messages[:i], q.messages[i+1:]...)
			return
		}
	}
}

// A QueuePoller is Lambda's poller of a queue.
type QueuePoller struct {
	source   template.QueueSource
	queue    *Queue
	function *Function
	log      *slog.Logger
	loop     loop
}

// PollQueue begins to deliver the queue's messages to the function.
func PollQueue(source template.QueueSource, queue *Queue, function *Function, log *slog.Logger) *QueuePoller {
	p := &QueuePoller{source: source, queue: queue, function: function, log: orDiscard(log)}
	p.loop.start(p.run)
	queue.mu.Lock()
	queue.changed = p.loop.notify
	queue.mu.Unlock()
	p.loop.notify()
	return p
}

// Stop ends the polling and waits for the batches under way.
func (p *QueuePoller) Stop() { p.loop.stop() }

func (p *QueuePoller) run(ctx context.Context) {
	pollers := p.source.MaxConcurrency
	if pollers == 0 {
		pollers = 5 // Lambda begins with five pollers
	}
	slots := make(chan struct{}, pollers)
	var wg sync.WaitGroup
	defer wg.Wait()
	for ctx.Err() == nil {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if !p.gather(ctx) {
			<-slots
			return
		}
		batch, next := p.queue.receive(p.source.BatchSize)
		if len(batch) == 0 {
			<-slots
			if !p.loop.sleep(ctx, next) {
				return
			}
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			// A batch is finished also if the polling ends, as in Lambda.
			p.invoke(context.WithoutCancel(ctx), batch)
		})
	}
}

// gather waits, from the first message on, until there is a full batch or the batching
// window is over. It tells whether the polling goes on.
func (p *QueuePoller) gather(ctx context.Context) bool {
	for over := time.Now().Add(p.source.Window); ; {
		there, left := p.queue.visible(), time.Until(over)
		if there == 0 || there >= p.source.BatchSize || left <= 0 {
			return true
		}
		if !p.loop.sleep(ctx, left) {
			return false
		}
	}
}

func (p *QueuePoller) invoke(ctx context.Context, batch []message) {
	var failed map[string]bool
	answer, err := p.function.Invoke(ctx, p.event(batch))
	if err == nil && p.source.ReportsFailures {
		failed, err = failedItems(answer)
	}
	if err != nil {
		p.log.Warn("batch failed: it comes again after the visibility time-out", "Queue", p.queue.LogicalID, "Messages", len(batch), "Cause", err)
		return
	}
	for _, m := range batch {
		if !failed[m.id] {
			p.queue.delete(m.id)
		}
	}
}

// event returns the batch in the form of Lambda's event.
func (p *QueuePoller) event(batch []message) []byte {
	type record struct {
		MessageID      string            `json:"messageId"`
		ReceiptHandle  string            `json:"receiptHandle"`
		Body           string            `json:"body"`
		Attributes     map[string]string `json:"attributes"`
		MessageAttrs   struct{}          `json:"messageAttributes"`
		EventSource    string            `json:"eventSource"`
		EventSourceARN string            `json:"eventSourceARN"`
		Region         string            `json:"awsRegion"`
	}
	var event struct{ Records []record }
	for _, m := range batch {
		event.Records = append(event.Records, record{
			MessageID:     m.id,
			ReceiptHandle: m.id,
			Body:          m.body,
			Attributes: map[string]string{
				"ApproximateReceiveCount": strconv.Itoa(m.received),
				"SentTimestamp":           strconv.FormatInt(m.sentAt.UnixMilli(), 10),
			},
			EventSource:    "aws:sqs",
			EventSourceARN: "arn:aws:sqs:" + region + ":" + account + ":" + p.queue.LogicalID,
			Region:         region,
		})
	}
	text, err := json.Marshal(event)
	if err != nil {
		panic(err)
	}
	return text
}
