package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/session"
)

const (
	// maxTries of a statement that the table was too busy for. The SDK knows
	// only calls, and a call is a success even if all its statements fail.
	maxTries = 4
	// firstPause is the longest pause before the second try; it doubles from
	// try to try. The actual one is anything up to it, so that those who were
	// refused together do not come back together.
	firstPause = 100 * time.Millisecond
)

// settle gives each write of the batch, 25 at most and no key twice, its
// result.
func (t *Table) settle(ctx context.Context, batch []*pending) {
	for try := 1; len(batch) > 0; try++ {
		batch = t.call(ctx, batch)
		if try == maxTries || !pause(ctx, t.firstPause<<(try-1)) {
			return // what is left has the reason of its last try as its result
		}
	}
}

// call sends the batch in one call, gives each write its result, and returns
// those whose result is that the table was busy.
func (t *Table) call(ctx context.Context, batch []*pending) (busy []*pending) {
	out, err := t.send(ctx, batch)
	switch {
	case err == nil && len(out.Responses) != len(batch):
		err = fmt.Errorf("%d answers to %d statements", len(out.Responses), len(batch))
		for _, p := range batch {
			p.fail(session.ErrUnclear, err)
		}
	case err == nil:
		for i, p := range batch {
			if p.judge(out.Responses[i]) {
				busy = append(busy, p)
			}
		}
	case !refused(err):
		for _, p := range batch {
			p.fail(session.ErrUnclear, err)
		}
	case len(batch) > 1 && faultInBatch(err):
		// One statement that DynamoDB cannot even read fails the whole call:
		// halve until it is alone.
		var other []*pending
		var half sync.WaitGroup
		half.Go(func() { other = t.call(ctx, batch[len(batch)/2:]) })
		busy = t.call(ctx, batch[:len(batch)/2])
		half.Wait()
		busy = append(busy, other...)
	default:
		for _, p := range batch {
			p.refuse(err)
		}
	}
	return busy
}

// send is one BatchExecuteStatement.
func (t *Table) send(ctx context.Context, batch []*pending) (*dynamodb.BatchExecuteStatementOutput, error) {
	select {
	case t.calls <- struct{}{}:
		defer func() { <-t.calls }()
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil {
		return nil, &notSent{err}
	}
	in := &dynamodb.BatchExecuteStatementInput{
		Statements: make([]types.BatchStatementRequest, 0, len(batch)),
	}
	for _, p := range batch {
		in.Statements = append(in.Statements, p.statement)
	}
	var tries tries
	out, err := t.client.BatchExecuteStatement(ctx, in, tries.watch)
	if tries.unclear != nil {
		for _, p := range batch {
			p.mayLand = tries.unclear
		}
	}
	return out, err
}

// judge turns DynamoDB's answer to one statement into the write's result, and
// tells whether it should be tried again.
func (p *pending) judge(answer types.BatchStatementResponse) (busy bool) {
	if answer.Error == nil {
		old := Record(answer.Item)
		if old == nil && !p.write.New {
			p.fail(session.ErrUnclear, errors.New("a success without the old item"))
			return false
		}
		*p.result = session.Result{Old: old}
		return false
	}
	cause := fmt.Errorf("%s: %s", answer.Error.Code, aws.ToString(answer.Error.Message))
	if p.write.New && answer.Error.Code == types.BatchStatementErrorCodeEnumDuplicateItem {
		p.fail(session.ErrCondition, cause)
		return false
	}
	switch answer.Error.Code {
	case types.BatchStatementErrorCodeEnumConditionalCheckFailed:
		*p.result = session.Result{
			Old: Record(answer.Error.Item),
			Err: fmt.Errorf("session %s: %w", p.write.SessionID, session.ErrCondition),
		}
	case types.BatchStatementErrorCodeEnumProvisionedThroughputExceeded,
		types.BatchStatementErrorCodeEnumRequestLimitExceeded,
		types.BatchStatementErrorCodeEnumThrottlingError,
		types.BatchStatementErrorCodeEnumTransactionConflict:
		p.refuse(cause)
		return true
	case types.BatchStatementErrorCodeEnumAccessDenied,
		types.BatchStatementErrorCodeEnumDuplicateItem,
		types.BatchStatementErrorCodeEnumItemCollectionSizeLimitExceeded,
		types.BatchStatementErrorCodeEnumResourceNotFound,
		types.BatchStatementErrorCodeEnumValidationError:
		p.refuse(cause)
	default: // InternalServerError, and what DynamoDB may think of next
		p.fail(session.ErrUnclear, cause)
	}
	return false
}

// pause waits for a random part of the time, and tells whether the context
// lasted.
func pause(ctx context.Context, longest time.Duration) bool {
	timer := time.NewTimer(rand.N(longest))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
