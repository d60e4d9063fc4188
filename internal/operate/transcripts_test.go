package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"dcv-session-broker/internal/local/system"
)

// The transcripts of testdata run dcvbroker, each against its own system on one machine. Their commands:
//
//	dcvbroker ARGS...          runs it; without "!" it must exit with 0
//	exits STATUS               compares the last one's exit code
//	answer TEXT                is typed on the terminal of the next one; without it that has no terminal
//	begin ARGS..., finish      the same in the background; interrupt ends it as Ctrl-C does
//	goes-on                    checks that the one in the background does not end
//	post PATH BODY [HEADER]    calls the one in the background at the address that it has printed, and prints the answer's status and body
//	says N PATTERN             waits until the one in the background has printed that N times
//	control METHOD PATH [BODY] asks the control API; PATH is without /local/
//	await SESSION STATE        waits until its record has that state
//	await-reason SESSION PATTERN  waits until its StateReason matches
//	await-explained SESSION PATTERN  runs dcvbroker explain until its output matches, and prints that
//	running HOST [SESSION...]  compares what really runs there, by ID
//	advance DURATION           sets the clock of the whole system forward
func TestTranscripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			s := &scenario{ctx: t.Context()}
			if err := s.start(env); err != nil {
				return err
			}
			env.Values[scenarioKey{}] = s
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"dcvbroker": onScenario((*scenario).dcvbroker), "exits": onScenario((*scenario).exits), "answer": onScenario((*scenario).answer),
			"begin": onScenario((*scenario).begin), "finish": onScenario((*scenario).finish), "post": onScenario((*scenario).post), "says": onScenario((*scenario).says), "interrupt": onScenario((*scenario).interrupt), "goes-on": onScenario((*scenario).goesOn), "control": onScenario((*scenario).control),
			"await": onScenario((*scenario).await), "await-reason": onScenario((*scenario).awaitReason), "await-explained": onScenario((*scenario).awaitExplained), "running": onScenario((*scenario).running), "advance": onScenario((*scenario).advance),
		},
	})
}

// A scenario is the system of one transcript.
type scenario struct {
	ctx        context.Context
	sys        *system.System
	url        string
	ahead      atomic.Int64 // of the real time
	typed      string
	status     int
	background *begun
}

type scenarioKey struct{}

func onScenario(do func(*scenario, *testscript.TestScript, bool, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		do(ts.Value(scenarioKey{}).(*scenario), ts, neg, args)
	}
}

func (s *scenario) start(env *testscript.Env) (err error) {
	s.sys, err = system.New(s.ctx, system.Options{
		Template: "../../template.yaml", Dir: env.WorkDir + "/.hosts",
		Every: map[string]time.Duration{"deletions": -1, "inventory": -1, "idle": -1},
	})
	if err != nil {
		return err
	}
	env.Defer(s.sys.Close)
	server := httptest.NewServer(s.sys.Handler())
	env.Defer(server.Close)
	s.url = server.URL
	return nil
}

// run runs dcvbroker with DCVBROKER_URL set.
func (s *scenario) run(args []string) func(ctx context.Context, out, err io.Writer) int {
	typed := s.typed
	s.typed = ""
	return func(ctx context.Context, out, err io.Writer) int {
		p := program{
			in: strings.NewReader(typed), out: out, err: err, interactive: typed != "", pause: 20 * time.Millisecond,
			now:    func() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) },
			getenv: func(name string) string { return map[string]string{"DCVBROKER_URL": s.url}[name] },
		}
		return p.run(ctx, args)
	}
}

func (s *scenario) dcvbroker(ts *testscript.TestScript, neg bool, args []string) {
	s.status = s.run(args)(s.ctx, ts.Stdout(), ts.Stderr())
	if neg != (s.status != exitDone) {
		ts.Fatalf("exited with %d", s.status)
	}
}

func (s *scenario) exits(ts *testscript.TestScript, _ bool, args []string) {
	if strconv.Itoa(s.status) != args[0] {
		ts.Fatalf("exited with %d", s.status)
	}
}

func (s *scenario) answer(_ *testscript.TestScript, _ bool, args []string) {
	s.typed = strings.Join(args, " ") + "\n"
}

func (s *scenario) begin(_ *testscript.TestScript, _ bool, args []string) {
	run := s.run(args)
	b := &begun{ended: make(chan int, 1)}
	s.background = b
	ctx, cancel := context.WithCancel(s.ctx)
	b.interrupt = cancel
	go func() { b.ended <- run(ctx, &b.out, &b.err) }()
}

func (s *scenario) interrupt(*testscript.TestScript, bool, []string) { s.background.interrupt() }

func (s *scenario) finish(ts *testscript.TestScript, neg bool, _ []string) {
	select {
	case s.status = <-s.background.ended:
		_, _ = io.WriteString(ts.Stdout(), s.background.out.String())
		_, _ = io.WriteString(ts.Stderr(), s.background.err.String())
	case <-time.After(5 * time.Minute):
		ts.Fatalf("it is still running, and said\n%s", s.background.err.String())
	}
	if neg != (s.status != exitDone) {
		ts.Fatalf("exited with %d", s.status)
	}
}

// goesOn waits long enough for some looks.
func (s *scenario) goesOn(ts *testscript.TestScript, _ bool, _ []string) {
	time.Sleep(200 * time.Millisecond)
	if len(s.background.ended) > 0 {
		ts.Fatalf("it has ended, and said\n%s", s.background.err.String())
	}
}

func (s *scenario) says(ts *testscript.TestScript, _ bool, args []string) {
	times, err := strconv.Atoi(args[0])
	ts.Check(err)
	pattern := regexp.MustCompile("(?m)" + args[1])
	for deadline := time.Now().Add(5 * time.Minute); len(pattern.FindAllString(s.background.out.String()+s.background.err.String(), -1)) < times; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("it said\n%s", s.background.err.String())
		}
	}
}

var listening = regexp.MustCompile(`(?m)^http://[0-9.:\[\]]+`)

func (s *scenario) post(ts *testscript.TestScript, _ bool, args []string) {
	r, err := http.NewRequestWithContext(s.ctx, http.MethodPost, listening.FindString(s.background.err.String())+args[0], strings.NewReader(args[1]))
	ts.Check(err)
	r.Header.Set("Content-Type", "application/json")
	for _, header := range args[2:] {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
		if name == "Host" {
			r.Host = value
		}
	}
	status, content := answered(ts, r)
	fmt.Fprintf(ts.Stdout(), "%d %s\n", status, content)
}

func answered(ts *testscript.TestScript, r *http.Request) (status int, content string) {
	resp, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	return resp.StatusCode, string(text)
}

// A begun is a run in the background.
type begun struct {
	out, err said
	ended    chan int

	interrupt func()
}

// said is a buffer that can be read while the run writes.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(text)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *scenario) ask(ts *testscript.TestScript, method, path, body string) string {
	r, err := http.NewRequestWithContext(s.ctx, method, s.url+"/local/"+path, strings.NewReader(body))
	ts.Check(err)
	status, content := answered(ts, r)
	if status/100 != 2 {
		ts.Fatalf("%d %s", status, content)
	}
	return content
}

func (s *scenario) control(ts *testscript.TestScript, _ bool, args []string) {
	body := ""
	if len(args) > 2 {
		body = args[2]
	}
	_, _ = io.WriteString(ts.Stdout(), s.ask(ts, args[0], args[1], body))
}

func (s *scenario) await(ts *testscript.TestScript, _ bool, args []string) {
	id, state := args[0], args[1]
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, record, found := strings.Cut(s.ask(ts, http.MethodGet, "sessions", ""), `"SessionId":"`+id+`"`); found {
			if _, now, _ := strings.Cut(record, `"State":"`); strings.HasPrefix(now, state+`"`) {
				return
			}
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s is not %s: %s", id, state, s.ask(ts, http.MethodGet, "sessions", ""))
		}
	}
}

func (s *scenario) awaitReason(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[1])
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		var record struct{ StateReason string }
		ts.Check(json.Unmarshal([]byte(s.ask(ts, http.MethodGet, "sessions/"+args[0], "")), &record))
		if pattern.MatchString(record.StateReason) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("the reason of %s is %q", args[0], record.StateReason)
		}
	}
}

func (s *scenario) awaitExplained(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile("(?m)" + args[1])
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		var out strings.Builder
		if s.status = s.run([]string{"explain", args[0]})(s.ctx, &out, ts.Stderr()); pattern.MatchString(out.String()) {
			_, _ = io.WriteString(ts.Stdout(), out.String())
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("it says %s", out.String())
		}
	}
}

func (s *scenario) running(ts *testscript.TestScript, _ bool, args []string) {
	var hosts []struct {
		HostId   string
		Sessions []struct{ Id string }
	}
	ts.Check(json.Unmarshal([]byte(s.ask(ts, http.MethodGet, "hosts", "")), &hosts))
	var there []string
	for _, h := range hosts {
		if h.HostId == args[0] {
			for _, one := range h.Sessions {
				there = append(there, one.Id)
			}
		}
	}
	if got, want := strings.Join(there, " "), strings.Join(args[1:], " "); got != want {
		ts.Fatalf("%q run on %s", got, args[0])
	}
}

func (s *scenario) advance(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	s.ahead.Add(int64(d))
	s.sys.Advance(d)
}
