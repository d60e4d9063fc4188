package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/session/tabletest"
)

func TestReaderConformance(t *testing.T) {
	client := dynamodb.NewFromConfig(dynamodblocal.ConfigForTest(t))
	tabletest.RunReader(t, func(tb tabletest.TB) tabletest.ReaderSubject {
		name, _ := templateTable(tb, client, "SessionsTable")
		store := dynamodblocal.Store{Client: client, TableName: name}
		return tabletest.ReaderSubject{
			Reader: dynamo.NewReader(emptyPages{client}, name),
			Put: func(r session.Record) {
				if err := store.Put(t.Context(), r); err != nil {
					tb.Fatalf("%v", err)
				}
			},
			Delete: func(id string) {
				if err := store.Delete(t.Context(), id); err != nil {
					tb.Fatalf("%v", err)
				}
			},
		}
	})
}

// costs counts the calls, and the items that DynamoDB read for them.
type costs struct {
	dynamo.ReadAPI
	mu                sync.Mutex
	gets, queries     int
	scans, itemsAsked int32
}

func (c *costs) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gets++
	for _, asked := range in.RequestItems {
		c.itemsAsked += int32(len(asked.Keys))
	}
	return c.ReadAPI.BatchGetItem(ctx, in, opts...)
}

func (c *costs) Query(ctx context.Context, in *dynamodb.QueryInput, opts ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	out, err := c.ReadAPI.Query(ctx, in, opts...)
	c.queries++
	if err == nil {
		c.itemsAsked += out.ScannedCount
	}
	return out, err
}

func (c *costs) Scan(ctx context.Context, in *dynamodb.ScanInput, opts ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	out, err := c.ReadAPI.Scan(ctx, in, opts...)
	c.scans++
	if err == nil {
		c.itemsAsked += out.ScannedCount
	}
	return out, err
}

func TestCostOfReading(t *testing.T) {
	client := dynamodb.NewFromConfig(dynamodblocal.ConfigForTest(t))
	name, _ := templateTable(t, client, "SessionsTable")
	store := dynamodblocal.Store{Client: client, TableName: name}
	ids := make([]string, 1000)
	for n := range ids {
		ids[n] = fmt.Sprintf("s-%d", n)
		if n%2 == 0 {
			continue
		}
		owner := "others"
		if n < 14 {
			owner = "alice"
		}
		if err := store.Put(t.Context(), session.Record{session.AttrSessionID: ids[n], "Owner": owner, "State": "READY"}); err != nil {
			t.Fatal(err)
		}
	}
	for what, test := range map[string]struct {
		read func(r *dynamo.Reader) (records int, err error)
		want string
	}{
		"1,000 IDs": {
			func(r *dynamo.Reader) (int, error) { got, err := r.Get(t.Context(), ids); return len(got), err },
			"500 records: 10 gets, 0 queries, 0 scans, 1000 items",
		},
		"an owner": {
			func(r *dynamo.Reader) (int, error) {
				got, _, err := r.Owned(t.Context(), "alice", "", 1000)
				return len(got), err
			},
			"7 records: 0 gets, 1 queries, 0 scans, 7 items",
		},
		"an owner's next": {
			func(r *dynamo.Reader) (int, error) {
				got, _, err := r.Owned(t.Context(), "alice", "s-3", 3)
				return len(got), err
			},
			"3 records: 0 gets, 1 queries, 0 scans, 3 items",
		},
		"a page of all": {
			func(r *dynamo.Reader) (int, error) {
				got, _, err := r.All(t.Context(), "s-1", 20)
				return len(got), err
			},
			"20 records: 0 gets, 0 queries, 1 scans, 20 items",
		},
	} {
		t.Run(what, func(t *testing.T) {
			c := &costs{ReadAPI: client}
			records, err := test.read(dynamo.NewReader(c, name))
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("%d records: %d gets, %d queries, %d scans, %d items", records, c.gets, c.queries, c.scans, c.itemsAsked); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// busyTable answers for some keys of a call, and counts the calls.
type busyTable struct {
	dynamo.ReadAPI
	mu    sync.Mutex
	calls int
	// takes is the number of keys that it answers in a call.
	takes int
	fail  error
}

func (b *busyTable) BatchGetItem(_ context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	asked := in.RequestItems["Sessions"]
	if asked.ConsistentRead == nil || !*asked.ConsistentRead {
		return nil, errors.New("a read that may be behind")
	}
	n := min(b.takes, len(asked.Keys))
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{"Sessions": asked.Keys[:n]}}
	if left := asked.Keys[n:]; len(left) > 0 {
		out.UnprocessedKeys = map[string]types.KeysAndAttributes{"Sessions": {Keys: left, ConsistentRead: asked.ConsistentRead}}
	}
	return out, b.fail
}

func TestBusyTableIsAskedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		takes, calls int
		err          string
	}{
		"in one":          {7, 1, ""},
		"in four":         {2, 4, ""},
		"not in four":     {1, 4, "too busy for 3 items of 7"},
		"nothing in four": {0, 4, "too busy for 7 items of 7"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &busyTable{takes: test.takes}
			records, err := dynamo.NewReader(b, "Sessions").Hurried().Get(t.Context(), strings.Split("abcdefg", ""))
			if b.calls != test.calls {
				t.Errorf("%d calls, want %d", b.calls, test.calls)
			}
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) || records != nil {
					t.Errorf("%v, %v", records, err)
				}
			} else if err != nil || len(records) != 7 {
				t.Errorf("%v, %v", records, err)
			}
		})
	}
}

func TestFailedReadReturnsNoRecords(t *testing.T) {
	b := &busyTable{takes: 100, fail: errDown}
	if records, err := dynamo.NewReader(b, "Sessions").Get(t.Context(), []string{"a"}); records != nil || !errors.Is(err, errDown) {
		t.Errorf("%v, %v", records, err)
	}
}

func TestWaitingForABusyTableEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := &cancels{busyTable{}, cancel}
	if _, err := dynamo.NewReader(b, "Sessions").Patient().Get(ctx, []string{"a"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type cancels struct {
	busyTable
	cancel func()
}

func (c *cancels) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, opts ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	defer c.cancel()
	return c.busyTable.BatchGetItem(ctx, in, opts...)
}
