// Package dynamo is the Sessions table on DynamoDB. It converts the domain's writes to
// conditional PartiQL statements, many in a call, and DynamoDB's answers to the outcome
// of each: met, refused, or unclear. It has no rules of the domain.
package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/session"
)

// API is the part of *dynamodb.Client that Table uses. A wrapper must pass the option
// functions on, through which Table observes each try of a call.
type API interface {
	BatchExecuteStatement(context.Context, *dynamodb.BatchExecuteStatementInput, ...func(*dynamodb.Options)) (*dynamodb.BatchExecuteStatementOutput, error)
}

const (
	// maxStatements a call is BatchExecuteStatement's own limit.
	maxStatements = 25
	// maxCalls at the same time is more than the largest request needs: 1,000 entries
	// are 40 calls.
	maxCalls = 64

	// maxTries is for a statement that the table was too busy for. The SDK repeats only
	// calls, and a call succeeds even if all its statements fail.
	maxTries = 4
	// firstPause is the longest pause before the second try; it doubles from try to try.
	// The actual pause is a random part of it, so that callers who were refused together
	// do not repeat together.
	firstPause = 100 * time.Millisecond
)

// A Table is the Sessions table of that name. Several goroutines may use it.
type Table struct {
	client API
	name   string
	calls  chan struct{} // has one element for each call under way

	firstPause time.Duration
}

// New returns the table of that name.
func New(client API, tableName string) *Table {
	return &Table{
		client:     client,
		name:       tableName,
		calls:      make(chan struct{}, maxCalls),
		firstPause: firstPause,
	}
}

// A pending write waits for its result.
type pending struct {
	write     session.Write
	statement types.BatchStatementRequest
	result    *session.Result
	// mayLand is why the write may have been, or may still be, carried out, whatever the
	// last answer was: an earlier try had no clear answer.
	mayLand error
}

func (p *pending) fail(kind, cause error) {
	*p.result = session.Result{Err: fmt.Errorf("session %s: %w: %w", p.write.SessionID, kind, cause)}
}

// refuse fails the write because DynamoDB would refuse it.
func (p *pending) refuse(cause error) {
	if p.mayLand != nil {
		p.fail(session.ErrUnclear, fmt.Errorf("%w, but before: %w", cause, p.mayLand))
		return
	}
	p.fail(session.ErrNotWritten, cause)
}

// Write implements session.Table: N writes to different records are ⌈N/25⌉ parallel
// calls, if nothing fails. A record's second write begins when all first writes have
// their answers, since a call takes a key only once.
//
// After an unclear write the later ones of its record are still tried; the unclear one
// may be carried out after them. The SDK repeats a call whose answer was lost, so the
// write itself may be the cause of ErrCondition: the old record shows that.
func (t *Table) Write(ctx context.Context, writes []session.Write) []session.Result {
	results := make([]session.Result, len(writes))
	var rounds [][]*pending // the first write of each record, the second, ...
	written := make(map[string]int, len(writes))
	for i, w := range writes {
		p := &pending{write: w, result: &results[i]}
		if w.New && len(w.If)+len(w.Remove) > 0 {
			p.refuse(errors.New("a new record with conditions, or with attributes to remove"))
			continue
		}
		n := written[w.SessionID]
		written[w.SessionID]++
		if n == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[n] = append(rounds[n], p)
	}
	for _, round := range rounds {
		t.settleAll(ctx, round)
		t.settleAll(ctx, t.looks(round))
		for _, p := range round {
			p.result.MayLand = p.mayLand != nil
		}
	}
	return results
}

// settleAll sets the result of each of the writes, which are of different records.
func (t *Table) settleAll(ctx context.Context, writes []*pending) {
	var calls sync.WaitGroup
	for batch := range slices.Chunk(writes, maxStatements) {
		calls.Go(func() {
			sent := make([]*pending, 0, len(batch))
			for _, p := range batch {
				if p.statement = statement(t.name, p.write); p.tooLong(t.name) {
					p.refuse(errors.New("its statement is longer than DynamoDB allows"))
				} else {
					sent = append(sent, p)
				}
			}
			t.settle(ctx, sent)
		})
	}
	calls.Wait()
}

// nowhere is an attribute that no record has.
const nowhere = "NoSuchAttribute"

// looks reads the records that inserts found: unlike an update whose condition fails,
// an insert does not return the existing record. So it sends updates whose condition
// fails.
func (t *Table) looks(writes []*pending) (looks []*pending) {
	for _, p := range writes {
		if p.write.New && errors.Is(p.result.Err, session.ErrCondition) {
			look := session.Write{
				SessionID: p.write.SessionID,
				If:        []session.Condition{{Attr: nowhere, Op: session.Exists}},
				Remove:    []string{nowhere},
			}
			looks = append(looks, &pending{
				write: look, result: p.result, mayLand: p.mayLand,
			})
		}
	}
	return looks
}

// settle sets the result of each write of the batch, which has at most 25, with
// different keys.
func (t *Table) settle(ctx context.Context, batch []*pending) {
	for try := 1; len(batch) > 0; try++ {
		batch = t.call(ctx, batch)
		if try == maxTries || !pause(ctx, t.firstPause<<(try-1)) {
			return // the rest keep the result of their last try
		}
	}
}

// call sends the batch in one call, sets the result of each write, and returns the
// writes that the table was too busy for.
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
		// One statement that DynamoDB cannot parse fails the whole call: halve the batch
		// until that statement is alone.
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

// send sends one BatchExecuteStatement.
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

// judge sets the write's result from DynamoDB's answer to its statement, and tells
// whether to try again.
func (p *pending) judge(answer types.BatchStatementResponse) (busy bool) {
	if answer.Error == nil {
		old := Record(answer.Item)
		if old == nil && !p.write.New {
			p.fail(session.ErrUnclear, errors.New("a successful write without the old item"))
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
	default: // InternalServerError, and unknown codes
		p.fail(session.ErrUnclear, cause)
	}
	return false
}

// pause waits for a random part of the time, and tells whether the context is still
// valid.
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
