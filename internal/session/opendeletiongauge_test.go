package session_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/session"
)

// openRecords are what a shard has; every shard's is asked for.
type openRecords struct {
	shards map[string][]session.Record
	asked  []int
}

func (o *openRecords) Open(_ context.Context, shard string, limit int) ([]session.Record, error) {
	o.asked = append(o.asked, limit)
	if shard == "3" && o.shards == nil {
		return nil, errors.New("no")
	}
	return o.shards[shard], nil
}

func TestGaugeCountsWhatHasNotEnded(t *testing.T) {
	requested := func(state string, ago time.Duration, more ...string) session.Record {
		r := session.Record{"State": state, "DeletionRequestedAt": session.FormatTime(t0.Add(-ago))}
		for i := 0; i < len(more); i += 2 {
			r[more[i]] = more[i+1]
		}
		return r
	}
	index := &openRecords{shards: map[string][]session.Record{
		"0": {
			requested("DELETING", time.Minute), requested("DELETING", time.Hour), // confirmed or not
			// An older broker's mark leaves the times of the deletion before it.
			with(requested("DELETING", time.Hour), "Attempts", int64(1), "CloseAt", session.FormatTime(t0.Add(-5*time.Hour)), "ClosingSince", session.FormatTime(t0.Add(-5*time.Hour))),
		},
		// Given up and then confirmed: otherwise it has no lease.
		"2": {requested("UNKNOWN", 2*time.Minute)},
		// The age of a deletion that ended while it waited does not begin with its
		// request.
		"1": {with(requested("DELETING", 4*time.Hour), "Attempts", int64(0), "CloseAt", session.FormatTime(t0.Add(time.Hour)))},
		"wait-1": {
			with(requested("DELETING", 2*time.Hour), "Attempts", int64(0), "CloseAt", session.FormatTime(t0.Add(time.Minute))),
			with(requested("DELETING", 3*time.Hour), "Attempts", int64(1), "CloseAt", session.FormatTime(t0.Add(-150*time.Minute)), "ClosingSince", session.FormatTime(t0.Add(-2*time.Hour))),
		},
		"3": {requested("DELETED", 3*time.Hour, "CloseUntil", session.FormatTime(t0))}, // removed by force
	}}
	var text bytes.Buffer
	gauge := session.OpenDeletionGauge{Index: index, Now: func() time.Time { return t0 }, Log: slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if err := gauge.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "Open=6 OldestSeconds=7200 ") {
		t.Error(text.String())
	}
	if len(index.asked) != 8 || index.asked[0] != 1000 {
		t.Errorf("asked: %v", index.asked)
	}
	if !strings.Contains(text.String(), "Waiting=1 ") {
		t.Error(text.String())
	}
	text.Reset()
	index.shards = map[string][]session.Record{}
	if err := gauge.Publish(t.Context()); err != nil || !strings.Contains(text.String(), "Open=0 OldestSeconds=0 ") {
		t.Errorf("%v: %s", err, text.String())
	}
	// An incomplete count is not recorded.
	text.Reset()
	index.shards = nil
	if err := gauge.Publish(t.Context()); err == nil || text.Len() > 0 {
		t.Errorf("%v: %s", err, text.String())
	}
}
