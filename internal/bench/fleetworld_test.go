package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/events/cleanup"
	"dcv-session-broker/internal/events/hostevents"
	"dcv-session-broker/internal/events/sessionstream"
	"dcv-session-broker/internal/httpapi/deletesessions"
	"dcv-session-broker/internal/local/delivery"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
	"dcv-session-broker/internal/template/templatetest"
)

// A fleetWorld is a fleet and the system that serves it, in virtual time
// (testing/synctest). The handlers, their settings, the queues, the stream, the rules
// of EventBridge and the SDK's client of Systems Manager are the real ones; the tables,
// Systems Manager (fleetssm_test.go) and the hosts are simulated, and take their time.
type fleetWorld struct {
	deployed  *template.Template
	sessions  int // of each host
	table     *memtable.Table
	hostTable *memtable.Hosts
	ssm       *simulatedSSM
	queues    map[string]*delivery.Queue // by logical ID
	functions map[string]*fleetFunction
	stops     []func()

	mu      sync.Mutex
	chance  *rand.Rand
	calls   map[string]int       // of the tables, by operation
	heardAt map[string]time.Time // by host: when the queue got the event of its close command
	waits   []time.Duration      // from then to each confirmation
	ended   int                  // sessions that are DELETED
	endedAt time.Time            // the last of them
}

// What is assumed of time. Latencies are settings[0] of `make bench`.
const (
	assumedCloseFrom, assumedCloseTo         = 1 * time.Second, 3 * time.Second  // a close command, until it has ended
	assumedInventoryFrom, assumedInventoryTo = 1 * time.Second, 20 * time.Second // a command to the whole fleet
	assumedEventFrom, assumedEventTo         = 200 * time.Millisecond, time.Second
	assumedColdStart                         = 200 * time.Millisecond
	// Processor time on a whole processor; a function has its memory's share.
	computeAnswer = 300 * time.Microsecond // to apply one answer, as in stackcost.go
	computeRead   = 500 * time.Microsecond // a call of Systems Manager, and for each invocation on its page:
	computeListed = 40 * time.Microsecond
	computeWrite  = 28 * time.Microsecond // a session's write, as FIGURES.md has it
	computeRecord = 30 * time.Microsecond // a record that a rule looks at
)

func newFleetWorld(t *testing.T, hosts, sessions int, rate float64) *fleetWorld {
	t.Helper()
	deployed := templatetest.Load(t, nil)
	w := &fleetWorld{
		deployed: deployed, sessions: sessions, table: memtable.New(), hostTable: memtable.NewHosts(),
		queues: map[string]*delivery.Queue{}, functions: map[string]*fleetFunction{},
		chance: rand.New(rand.NewPCG(1, 2)), calls: map[string]int{}, heardAt: map[string]time.Time{},
	}
	w.ssm = newSimulatedSSM(w, hosts, rate)
	for _, q := range deployed.Queues() {
		w.queues[q.LogicalID] = &delivery.Queue{Queue: q}
	}
	for _, q := range w.queues {
		q.DeadLetters = w.queues[q.DeadLetterQueue]
	}
	for _, f := range deployed.Functions() {
		if handlerInFleet[f.Name] == nil {
			continue
		}
		function := &fleetFunction{w: w, Function: f}
		w.functions[f.Name] = function
		for _, source := range f.Queues {
			poller := delivery.PollQueue(source, w.queues[source.Queue], function.delivered(), nil)
			w.stops = append(w.stops, poller.Stop)
		}
	}
	stream := w.functions["session-stream"]
	poller := delivery.PollStream(stream.Streams[0], stream.delivered(), nil, nil)
	feed := w.table.Feed()
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { w.watch(ctx, feed, poller) })
	w.stops = append(w.stops, func() { cancel(); watching.Wait(); poller.Stop() })
	return w
}

func (w *fleetWorld) stop() {
	for _, stop := range w.stops {
		stop()
	}
}

// between is a time in that range.
func (w *fleetWorld) between(from, to time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return from + time.Duration(w.chance.Int64N(int64(to-from)))
}

func (w *fleetWorld) count(call string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[call] += n
}

// watch follows the table: it notes confirmations and ends, and hands the stream what
// its filter may let pass.
func (w *fleetWorld) watch(ctx context.Context, feed *memtable.Feed, stream *delivery.StreamPoller) {
	for {
		change, err := feed.Next(ctx)
		if err != nil {
			return
		}
		confirmed := change.New[session.AttrConfirmation] != nil
		w.mu.Lock()
		if hostID, _ := change.New[session.AttrHostID].(string); confirmed && change.Old[session.AttrConfirmation] == nil {
			w.waits = append(w.waits, time.Since(w.heardAt[hostID]))
		}
		if change.New[session.AttrState] == string(session.Deleted) && change.Old[session.AttrState] != string(session.Deleted) {
			w.ended, w.endedAt = w.ended+1, time.Now()
		}
		w.mu.Unlock()
		if confirmed {
			text, err := json.Marshal(change.Event(time.Now(), "arn:aws:dynamodb:us-east-1:000000000000:table/Sessions/stream/bench"))
			if err != nil {
				panic(err)
			}
			stream.Publish(text)
		}
	}
}

// emit brings an event of Systems Manager to the queues that the rules say.
func (w *fleetWorld) emit(event string) {
	for _, r := range w.deployed.Rules() {
		if matches, err := r.Pattern.Match([]byte(event)); err != nil || !matches || !r.Enabled {
			continue
		}
		for _, queue := range r.Queues {
			w.queues[queue].Send(event)
		}
	}
}

// deadLetters is how many messages were received too often.
func (w *fleetWorld) deadLetters() (n int) {
	for _, q := range w.queues {
		if q.DeadLetters != nil {
			n += len(q.DeadLetters.Bodies())
		}
	}
	return n
}

// A fleetFunction is a Lambda function with its environments: one for each of the events
// that it works on at the same time, each with its own client of Systems Manager.
type fleetFunction struct {
	w *fleetWorld
	template.Function

	mu          sync.Mutex
	idle        []*fleetEnvironment
	running     int
	peak        int // events at the same time
	invocations int
}

func (f *fleetFunction) delivered() *delivery.Function {
	return &delivery.Function{Name: f.Name, Timeout: f.Timeout, Handler: f}
}

// Invoke implements lambda.Handler.
func (f *fleetFunction) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	f.mu.Lock()
	f.invocations++
	f.running++
	f.peak = max(f.peak, f.running)
	var env *fleetEnvironment
	if n := len(f.idle); n > 0 {
		env, f.idle = f.idle[n-1], f.idle[:n-1]
	}
	f.mu.Unlock()
	if env == nil {
		env = newFleetEnvironment(f)
		time.Sleep(assumedColdStart)
	}
	answer, err := env.handler.Invoke(ctx, event)
	answer = bytes.Clone(answer) // the handler writes its next answer to the same memory
	f.mu.Lock()
	f.running--
	f.idle = append(f.idle, env)
	f.mu.Unlock()
	return answer, err
}

// invoke has the function work on an event that no queue brings.
func (f *fleetFunction) invoke(event any) ([]byte, error) {
	text, err := json.Marshal(event)
	if err != nil {
		panic(err)
	}
	return f.delivered().Invoke(context.Background(), text)
}

// A fleetEnvironment is one in which a function runs: a process with a share of a
// processor.
type fleetEnvironment struct {
	*fleetWorld
	handler   lambda.Handler
	megabytes float64
	processor chan struct{}
	client    *ssm.Client
}

// handlerInFleet makes the functions that take part.
var handlerInFleet = map[string]func(e *fleetEnvironment, settings *awsenv.Environment) any{
	"delete-sessions": func(e *fleetEnvironment, s *awsenv.Environment) any {
		return deletesessions.New(deletesessions.Parts{
			Table: fleetRecords{e}, Getter: fleetRecords{e}, Notes: e.hosts(), RefusedHosts: e.hosts(), SystemsManager: e.client, Now: time.Now, Log: quiet,
		}, deletesessions.ReadSettings(s)).Handle
	},
	"host-events": func(e *fleetEnvironment, s *awsenv.Environment) any {
		return hostevents.New(hostevents.Parts{
			Table: fleetRecords{e}, Index: fleetRecords{e}, Getter: fleetRecords{e}, HostTable: e.hosts(),
			SystemsManager: e.client, EC2: e, Now: time.Now, NewID: awsenv.NewID, Log: quiet,
		}, hostevents.ReadSettings(s)).Handle
	},
	"session-stream": func(e *fleetEnvironment, _ *awsenv.Environment) any {
		return sessionstream.New(sessionstream.Parts{Table: fleetRecords{e}, Now: time.Now, Log: quiet}).Handle
	},
	"cleanup": func(e *fleetEnvironment, s *awsenv.Environment) any {
		return cleanup.New(cleanup.Parts{
			Table: fleetRecords{e}, Index: fleetRecords{e}, Reader: fleetRecords{e}, HostLister: fleetRecords{e}, HostTable: e.hosts(),
			SystemsManager: e.client, EC2: e, Now: time.Now, NewID: awsenv.NewID, Log: quiet,
		}, cleanup.ReadSettings(s)).Handle
	},
}

func newFleetEnvironment(f *fleetFunction) *fleetEnvironment {
	e := &fleetEnvironment{fleetWorld: f.w, megabytes: float64(f.MemoryMB), processor: make(chan struct{}, 1)}
	config := awsenv.SystemsManager.Config()
	config.Region, config.HTTPClient, config.BaseEndpoint = "us-east-1", ssmTransport{e}, aws.String("http://ssm.invalid")
	config.Credentials = credentials.NewStaticCredentialsProvider("none", "none", "")
	e.client = ssm.NewFromConfig(config)
	settings := &awsenv.Environment{Getenv: func(name string) string { return f.Environment[name] }}
	e.handler = lambda.NewHandler(handlerInFleet[f.Name](e, settings))
	if err := settings.Err(); err != nil {
		panic(err)
	}
	return e
}

// compute takes so much of a whole processor's time.
func (e *fleetEnvironment) compute(d time.Duration) {
	e.processor <- struct{}{}
	time.Sleep(time.Duration(float64(d) * max(1, processorAt/e.megabytes)))
	<-e.processor
}

func (e *fleetEnvironment) hosts() fleetHosts { return fleetHosts{e.hostTable, e} }

// DescribeInstances implements ec2state.API: all hosts run.
func (e *fleetEnvironment) DescribeInstances(_ context.Context, in *ec2.DescribeInstancesInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	e.count("EC2", 1)
	time.Sleep(settings[0].SystemsManager)
	var running []types.Instance
	for _, id := range in.Filters[0].Values {
		running = append(running, types.Instance{InstanceId: aws.String(id), State: &types.InstanceState{Name: types.InstanceStateNameRunning}})
	}
	return &ec2.DescribeInstancesOutput{Reservations: []types.Reservation{{Instances: running}}}, nil
}

// StopInstances implements ec2state.StopAPI.
func (e *fleetEnvironment) StopInstances(context.Context, *ec2.StopInstancesInput, ...func(*ec2.Options)) (*ec2.StopInstancesOutput, error) {
	return nil, fmt.Errorf("no host is to be stopped")
}

// fleetRecords is the Sessions table as an environment sees it: each call takes its time.
type fleetRecords struct{ e *fleetEnvironment }

func (r fleetRecords) call(ctx context.Context, name string, n int) error {
	r.e.count(name, n)
	select {
	case <-time.After(settings[0].Table):
	case <-ctx.Done():
	}
	return ctx.Err()
}

func (r fleetRecords) Write(ctx context.Context, writes []session.Write) []session.Result {
	if len(writes) > 0 {
		r.e.compute(time.Duration(len(writes)) * computeWrite)
		_ = r.call(ctx, "Write", (len(writes)+24)/25) // side by side; the table itself looks at ctx
	}
	return r.e.table.Write(ctx, writes)
}

func (r fleetRecords) Due(ctx context.Context, shard string, now time.Time, limit int) ([]session.Record, error) {
	_ = r.call(ctx, "Due", 1)
	return r.e.table.Due(ctx, shard, now, limit)
}

func (r fleetRecords) Open(ctx context.Context, shard string, limit int) ([]session.Record, error) {
	_ = r.call(ctx, "Open", 1)
	return r.e.table.Open(ctx, shard, limit)
}

func (r fleetRecords) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	_ = r.call(ctx, "OnHost", 1)
	return r.e.table.OnHost(ctx, hostID, after, limit)
}

func (r fleetRecords) HostsAfter(ctx context.Context, hostID string, limit int) ([]string, error) {
	_ = r.call(ctx, "HostsAfter", 1)
	return r.e.table.HostsAfter(ctx, hostID, limit)
}

func (r fleetRecords) Get(ctx context.Context, ids []string) ([]session.Record, error) {
	_ = r.call(ctx, "Get", (len(ids)+99)/100)
	return memtable.Reader{Table: r.e.table}.Get(ctx, ids)
}

func (r fleetRecords) Owned(ctx context.Context, owner, after string, limit int) ([]session.Record, bool, error) {
	_ = r.call(ctx, "Owned", 1)
	return memtable.Reader{Table: r.e.table}.Owned(ctx, owner, after, limit)
}

// All lists what the fleet began with: memtable's own sorts the table for each page.
func (r fleetRecords) All(ctx context.Context, after string, limit int) ([]session.Record, bool, error) {
	ids, first := r.e.ssm.sessionIDs, 0
	if after != "" {
		place, found := slices.BinarySearchFunc(ids, scanPlace(after), func(id string, place uint64) int { return cmp.Compare(scanPlace(id), place) })
		if first = place; found {
			first++
		}
	}
	page := ids[first:min(first+limit, len(ids))]
	r.e.compute(time.Duration(len(page)) * computeRecord)
	_ = r.call(ctx, "All", 1)
	records, err := memtable.Reader{Table: r.e.table}.Get(ctx, page)
	return records, first+limit < len(ids), err
}

// fleetHosts is the Hosts table: those of its calls take their time that there are many
// of.
type fleetHosts struct {
	*memtable.Hosts
	e *fleetEnvironment
}

func (h fleetHosts) RecordAnswer(ctx context.Context, a session.HostAnswer) (bool, session.OwnerTag, error) {
	h.e.compute(computeAnswer)
	if err := (fleetRecords{h.e}).call(ctx, "RecordAnswer", 1); err != nil {
		return false, session.OwnerTag{}, err
	}
	return h.Hosts.RecordAnswer(ctx, a)
}

func (h fleetHosts) RecordOwnerTag(ctx context.Context, hostID string, tag session.OwnerTag) error {
	if err := (fleetRecords{h.e}).call(ctx, "RecordOwnerTag", 1); err != nil {
		return err
	}
	return h.Hosts.RecordOwnerTag(ctx, hostID, tag)
}

func (h fleetHosts) Newest(ctx context.Context, hostIDs []string) (map[string]time.Time, error) {
	if err := (fleetRecords{h.e}).call(ctx, "Newest", (len(hostIDs)+99)/100); err != nil {
		return nil, err
	}
	return h.Hosts.Newest(ctx, hostIDs)
}

func (h fleetHosts) AnsweredBefore(ctx context.Context, before time.Time, limit int) ([]string, error) {
	_ = (fleetRecords{h.e}).call(ctx, "AnsweredBefore", 1)
	return h.Hosts.AnsweredBefore(ctx, before, limit)
}

// deleteRequest is a request to delete the sessions of hosts, from the first on.
func (w *fleetWorld) deleteRequest(first, hosts, ofEach int) events.APIGatewayV2HTTPRequest {
	type entry struct {
		SessionID string `json:"SessionId"`
		Owner     string
	}
	var entries []entry
	for n := first; n < first+hosts; n++ {
		for i := range ofEach {
			entries = append(entries, entry{sessionID(n*w.sessions + i), fleetOwner(n)})
		}
	}
	body, err := json.Marshal(entries)
	if err != nil {
		panic(err)
	}
	return events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "POST /deleteSessions", RawPath: "/deleteSessions", Body: string(body),
		Headers: map[string]string{"content-type": "application/json"},
	}
}

// fleetCreated is when all sessions were created: time begins with the year 2000 in testing/synctest, and a rule ends no
// session that was created later than now.
const fleetCreated = "1999-12-31T08:30:00Z"

func fleetOwner(host int) string { return fmt.Sprintf("user-%d", host) }
