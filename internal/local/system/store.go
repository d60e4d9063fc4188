package system

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/streamevent"
	"dcv-session-broker/internal/template"
)

// A store is the Sessions table, with operations that only the local system has.
type store interface {
	// tables returns the tables for a function, which count its calls.
	tables(function string) tables
	// get returns nil if there is no record.
	get(ctx context.Context, id string) (session.Record, error)
	put(context.Context, session.Record) error
	// remove removes a record, if there is one.
	remove(ctx context.Context, id string) error
	all(context.Context) ([]session.Record, error)
	// index and hosts return those of tables without counting the calls.
	index() session.Index
	hosts() localHosts
	// follow passes on each change, in order, until stop is called.
	follow(func(streamevent.Record)) (stop func())
}

// tables are a function's interfaces to the Sessions and the Hosts table.
type tables struct {
	table  session.Table
	reader session.Reader
	index  localIndex
	hosts  localHosts

	hostLister session.HostLister
}

// localIndex has all operations on the Sessions table's indexes.
type localIndex interface {
	session.Index
	session.OpenIndex
}

// localHosts has all operations on the Hosts table.
type localHosts interface {
	session.HostTable
	session.HostNotes
	session.HostWalk
	session.RefusedHostNotes
	session.RefusedHosts
}

const (
	tableName = "SessionsTable"
	hostsName = "HostsTable"
)

func (sys *System) openStore(ctx context.Context) error {
	specs := map[string]template.Table{}
	for _, t := range sys.template.Tables() {
		specs[t.LogicalID] = t
	}
	for _, name := range []string{tableName, hostsName} {
		if _, there := specs[name]; !there {
			return fmt.Errorf("the template has no table %s", name)
		}
	}
	if sys.opts.DynamoDB == "" {
		sys.store = &memoryStore{memory: memtable.New(), memoryHosts: memtable.NewHosts(), calls: sys.calls}
		return nil
	}
	config := dynamodblocal.ConfigOf(sys.opts.DynamoDB, sys.dynamoDBKey())
	client := dynamodb.NewFromConfig(config)
	streams := map[string]string{}
	for name, spec := range specs {
		in := dynamodblocal.TableInput(spec)
		arn, err := dynamodblocal.CreateTable(ctx, client, in)
		if err == nil {
			err = dynamodblocal.MoveIndexes(ctx, client, in)
		}
		if err != nil {
			return fmt.Errorf("DynamoDB Local at %s: %w", sys.opts.DynamoDB, err)
		}
		streams[name] = arn
	}
	sys.store = &dynamoStore{
		config: config,
		store:  dynamodblocal.Store{Client: client, TableName: tableName},
		stream: &dynamodblocal.StreamReader{
			Client: dynamodbstreams.NewFromConfig(config), StreamARN: streams[tableName], Log: sys.opts.Log,
		},
		calls: sys.calls,
		step:  dynamo.IndexStep(sys.template.Parameters()["IndexStep"]),
	}
	return nil
}

func (sys *System) dynamoDBKey() string { return cmp.Or(sys.opts.DynamoDBKey, "local") }

type memoryStore struct {
	memory      *memtable.Table
	memoryHosts *memtable.Hosts
	calls       *calls
}

func (s *memoryStore) tables(function string) tables {
	count := func(operation string, in any) { s.calls.count(function, "table:"+operation, in) }
	ask := func(operation string, in any) error { return s.calls.ask(function, "table:"+operation, in) }
	return tables{
		table:  &countedTable{s.memory, ask},
		reader: &countedReader{memtable.Reader{Table: s.memory}, count},
		index:  &countedIndex{s.memory, count},
		hosts:  &countedHosts{s.memoryHosts, count},

		hostLister: &countedHostLister{s.memory, count},
	}
}

func (s *memoryStore) get(_ context.Context, id string) (session.Record, error) {
	return s.memory.Get(id), nil
}

func (s *memoryStore) put(_ context.Context, r session.Record) error {
	s.memory.Put(r)
	return nil
}

func (s *memoryStore) remove(_ context.Context, id string) error {
	s.memory.Delete(id)
	return nil
}

func (s *memoryStore) all(context.Context) ([]session.Record, error) { return s.memory.All(), nil }

func (s *memoryStore) index() session.Index { return s.memory }

func (s *memoryStore) hosts() localHosts { return s.memoryHosts }

func (s *memoryStore) follow(tell func(streamevent.Record)) (stop func()) {
	feed := s.memory.Feed()
	return background(func(ctx context.Context) {
		for {
			change, err := feed.Next(ctx)
			if err != nil {
				return
			}
			tell(change.Event(time.Now(), "arn:aws:dynamodb:us-east-1:000000000000:table/"+tableName+"/stream/local"))
		}
	})
}

type dynamoStore struct {
	config aws.Config
	store  dynamodblocal.Store
	stream *dynamodblocal.StreamReader
	calls  *calls
	step   dynamo.IndexStep
}

func (s *dynamoStore) tables(function string) tables {
	client := dynamodb.NewFromConfig(s.config, func(o *dynamodb.Options) {
		o.APIOptions = append(o.APIOptions, s.calls.middleware(function, "dynamodb"))
	})
	return onDynamoDB(client, s.step)
}

func onDynamoDB(client *dynamodb.Client, step dynamo.IndexStep) tables {
	reader := dynamo.NewReader(client, tableName)
	reader.Step = step
	return tables{
		table:  dynamo.New(client, tableName),
		reader: reader,
		index:  dynamo.Index{Client: client, Table: tableName, Step: step},
		hosts:  dynamo.Hosts{Client: client, Table: hostsName},

		hostLister: dynamo.HostLister{Client: client, Table: tableName, Step: step},
	}
}

func (s *dynamoStore) get(ctx context.Context, id string) (session.Record, error) {
	return s.store.Get(ctx, id)
}

func (s *dynamoStore) put(ctx context.Context, r session.Record) error { return s.store.Put(ctx, r) }

func (s *dynamoStore) remove(ctx context.Context, id string) error { return s.store.Delete(ctx, id) }

func (s *dynamoStore) all(ctx context.Context) ([]session.Record, error) { return s.store.All(ctx) }

func (s *dynamoStore) index() session.Index {
	return dynamo.Index{Client: s.store.Client, Table: tableName, Step: s.step}
}

func (s *dynamoStore) hosts() localHosts {
	return dynamo.Hosts{Client: s.store.Client, Table: hostsName}
}

func (s *dynamoStore) follow(tell func(streamevent.Record)) (stop func()) {
	s.stream.Handle = func(records []streamevent.Record) {
		for _, r := range records {
			tell(r)
		}
	}
	return background(func(ctx context.Context) {
		if err := s.stream.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			s.stream.Log.Error("the table's stream cannot be read any more: restart", "Cause", err)
		}
	})
}

// background runs work until stop is called, which waits for its end.
func background(work func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		work(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}
