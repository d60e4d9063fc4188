package system

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/rogpeppe/go-internal/testscript"

	"dcv-session-broker/internal/httpapi/contract/contracttest"
)

const testSystemKey = "system"

// A testSystem is the system of one scenario.
type testSystem struct {
	opts      Options
	system    *System
	server    *httptest.Server
	recorders map[string]*recorder
	walk      walk
	written   *written
	bus       *busEvents
}

func newTestSystem(opts Options, dir string) (*testSystem, error) {
	opts.Template, opts.Dir = "../../../template.yaml", dir
	if os.Getenv("VERBOSE") != "" {
		opts.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	// Scheduled tasks run only on a scenario's command.
	opts.Every = map[string]time.Duration{"deletions": -1, "inventory": -1, "idle": -1, "stop": -1}
	s := &testSystem{written: &written{}, bus: &busEvents{}}
	opts.Announced, opts.Kept = s.bus.announced, s.bus.kept
	opts.Output = s.written.of
	s.opts = opts
	return s, s.open(opts)
}

// open starts the system.
func (s *testSystem) open(opts Options) error {
	sys, err := New(context.Background(), opts)
	if err != nil {
		return err
	}
	s.system, s.server, s.recorders = sys, httptest.NewServer(sys.Handler()), map[string]*recorder{}
	for name, f := range sys.functions {
		f.Timeout *= 5 // see waitLimit
		s.recorders[name] = &recorder{handler: f.Handler}
		f.Handler = s.recorders[name]
	}
	return nil
}

func (s *testSystem) close() {
	s.server.Close()
	s.system.Close()
}

// A recorder is a function that keeps its events, and can hold them back.
type recorder struct {
	handler lambda.Handler

	mu      sync.Mutex
	events  [][]byte
	running int
	swallow bool
}

// Invoke keeps the event after it was handled.
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

// messagesOf splits an event of a queue into one for each message, since the batching
// window decides how many come together. Other events stay unchanged.
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

// call also checks the request and its answer against the contract.
func (s *testSystem) call(method, path, contentType string, body []byte) (int, []byte, error) {
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
func (s *testSystem) must(ts *testscript.TestScript, method, path string, body, answer any) {
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
	cmds := map[string]func(*testSystem, *testscript.TestScript, []string){
		"start": cmdStart, "fleet": cmdFleet, "end": cmdEnd, "host": cmdHost, "broadcasts": cmdBroadcasts, "clock": cmdClock,
		"says": cmdSays, "advance": cmdAdvance, "run": cmdRun, "rule": cmdRule, "await-running": cmdAwaitRunning, "await-host": cmdAwaitHost,
		"delete": cmdDelete, "dry-run": cmdDryRun, "cancel": cmdCancel, "post": cmdPost,
		"describe": cmdDescribe, "describe-on": cmdDescribeOn, "described": cmdDescribed, "ask": cmdAsk, "large": cmdLarge,
		"await": cmdAwait, "record": cmdRecord, "running": cmdRunning,
		"calls": cmdCalls, "await-calls": cmdAwaitCalls, "forget-calls": cmdForgetCalls, "attempts": cmdAttempts, "sent-once": cmdSentOnce,
		"connect": cmdConnect, "notices": cmdNotices, "await-screen": cmdAwaitScreen, "await-quiet": cmdAwaitQuiet,
		"logged": cmdLogged, "metric": cmdMetric, "story": cmdStory, "announced": cmdAnnounced,
		"refuse": cmdRefuse, "allow": cmdAllow, "message": cmdMessage,
		"swallow": cmdSwallow, "deliver": cmdDeliver, "replay": cmdReplay, "seen": cmdSeen,
		"deploy": cmdDeploy, "age": cmdAge, "indexes": cmdIndexes, "update": cmdUpdate,
	}
	all := map[string]command{}
	for name, cmd := range cmds {
		all[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg && name != "logged" {
				ts.Fatalf("%s cannot be negated", name)
			}
			ts.Stdout() // without it, the output of the last command would stay
			if neg {
				args = append([]string{"!"}, args...)
			}
			cmd(ts.Value(testSystemKey).(*testSystem), ts, args)
		}
	}
	return all
}
