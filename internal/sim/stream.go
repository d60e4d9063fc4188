package sim

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
)

// A shard has the records of one part of the table's stream, in order, that its function
// has not processed yet. It has only records that pass the template's filter.
type shard struct {
	records []streamRecord
	busy    bool
	most    int // records in the next batch; 0: as many as there are
	retries int
	retryAt time.Time
}

type streamRecord struct {
	event events.DynamoDBEventRecord
	at    time.Time
}

// stream adds a change to the stream.
func (w *world) stream(id string, c memtable.Change) {
	h := fnv.New32a()
	h.Write([]byte(id))
	shard := int(h.Sum32() % uint32(len(w.shards)))
	w.becomes(c, shard)
	if !deployment().streamFilter.passes(c) {
		return
	}
	s := &w.shards[shard]
	record := streamRecord{at: w.now()}
	record.event.EventName = c.EventName
	record.event.Change.SequenceNumber = c.Sequence
	record.event.Change.NewImage = image(c.New)
	s.records = append(s.records, record)
	w.streamed = append(w.streamed, record)
}

const streamARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/Sessions/stream/1"

// A filter is the template's filter of the stream for one function.
type filter struct {
	source template.StreamSource
	attrs  []string        // that it names
	values map[string]bool // those whose values it compares

	mu    sync.Mutex
	known map[string]bool
}

// passes tells whether a change passes the filter. The answer is cached for all changes
// that are equal in the attributes that the filter names.
func (f *filter) passes(c memtable.Change) bool {
	var kind strings.Builder
	kind.WriteString(c.EventName)
	for _, attr := range f.attrs {
		was, is := c.Old[attr], c.New[attr]
		if !f.values[attr] { // most values differ, and would make a cache entry each
			was, is = was != nil, is != nil
		}
		fmt.Fprintf(&kind, "|%v|%v", was, is)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	yes, known := f.known[kind.String()]
	if !known {
		text, err := json.Marshal(c.Event(time.Time{}, streamARN))
		if err != nil {
			panic(err)
		}
		if yes, err = f.source.Matches(text); err != nil {
			panic(err)
		}
		f.known[kind.String()] = yes
	}
	return yes
}

func newFilter(source template.StreamSource) *filter {
	attrs, values := map[string]bool{}, map[string]bool{}
	for _, f := range source.Filters {
		var filter struct {
			DynamoDB struct{ NewImage, OldImage map[string]map[string][]any } `json:"dynamodb"`
		}
		if err := json.Unmarshal([]byte(f.String()), &filter); err != nil {
			panic(err)
		}
		for _, image := range []map[string]map[string][]any{filter.DynamoDB.NewImage, filter.DynamoDB.OldImage} {
			for attr, asked := range image {
				attrs[attr] = true
				for _, tests := range asked {
					operator, _ := tests[0].(map[string]any)
					_, onlyExists := operator["exists"]
					values[attr] = values[attr] || !onlyExists || len(tests) > 1
				}
			}
		}
	}
	return &filter{source: source, attrs: slices.Sorted(maps.Keys(attrs)), values: values, known: map[string]bool{}}
}

func image(r session.Record) map[string]events.DynamoDBAttributeValue {
	image := make(map[string]events.DynamoDBAttributeValue, len(r))
	for attr, v := range r {
		switch v := v.(type) {
		case string:
			image[attr] = events.NewStringAttribute(v)
		case int64:
			image[attr] = events.NewNumberAttribute(strconv.FormatInt(v, 10))
		case bool:
			image[attr] = events.NewBooleanAttribute(v)
		}
	}
	return image
}

// pollShard gives the first records of a shard to session-stream, and treats its answer
// as Lambda does: it continues after the processed records, splits a batch that failed,
// tries again, and in the end drops records that cannot be processed.
func (w *world) pollShard(s *shard) {
	source := deployment().stream
	for len(s.records) > 0 && (w.now().Sub(s.records[0].at) > source.MaxRecordAge || s.retries > source.MaxRetries || w.meets(streamDropped)) {
		w.say("stream", "FAULT: %s: %s", streamDropped, s.records[0].event.Change.SequenceNumber)
		s.records, s.retries = s.records[1:], 0
	}
	if len(s.records) == 0 {
		return
	}
	if w.meets(streamStalls) {
		d := w.dice.between(time.Second, oneOf(w.dice, []time.Duration{time.Minute, 10 * time.Minute, 90 * time.Minute}))
		w.say("stream", "FAULT: %s for %s", streamStalls, d)
		s.retryAt = w.now().Add(d)
		return
	}
	count := min(len(s.records), source.BatchSize)
	if s.most > 0 {
		count = min(count, s.most)
	}
	if count > 1 && w.meets(streamSplit) {
		count = 1 + w.dice.below(count-1)
	}
	batch := s.records[:count:count]
	event := events.DynamoDBEvent{}
	for _, r := range batch {
		event.Records = append(event.Records, r.event)
	}
	s.busy = true
	var response events.DynamoDBEventResponse
	inv := w.start("session-stream", func(inv *invocation) {
		var err error
		response, err = w.sessionStream(inv).Handle(inv.ctx, event)
		if err != nil {
			panic(err)
		}
	}, func(*invocation) {
		s.busy = false
		failed := map[string]bool{}
		for _, f := range response.BatchItemFailures {
			failed[f.ItemIdentifier] = true
		}
		handled := 0
		for handled < count && !failed[batch[handled].event.Change.SequenceNumber] {
			handled++
		}
		again := handled == count && w.meets(streamDoubled)
		if !again {
			s.records = s.records[handled:]
		} else {
			w.say("stream", "FAULT: %s", streamDoubled)
		}
		if handled > 0 {
			s.most, s.retries = 0, 0
		} else {
			s.retries++
			s.retryAt = w.now().Add(w.dice.between(100*time.Millisecond, 5*time.Second))
		}
	}, func(*invocation) {
		s.busy = false
		s.retryAt = w.now().Add(w.dice.between(100*time.Millisecond, 5*time.Second))
		if source.Bisect && count > 1 {
			s.most = count / 2
			w.seen.faults[streamSplit]++
		} else {
			s.retries++
		}
	})
	inv.calls.records = count
	w.say(inv, "is shown %d records", count)
}
