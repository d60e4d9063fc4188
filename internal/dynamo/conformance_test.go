package dynamo_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/rapidtest"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/session/tabletest"
	"dcv-session-broker/internal/streamevent"
)

func TestConformance(t *testing.T) {
	tabletest.Run(t, onDynamoDBLocal(t))
}

func TestSameAsInMemory(t *testing.T) {
	rapidtest.FewerChecks(t, "8") // each case is some hundred calls of DynamoDB Local
	tabletest.Compare(t, tabletest.Memory, onDynamoDBLocal(t))
}

var tables atomic.Int64

// localTable makes a table in DynamoDB Local and returns its stream, too.
func localTable(t tabletest.TB, client *dynamodb.Client) (name, streamARN string) {
	t.Helper()
	name = fmt.Sprintf("Sessions-%d", tables.Add(1))
	streamARN, err := dynamodblocal.CreateTable(context.Background(), client, &dynamodb.CreateTableInput{
		TableName:            &name,
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String(session.AttrSessionID), AttributeType: "S"}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String(session.AttrSessionID), KeyType: "HASH"}},
		StreamSpecification: &types.StreamSpecification{
			StreamEnabled: aws.Bool(true), StreamViewType: types.StreamViewTypeNewAndOldImages,
		},
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return name, streamARN
}

// onDynamoDBLocal makes subjects for the suite, each with its own table. It reads a
// stream only after the first call for changes: reading it every few milliseconds costs
// as much as everything else.
func onDynamoDBLocal(t *testing.T) func(tabletest.TB) tabletest.Subject {
	config := dynamodblocal.ConfigForTest(t)
	client := dynamodb.NewFromConfig(config)
	streams := dynamodbstreams.NewFromConfig(config)
	return func(tb tabletest.TB) tabletest.Subject {
		ctx := t.Context()
		name, streamARN := templateTable(tb, client, "SessionsTable")
		store := dynamodblocal.Store{Client: client, TableName: name}
		must := func(err error) {
			tb.Helper()
			if err != nil {
				tb.Fatalf("%v", err)
			}
		}
		feed := make(feed)
		reader := &dynamodblocal.StreamReader{
			Client: streams, StreamARN: streamARN, Every: 5 * time.Millisecond,
			Log: slog.New(slog.DiscardHandler),
		}
		readerCtx, stop := context.WithCancel(ctx)
		reader.Handle = func(records []streamevent.Record) {
			select {
			case feed <- records:
			case <-readerCtx.Done():
			}
		}
		var running sync.WaitGroup
		read := sync.OnceFunc(func() { running.Go(func() { reader.Run(readerCtx) }) })
		tb.Cleanup(func() { stop(); running.Wait() })

		return tabletest.Subject{
			Table:  dynamo.New(client, name),
			Index:  dynamo.Index{Client: client, Table: name},
			Hosts:  dynamo.HostLister{Client: client, Table: name},
			Reader: dynamo.NewReader(client, name),
			Put:    func(r session.Record) { must(store.Put(ctx, r)) },
			Delete: func(id string) { must(store.Delete(ctx, id)) },
			Get: func(id string) session.Record {
				r, err := store.Get(ctx, id)
				must(err)
				return r
			},
			Changes: func() []tabletest.Change {
				read()
				// Earlier writes are in the stream before this record.
				must(store.Put(ctx, session.Record{session.AttrSessionID: last}))
				must(store.Delete(ctx, last))
				shown, err := feed.until(last)
				must(err)
				changes, err := tabletest.FromEvents(shown)
				must(err)
				return changes
			},
		}
	}
}

// last is a record that is put and deleted to mark the end of the stream.
const last = "last"

// A feed has the records of a stream.
type feed chan []streamevent.Record

// until waits for the deletion of that record, and returns all changes before it.
func (f feed) until(sessionID string) (all []streamevent.Record, err error) {
	for {
		select {
		case records := <-f:
			for _, r := range records {
				if r.DynamoDB.Keys[session.AttrSessionID]["S"] != sessionID {
					all = append(all, r)
				} else if r.EventName == streamevent.Remove {
					return all, nil
				}
			}
		case <-time.After(5 * time.Minute):
			return nil, fmt.Errorf("the stream does not show that record %s was deleted", sessionID)
		}
	}
}
