package system

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"dcv-session-broker/internal/awsenv"
)

func cmdStart(s *testSystem, ts *testscript.TestScript, args []string) {
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

func cmdFleet(s *testSystem, ts *testscript.TestScript, args []string) {
	hosts, err := strconv.Atoi(args[0])
	ts.Check(err)
	sessions, err := strconv.Atoi(args[1])
	ts.Check(err)
	names := ""
	if len(args) > 2 {
		names = args[2]
	}
	// In parallel: otherwise DynamoDB Local takes a minute for some thousand.
	const workers = 16
	failures := make([]error, workers)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for h := 1 + worker; h <= hosts && failures[worker] == nil; h += workers {
				failures[worker] = s.startMany(h, sessions, names)
			}
		})
	}
	group.Wait()
	ts.Check(errors.Join(failures...))
}

// startMany starts sessions with IDs as long as a UUID, like those of Session Manager.
// With names they are not in the table.
func (s *testSystem) startMany(host, sessions int, names string) error {
	for n := 1; n <= sessions; n++ {
		var id string
		switch names {
		case "":
			id = fmt.Sprintf("s-%08d-%025d", host, n)
		case "random":
			id = awsenv.NewID()
		case "short":
			id = fmt.Sprintf("s%d-%d", host, n)
		case "angled": // long, of characters that take six bytes in the agent's reply
			id = fmt.Sprintf("s%d-%d-", host, n) + strings.Repeat("<", 100)
		default:
			return fmt.Errorf("names are random, short or angled, not %s", names)
		}
		path := fmt.Sprintf("/local/hosts/i-%017d/sessions/%s", host, url.PathEscape(id))
		status, answer, err := s.call("PUT", path, "application/json", fmt.Appendf(nil, `{"Owner": "user1", "Registered": %t}`, names == ""))
		if err != nil {
			return err
		}
		if status/100 != 2 {
			return fmt.Errorf("PUT %s: %d %s", path, status, answer)
		}
	}
	return nil
}

func cmdEnd(s *testSystem, ts *testscript.TestScript, args []string) {
	s.must(ts, "DELETE", "/local/hosts/"+args[2]+"/sessions/"+args[0], nil, nil)
}

func cmdHost(s *testSystem, ts *testscript.TestScript, args []string) {
	ids := args[:1]
	if args[0] == "all" {
		hosts, err := s.system.fleet.Hosts()
		ts.Check(err)
		ids = nil
		for _, h := range hosts {
			ids = append(ids, h.HostID)
		}
	}
	var body any
	if len(args) > 2 { // the body of owner-tag
		body = map[string]string{"Owner": args[2]}
	}
	for _, id := range ids {
		s.must(ts, "POST", "/local/hosts/"+id+"/"+args[1], body, nil)
	}
}

func cmdBroadcasts(s *testSystem, ts *testscript.TestScript, args []string) {
	s.must(ts, "POST", "/local/broadcasts/"+args[0], nil, nil)
}

func (s *testSystem) queuesAreEmpty() bool {
	for _, q := range s.system.queues {
		if len(q.Bodies()) > 0 {
			return false
		}
	}
	return true
}

func (s *testSystem) functionsAreIdle() bool {
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

func cmdAwaitQuiet(s *testSystem, ts *testscript.TestScript, _ []string) {
	until(ts, func() bool {
		// In the order in which events pass: an event that has left one is in the next.
		return s.system.fleet.Quiet() && s.queuesAreEmpty() && s.functionsAreIdle()
	}, func() string { return "some invocations have not ended, or the queues are not empty" })
}

func cmdClock(s *testSystem, ts *testscript.TestScript, args []string) {
	off, err := time.ParseDuration(args[1])
	ts.Check(err)
	ts.Check(s.system.fleet.SetClockOffset(args[0], off))
}

func cmdSays(s *testSystem, ts *testscript.TestScript, args []string) {
	file := filepath.Join(s.system.fleet.StateDir(args[0]), "garbage")
	if len(args) == 1 {
		ts.Check(os.Remove(file))
		return
	}
	ts.Check(os.WriteFile(file, []byte(ts.ReadFile(args[1])), 0o644))
}

func cmdAdvance(s *testSystem, ts *testscript.TestScript, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	s.system.Advance(d)
}

func cmdRun(s *testSystem, ts *testscript.TestScript, args []string) {
	inParallel(ts, args, func() {
		if status, answer, err := s.call("POST", "/local/cleanup/"+args[0], "", nil); err != nil || status/100 != 2 {
			ts.Logf("run %s: %d %s (%v)", args[0], status, answer, err)
		}
	})
}

// inParallel calls run once, or as often as the second argument says.
func inParallel(ts *testscript.TestScript, args []string, run func()) {
	times := 1
	if len(args) > 1 {
		var err error
		times, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	var runs sync.WaitGroup
	for range times {
		runs.Go(run)
	}
	runs.Wait()
}

func cmdAwaitRunning(s *testSystem, ts *testscript.TestScript, args []string) {
	want := slices.Sorted(slices.Values(args[1:]))
	var got []string
	until(ts, func() bool {
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
		slices.Sort(got)
		return slices.Equal(got, want)
	}, func() string { return fmt.Sprintf("%s runs %q, not %q", args[0], got, want) })
}

func cmdAwaitHost(s *testSystem, ts *testscript.TestScript, args []string) {
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
