package delivery_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/local/delivery"
	"dcv-session-broker/internal/template"
)

const visibility = 30 * time.Second

func newQueue(maxReceiveCount int) (q, deadLetters *delivery.Queue) {
	spec := template.Queue{LogicalID: "Queue", VisibilityTimeout: visibility, MaxReceiveCount: maxReceiveCount}
	q = &delivery.Queue{Queue: spec}
	if maxReceiveCount > 0 {
		q.DeadLetters = &delivery.Queue{Queue: template.Queue{LogicalID: "DeadLetters"}}
	}
	return q, q.DeadLetters
}

func sendNumbers(q *delivery.Queue, n int) {
	for i := range n {
		q.Send(fmt.Sprint(i + 1))
	}
}

// A consumer is a function that keeps the messages that it gets, and gives a set
// answer.
type consumer struct {
	batches // "AFTER BODIES xTIMES RECEIVED"
	began   time.Time
	answer  func(messages []events.SQSMessage) (string, error)
}

func (c *consumer) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	var sqs events.SQSEvent
	if err := json.Unmarshal(event, &sqs); err != nil {
		return nil, err
	}
	var bodies []string
	for _, m := range sqs.Records {
		bodies = append(bodies, m.Body)
	}
	c.keep(fmt.Sprintf("%v %v x%s", time.Since(c.began), bodies, sqs.Records[0].Attributes["ApproximateReceiveCount"]))
	answer, err := c.answer(sqs.Records)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return []byte(answer), err
}

func poll(t *testing.T, source template.QueueSource, q *delivery.Queue, answer func([]events.SQSMessage) (string, error)) (*consumer, *delivery.QueuePoller) {
	t.Helper()
	c := &consumer{began: time.Now(), answer: answer}
	return c, delivery.PollQueue(source, q, function(c.Invoke), nil)
}

func handled([]events.SQSMessage) (string, error) { return `{"batchItemFailures":[]}`, nil }
func failed([]events.SQSMessage) (string, error)  { return "", errFunction }
func always(answer string) func([]events.SQSMessage) (string, error) {
	return func([]events.SQSMessage) (string, error) { return answer, nil }
}

func want(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func TestMessageIsShownAsLambdaShowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(0)
		var seen events.SQSMessage
		_, poller := poll(t, template.QueueSource{BatchSize: 10}, q, func(m []events.SQSMessage) (string, error) {
			seen = m[0]
			return "", nil
		})
		sent := time.Now()
		q.Send(`{"a": 1}`)
		synctest.Wait()
		poller.Stop()
		if seen.MessageId == "" || seen.ReceiptHandle == "" || seen.Body != `{"a": 1}` || seen.EventSource != "aws:sqs" ||
			seen.EventSourceARN != "arn:aws:sqs:us-east-1:000000000000:Queue" || seen.AWSRegion != "us-east-1" ||
			seen.Attributes["ApproximateReceiveCount"] != "1" || seen.Attributes["SentTimestamp"] != fmt.Sprint(sent.UnixMilli()) {
			t.Errorf("%+v", seen)
		}
		want(t, "left in the queue", q.Bodies())
	})
}

func TestFailedBatchComesBackAfterTheVisibilityTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(0)
		sendNumbers(q, 2)
		var tries atomic.Int32
		c, poller := poll(t, template.QueueSource{BatchSize: 10}, q, func(m []events.SQSMessage) (string, error) {
			if tries.Add(1) <= 2 {
				return failed(m)
			}
			return handled(m)
		})
		want(t, "immediately", c.got(), "0s [1 2] x1")
		want(t, "hidden, but there", q.Bodies(), "1", "2")
		time.Sleep(time.Hour)
		want(t, "in the end", c.got(), "0s [1 2] x1", "30s [1 2] x2", "1m0s [1 2] x3")
		want(t, "left in the queue", q.Bodies())
		poller.Stop()
	})
}

func TestOnlyMessagesThatFailedComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(0)
		sendNumbers(q, 3)
		c, poller := poll(t, template.QueueSource{BatchSize: 10, ReportsFailures: true}, q, func(m []events.SQSMessage) (string, error) {
			if len(m) == 1 {
				return handled(m)
			}
			return fmt.Sprintf(`{"batchItemFailures":[{"itemIdentifier":%q}]}`, m[1].MessageId), nil
		})
		c.got()
		want(t, "left in the queue", q.Bodies(), "2")
		time.Sleep(time.Hour)
		want(t, "batches", c.got(), "0s [1 2 3] x1", "30s [2] x2")
		poller.Stop()
	})
}

func TestAnswersToABatchMeanWhatLambdaMakesOfThem(t *testing.T) {
	for answer, allHandled := range map[string]bool{
		`{"batchItemFailures":[]}`:   true,
		`{"batchItemFailures":null}`: true,
		`{}`:                         true,
		`null`:                       true,
		`{"batchItemFailures":[{"itemIdentifier":""}]}`:   false,
		`{"batchItemFailures":[{"itemIdentifier":null}]}`: false,
		`{"batchItemFailures":[{"messageId":"1"}]}`:       false,
		`{"batchItemFailures":"all"}`:                     false,
		`all is well`:                                     false,
	} {
		synctest.Test(t, func(t *testing.T) {
			q, _ := newQueue(0)
			sendNumbers(q, 2)
			c, poller := poll(t, template.QueueSource{BatchSize: 10, ReportsFailures: true}, q, always(answer))
			c.got()
			poller.Stop()
			if left := q.Bodies(); allHandled != (len(left) == 0) || !allHandled && len(left) != 2 {
				t.Errorf("%s: left in the queue: %v", answer, left)
			}
		})
	}
}

func TestAnswerIsNotReadUnlessTheSourceSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(0)
		sendNumbers(q, 2)
		c, poller := poll(t, template.QueueSource{BatchSize: 10}, q, always(`{"batchItemFailures":[{"itemIdentifier":""}]}`))
		c.got()
		poller.Stop()
		want(t, "left in the queue", q.Bodies())
	})
}

func TestMessageReceivedTooOftenGoesToTheDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, deadLetters := newQueue(3)
		q.Send("poison")
		c, poller := poll(t, template.QueueSource{BatchSize: 10}, q, failed)
		time.Sleep(3*visibility - time.Second)
		want(t, "dead before its last time-out", deadLetters.Bodies())
		time.Sleep(time.Hour)
		want(t, "batches", c.got(), "0s [poison] x1", "30s [poison] x2", "1m0s [poison] x3")
		want(t, "left in the queue", q.Bodies())
		want(t, "dead letters", deadLetters.Bodies(), "poison")
		poller.Stop()
	})
}

func TestWithoutDeadLettersAMessageComesBackForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(0)
		q.Send("poison")
		c, poller := poll(t, template.QueueSource{BatchSize: 10}, q, failed)
		time.Sleep(99*visibility + time.Second)
		if n := len(c.got()); n != 100 {
			t.Errorf("received %d times", n)
		}
		poller.Stop()
	})
}

func TestMessageIsShownAgainWhileItsFunctionTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(0)
		q.Send("slow")
		c, poller := poll(t, template.QueueSource{BatchSize: 10}, q, func(m []events.SQSMessage) (string, error) {
			time.Sleep(visibility * 3 / 2)
			return handled(m)
		})
		time.Sleep(time.Hour)
		want(t, "batches", c.got(), "0s [slow] x1", "30s [slow] x2")
		want(t, "left in the queue", q.Bodies())
		poller.Stop()
	})
}

func TestDelayedMessageWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(0)
		q.Delay = 5 * time.Second
		c, poller := poll(t, template.QueueSource{BatchSize: 10}, q, handled)
		q.Send("1")
		time.Sleep(time.Minute)
		want(t, "batches", c.got(), "5s [1] x1")
		poller.Stop()
	})
}

func TestBatchIsNoLargerThanTheSourceSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(0)
		sendNumbers(q, 7)
		c, poller := poll(t, template.QueueSource{BatchSize: 3}, q, handled)
		got := c.got()
		slices.Sort(got) // they run at the same time
		want(t, "batches", got, "0s [1 2 3] x1", "0s [4 5 6] x1", "0s [7] x1")
		want(t, "left in the queue", q.Bodies())
		poller.Stop()
	})
}

func TestNoMoreBatchesAtATimeThanTheSourceAllows(t *testing.T) {
	for maxConcurrency, pollers := range map[int]int{2: 2, 0: 5} {
		synctest.Test(t, func(t *testing.T) {
			q, _ := newQueue(0)
			sendNumbers(q, 12)
			g := newGate()
			c, poller := poll(t, template.QueueSource{BatchSize: 1, MaxConcurrency: maxConcurrency}, q, func(m []events.SQSMessage) (string, error) {
				g.pass()
				return handled(m)
			})
			for done := range 12 {
				synctest.Wait()
				if n := g.waiting(); n != min(pollers, 12-done) {
					t.Errorf("%d at the same time after %d", n, done)
				}
				g.open <- struct{}{}
			}
			c.got()
			if g.mostEver != pollers {
				t.Errorf("at most %d at the same time, not %d", g.mostEver, pollers)
			}
			want(t, "left in the queue", q.Bodies())
			poller.Stop()
		})
	}
}

func TestStopFinishesTheBatchesUnderWayAndBeginsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(0)
		sendNumbers(q, 3)
		g := newGate()
		c, poller := poll(t, template.QueueSource{BatchSize: 1, MaxConcurrency: 2}, q, func(m []events.SQSMessage) (string, error) {
			g.pass()
			return handled(m)
		})
		synctest.Wait()
		stopped := stopping(poller.Stop)
		for range 2 {
			if stopped() {
				t.Error("stopped before the end of a batch")
			}
			g.open <- struct{}{}
		}
		if !stopped() {
			t.Error("not stopped")
		}
		q.Send("after")
		time.Sleep(time.Hour)
		if n := len(c.got()); n != 2 {
			t.Errorf("%d batches, not 2", n)
		}
		want(t, "left in the queue", q.Bodies(), "3", "after")
	})
}

func TestWindowGathersABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(0)
		c, poller := poll(t, template.QueueSource{BatchSize: 4, Window: time.Second}, q, handled)
		time.Sleep(time.Minute)
		q.Send("1")
		time.Sleep(900 * time.Millisecond)
		q.Send("2")
		want(t, "before the window is over", c.got())
		time.Sleep(time.Second)
		sendNumbers(q, 5)
		want(t, "in the end", c.got(), "1m1s [1 2] x1", "1m1.9s [1 2 3 4] x1")
		time.Sleep(time.Second)
		want(t, "in the end", c.got(), "1m1s [1 2] x1", "1m1.9s [1 2 3 4] x1", "1m2.9s [5] x1")
		poller.Stop()
	})
}
