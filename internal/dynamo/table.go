// Package dynamo is the Sessions table on DynamoDB. It turns the domain's
// writes into conditional PartiQL statements, many to a call, and what DynamoDB
// answers into the outcome of each: met, refused, or unclear. It adds no rule
// of its own.
package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/session"
)

// API is what Table calls of *dynamodb.Client. Whoever stands between passes
// the option functions on: they are how Table sees each try of a call.
type API interface {
	BatchExecuteStatement(context.Context, *dynamodb.BatchExecuteStatementInput, ...func(*dynamodb.Options)) (*dynamodb.BatchExecuteStatementOutput, error)
}

const (
	// maxStatements a call is BatchExecuteStatement's own limit.
	maxStatements = 25
	// maxCalls at the same time is more than the largest request needs: 1,000 entries
	// are 40 calls.
	maxCalls = 64
)

// A Table is the Sessions table of that name. It may be used by many
// goroutines.
type Table struct {
	client API
	name   string
	calls  chan struct{} // has one element for each call under way

	firstPause time.Duration
}

// New is the table of that name.
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
	// mayLand is why the write may be done already, or be done yet, whatever the
	// table says of it now: an earlier try had no clear answer.
	mayLand error
}

func (p *pending) fail(kind, cause error) {
	*p.result = session.Result{Err: fmt.Errorf("session %s: %w: %w", p.write.SessionID, kind, cause)}
}

// refuse fails the write because the table would not do it.
func (p *pending) refuse(cause error) {
	if p.mayLand != nil {
		p.fail(session.ErrUnclear, fmt.Errorf("%w, but before: %w", cause, p.mayLand))
		return
	}
	p.fail(session.ErrNotWritten, cause)
}

// Write implements session.Table: N writes to different records are ⌈N/25⌉ calls,
// side by side, if nothing fails. A record's second write begins when all
// first writes have their answers, since a call takes a key only once.
//
// After an unclear write the later ones of its record are tried all the same;
// should the unclear one still be on its way, it may land after them. And as
// the SDK tries a call again whose answer was lost, ErrCondition may be the
// write's own doing: the old record shows it.
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

// settleAll gives each of the writes, which are of different records, its
// result.
func (t *Table) settleAll(ctx context.Context, writes []*pending) {
	var calls sync.WaitGroup
	for batch := range slices.Chunk(writes, maxStatements) {
		calls.Go(func() {
			sent := make([]*pending, 0, len(batch))
			for _, p := range batch {
				if p.statement = statement(t.name, p.write); p.tooLong(t.name) {
					p.refuse(errors.New("its statement is longer than DynamoDB takes"))
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

// looks complete the results of new records that were there already: unlike an
// update whose condition fails, an insert does not tell what it met. So these
// are updates whose condition fails.
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
