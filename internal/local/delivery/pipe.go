package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/template"
)

// maxEntries is the limit of one PutEvents, and so of one answer of an enrichment
// (EventBridge user guide, "Amazon EventBridge Pipes batching and concurrency").
const maxEntries = 10

// PollPipe begins to deliver records to the pipe's function, and its events to put, for
// the pipe's bus. A batch that fails is repeated, as by a stream's mapping.
func PollPipe(pipe template.Pipe, enrichment *Function, put func(event json.RawMessage) error, failures *Queue, log *slog.Logger) *StreamPoller {
	p := &StreamPoller{source: pipe.Stream, function: enrichment, failures: failures, log: orDiscard(log)}
	p.handle = func(ctx context.Context, batch []streamRecord) (int, error) {
		details, err := enriched(ctx, enrichment, batch)
		if err != nil {
			return 0, fmt.Errorf("pipe %s: %w", pipe.LogicalID, err)
		}
		for _, detail := range details {
			detailType, err := pipe.TypeOf(detail)
			if err != nil {
				return 0, fmt.Errorf("pipe %s: %w", pipe.LogicalID, err)
			}
			event, err := json.Marshal(map[string]any{
				"version": "0", "id": awsenv.NewID(), "source": pipe.Source, "detail-type": detailType,
				"account": account, "region": region, "time": time.Now().UTC().Format(time.RFC3339), "resources": []string{},
				"detail": detail,
			})
			if err != nil {
				return 0, fmt.Errorf("pipe %s: %w", pipe.LogicalID, err)
			}
			if err := put(event); err != nil {
				return 0, fmt.Errorf("pipe %s: %w", pipe.LogicalID, err)
			}
		}
		return len(batch), nil
	}
	p.loop.start(p.run)
	return p
}

// enriched returns the details that the function makes of a batch. The function gets an
// array, also for one record. An empty element of its answer is no event (the same
// guide, "Amazon EventBridge Pipes event enrichment").
func enriched(ctx context.Context, enrichment *Function, batch []streamRecord) ([]json.RawMessage, error) {
	records := make([]json.RawMessage, len(batch))
	for i, r := range batch {
		records[i] = r.text
	}
	text, err := json.Marshal(records)
	if err != nil {
		return nil, err
	}
	answer, err := enrichment.Invoke(ctx, text)
	if err != nil {
		return nil, err
	}
	switch answer = bytes.TrimSpace(answer); string(answer) {
	case "", `""`, "{}", "[]", "null":
		return nil, nil
	}
	details := []json.RawMessage{answer}
	if answer[0] == '[' {
		if err := json.Unmarshal(answer, &details); err != nil {
			return nil, fmt.Errorf("answer of the enrichment: %w", err)
		}
	}
	if len(details) > maxEntries {
		return nil, fmt.Errorf("answer of the enrichment: %d events, and a bus takes %d", len(details), maxEntries)
	}
	for _, detail := range details {
		var object map[string]any
		if err := json.Unmarshal(detail, &object); err != nil {
			return nil, fmt.Errorf("answer of the enrichment: an event's detail is not an object: %w", err)
		}
	}
	return details, nil
}
