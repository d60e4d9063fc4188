package delivery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/local/delivery"
	"dcv-session-broker/internal/template"
)

// A follower is a function that keeps the batches of records that it gets, and gives a
// set answer by the records' sequence numbers.
type follower struct {
	batches // "[SEQUENCES]"
	answer  func(sequences []string) (string, error)
}

func (f *follower) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	var stream events.DynamoDBEvent
	if err := json.Unmarshal(event, &stream); err != nil {
		return nil, err
	}
	var sequences []string
	for _, r := range stream.Records {
		sequences = append(sequences, r.Change.SequenceNumber)
	}
	f.keep(fmt.Sprint(sequences))
	answer, err := f.answer(sequences)
	if ctx.Err() != nil {
		f.keep("cut short")
	}
	return []byte(answer), err
}

func recordOf(state string, sequence int) json.RawMessage {
	return fmt.Appendf(nil, `{"eventName": "MODIFY", "dynamodb": {"SequenceNumber": "%d", "NewImage": {"State": {"S": %q}}}}`, sequence, state)
}

// A streamTest is a poller whose function's first batch is record 0. The function
// handles it when the test says so, and then gets all records that were published
// meanwhile.
type streamTest struct {
	*delivery.StreamPoller
	*follower
	failures *delivery.Queue
	first    *gate
}

func follow(source template.StreamSource, answer func([]string) (string, error)) *streamTest {
	s := &streamTest{first: newGate(), failures: &delivery.Queue{}}
	s.follower = &follower{answer: func(sequences []string) (string, error) {
		if sequences[0] == "0" {
			s.first.pass()
			return "{}", nil
		}
		return answer(sequences)
	}}
	s.StreamPoller = delivery.PollStream(source, function(s.follower.Invoke), s.failures, nil)
	s.Publish(recordOf("READY", 0))
	synctest.Wait()
	return s
}

// publish publishes records 1 to n, which the function can get in one batch.
func (s *streamTest) publish(n int) {
	for i := range n {
		s.Publish(recordOf("READY", i+1))
	}
	s.first.open <- struct{}{}
}

// givenUp returns the messages of the failure queue: "CONDITION FROM-TO: COUNT".
func (s *streamTest) givenUp(t *testing.T) (all []string) {
	t.Helper()
	synctest.Wait()
	for _, body := range s.failures.Bodies() {
		var failure struct {
			RequestContext     struct{ FunctionARN, Condition string }
			DDBStreamBatchInfo struct {
				StartSequenceNumber, EndSequenceNumber string
				BatchSize                              int
			}
		}
		if err := json.Unmarshal([]byte(body), &failure); err != nil || failure.RequestContext.FunctionARN != "tested" {
			t.Fatalf("%s %v", body, err)
		}
		if strings.Contains(body, "READY") {
			t.Errorf("the failure queue holds what was in the record: %s", body)
		}
		info := failure.DDBStreamBatchInfo
		all = append(all, fmt.Sprintf("%s %s-%s: %d", failure.RequestContext.Condition, info.StartSequenceNumber, info.EndSequenceNumber, info.BatchSize))
	}
	return all
}

func fine([]string) (string, error) { return "{}", nil }

// poisoned fails batches with one of the records in them.
func poisoned(poison ...string) func([]string) (string, error) {
	return func(sequences []string) (string, error) {
		for _, s := range sequences {
			if slices.Contains(poison, s) {
				return "", errFunction
			}
		}
		return "{}", nil
	}
}

func TestStreamBringsWhatPassesTheFilterInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var filters []*template.Pattern
		for _, state := range []string{"DELETING", "UNKNOWN", "READY"} {
			p, err := template.ParsePattern(fmt.Appendf(nil, `{"dynamodb": {"NewImage": {"State": {"S": [%q]}}}}`, state))
			if err != nil {
				t.Fatal(err)
			}
			filters = append(filters, p)
		}
		s := follow(template.StreamSource{BatchSize: 3, MaxRetries: -1, Filters: filters}, fine)
		for i, state := range []string{"DELETED", "DELETING", "UNKNOWN", "DELETED", "READY", "DELETING", "UNKNOWN"} {
			s.Publish(recordOf(state, i+1))
		}
		s.Publish(json.RawMessage(`not a record`))
		s.publish(0)
		want(t, "batches", s.got(), "[0]", "[2 3 5]", "[6 7]")
		s.Publish(recordOf("READY", 8))
		want(t, "batches", s.got(), "[0]", "[2 3 5]", "[6 7]", "[8]")
		s.Stop()
	})
}

func TestStreamGoesOnFromTheFirstRecordThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		times := 0
		s := follow(template.StreamSource{BatchSize: 5, MaxRetries: 3, ReportsFailures: true}, func([]string) (string, error) {
			switch times++; times {
			case 1:
				return `{"batchItemFailures":[{"itemIdentifier":"5"},{"itemIdentifier":"3"}]}`, nil
			case 2: // nothing was handled: the batch is repeated
				return `{"batchItemFailures":[{"itemIdentifier":"3"}]}`, nil
			}
			return `{"batchItemFailures":[]}`, nil
		})
		s.publish(6)
		time.Sleep(time.Hour)
		want(t, "batches", s.got(), "[0]", "[1 2 3 4 5]", "[3 4 5]", "[3 4 5]", "[6]")
		want(t, "given up", s.givenUp(t))
		s.Stop()
	})
}

func TestStreamFailureWithoutIdentifierFailsTheBatch(t *testing.T) {
	for _, answer := range []string{`{"batchItemFailures":[{"itemIdentifier":""}]}`, `{"batchItemFailures":[{}]}`, `all is well`} {
		synctest.Test(t, func(t *testing.T) {
			s := follow(template.StreamSource{BatchSize: 5, MaxRetries: 1, ReportsFailures: true}, func([]string) (string, error) { return answer, nil })
			s.publish(2)
			time.Sleep(time.Hour)
			want(t, answer, s.got(), "[0]", "[1 2]", "[1 2]")
			want(t, "given up", s.givenUp(t), "RetryAttemptsExhausted 1-2: 2")
			s.Stop()
		})
	}
}

// The splits do not count as retries: a single retry is enough to find one record of eight.
func TestBisectingIsolatesAPoisonRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := follow(template.StreamSource{BatchSize: 8, MaxRetries: 1, Bisect: true}, poisoned("6"))
		s.publish(9)
		time.Sleep(time.Hour)
		want(t, "batches", s.got(), "[0]", "[1 2 3 4 5 6 7 8]", "[1 2 3 4]", "[5 6 7 8]", "[5 6]", "[5]", "[6]", "[6]", "[7 8]", "[9]")
		want(t, "given up", s.givenUp(t), "RetryAttemptsExhausted 6-6: 1")
		s.Stop()
	})
}

func TestBatchThatFailsTooOftenIsGivenUpAndTheStreamGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := follow(template.StreamSource{BatchSize: 3, MaxRetries: 2}, poisoned("2"))
		s.publish(4)
		time.Sleep(time.Hour)
		want(t, "batches", s.got(), "[0]", "[1 2 3]", "[1 2 3]", "[1 2 3]", "[4]")
		want(t, "given up", s.givenUp(t), "RetryAttemptsExhausted 1-3: 3")
		s.Stop()
	})
}

func TestBatchGivenUpWithoutAFailureQueueIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &follower{answer: poisoned("1")}
		p := delivery.PollStream(template.StreamSource{BatchSize: 1, MaxRetries: 0}, function(f.Invoke), nil, nil)
		p.Publish(recordOf("READY", 1))
		p.Publish(recordOf("READY", 2))
		want(t, "batches", f.got(), "[1]", "[2]")
		p.Stop()
	})
}

func TestWithoutALimitABatchIsRepeatedUntilItIsHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		times := 0
		s := follow(template.StreamSource{BatchSize: 1, MaxRetries: -1}, func([]string) (string, error) {
			if times++; times <= 1000 {
				return "", errFunction
			}
			return fine(nil)
		})
		s.publish(1)
		time.Sleep(24 * time.Hour)
		if n := len(s.got()); n != 1+1001 {
			t.Errorf("%d batches", n)
		}
		want(t, "given up", s.givenUp(t))
		s.Stop()
	})
}

func TestRecordThatIsTooOldIsGivenUpAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := follow(template.StreamSource{BatchSize: 10, MaxRetries: -1, MaxRecordAge: time.Minute}, func([]string) (string, error) {
			if time.Since(began) < 2*time.Minute {
				return "", errFunction
			}
			return fine(nil)
		})
		s.Publish(recordOf("READY", 1))
		time.Sleep(90 * time.Second) // record 1 is too old before it is tried
		s.Publish(recordOf("READY", 2))
		s.publish(0)
		time.Sleep(10 * time.Second)
		s.Publish(recordOf("READY", 3))
		time.Sleep(time.Hour)
		got := s.got()
		if len(got) < 3 || got[len(got)-1] != "[3]" || slices.ContainsFunc(got, func(b string) bool { return strings.Contains(b, "1") }) {
			t.Errorf("batches: %v", got)
		}
		want(t, "given up", s.givenUp(t), "RecordAgeExceeded 1-1: 1")
		s.Stop()
	})
}

// A record that always fails delays the others only until it is too old.
func TestAgeEndsTheRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := follow(template.StreamSource{BatchSize: 1, MaxRetries: -1, MaxRecordAge: time.Minute}, poisoned("1"))
		s.publish(1)
		time.Sleep(55 * time.Second)
		s.Publish(recordOf("READY", 2))
		want(t, "given up before its time", s.givenUp(t))
		time.Sleep(11 * time.Second) // and a pause between two tries
		got := s.got()
		if got[len(got)-1] != "[2]" {
			t.Errorf("batches: %v", got)
		}
		want(t, "given up", s.givenUp(t), "RecordAgeExceeded 1-1: 1")
		s.Stop()
	})
}

func TestStopEndsTheStreamAfterTheBatchUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := follow(template.StreamSource{BatchSize: 1, MaxRetries: -1}, fine)
		s.Publish(recordOf("READY", 1))
		stopped := stopping(s.Stop)
		if stopped() {
			t.Error("stopped before the end of the batch")
		}
		s.first.open <- struct{}{}
		if !stopped() {
			t.Error("not stopped")
		}
		s.Publish(recordOf("READY", 2))
		want(t, "batches", s.got(), "[0]")
	})
}

func TestStopDoesNotWaitForABatchThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := follow(template.StreamSource{BatchSize: 1, MaxRetries: -1}, poisoned("1"))
		s.publish(1)
		time.Sleep(time.Minute)
		tries := len(s.got())
		began := time.Now()
		s.Stop()
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		if n := len(s.got()); n != tries {
			t.Errorf("%d tries after Stop", n-tries)
		}
		want(t, "given up", s.givenUp(t))
	})
}
