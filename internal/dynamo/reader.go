package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/session"
)

// ReadAPI is the part of *dynamodb.Client that Reader uses.
type ReadAPI interface {
	QueryAPI
	batchGetAPI
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
}

// maxKeys a call is BatchGetItem's own limit.
const maxKeys = 100

// A Reader reads the Sessions table of that name.
type Reader struct {
	Step IndexStep // of the table's indexes

	client ReadAPI
	table  string
	calls  chan struct{} // has one element for each call under way

	firstPause time.Duration
}

// NewReader returns a Reader of the table of that name.
func NewReader(client ReadAPI, tableName string) *Reader {
	return &Reader{client: client, table: tableName, calls: make(chan struct{}, maxCalls), firstPause: firstPause}
}

// Get implements session.Reader: N records are ⌈N/100⌉ parallel calls, if the table is
// not too busy.
func (r *Reader) Get(ctx context.Context, ids []string) ([]session.Record, error) {
	var (
		group   sync.WaitGroup
		mu      sync.Mutex
		records []session.Record
		errs    []error
	)
	for batch := range slices.Chunk(possible(ids), maxKeys) {
		group.Go(func() {
			got, err := r.get(ctx, batch)
			mu.Lock()
			defer mu.Unlock()
			records = append(records, got...)
			errs = append(errs, err)
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return records, nil
}

// get reads up to 100 records.
func (r *Reader) get(ctx context.Context, ids []string) (records []session.Record, err error) {
	select {
	case r.calls <- struct{}{}:
		defer func() { <-r.calls }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	keys := make([]map[string]types.AttributeValue, len(ids))
	for i, id := range ids {
		keys[i] = key(id)
	}
	items, err := batchGet(ctx, r.client, r.table, keys, r.firstPause)
	for _, item := range items {
		records = append(records, Record(item))
	}
	return records, err
}

// batchGetAPI is the part of *dynamodb.Client that batchGet uses.
type batchGetAPI interface {
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
}

// batchGet reads up to 100 items consistently. It reads keys again that the table was
// too busy for, since the call succeeds without them.
func batchGet(ctx context.Context, client batchGetAPI, table string, keys []map[string]types.AttributeValue, firstPause time.Duration) (items []map[string]types.AttributeValue, err error) {
	err = untilProcessed(ctx, len(keys), firstPause, func() (left int, err error) {
		out, err := client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{
			RequestItems: map[string]types.KeysAndAttributes{table: {Keys: keys, ConsistentRead: aws.Bool(true)}},
		})
		if err != nil {
			return 0, fmt.Errorf("read %d items: %w", len(keys), err)
		}
		items = append(items, out.Responses[table]...)
		keys = out.UnprocessedKeys[table].Keys
		return len(keys), nil
	})
	if err != nil {
		return nil, err
	}
	return items, nil
}

// untilProcessed repeats the call, with growing pauses, until no item is left.
func untilProcessed(ctx context.Context, items int, firstPause time.Duration, call func() (left int, err error)) error {
	for try := 1; ; try++ {
		left, err := call()
		if left == 0 || err != nil {
			return err
		}
		if try == maxTries || !pause(ctx, firstPause<<(try-1)) {
			return errors.Join(fmt.Errorf("the table was too busy for %d items of %d", left, items), ctx.Err())
		}
	}
}

// Owned implements session.Reader: one page of the owner's collection in the index
// by-owner, a megabyte at most.
func (r *Reader) Owned(ctx context.Context, owner, after string, limit int) ([]session.Record, bool, error) {
	if !canBeKey(owner) {
		return nil, false, ctx.Err()
	}
	return collection{"by-owner", session.AttrOwner, owner}.page(ctx, r.client, r.table, after, limit)
}

// OnHost implements session.Reader, as Index does.
func (r *Reader) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	return Index{Client: r.client, Table: r.table, Step: r.Step}.OnHost(ctx, hostID, after, limit)
}

// All implements session.Reader: one page of a scan, a megabyte at most.
func (r *Reader) All(ctx context.Context, after string, limit int) ([]session.Record, bool, error) {
	in := &dynamodb.ScanInput{TableName: aws.String(r.table), Limit: aws.Int32(int32(limit))}
	if after != "" {
		in.ExclusiveStartKey = key(after)
	}
	return page(func() ([]map[string]types.AttributeValue, map[string]types.AttributeValue, error) {
		out, err := r.client.Scan(ctx, in)
		if err != nil {
			return nil, nil, fmt.Errorf("scan the table: %w", err)
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
		return out.Items, out.LastEvaluatedKey, nil
	})
}

// page reads until a page has items or is the last: DynamoDB may answer empty pages
// before the last.
func page(read func() (items []map[string]types.AttributeValue, last map[string]types.AttributeValue, err error)) ([]session.Record, bool, error) {
	for {
		items, last, err := read()
		if err != nil {
			return nil, false, err
		}
		if len(items) == 0 && len(last) > 0 {
			continue
		}
		var records []session.Record
		for _, item := range items {
			records = append(records, Record(item))
		}
		return records, len(last) > 0, nil
	}
}

func key(sessionID string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{session.AttrSessionID: attributeValue(sessionID)}
}
