package system

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"dcv-session-broker/internal/session"
)

// entriesOf reads the arguments of delete and dry-run.
func (s *testSystem) entriesOf(ts *testscript.TestScript, args []string) (entries []entry) {
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

func cmdDelete(s *testSystem, ts *testscript.TestScript, args []string) {
	s.printLists(ts, "/deleteSessions", s.entriesOf(ts, args), false)
}

func cmdDryRun(s *testSystem, ts *testscript.TestScript, args []string) {
	hits := args[0] == "hits"
	if hits {
		args = args[1:]
	}
	s.printLists(ts, "/deleteSessions?dryRun=true", s.entriesOf(ts, args), hits)
}

func cmdCancel(s *testSystem, ts *testscript.TestScript, args []string) {
	path := "/cancelDeletions"
	if args[0] == "dry" {
		path, args = path+"?dryRun=true", args[1:]
	}
	type cancel struct {
		SessionID string `json:"SessionId"`
		Owner     string
		RequestID string `json:"RequestId,omitempty"`
	}
	var entries []cancel
	for _, arg := range args {
		parts := append(strings.Split(arg, "/"), "")
		c := cancel{parts[0], parts[1], parts[2]}
		if c.RequestID == "own" {
			c.RequestID = s.record(ts, c.SessionID).Session().DeletionRequestID
		}
		entries = append(entries, c)
	}
	s.printLists(ts, path, entries, false)
}

// printLists prints the answers to a request's entries, and with hits the sessions that
// they would delete.
func (s *testSystem) printLists(ts *testscript.TestScript, path string, entries any, hits bool) {
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

func cmdPost(s *testSystem, ts *testscript.TestScript, args []string) {
	s.post(ts, "/deleteSessions", args)
}

func (s *testSystem) post(ts *testscript.TestScript, path string, args []string) {
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

func (s *testSystem) record(ts *testscript.TestScript, id string) session.Record {
	r, err := s.system.store.get(context.Background(), id)
	ts.Check(err)
	return r
}

// waitLimit is far longer than anything here takes: on a busy machine a scenario must
// become slow, not red. WAIT_LIMIT=10s makes a failure appear earlier.
var waitLimit = func() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("WAIT_LIMIT")); err == nil {
		return d
	}
	return 5 * time.Minute
}()

func cmdAwait(s *testSystem, ts *testscript.TestScript, args []string) {
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
	until(ts, func() bool {
		for len(ids) > 0 && string(s.record(ts, ids[0]).Session().State) == args[0] {
			ids = ids[1:]
		}
		return len(ids) == 0
	}, func() string { return fmt.Sprintf("%s is not %s: %v", ids[0], args[0], s.record(ts, ids[0])) })
}

func cmdRecord(s *testSystem, ts *testscript.TestScript, args []string) {
	r := s.record(ts, args[0])
	attrs := args[1:]
	if len(attrs) == 0 {
		attrs = slices.Sorted(maps.Keys(r))
	}
	for _, attr := range attrs {
		fmt.Fprintf(ts.Stdout(), "%s=%v\n", attr, r[attr])
	}
}

func cmdRunning(s *testSystem, ts *testscript.TestScript, args []string) {
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
