package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/bench/standin"
	"dcv-session-broker/internal/events/hostevents"
	"dcv-session-broker/internal/events/sessionstream"
	"dcv-session-broker/internal/local/delivery"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
)

const sessionsPerHost = 5

// A wayBack is the path from hosts that have finished to records that are DELETED: the
// queue and the stream as template.yaml sets them, the handlers, and a table and a
// Systems Manager with latencies.
type wayBack struct {
	latency standin.Latency
	table   *memtable.Table

	reads, confirming, finishing, batches, streamBatches atomic.Int64
}

// A slowTable is the table with the calls and the latency that DynamoDB has.
type slowTable struct {
	*wayBack
	calls *atomic.Int64
}

// Write implements session.Table.
func (t slowTable) Write(ctx context.Context, writes []session.Write) []session.Result {
	if len(writes) > 0 {
		t.calls.Add(int64(len(writes)+24) / 25) // side by side
		time.Sleep(t.latency.Table)
	}
	return t.table.Write(ctx, writes)
}

// A countedIndex is the table's index by-live-host, each read of which is a call.
type countedIndex struct {
	session.Index
	calls *atomic.Int64
}

// OnHost implements session.Index.
func (x countedIndex) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	x.calls.Add(1)
	return x.Index.OnHost(ctx, hostID, after, limit)
}

// ListCommandInvocations answers for the hosts of a command, whose ID is the
// number of the first.
func (w *wayBack) ListCommandInvocations(_ context.Context, in *ssm.ListCommandInvocationsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	w.reads.Add(1)
	time.Sleep(w.latency.SystemsManager)
	var first, hosts int
	if _, err := fmt.Sscanf(*in.CommandId, "%d-%d", &first, &hosts); err != nil {
		return nil, err
	}
	out := &ssm.ListCommandInvocationsOutput{}
	for n := first; n < first+hosts; n++ {
		if in.InstanceId != nil && *in.InstanceId != hostID(n) {
			continue
		}
		text := ""
		for i := range sessionsPerHost {
			text += fmt.Sprintf("{\"id\":\"%s\",\"result\":\"closed\"}\n", sessionID(n*sessionsPerHost+i))
		}
		out.CommandInvocations = append(out.CommandInvocations, types.CommandInvocation{
			CommandId: in.CommandId, InstanceId: aws.String(hostID(n)), Comment: aws.String("close a1"), Status: types.CommandInvocationStatusSuccess,
			CommandPlugins: []types.CommandPlugin{{Name: aws.String("linux"), Output: aws.String(text)}},
		})
	}
	return out, nil
}

// GetCommandInvocation is not needed: no output is cut.
func (w *wayBack) GetCommandInvocation(context.Context, *ssm.GetCommandInvocationInput, ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	return nil, fmt.Errorf("a short output was read twice")
}

type handlerFunc func(ctx context.Context, event []byte) ([]byte, error)

func (f handlerFunc) Invoke(ctx context.Context, event []byte) ([]byte, error) { return f(ctx, event) }

// run lets so many hosts finish at the same time, and returns the time until all their
// sessions were DELETED.
func (w *wayBack) run(hosts int, queueSource template.QueueSource, streamSource template.StreamSource, visibility time.Duration) time.Duration {
	log := quiet
	w.table = memtable.New()
	var entries []session.Entry
	for n := range hosts * sessionsPerHost {
		host := hostID(n / sessionsPerHost)
		rec := session.Listed(session.Session{ID: sessionID(n), Owner: "user1", HostID: host, Type: "virtual", CreationTime: "2026-11-23T08:30:00Z"})
		w.table.Put(rec)
		entries = append(entries, session.Entry{SessionID: sessionID(n), Owner: "user1"})
	}
	d := &session.Deleter{Table: w.table, Closer: obedient{}, GiveUp: time.Hour, ForceMode: session.Purge, Log: quiet}
	if _, err := d.Delete(context.Background(), session.Request{ID: "a1", By: "bench", At: time.Now(), Entries: entries}); err != nil {
		panic(err)
	}
	confirming := slowTable{w, &w.confirming}
	index := countedIndex{w.table, &w.confirming}
	hostEvents := hostevents.New(hostevents.Parts{
		Table: confirming, Index: index, Getter: memtable.Reader{Table: w.table}, SystemsManager: w, Now: time.Now, NewID: awsenv.NewID, Log: log,
	}, hostevents.Settings{})
	finishing := sessionstream.New(sessionstream.Parts{Table: slowTable{w, &w.finishing}, Now: time.Now, Log: log})
	function := func(name string, handler any, batches *atomic.Int64) *delivery.Function {
		return &delivery.Function{Name: name, Timeout: time.Minute, Handler: handlerFunc(func(ctx context.Context, event []byte) ([]byte, error) {
			batches.Add(1)
			return lambda.NewHandler(handler).Invoke(ctx, event)
		})}
	}
	queue := &delivery.Queue{Queue: template.Queue{LogicalID: "HostEventsQueue", VisibilityTimeout: visibility}}
	feed := w.table.Feed()
	streamPoller := delivery.PollStream(streamSource, function("session-stream", finishing.Handle, &w.streamBatches), nil, log)
	defer streamPoller.Stop()

	// Hosts of all commands finish in random order.
	order := rand.New(rand.NewPCG(1, 2)).Perm(hosts)
	began := time.Now()
	for _, n := range order {
		first := n / 50 * 50
		queue.Send(fmt.Sprintf(`{"source":"aws.ssm","detail-type":"EC2 Command Invocation Status-change Notification",`+
			`"detail":{"command-id":"%d-%d","document-name":"Close","instance-id":%q,"status":"Success"}}`, first, min(50, hosts-first), hostID(n)))
	}
	// It begins when all messages are there: on a busy machine the window could be over before the last of them.
	queuePoller := delivery.PollQueue(queueSource, queue, function("host-events", hostEvents.Handle, &w.batches), log)
	defer queuePoller.Stop()
	for ended := 0; ended < hosts*sessionsPerHost; {
		change, err := feed.Next(context.Background())
		if err != nil {
			return 0
		}
		if change.New[session.AttrState] == "DELETED" {
			ended++
		}
		text, err := json.Marshal(change.Event(time.Now(), "arn:aws:dynamodb:us-east-1:000000000000:table/Sessions/stream/bench"))
		if err != nil {
			panic(err)
		}
		if matches, err := streamSource.Matches(text); err == nil && matches {
			streamPoller.Publish(text)
		}
	}
	return time.Since(began)
}

// sources are how template.yaml feeds host-events and session-stream.
func sources() (queue template.QueueSource, stream template.StreamSource, visibility time.Duration, err error) {
	t, err := template.Load(templateFile, nil)
	if err != nil {
		return queue, stream, 0, err
	}
	for _, f := range t.Functions() {
		if f.Name == "host-events" {
			queue = f.Queues[0]
		}
		if f.Name == "session-stream" {
			stream = f.Streams[0]
		}
	}
	for _, q := range t.Queues() {
		if q.LogicalID == queue.Queue {
			visibility = q.VisibilityTimeout
		}
	}
	return queue, stream, visibility, nil
}

func measureWayBack(r *report, quick bool) error {
	queueSource, streamSource, visibility, err := sources()
	if err != nil {
		return err
	}
	var rows [][]string
	for _, hosts := range []int{1, 50, 1000} {
		if quick && hosts > 50 {
			continue
		}
		w := &wayBack{latency: settings[0]}
		took := w.run(hosts, queueSource, streamSource, visibility)
		sessions := float64(hosts * sessionsPerHost)
		// Lambda receives and deletes ten messages a call; EventBridge sends
		// one.
		queueCalls := float64(hosts) + 2*float64((hosts+9)/10)
		rows = append(rows, []string{
			fmt.Sprint(hosts), fmt.Sprintf("%d, %v", queueSource.BatchSize, queueSource.Window), ms(took),
			fmt.Sprint(w.reads.Load()), fmt.Sprintf("%d + %d", w.confirming.Load(), w.finishing.Load()),
			fmt.Sprintf("%.3f", float64(w.reads.Load())/sessions), fmt.Sprintf("%.3f", float64(w.confirming.Load()+w.finishing.Load())/sessions),
			fmt.Sprintf("%.3f", queueCalls/sessions), fmt.Sprintf("%d + %d", w.batches.Load(), w.streamBatches.Load()),
		})
		// Hosts beyond one batch are read as their events arrive.
		note := r.count
		if hosts >= queueSource.BatchSize {
			note = r.ratio
		}
		note(fmt.Sprintf("Systems Manager reads for a command, %d hosts", hosts), float64(w.reads.Load())/float64((hosts+49)/50))
		note(fmt.Sprintf("table calls for 25 confirmed sessions, %d hosts", hosts), float64(w.confirming.Load())/max(1, sessions/25))
		r.cost.wayBack(hosts, w, sessions, queueCalls)
	}
	head := []string{"hosts, of 5 sessions", "batch, window", "to DELETED", "SSM reads", "table calls: confirm + end", "reads a session", "table calls a session", "queue calls a session", "invocations: host-events + session-stream"}
	r.say("\n### The way back: from hosts that finish at the same time to DELETED\n\n%s", table(head, rows))
	r.brief["way back"] = table(head, rows)
	return nil
}
