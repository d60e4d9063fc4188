// Package delivery delivers events to the functions of the local system, as AWS does:
// an event bus with rules, queues that show a message again until it is handled, and a
// table's stream in order. It follows template.yaml, so a mistake there shows here.
package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"dcv-session-broker/internal/awsenv"
)

// A Function is a Lambda function: its handler, and the time it has.
type Function struct {
	Name    string
	Timeout time.Duration
	Handler lambda.Handler
}

// Invoke calls the function as Lambda does: with a new request ID, and until its
// time-out. A panic is an error, as for Lambda's caller.
func (f *Function) Invoke(ctx context.Context, event []byte) (answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: awsenv.NewID()})
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("function %s: panic: %v", f.Name, p)
		}
	}()
	answer, err = f.Handler.Invoke(ctx, event)
	if err != nil {
		return nil, fmt.Errorf("function %s: %w", f.Name, err)
	}
	return answer, nil
}

// batchAnswer is a function's answer to a batch under ReportBatchItemFailures.
type batchAnswer struct {
	BatchItemFailures []struct {
		ItemIdentifier string `json:"itemIdentifier"`
	} `json:"batchItemFailures"`
}

// failedItems reads a function's answer to a batch. An item without an identifier fails
// the whole batch, as in Lambda.
func failedItems(answer []byte) (ids map[string]bool, err error) {
	var parsed batchAnswer
	if err := json.Unmarshal(answer, &parsed); err != nil {
		return nil, fmt.Errorf("answer to a batch: %w", err)
	}
	ids = map[string]bool{}
	for _, f := range parsed.BatchItemFailures {
		if f.ItemIdentifier == "" {
			return nil, fmt.Errorf("a batch item failure without an identifier")
		}
		ids[f.ItemIdentifier] = true
	}
	return ids, nil
}

// A loop is a goroutine that works until it is stopped. notify wakes it.
type loop struct {
	wake   chan struct{}
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func (l *loop) start(work func(context.Context)) {
	l.wake = make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.wg.Go(func() { work(ctx) })
}

func (l *loop) notify() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// sleep waits for notify, at most for d, and tells whether the loop goes on.
func (l *loop) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-l.wake:
	case <-timer.C:
	}
	return ctx.Err() == nil
}

func (l *loop) stop() {
	l.cancel()
	l.wg.Wait()
}

var discard = slog.New(slog.DiscardHandler)

func orDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return discard
	}
	return log
}

// The region and account in the ARNs of the local system.
const (
	region  = "us-east-1"
	account = "000000000000"
)
