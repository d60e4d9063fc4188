package delivery

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"dcv-session-broker/internal/template"
)

// A StreamPoller simulates the poller of Lambda or of a pipe for a stream of one shard:
// it delivers the records that pass the filter to the function, in order, and repeats a
// failed batch before it goes on.
type StreamPoller struct {
	source   template.StreamSource
	function *Function
	// handle returns how many of the batch's first records were handled.
	handle   func(ctx context.Context, batch []streamRecord) (handled int, err error)
	failures *Queue // nil: records that failed too often are dropped
	log      *slog.Logger
	loop     loop

	mu      sync.Mutex
	pending []streamRecord
}

type streamRecord struct {
	text     json.RawMessage
	sequence string
	at       time.Time
}

// PollStream begins to deliver the records of Publish to the function.
func PollStream(source template.StreamSource, function *Function, failures *Queue, log *slog.Logger) *StreamPoller {
	p := &StreamPoller{source: source, function: function, failures: failures, log: orDiscard(log)}
	p.handle = p.invoke
	p.loop.start(p.run)
	return p
}

// Stop ends the polling after the batch under way.
func (p *StreamPoller) Stop() { p.loop.stop() }

// Publish adds the stream's next record, in the form of Lambda's event.
func (p *StreamPoller) Publish(record json.RawMessage) {
	if matches, err := p.source.Matches(record); err != nil || !matches {
		return // a record that the filter cannot read is dropped, as Lambda does
	}
	var known struct {
		Change struct{ SequenceNumber string } `json:"dynamodb"`
	}
	if err := json.Unmarshal(record, &known); err != nil {
		p.log.Error("stream record not understood", "Cause", err)
		return
	}
	p.mu.Lock()
	p.pending = append(p.pending, streamRecord{record, known.Change.SequenceNumber, time.Now()})
	p.mu.Unlock()
	p.loop.notify()
}

func (p *StreamPoller) run(ctx context.Context) {
	for ctx.Err() == nil {
		p.mu.Lock()
		batch := p.pending[:min(len(p.pending), p.source.BatchSize)]
		p.pending = p.pending[len(batch):]
		p.mu.Unlock()
		if len(batch) == 0 {
			if !p.loop.sleep(ctx, time.Hour) {
				return
			}
			continue
		}
		p.deliver(ctx, batch, p.source.MaxRetries)
	}
}

// deliver invokes the function with a batch until all of it is handled or given up.
// retries is how many more times it may fail; a negative number is no limit.
func (p *StreamPoller) deliver(ctx context.Context, batch []streamRecord, retries int) {
	for attempt := 0; len(batch) > 0; attempt++ {
		// Lambda does not send records that are too old, even if it has not tried them.
		if old := p.expired(batch); old > 0 {
			p.giveUp(batch[:old], "RecordAgeExceeded")
			batch = batch[old:]
			continue
		}
		handled, err := p.handle(context.WithoutCancel(ctx), batch)
		if err == nil && handled == len(batch) {
			return
		}
		// Lambda goes on from the first record that failed.
		batch = batch[handled:]
		if handled > 0 {
			continue
		}
		p.log.Warn("stream batch failed: it is repeated", "Function", p.function.Name, "Records", len(batch), "Cause", err)
		if retries == 0 {
			p.giveUp(batch, "RetryAttemptsExhausted")
			return
		}
		// A split is not one of the retries (Lambda developer guide, on batches
		// that are split on error).
		if p.source.Bisect && err != nil && len(batch) > 1 {
			p.deliver(ctx, batch[:len(batch)/2], retries)
			p.deliver(ctx, batch[len(batch)/2:], retries)
			return
		}
		retries--
		if !p.pause(ctx, min(100*time.Millisecond<<min(attempt, 6), 5*time.Second)) {
			return
		}
	}
}

// expired returns how many of the batch's first records are too old.
func (p *StreamPoller) expired(batch []streamRecord) (n int) {
	for p.source.MaxRecordAge > 0 && n < len(batch) && time.Since(batch[n].at) > p.source.MaxRecordAge {
		n++
	}
	return n
}

func (p *StreamPoller) pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// invoke calls the function with the batch.
func (p *StreamPoller) invoke(ctx context.Context, batch []streamRecord) (handled int, err error) {
	event := struct{ Records []json.RawMessage }{}
	for _, r := range batch {
		event.Records = append(event.Records, r.text)
	}
	text, err := json.Marshal(event)
	if err != nil {
		return 0, err
	}
	answer, err := p.function.Invoke(ctx, text)
	if err != nil || !p.source.ReportsFailures {
		if err == nil {
			handled = len(batch)
		}
		return handled, err
	}
	failed, err := failedItems(answer)
	if err != nil {
		return 0, err
	}
	for handled < len(batch) && !failed[batch[handled].sequence] {
		handled++
	}
	return handled, nil
}

// giveUp sends to the on-failure queue what Lambda sends: the records' positions in the
// stream, not the records.
func (p *StreamPoller) giveUp(batch []streamRecord, condition string) {
	p.log.Error("stream records given up", "Function", p.function.Name, "Records", len(batch), "Condition", condition)
	if p.failures == nil {
		return
	}
	text, err := json.Marshal(map[string]any{
		"requestContext": map[string]any{"functionArn": p.function.Name, "condition": condition},
		"DDBStreamBatchInfo": map[string]any{
			"startSequenceNumber": batch[0].sequence,
			"endSequenceNumber":   batch[len(batch)-1].sequence,
			"batchSize":           len(batch),
		},
	})
	if err != nil {
		panic(err)
	}
	p.failures.Send(string(text))
}
