package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
)

// A fleetTable is both tables of a fleet of some size: ten sessions a host, ten
// an owner.
type fleetTable struct {
	size   int
	table  session.Table
	index  session.Index
	reader session.Reader
	hosts  session.HostTable
	put    func(context.Context, []session.Record) error
	// filled, if set, is called after all records were written.
	filled func(context.Context) error
	calls  *atomic.Int64

	taken map[string][]time.Duration // by operation
	cost  map[string]int64           // calls
}

func (f *fleetTable) whole() session.WholeIndex {
	return session.WholeIndex{Index: f.index, Getter: f.reader}
}

// tableOperations are the operations whose time must not grow with the table. Each round
// uses its own sessions.
var tableOperations = []struct {
	name string
	do   func(ctx context.Context, f *fleetTable, round int) error
}{
	{"delete 20 sessions", func(ctx context.Context, f *fleetTable, round int) error {
		req := session.Request{ID: awsenv.NewID(), By: "bench", At: time.Now()}
		for i := range 20 {
			r := f.record(round*20 + i)
			req.Entries = append(req.Entries, session.Entry{SessionID: r.ID, Owner: r.Owner})
		}
		d := &session.Deleter{Table: f.table, Closer: obedient{}, GiveUp: time.Hour, ForceMode: session.Purge, Log: quiet}
		answers, err := d.Delete(ctx, req)
		for _, a := range answers {
			if a.FailureReason != "" {
				return fmt.Errorf("%s: %s", a.SessionID, a.FailureReason)
			}
		}
		return err
	}},
	{"cleanup of 20 due deletions", func(ctx context.Context, f *fleetTable, round int) error {
		// The deletions of this round are due when their leases have ended.
		c := &session.Cleaner{
			Table: f.table, Index: f.whole(), Closer: obedient{}, GiveUp: time.Hour, NewID: awsenv.NewID, Log: quiet,
			Reaper: &session.HostReaper{Table: f.table, Index: f.whole(), Instances: obedient{}, HostTable: f.hosts, Now: time.Now, NewID: awsenv.NewID, Log: quiet},
			Now:    func() time.Time { return time.Now().Add(session.Lease + time.Second) },
		}
		return c.ProcessDue(ctx)
	}},
	{"an inventory of 10 sessions", func(ctx context.Context, f *fleetTable, round int) error {
		host := f.record(f.size - 1 - round*10).HostID
		inv := session.Inventory{ID: awsenv.NewID(), HostID: host, Platform: "linux", SentAt: time.Now(), Complete: true}
		for i := range 10 {
			r := f.record(f.size - 10 - round*10 + i)
			inv.Sessions = append(inv.Sessions, session.Found{NameOnHost: r.ID, Owner: r.Owner, Type: r.Type, CreationTime: r.CreationTime, NumOfConnections: 1})
		}
		g := &session.InventoryReconciler{Table: f.table, Index: f.whole(), Getter: f.reader, HostTable: f.hosts, MaxSessions: 1000, Now: time.Now, Log: quiet}
		_, err := g.Apply(ctx, inv)
		return err
	}},
	{"describe an owner's 10 sessions", func(ctx context.Context, f *fleetTable, round int) error {
		page, err := (&session.Describer{Reader: f.reader, Now: time.Now}).Describe(ctx, session.Query{Owner: f.record(f.size/2 + round*10).Owner, Limit: 100})
		if err == nil && len(page.Sessions) != 10 {
			err = fmt.Errorf("an owner has %d sessions", len(page.Sessions))
		}
		return err
	}},
}

func (f *fleetTable) record(n int) session.Session {
	return session.Session{
		ID: sessionID(n), Owner: fmt.Sprintf("user%d", n/10), HostID: hostID(n / 10), Type: "virtual",
		CreationTime: "2026-11-23T08:30:00Z", FirstSeenAt: time.Date(2026, 11, 23, 8, 31, 0, 0, time.UTC),
	}
}

var quiet = slog.New(slog.DiscardHandler)

// obedient hosts accept every command, and run.
type obedient struct{}

func (obedient) Close(_ context.Context, a session.Attempt) []error {
	return make([]error, len(a.Closings))
}

func (obedient) Statuses(context.Context, []string) (map[string]session.HostStatus, map[string]string, error) {
	return nil, nil, nil
}

func newMemoryTable(context.Context, int) (*fleetTable, error) {
	table := memtable.New()
	return &fleetTable{
		table: table, index: table, reader: memtable.Reader{Table: table}, hosts: memtable.NewHosts(), calls: &atomic.Int64{},
		put: func(_ context.Context, records []session.Record) error {
			for _, r := range records {
				table.Put(r)
			}
			return nil
		},
	}, nil
}

func onDynamoDB(endpoint string) func(context.Context, int) (*fleetTable, error) {
	return func(ctx context.Context, size int) (*fleetTable, error) {
		t, err := template.Load(templateFile, nil)
		if err != nil {
			return nil, err
		}
		calls := &atomic.Int64{}
		client := dynamodb.NewFromConfig(dynamodblocal.Config(endpoint), func(o *dynamodb.Options) {
			o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
				return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("count", func(
					ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
				) (middleware.FinalizeOutput, middleware.Metadata, error) {
					calls.Add(1)
					return next.HandleFinalize(ctx, in)
				}), "Retry", middleware.After)
			})
		})
		names := map[string]string{}
		// At each call DynamoDB Local reads all records of a table's stream
		// (getStreamDescription, in the stacks of its threads): after filling, as many as
		// the table has. DynamoDB does not, so the stream is enabled when the table is
		// full.
		streams := map[string]*types.StreamSpecification{}
		for _, spec := range t.Tables() {
			in := dynamodblocal.TableInput(spec)
			names[spec.LogicalID] = fmt.Sprint(spec.LogicalID, size)
			in.TableName = aws.String(names[spec.LogicalID])
			if in.StreamSpecification != nil {
				streams[names[spec.LogicalID]], in.StreamSpecification = in.StreamSpecification, nil
			}
			if _, err := dynamodblocal.CreateTable(ctx, client, in); err != nil {
				return nil, err
			}
		}
		sessions := names["SessionsTable"]
		return &fleetTable{
			table: dynamo.New(client, sessions), index: dynamo.Index{Client: client, Table: sessions},
			reader: dynamo.NewReader(client, sessions), hosts: dynamo.Hosts{Client: client, Table: names["HostsTable"]}, calls: calls,
			put: func(ctx context.Context, records []session.Record) error {
				in := &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{}}
				for _, r := range records {
					in.RequestItems[sessions] = append(in.RequestItems[sessions], types.WriteRequest{PutRequest: &types.PutRequest{Item: dynamo.Item(r)}})
				}
				out, err := client.BatchWriteItem(ctx, in)
				if err == nil && len(out.UnprocessedItems) > 0 {
					err = fmt.Errorf("not all of %d items were written", len(records))
				}
				return err
			},
			filled: func(ctx context.Context) error {
				for name, stream := range streams {
					if _, err := client.UpdateTable(ctx, &dynamodb.UpdateTableInput{TableName: aws.String(name), StreamSpecification: stream}); err != nil {
						return fmt.Errorf("begin the stream of %s: %w", name, err)
					}
				}
				return nil
			},
		}, nil
	}
}

// measureGrowth runs the same operations in tables of every size, interleaved.
func measureGrowth(ctx context.Context, r *report, quick bool) error {
	sizes, rounds := []int{1_000, 10_000, 100_000}, 20
	stores := []struct {
		name string
		open func(context.Context, int) (*fleetTable, error)
	}{{"in memory", newMemoryTable}}
	if quick {
		sizes, rounds = sizes[:2], 5
	}
	if lib := os.Getenv("DYNAMODB_LOCAL_LIB"); lib != "" && !quick {
		server, err := dynamodblocal.Start(ctx, dynamodblocal.Options{Library: lib})
		if err != nil {
			return err
		}
		defer func() { _ = server.Stop() }() // it was only measured
		stores = append(stores, struct {
			name string
			open func(context.Context, int) (*fleetTable, error)
		}{"DynamoDB Local", onDynamoDB(server.Endpoint())})
	}
	var rows [][]string
	for _, store := range stores {
		tables := make([]*fleetTable, len(sizes))
		for i, size := range sizes {
			began := time.Now()
			f, err := store.open(ctx, size)
			if err != nil {
				return err
			}
			f.size, f.taken, f.cost = size, map[string][]time.Duration{}, map[string]int64{}
			if err := f.fill(ctx); err != nil {
				return err
			}
			tables[i] = f
			progress("%s: %d records, filled in %s", store.name, size, ms(time.Since(began)))
		}
		for round := range rounds {
			for _, op := range tableOperations {
				for _, f := range tables {
					before := f.calls.Load()
					began := time.Now()
					if err := op.do(ctx, f, round); err != nil {
						return fmt.Errorf("%s, %d records: %s: %w", store.name, f.size, op.name, err)
					}
					f.taken[op.name] = append(f.taken[op.name], time.Since(began))
					f.cost[op.name] = max(f.cost[op.name], f.calls.Load()-before)
				}
			}
		}
		for _, op := range tableOperations {
			row := []string{op.name, store.name}
			first, last := tables[0], tables[len(tables)-1]
			for _, f := range tables {
				cell := ms(median(f.taken[op.name]))
				if store.name != "in memory" {
					cell += fmt.Sprintf(", %d calls", f.cost[op.name])
				}
				row = append(row, cell)
			}
			ratio := float64(median(last.taken[op.name])) / float64(median(first.taken[op.name]))
			r.ratio(fmt.Sprintf("growth to %d records, %s, %s", last.size, store.name, op.name), ratio)
			if store.name != "in memory" {
				r.count(fmt.Sprintf("calls at %d records, %s", last.size, op.name), float64(last.cost[op.name]))
			}
			rows = append(rows, append(row, times(ratio)))
		}
	}
	head := []string{"operation", "table"}
	for _, size := range sizes {
		head = append(head, fmt.Sprintf("%d records", size))
	}
	head = append(head, "last / first")
	r.say("\n### Growth: medians of %d rounds\n\n%s", rounds, table(head, rows))
	r.brief["growth"] = table(head, rows)
	return nil
}

// fill writes the sessions, four batches at a time.
func (f *fleetTable) fill(ctx context.Context) error {
	var (
		group errgroup
		slots = make(chan struct{}, 4)
	)
	for first := 0; first < f.size; first += 25 {
		slots <- struct{}{}
		group.run(func() error {
			defer func() { <-slots }()
			var batch []session.Record
			for n := first; n < min(first+25, f.size); n++ {
				batch = append(batch, session.Listed(f.record(n)))
			}
			return f.put(ctx, batch)
		})
	}
	if err := group.wait(); err != nil || f.filled == nil {
		return err
	}
	return f.filled(ctx)
}

// An errgroup runs goroutines and collects their errors.
type errgroup struct {
	wg   sync.WaitGroup
	mu   sync.Mutex
	errs []error
}

func (g *errgroup) run(work func() error) {
	g.wg.Go(func() {
		if err := work(); err != nil {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.errs = append(g.errs, err)
		}
	})
}

func (g *errgroup) wait() error {
	g.wg.Wait()
	return errors.Join(g.errs...)
}
