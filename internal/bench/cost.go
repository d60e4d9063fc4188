package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/local/broker"
	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/local/template"
	"dcv-session-broker/internal/session"
)

// costs are what a million deletions come to, from what was counted and
// measured before.
type costs struct {
	batch    batchSize
	perBatch []noted
	back     map[int]backNoted
	units    float64 // write units a deletion, all three writes with the indexes'
	markOnly float64 // those of the mark alone
}

type noted struct {
	contender *contender
	cpu       time.Duration // a session
	waits     func(n int) time.Duration
	reads     float64 // a session
}

type backNoted struct{ batches, streamBatches, queueCalls, sessions float64 }

// note keeps what the bill of a contender follows from.
func (c *costs) note(who *contender, size batchSize, result batchResult) {
	l := settings[0]
	once := l.Table + l.SystemsManager
	n := noted{contender: who, cpu: result.cpu}
	switch {
	case who.ours:
		n.waits = func(int) time.Duration { return once }
	case who.slow:
		n.reads, n.waits = 1, func(n int) time.Duration { return time.Duration(n) * (once + l.Table) }
	default:
		n.reads, n.waits = 1, func(int) time.Duration { return once + l.Table }
	}
	c.batch, c.perBatch = size, append(c.perBatch, n)
}

func (c *costs) wayBack(hosts int, w *wayBack, sessions, queueCalls float64) {
	if c.back == nil {
		c.back = map[int]backNoted{}
	}
	c.back[hosts] = backNoted{float64(w.batches.Load()), float64(w.streamBatches.Load()), queueCalls, sessions}
}

// billed is how long a function with that memory works on an event: it waits,
// and computes with its share of a processor.
func billed(waits, cpu time.Duration, megabytes float64) time.Duration {
	return waits + time.Duration(float64(cpu)*max(1, processorAt/megabytes))
}

func invocation(waits, cpu time.Duration, megabytes float64) float64 {
	return lambdaRequest + billed(waits, cpu, megabytes).Seconds()*megabytes/1024*lambdaGBSecond
}

func memoryOf(function string) (float64, error) {
	text, err := os.ReadFile("template.yaml")
	if err != nil {
		return 0, err
	}
	_, after, ok := strings.Cut(string(text), "CodeUri: functions/"+function+"/")
	_, after, ok2 := strings.Cut(after, "MemorySize: ")
	var megabytes float64
	if _, err := fmt.Sscan(after, &megabytes); err != nil || !ok || !ok2 {
		return 0, fmt.Errorf("template.yaml: no MemorySize of %s", function)
	}
	return megabytes, nil
}

// measureUnits counts the write units of a deletion on DynamoDB Local: of its
// mark, its confirmation and its end, with those of the indexes.
func measureUnits(ctx context.Context, r *report) error {
	r.cost.units, r.cost.markOnly = 12, 4 // as counted before; for a machine without DynamoDB Local
	if os.Getenv("DYNAMODB_LOCAL_LIB") == "" {
		return nil
	}
	server, err := dynamodblocal.Start(ctx, dynamodblocal.Options{Library: os.Getenv("DYNAMODB_LOCAL_LIB")})
	if err != nil {
		return err
	}
	defer server.Stop()
	t, err := template.Load("template.yaml", nil)
	if err != nil {
		return err
	}
	client := dynamodb.NewFromConfig(dynamodblocal.Config(server.Endpoint()))
	for _, spec := range t.Tables() {
		if _, err := dynamodblocal.CreateTable(ctx, client, broker.CreateTable(spec)); err != nil {
			return err
		}
	}
	metered := &metered{client: client}
	table, store := dynamo.New(metered, "SessionsTable"), dynamodblocal.Store{Client: client, TableName: "SessionsTable"}
	const n = 25
	req := session.Request{ID: "11111111-2222-4333-8444-555555555555", By: "bench", At: time.Now()}
	var reports []session.Report
	for _, rec := range records(n, 5) {
		if err := store.Put(ctx, rec); err != nil {
			return err
		}
		s := rec.Session()
		req.Entries = append(req.Entries, session.Entry{SessionID: s.ID, Owner: s.Owner})
		reports = append(reports, session.Report{HostID: s.HostID, AttemptID: req.ID, SessionID: s.ID, Outcome: session.OutcomeClosed})
	}
	d := &session.Deleter{Table: table, Hosts: obedient{}, GiveUp: time.Hour, ForceMode: session.Purge, Log: quiet}
	if _, err := d.Delete(ctx, req); err != nil {
		return err
	}
	r.cost.markOnly = metered.units / n
	(&session.Confirmer{Table: table, Now: time.Now, Log: quiet}).Apply(ctx, reports)
	confirmed, err := store.All(ctx)
	if err != nil {
		return err
	}
	(&session.Finisher{Table: table, Now: time.Now, Log: quiet}).Finish(ctx, confirmed)
	r.cost.units = metered.units / n
	r.count("write units of a deletion, indexes included", r.cost.units)
	return nil
}

// metered asks with every call what it cost.
type metered struct {
	client *dynamodb.Client
	units  float64
}

func (m *metered) BatchExecuteStatement(ctx context.Context, in *dynamodb.BatchExecuteStatementInput, opts ...func(*dynamodb.Options)) (*dynamodb.BatchExecuteStatementOutput, error) {
	in.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	out, err := m.client.BatchExecuteStatement(ctx, in, opts...)
	if err == nil {
		for _, c := range out.ConsumedCapacity {
			m.units += aws.ToFloat64(c.CapacityUnits)
		}
	}
	return out, err
}

// reportCosts adds it all up.
func reportCosts(r *report) error {
	c := &r.cost
	memory, err := memoryOf("delete-sessions")
	if err != nil {
		return err
	}
	backMemory, err := memoryOf("host-events")
	if err != nil {
		return err
	}
	const million = 1e6
	var rows [][]string
	for _, n := range []int{1, 25, 1000} {
		requests := million / float64(n)
		var own float64
		for _, who := range c.perBatch {
			work := requests * invocation(who.waits(n), who.cpu*time.Duration(n), memory)
			api := requests * httpRequest
			writes := million * writeUnit // into a table without indexes
			back := 0.0
			name := who.contender.name
			if who.contender.ours {
				writes = million * c.units * writeUnit
				b := c.back[1]
				if n > 1 {
					b = c.back[50]
				}
				l := settings[0]
				back = million / b.sessions * (b.queueCalls*sqsRequest +
					b.batches*invocation(l.Table+l.SystemsManager, 2*time.Millisecond, backMemory) +
					b.streamBatches*invocation(l.Table, 2*time.Millisecond, backMemory))
				name += ", with the way back"
			}
			total := api + work + writes + back + million*who.reads*readUnit
			if who.contender.ours {
				own = total
			}
			rows = append(rows, []string{
				fmt.Sprint(n), name, dollars(total), times(total / own), dollars(api), dollars(work), dollars(writes + million*who.reads*readUnit), dollars(back),
			})
			if !who.contender.ours {
				r.ratio(fmt.Sprintf("cost of %s against this system, N=%d", who.contender.name, n), total/own)
			}
		}
	}
	head := []string{"sessions a request", "", "total", "of this system's", "API", "function", "table", "queue, events, stream"}
	r.say("\n### A million deletions, list prices of %s\n\n%s\nA deletion takes %.0f write units: the mark %.0f, the others its confirmation and its end, each with its indexes. A token costs %s, as much as %.0f single deletions.",
		pricesOf, table(head, rows), c.units, c.markOnly, dollars(cognitoToken), cognitoToken/(c.units*writeUnit+httpRequest+lambdaRequest))
	r.brief["cost"] = table(head, rows)

	const runs = 43_200 + 8_640 // of cleanup: deletions each minute, an inventory each five
	const polls = 5 * 3 * 43_200
	idle := []struct {
		what string
		cost float64
	}{
		{"51,840 runs of cleanup, 60 ms each", runs * invocation(60*time.Millisecond, 5*time.Millisecond, backMemory)},
		{"their schedules", runs * schedulerRun},
		{"the index `due`, four lanes a run", 43_200 * 4 * 0.5 * readUnit},
		{"Lambda's long polls of the queue: five pollers, 20 s each", polls * sqsRequest},
		{"their logs, 0.5 KB a run", runs * 0.5e3 / 1e9 * logGigabyte},
		{"the user pool's client (none with an `Issuer` of one's own)", cognitoClient},
	}
	rows = nil
	sum := 0.0
	for _, line := range idle {
		rows = append(rows, []string{line.what, dollars(line.cost)})
		sum += line.cost
	}
	rows = append(rows, []string{"**a month**", "**" + dollars(sum) + "**"})
	head = []string{"when nothing happens", ""}
	r.say("\n### Idle\n\n%s", table(head, rows))
	r.brief["idle"] = table(head, rows)

	rows = nil
	ours := c.perBatch[0]
	for _, megabytes := range []float64{128, 256, 512, 1024, 1769} {
		row := []string{fmt.Sprintf("%.0f MB", megabytes)}
		for _, n := range []int{1, 25, 1000} {
			cpu := ours.cpu * time.Duration(n)
			row = append(row, ms(billed(ours.waits(n), cpu, megabytes))+", "+dollars(million*invocation(ours.waits(n), cpu, megabytes)))
		}
		rows = append(rows, row)
	}
	head = []string{"memory of delete-sessions", "N = 1", "N = 25", "N = 1,000"}
	r.say("\n### Memory: time of a request, and a million of them\n\n%s", table(head, rows))
	r.brief["memory"] = table(head, rows)
	return nil
}

func dollars(x float64) string {
	if x < 0.1 {
		return fmt.Sprintf("$%.4f", x)
	}
	return fmt.Sprintf("$%.2f", x)
}
