package delivery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dcv-session-broker/internal/local/delivery"
	"dcv-session-broker/internal/template"
	"dcv-session-broker/internal/template/templatetest"
)

// projectPipe returns the pipe of this project, with one detail-type for all answers of
// its function.
func projectPipe(t *testing.T) template.Pipe {
	t.Helper()
	pipe := templatetest.Load(t, nil).Pipes()[0]
	pipe.DetailType = "Announcement"
	return pipe
}

func endedRecord(sequence int) json.RawMessage {
	return fmt.Appendf(nil, `{"eventID": "e%d", "eventName": "MODIFY", "dynamodb": {"SequenceNumber": "%[1]d",
		"OldImage": {"State": {"S": "DELETING"}}, "NewImage": {"State": {"S": "DELETED"}}}}`, sequence)
}

// A pipeTest is a pipe whose function gives a set answer, and whose bus may be gone.
type pipeTest struct {
	*delivery.StreamPoller
	failures *delivery.Queue

	mu     sync.Mutex
	answer func(batch []byte) (string, error)
	gone   error
	events []string // details
	types  []string // their detail-types
	tries  int
}

func layPipe(t *testing.T, pipe template.Pipe) *pipeTest {
	p := &pipeTest{failures: &delivery.Queue{}}
	p.answer = func(batch []byte) (string, error) {
		var records []struct{ EventID string }
		if err := json.Unmarshal(batch, &records); err != nil || len(records) != 1 {
			t.Errorf("the function got %s", batch)
		}
		return fmt.Sprintf(`[{"Id":%q}]`, records[0].EventID), nil
	}
	enrichment := function(func(_ context.Context, batch []byte) ([]byte, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.tries++
		text, err := p.answer(batch)
		return []byte(text), err
	})
	p.StreamPoller = delivery.PollPipe(pipe, enrichment, func(event json.RawMessage) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.gone != nil {
			return p.gone
		}
		var known struct {
			Source     string
			DetailType string `json:"detail-type"`
			Detail     json.RawMessage
		}
		if err := json.Unmarshal(event, &known); err != nil || known.Source != pipe.Source {
			t.Errorf("event %s: %v", event, err)
		}
		p.events, p.types = append(p.events, string(known.Detail)), append(p.types, known.DetailType)
		return nil
	}, p.failures, nil)
	return p
}

func (p *pipeTest) set(gone error, answer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = gone
	if answer != "" {
		p.answer = func([]byte) (string, error) { return answer, nil }
	}
}

func (p *pipeTest) got() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.events)
}

func TestPipeBringsWhatItsFunctionMakesOfARecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := layPipe(t, projectPipe(t))
		p.Publish(endedRecord(1))
		p.Publish(json.RawMessage(`{"eventID": "e2", "eventName": "MODIFY", "dynamodb": {"OldImage": {"State": {"S": "DELETED"}}, "NewImage": {"State": {"S": "DELETED"}}}}`))
		p.Publish(endedRecord(3))
		want(t, "events", p.got(), `{"Id":"e1"}`, `{"Id":"e3"}`)
		p.Stop()
	})
}

func TestPipeTakesAnswersAsPipesDo(t *testing.T) {
	for answer, events := range map[string][]string{
		`[]`: nil, `{}`: nil, `""`: nil, `null`: nil,
		`{"a":1}`: {`{"a":1}`}, `[{"a":1},{"b":2}]`: {`{"a":1}`, `{"b":2}`}, `[{}]`: {`{}`},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := layPipe(t, projectPipe(t))
			p.set(nil, answer)
			p.Publish(endedRecord(1))
			want(t, answer, p.got(), events...)
			p.Stop()
		})
	}
}

// The detail-type is one for all events, or a field of each detail; a detail without
// it is a failure.
func TestPipeGivesEachEventItsDetailType(t *testing.T) {
	for path, types := range map[string][]string{"Announcement": {"Announcement", "Announcement"}, "$.Kind": {"First", "Second"}} {
		synctest.Test(t, func(t *testing.T) {
			pipe := projectPipe(t)
			pipe.DetailType = path
			p := layPipe(t, pipe)
			p.set(nil, `[{"Kind":"First"},{"Kind":"Second"}]`)
			p.Publish(endedRecord(1))
			p.got()
			want(t, path, p.types, types...)
			p.Stop()
		})
	}
	synctest.Test(t, func(t *testing.T) {
		pipe := projectPipe(t)
		pipe.DetailType = "$.Kind"
		p := layPipe(t, pipe)
		p.set(nil, `[{"Id":"e1"}]`)
		p.Publish(endedRecord(1))
		time.Sleep(time.Minute)
		want(t, "events without a detail-type", p.got())
		p.Stop()
		if p.tries < 2 {
			t.Errorf("tried %d times", p.tries)
		}
	})
}

// An event that the bus refuses is a failure: its record is delivered again.
func TestPipeRepeatsWhatCannotBePut(t *testing.T) {
	eleven := `[{},{},{},{},{},{},{},{},{},{},{}]`
	for _, answer := range []string{`[1]`, `"text"`, `[{}`, eleven} {
		synctest.Test(t, func(t *testing.T) {
			p := layPipe(t, projectPipe(t))
			p.set(nil, answer)
			p.Publish(endedRecord(1))
			time.Sleep(time.Minute)
			want(t, answer, p.got())
			p.Stop()
			if p.tries < 2 {
				t.Errorf("%s: tried %d times", answer, p.tries)
			}
		})
	}
}

// With the template's settings, a bus or a permission that is missing for a night loses
// no event. Records that are not announced when they leave the stream are in the
// failure queue.
func TestPipeOutlastsANight(t *testing.T) {
	pipe := projectPipe(t)
	synctest.Test(t, func(t *testing.T) {
		p := layPipe(t, pipe)
		p.set(errors.New("no such bus"), "")
		p.Publish(endedRecord(1))
		p.Publish(endedRecord(2))
		time.Sleep(22*time.Hour + 50*time.Minute)
		want(t, "announced without a bus", p.got())
		want(t, "given up", p.failures.Bodies())
		p.set(nil, "")
		time.Sleep(time.Minute)
		want(t, "announced", p.got(), `{"Id":"e1"}`, `{"Id":"e2"}`)
		want(t, "given up", p.failures.Bodies())
		p.Stop()
	})
	synctest.Test(t, func(t *testing.T) {
		p := layPipe(t, pipe)
		p.set(errors.New("no such bus"), "")
		p.Publish(endedRecord(1))
		time.Sleep(23*time.Hour + 30*time.Minute)
		if bodies := p.failures.Bodies(); len(bodies) != 1 {
			t.Errorf("half an hour before the stream forgets it, the failure queue has %q", bodies)
		}
		p.Stop()
	})
}
