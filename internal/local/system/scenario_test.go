package system

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/rogpeppe/go-internal/testscript"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/httpapi/contract/contracttest"
	"dcv-session-broker/internal/local/delivery"
	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/session"
)

// The scenarios of testdata run the whole system, on the in-memory table and on
// DynamoDB Local. A line "#parameter NAME=VALUE" sets a parameter of the
// template. Their commands:
//
//	start SESSION on HOST for OWNER [console] [unlisted]
//	fleet HOSTS SESSIONS [random]     hosts i-00000000000000001... with sessions s-<host>-<n> of user1; random:
//	                                  with UUIDs for IDs, and not in the table
//	end SESSION on HOST               behind the broker's back
//	host HOST|all ACTION              stop, start, hibernate, disconnect, reconnect, untag, tag, break, mend,
//	                                  stop-when-empty, keep-when-empty,
//	                                  lose-events, deliver-events, silence, speak, and the others of control.go
//	clock HOST DURATION               sets the host's clock off
//	says HOST FILE                    what its dcv prints for list-sessions -j; without FILE what runs there
//	advance DURATION                  sets the clock of the whole system on
//	run TASK [N]                      deletions, inventory, idle or stop, now; N runs at once
//	connect SESSION on HOST AWAY      somebody is connected, and did nothing for that long; "nobody" leaves it
//	await-host HOST STATE             waits until it is running or stopped
//	await-running HOST SESSION...     waits until just these run there
//	delete SESSION/OWNER[/force]...   prints an answer a line, in the lists' order; "all" are all sessions,
//	                                  first=N and last=N, by ID, the N of those that are READY
//	dry-run [hits] SESSION/OWNER[/force]...  prints the same, of a dry run; with hits what each entry would hit
//	post FILE [CONTENT-TYPE]          prints status and body of POST /deleteSessions
//	describe [SESSION...] [owner=OWNER] [tag:NAME=VALUE] [max=N]
//	                                  prints a page, a session a line, and "more" if another follows;
//	                                  "all" are the IDs of all sessions
//	describe-on                       prints the page that follows
//	described                         compares all pages since describe with the table
//	ask FILE [CONTENT-TYPE]           prints status and body of POST /describeSessions
//	large FILE BYTES                  makes a file of valid JSON, an object of that size
//	await STATE SESSION...            waits for the records' state
//	record SESSION [ATTR...]          prints the record, an attribute a line
//	running HOST                      prints the sessions that really run there
//	calls FUNCTION                    prints what the function asked of the services
//	await-calls FUNCTION N OPERATION...  waits until there were N of them together
//	attempts                          prints how many records have how many attempts
//	sent-once FUNCTION                compares its SendCommand calls with what the hosts ran of the current attempts:
//	                                  each session's host answered for it once
//	await-quiet                       waits until every command has ended and all news of it is dealt with
//	forget-calls
//	refuse FUNCTION FAULT, allow FUNCTION FAULT  a service refuses what the function asks: "writes" of the Sessions
//	                                  table, or "commands"
//	message QUEUE FILE                puts a message into a queue of the template
//	swallow FUNCTION, deliver FUNCTION  events for the function are put aside; or brought again
//	seen FUNCTION N                   waits until it has worked on N events
//	logged FUNCTION PATTERN           waits until it has written a line, as JSON, that the pattern fits; with "!"
//	                                  there is none by now
//	metric NAME[/REASON] N|>=N|none   waits until the functions' values of the metric add up to that
//	announced SESSION N PATTERN...    waits until its end was announced N times, and holds the last against the
//	                                  patterns; the audit trail has them, too
//	story SESSION [ATTR...]           prints what the template's StoryQuery finds of the session; without ATTR's
//	                                  the level and the message
//	replay FUNCTION all|reversed|together|N  brings events that were seen once more (N from 1);
//	                                  together: all their records as one event
func TestScenariosInMemory(t *testing.T) {
	needs := &needed{}
	all := runScenarios(t, Options{observe: needs.observe}, scenarios(t))
	if all && !t.Failed() {
		t.Run("policies", func(t *testing.T) { policiesFit(t, needs) })
	}
}

// onSlowSystems are the scenarios that run in `make test` also where each takes
// far longer than in memory: they use every function, and the table in each way
// that the functions do. `make ci` runs all scenarios there.
var onSlowSystems = []string{
	"announced", "describe", "example", "forced", "idle", "refused_host", "repeat", "stopped_host", // no clock is set on
	"again", "gave_up", "inventory", "lost_confirmation", "silent_host", "stop_empty_late",
}

func TestScenariosOnDynamoDB(t *testing.T) {
	dynamoDB := startDynamoDB(t)
	runScenarios(t, Options{DynamoDB: dynamoDB}, chosen(scenarios(t)))
}

// The functions as they are deployed: built, and driven through the Lambda
// Runtime API.
func TestScenariosWithBuiltFunctions(t *testing.T) {
	dynamoDB := startDynamoDB(t)
	possible := slices.DeleteFunc(scenarios(t), func(s scenario) bool { return s.advances })
	runScenarios(t, Options{DynamoDB: dynamoDB, Bootstraps: buildFunctions(t)}, chosen(possible))
}

// chosen are the scenarios to run on a slow system.
func chosen(all []scenario) []scenario {
	if os.Getenv("REQUIRE_ALL") == "1" {
		return all
	}
	return slices.DeleteFunc(all, func(s scenario) bool { return !slices.Contains(onSlowSystems, s.name) })
}

// startDynamoDB starts a DynamoDB Local that all scenarios of a test share. Each
// has tables of its own.
func startDynamoDB(t *testing.T) (endpoint string) {
	t.Helper()
	dynamodblocal.ForTest(t) // or there is none to be had
	server, err := dynamodblocal.Start(t.Context(), dynamodblocal.Options{TablesByKey: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	return server.Endpoint()
}

// A scenario is a file of testdata.
type scenario struct {
	name, file string
	parameters map[string]string
	advances   bool // it sets the clock on, which that of another process cannot be
	fleet      bool // it starts many hosts
}

var parameterLine = regexp.MustCompile(`(?m)^#parameter (\w+)=(\S+)$`)

// scenarios are all that there are, those first that take long.
func scenarios(t *testing.T) (all []scenario) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s := scenario{
			name:       strings.TrimSuffix(filepath.Base(file), ".txtar"),
			file:       file,
			parameters: map[string]string{"CloseIdleAfterMinutes": "60"},
			advances:   bytes.Contains(source, []byte("\nadvance ")),
			fleet:      bytes.Contains(source, []byte("\nfleet ")),
		}
		for _, parameter := range parameterLine.FindAllStringSubmatch(string(source), -1) {
			s.parameters[parameter[1]] = parameter[2]
		}
		all = append(all, s)
	}
	slices.SortStableFunc(all, func(a, b scenario) int {
		switch {
		case a.fleet == b.fleet:
			return 0
		case a.fleet:
			return -1
		}
		return 1
	})
	return all
}

// sideBySide is how many scenarios run at the same time: most of each is waiting.
const sideBySide = 8

// runScenarios runs them side by side, and tells whether all of them ran. Only
// -run and -skip can leave out some.
func runScenarios(t *testing.T, opts Options, some []scenario) (all bool) {
	var ran atomic.Int64
	next := make(chan scenario)
	var workers sync.WaitGroup
	for range sideBySide {
		workers.Go(func() {
			for s := range next {
				t.Run(s.name, func(t *testing.T) {
					ran.Add(1)
					s.run(t, opts)
				})
			}
		})
	}
	for _, s := range some {
		next <- s
	}
	close(next)
	workers.Wait()
	if ran.Load() == 0 && os.Getenv("REQUIRE_ALL") == "1" {
		t.Errorf("no such scenario, or none that can run here")
	}
	filters := flag.Lookup("test.run").Value.String() + flag.Lookup("test.skip").Value.String()
	if all = int(ran.Load()) == len(some); !all && !strings.Contains(filters, "/") {
		t.Errorf("%d of %d scenarios ran", ran.Load(), len(some))
	}
	return all
}

func (s scenario) run(t *testing.T, opts Options) {
	opts.Parameters, opts.DynamoDBKey = s.parameters, strings.ReplaceAll(s.name, "_", "")
	testscript.RunT(inTurn{t}, testscript.Params{
		Files: []string{s.file},
		Setup: func(env *testscript.Env) error {
			stage, err := newStage(opts, filepath.Join(env.WorkDir, ".hosts"))
			if err != nil {
				return err
			}
			env.Defer(func() {
				stage.close()
				stage.checkOutput(t)
				if !t.Failed() {
					stage.checkFailings(t, s.name)
				}
			})
			env.Values[stageKey] = stage
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "dynamodb":
				return opts.DynamoDB != "", nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: commands(),
	})
}

// inTurn is a test in which testscript's own run one after the other, whatever
// -parallel says: how many run side by side is said above.
type inTurn struct{ *testing.T }

func (t inTurn) Parallel()     {}
func (t inTurn) Verbose() bool { return testing.Verbose() }
func (t inTurn) Run(name string, test func(testscript.T)) {
	t.T.Run(name, func(t *testing.T) { test(inTurn{t}) })
}

// buildFunctions builds with the flags of the Makefile, for this machine; what is
// up to date is not built again.
func buildFunctions(t *testing.T) map[string]string {
	t.Helper()
	bootstraps, err := builtFunctions()
	if err != nil {
		t.Fatal(err)
	}
	return bootstraps
}

var builtFunctions = sync.OnceValues(func() (map[string]string, error) {
	const root = "../../.."
	dir, err := filepath.Abs(filepath.Join(root, "build", "tested-functions"))
	if err != nil {
		return nil, err
	}
	mains, err := filepath.Glob(filepath.Join(root, "functions", "*", "main.go"))
	if err != nil || len(mains) == 0 {
		return nil, fmt.Errorf("no functions: %w", err)
	}
	bootstraps := map[string]string{}
	for _, main := range mains {
		name := filepath.Base(filepath.Dir(main))
		bootstraps[name] = filepath.Join(dir, name)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "build", "-tags", "lambda.norpc", "-trimpath", "-ldflags", "-s", "-o", dir+string(filepath.Separator), "./functions/...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the functions: %w\n%s", err, out)
	}
	return bootstraps, nil
})

const stageKey = "stage"

// A stage is a system for one scenario.
type stage struct {
	system    *System
	server    *httptest.Server
	recorders map[string]*recorder
	walk      walk
	written   *written
	bus       *busEvents
}

func newStage(opts Options, dir string) (*stage, error) {
	opts.Template, opts.Dir = "../../../template.yaml", dir
	if os.Getenv("VERBOSE") != "" {
		opts.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	// Schedules run when a scenario says so.
	opts.Every = map[string]time.Duration{"deletions": -1, "inventory": -1, "idle": -1, "stop": -1}
	s := &stage{recorders: map[string]*recorder{}, written: &written{}, bus: &busEvents{}}
	opts.Announced, opts.Kept = s.bus.announced, s.bus.kept
	opts.Output = s.written.of
	sys, err := New(context.Background(), opts)
	if err != nil {
		return nil, err
	}
	s.system, s.server = sys, httptest.NewServer(sys.Handler())
	for name, f := range sys.functions {
		f.Timeout *= 5 // see patience
		s.recorders[name] = &recorder{handler: f.Handler}
		f.Handler = s.recorders[name]
	}
	return s, nil
}

func (s *stage) close() {
	s.server.Close()
	s.system.Close()
}

// A recorder is a function that keeps its events, and can put them aside.
type recorder struct {
	handler lambda.Handler

	mu      sync.Mutex
	events  [][]byte
	running int
	swallow bool
}

// Invoke keeps the event once it has been worked on.
func (r *recorder) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, messagesOf(event)...)
		r.running--
	}()
	r.mu.Lock()
	r.running++
	swallow := r.swallow
	r.mu.Unlock()
	if swallow {
		return []byte(`{"batchItemFailures":[]}`), nil
	}
	return r.handler.Invoke(ctx, event)
}

// messagesOf is an event of a queue as one for each message: how many come
// together is up to the batching window. Other events stay as they are.
func messagesOf(event []byte) (all [][]byte) {
	var batch struct{ Records []json.RawMessage }
	if json.Unmarshal(event, &batch) != nil || !bytes.Contains(event, []byte(`"aws:sqs"`)) {
		return [][]byte{event}
	}
	for _, r := range batch.Records {
		all = append(all, fmt.Appendf(nil, `{"Records":[%s]}`, r))
	}
	return all
}

// call also holds the request and its answer against the contract.
func (s *stage) call(method, path, contentType string, body []byte) (int, []byte, error) {
	req, err := http.NewRequest(method, s.server.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	return resp.StatusCode, answer, contracttest.Check(contracttest.Exchange{
		Method: method, Path: req.URL.Path, Query: req.URL.RawQuery, Request: body,
		Status: resp.StatusCode, Header: resp.Header, Answer: answer,
	})
}

// must calls the control API and reads its answer.
func (s *stage) must(ts *testscript.TestScript, method, path string, body, answer any) {
	var text []byte
	if body != nil {
		text, _ = json.Marshal(body)
	}
	status, got, err := s.call(method, path, "application/json", text)
	ts.Check(err)
	if status/100 != 2 {
		ts.Fatalf("%s %s: %d %s", method, path, status, got)
	}
	if answer != nil {
		ts.Check(json.Unmarshal(got, answer))
	}
}

type command = func(ts *testscript.TestScript, neg bool, args []string)

func commands() map[string]command {
	cmds := map[string]func(*stage, *testscript.TestScript, []string){
		"start": cmdStart, "fleet": cmdFleet, "end": cmdEnd, "host": cmdHost, "clock": cmdClock,
		"says": cmdSays, "advance": cmdAdvance, "run": cmdRun, "await-running": cmdAwaitRunning, "await-host": cmdAwaitHost,
		"delete": cmdDelete, "dry-run": cmdDryRun, "post": cmdPost,
		"describe": cmdDescribe, "describe-on": cmdDescribeOn, "described": cmdDescribed, "ask": cmdAsk, "large": cmdLarge,
		"await": cmdAwait, "record": cmdRecord, "running": cmdRunning,
		"calls": cmdCalls, "await-calls": cmdAwaitCalls, "forget-calls": cmdForgetCalls, "attempts": cmdAttempts, "sent-once": cmdSentOnce,
		"connect": cmdConnect, "await-quiet": cmdAwaitQuiet,
		"logged": cmdLogged, "metric": cmdMetric, "story": cmdStory, "announced": cmdAnnounced,
		"refuse": cmdRefuse, "allow": cmdAllow, "message": cmdMessage,
		"swallow": cmdSwallow, "deliver": cmdDeliver, "replay": cmdReplay, "seen": cmdSeen,
	}
	all := map[string]command{}
	for name, cmd := range cmds {
		all[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg && name != "logged" {
				ts.Fatalf("%s cannot be negated", name)
			}
			ts.Stdout() // or a command that prints nothing leaves the last one's output
			if neg {
				args = append([]string{"!"}, args...)
			}
			cmd(ts.Value(stageKey).(*stage), ts, args)
		}
	}
	return all
}

func cmdStart(s *stage, ts *testscript.TestScript, args []string) {
	if len(args) < 5 || args[1] != "on" || args[3] != "for" {
		ts.Fatalf("usage: start SESSION on HOST for OWNER [console] [unlisted]")
	}
	kind := "virtual"
	if slices.Contains(args[5:], "console") {
		kind = "console"
	}
	s.must(ts, "PUT", "/local/hosts/"+args[2]+"/sessions/"+args[0], map[string]any{
		"Owner": args[4], "Type": kind, "Registered": !slices.Contains(args[5:], "unlisted"),
	}, nil)
}

func cmdFleet(s *stage, ts *testscript.TestScript, args []string) {
	hosts, err := strconv.Atoi(args[0])
	ts.Check(err)
	sessions, err := strconv.Atoi(args[1])
	ts.Check(err)
	// Side by side, or DynamoDB Local takes a minute for some thousand.
	const workers = 16
	failures := make([]error, workers)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for h := 1 + worker; h <= hosts && failures[worker] == nil; h += workers {
				failures[worker] = s.startMany(h, sessions, len(args) > 2)
			}
		})
	}
	group.Wait()
	ts.Check(errors.Join(failures...))
}

func (s *stage) startMany(host, sessions int, random bool) error {
	for n := 1; n <= sessions; n++ {
		// As long as a UUID, the ID that Session Manager gives.
		id := fmt.Sprintf("s-%08d-%025d", host, n)
		if random {
			id = awsenv.NewID()
		}
		path := fmt.Sprintf("/local/hosts/i-%017d/sessions/%s", host, id)
		status, answer, err := s.call("PUT", path, "application/json", fmt.Appendf(nil, `{"Owner": "user1", "Registered": %t}`, !random))
		if err != nil {
			return err
		}
		if status/100 != 2 {
			return fmt.Errorf("PUT %s: %d %s", path, status, answer)
		}
	}
	return nil
}

func cmdEnd(s *stage, ts *testscript.TestScript, args []string) {
	s.must(ts, "DELETE", "/local/hosts/"+args[2]+"/sessions/"+args[0], nil, nil)
}

func cmdHost(s *stage, ts *testscript.TestScript, args []string) {
	ids := args[:1]
	if args[0] == "all" {
		hosts, err := s.system.fleet.Hosts()
		ts.Check(err)
		ids = nil
		for _, h := range hosts {
			ids = append(ids, h.HostID)
		}
	}
	for _, id := range ids {
		s.must(ts, "POST", "/local/hosts/"+id+"/"+args[1], nil, nil)
	}
}

func (s *stage) queuesAreEmpty() bool {
	for _, q := range s.system.queues {
		if len(q.Bodies()) > 0 {
			return false
		}
	}
	return true
}

func (s *stage) functionsAreIdle() bool {
	for _, r := range s.recorders {
		r.mu.Lock()
		running := r.running
		r.mu.Unlock()
		if running > 0 {
			return false
		}
	}
	return true
}

func cmdAwaitQuiet(s *stage, ts *testscript.TestScript, _ []string) {
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		// In the order in which news goes: what has left one is in the next.
		if s.system.fleet.Quiet() && s.queuesAreEmpty() && s.functionsAreIdle() {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("some invocations have not ended, or the queues are not empty")
		}
	}
}

func cmdClock(s *stage, ts *testscript.TestScript, args []string) {
	off, err := time.ParseDuration(args[1])
	ts.Check(err)
	ts.Check(s.system.fleet.SetClockOffset(args[0], off))
}

func cmdSays(s *stage, ts *testscript.TestScript, args []string) {
	file := filepath.Join(s.system.fleet.StateDir(args[0]), "garbage")
	if len(args) == 1 {
		ts.Check(os.Remove(file))
		return
	}
	ts.Check(os.WriteFile(file, []byte(ts.ReadFile(args[1])), 0o644))
}

func cmdAdvance(s *stage, ts *testscript.TestScript, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	s.system.Advance(d)
}

func cmdRun(s *stage, ts *testscript.TestScript, args []string) {
	atOnce := 1
	if len(args) > 1 {
		var err error
		atOnce, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	var runs sync.WaitGroup
	for range atOnce {
		runs.Go(func() {
			if status, answer, err := s.call("POST", "/local/cleanup/"+args[0], "", nil); err != nil || status != http.StatusNoContent {
				ts.Logf("run %s: %d %s (%v)", args[0], status, answer, err)
			}
		})
	}
	runs.Wait()
}

func cmdAwaitRunning(s *stage, ts *testscript.TestScript, args []string) {
	want := slices.Sorted(slices.Values(args[1:]))
	var got []string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		hosts, err := s.system.fleet.Hosts()
		ts.Check(err)
		got = nil
		for _, h := range hosts {
			for _, running := range h.Sessions {
				if h.HostID == args[0] {
					got = append(got, running.ID)
				}
			}
		}
		if slices.Sort(got); slices.Equal(got, want) {
			return
		}
	}
	ts.Fatalf("on %s run %v, not %v", args[0], got, want)
}

func cmdAwaitHost(s *stage, ts *testscript.TestScript, args []string) {
	state := func() string {
		hosts, err := s.system.fleet.Hosts()
		ts.Check(err)
		for _, h := range hosts {
			if h.HostID == args[0] {
				return string(h.State)
			}
		}
		return "not there"
	}
	until(ts, func() bool { return state() == args[1] }, func() string { return args[0] + " is " + state() })
}

type entry struct {
	SessionID string `json:"SessionId"`
	Owner     string
	Force     bool
}

// entriesOf reads the arguments of delete and dry-run.
func (s *stage) entriesOf(ts *testscript.TestScript, args []string) (entries []entry) {
	for _, arg := range args {
		if arg == "all" { // every session of the fleet command
			records, err := s.system.store.all(context.Background())
			ts.Check(err)
			for _, r := range records {
				sess := r.Session()
				entries = append(entries, entry{SessionID: sess.ID, Owner: sess.Owner})
			}
			continue
		}
		if which, count, ok := strings.Cut(arg, "="); ok {
			for _, sess := range s.ready(ts, which, count) {
				entries = append(entries, entry{SessionID: sess.ID, Owner: sess.Owner})
			}
			continue
		}
		parts := strings.Split(arg, "/")
		entries = append(entries, entry{parts[0], parts[1], len(parts) == 3 && parts[2] == "force"})
	}
	return entries
}

func cmdDelete(s *stage, ts *testscript.TestScript, args []string) {
	s.printLists(ts, "/deleteSessions", s.entriesOf(ts, args), false)
}

func cmdDryRun(s *stage, ts *testscript.TestScript, args []string) {
	hits := args[0] == "hits"
	if hits {
		args = args[1:]
	}
	s.printLists(ts, "/deleteSessions?dryRun=true", s.entriesOf(ts, args), hits)
}

// printLists prints the answers to a request's entries, and with hits what they
// would hit.
func (s *stage) printLists(ts *testscript.TestScript, path string, entries []entry, hits bool) {
	body, _ := json.Marshal(entries)
	status, answer, err := s.call("POST", path, "application/json", body)
	ts.Check(err)
	type answered struct {
		SessionId, State, FailureReason string
		Session                         *struct {
			State, HostId, LastSeenTime string
			NumOfConnections            int
		}
	}
	var lists struct {
		SuccessfulList, UnsuccessfulList []answered
		DryRun                           bool
	}
	if status != 200 || json.Unmarshal(answer, &lists) != nil || lists.DryRun != strings.Contains(path, "dryRun") {
		ts.Fatalf("POST %s: %d %s", path, status, answer)
	}
	for _, a := range lists.SuccessfulList {
		fmt.Fprintf(ts.Stdout(), "%s %s\n", a.State, a.SessionId)
	}
	for _, a := range lists.UnsuccessfulList {
		fmt.Fprintf(ts.Stdout(), "failed %s: %s\n", a.SessionId, a.FailureReason)
	}
	for _, a := range slices.Concat(lists.SuccessfulList, lists.UnsuccessfulList) {
		if hit := a.Session; hits && hit != nil {
			fmt.Fprintf(ts.Stdout(), "hits %s: %s on %s, %d connections, seen %v\n", a.SessionId, hit.State, hit.HostId, hit.NumOfConnections, hit.LastSeenTime != "")
		} else if !lists.DryRun && hit != nil {
			ts.Fatalf("the answer to a real call tells what it hits: %s", answer)
		}
	}
}

func cmdPost(s *stage, ts *testscript.TestScript, args []string) { s.post(ts, "/deleteSessions", args) }

func (s *stage) post(ts *testscript.TestScript, path string, args []string) {
	contentType := "application/json"
	if len(args) > 1 {
		contentType = args[1]
	}
	body, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	status, answer, err := s.call("POST", path, contentType, bytes.TrimSuffix(body, []byte("\n")))
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d\n%s\n", status, answer)
}

func (s *stage) record(ts *testscript.TestScript, id string) session.Record {
	r, err := s.system.store.get(context.Background(), id)
	ts.Check(err)
	return r
}

// patience is far longer than anything here takes: on a busy machine a scenario
// must become slow, not red. PATIENCE=10s shows earlier what will never come.
var patience = func() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("PATIENCE")); err == nil {
		return d
	}
	return 5 * time.Minute
}()

func cmdAwait(s *stage, ts *testscript.TestScript, args []string) {
	ids := args[1:]
	if len(ids) == 0 {
		ts.Fatalf("usage: await STATE SESSION...|all")
	}
	if len(ids) == 1 && ids[0] == "all" {
		records, err := s.system.store.all(context.Background())
		ts.Check(err)
		ids = nil
		for _, r := range records {
			ids = append(ids, r.Session().ID)
		}
	}
	for deadline := time.Now().Add(patience); len(ids) > 0; {
		if state := s.record(ts, ids[0]).Session().State; string(state) == args[0] {
			ids = ids[1:]
			continue
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s is not %s: %v", ids[0], args[0], s.record(ts, ids[0]))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func cmdRecord(s *stage, ts *testscript.TestScript, args []string) {
	r := s.record(ts, args[0])
	attrs := args[1:]
	if len(attrs) == 0 {
		attrs = slices.Sorted(maps.Keys(r))
	}
	for _, attr := range attrs {
		fmt.Fprintf(ts.Stdout(), "%s=%v\n", attr, r[attr])
	}
}

func cmdRunning(s *stage, ts *testscript.TestScript, args []string) {
	hosts, err := s.system.fleet.Hosts()
	ts.Check(err)
	for _, h := range hosts {
		for _, running := range h.Sessions {
			if len(args) == 0 || h.HostID == args[0] {
				fmt.Fprintln(ts.Stdout(), running.ID)
			}
		}
	}
}

func cmdCalls(s *stage, ts *testscript.TestScript, args []string) {
	counts := s.system.calls.all()[args[0]]
	for _, op := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(ts.Stdout(), "%s %d\n", op, counts[op])
	}
}

func cmdAwaitCalls(s *stage, ts *testscript.TestScript, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	got := 0
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		got = 0
		for _, operation := range args[2:] {
			got += s.system.calls.all()[args[0]][operation]
		}
		if got >= want {
			return
		}
	}
	ts.Fatalf("%d calls of %v, not %d", got, args[2:], want)
}

func cmdAttempts(s *stage, ts *testscript.TestScript, _ []string) {
	records, err := s.system.store.all(context.Background())
	ts.Check(err)
	counts := map[int64]int{}
	for _, r := range records {
		counts[r.Session().Attempts]++
	}
	for _, attempts := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(ts.Stdout(), "%d records with %d attempts\n", counts[attempts], attempts)
	}
}

func cmdSentOnce(s *stage, ts *testscript.TestScript, args []string) {
	records, err := s.system.store.all(context.Background())
	ts.Check(err)
	attemptOf := map[string]string{}
	for _, r := range records {
		attemptOf[r.Session().ID] = "close " + r.Session().AttemptID
	}
	attempts := slices.Collect(maps.Values(attemptOf))
	slices.Sort(attempts)
	attempts = slices.Compact(attempts)
	commands, answers := map[string]bool{}, map[string]int{}
	for pages := ssm.NewListCommandInvocationsPaginator(s.system.fleet, &ssm.ListCommandInvocationsInput{Details: true}); pages.HasMorePages(); {
		page, err := pages.NextPage(context.Background())
		ts.Check(err)
		for _, inv := range page.CommandInvocations {
			if _, current := slices.BinarySearch(attempts, *inv.Comment); !current {
				continue
			}
			commands[*inv.CommandId] = true
			for _, step := range inv.CommandPlugins {
				for line := range strings.Lines(aws.ToString(step.Output)) {
					var said struct{ ID string }
					if json.Unmarshal([]byte(line), &said) == nil && said.ID != "" {
						answers[said.ID]++
						if attemptOf[said.ID] != *inv.Comment {
							ts.Fatalf("session %s: its host answered %s, not %s", said.ID, *inv.Comment, attemptOf[said.ID])
						}
					}
				}
			}
		}
	}
	for id := range attemptOf {
		if answers[id] != 1 {
			ts.Fatalf("session %s: its host answered for it %d times", id, answers[id])
		}
	}
	if sent := s.system.calls.all()[args[0]]["ssm:SendCommand"]; sent == 0 || sent != len(commands) {
		ts.Fatalf("%d calls of SendCommand, but the hosts ran %d commands", sent, len(commands))
	}
}

// cmdConnect writes what the stand-in's list-connections prints.
func cmdConnect(s *stage, ts *testscript.TestScript, args []string) {
	file := filepath.Join(s.system.fleet.StateDir(args[2]), hex.EncodeToString([]byte(args[0]))+".connections")
	if args[3] == "nobody" {
		ts.Check(os.Remove(file))
		return
	}
	away, err := time.ParseDuration(args[3])
	ts.Check(err)
	last := s.system.now().Add(-away).UTC().Format("2006-01-02T15:04:05.000000Z")
	ts.Check(os.WriteFile(file, fmt.Appendf(nil, `[{"id": 1, "last-interaction-time": %q}]`, last), 0o644))
}

func cmdForgetCalls(s *stage, _ *testscript.TestScript, _ []string) { s.system.calls.reset() }

func cmdRefuse(s *stage, ts *testscript.TestScript, args []string) { s.refuse(ts, args, true) }

func cmdAllow(s *stage, ts *testscript.TestScript, args []string) { s.refuse(ts, args, false) }

func (s *stage) refuse(ts *testscript.TestScript, args []string, on bool) {
	f, ok := serviceFaults[args[1]]
	if !ok || s.recorders[args[0]] == nil {
		ts.Fatalf("usage: refuse FUNCTION writes|commands")
	}
	s.system.calls.setRefused(args[0], f, on)
}

func cmdMessage(s *stage, ts *testscript.TestScript, args []string) {
	queue := s.system.queues[args[0]]
	if queue == nil {
		ts.Fatalf("the template has no queue %s", args[0])
	}
	queue.Send(ts.ReadFile(args[1]))
}

func cmdSwallow(s *stage, _ *testscript.TestScript, args []string) {
	s.recorders[args[0]].setSwallow(true)
}

func cmdDeliver(s *stage, _ *testscript.TestScript, args []string) {
	s.recorders[args[0]].setSwallow(false)
}

func (r *recorder) setSwallow(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.swallow = on
}

func cmdSeen(s *stage, ts *testscript.TestScript, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	s.recorders[args[0]].seen(ts, n)
}

// seen waits until the function has had n events, and returns all it has had.
func (r *recorder) seen(ts *testscript.TestScript, n int) [][]byte {
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		r.mu.Lock()
		events := slices.Clone(r.events)
		r.mu.Unlock()
		if len(events) >= n {
			return events
		}
		if time.Now().After(deadline) {
			ts.Fatalf("only %d events were seen, not %d", len(events), n)
		}
	}
}

func cmdReplay(s *stage, ts *testscript.TestScript, args []string) {
	r := s.recorders[args[0]]
	want := 1
	if n, err := strconv.Atoi(args[1]); err == nil {
		want = n
	}
	events := r.seen(ts, want)
	switch args[1] {
	case "all":
	case "reversed":
		slices.Reverse(events)
	case "together":
		var all struct{ Records []json.RawMessage }
		for _, event := range events {
			var one struct{ Records []json.RawMessage }
			ts.Check(json.Unmarshal(event, &one))
			all.Records = append(all.Records, one.Records...)
		}
		event, err := json.Marshal(all)
		ts.Check(err)
		events = [][]byte{event}
	default:
		events = events[want-1 : want]
	}
	again := delivery.Function{Name: args[0], Timeout: s.system.functions[args[0]].Timeout, Handler: r.handler}
	for _, event := range events {
		answer, err := again.Invoke(context.Background(), event)
		ts.Check(err)
		fmt.Fprintf(ts.Stdout(), "%s\n", answer)
	}
}
