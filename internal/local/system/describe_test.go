package system

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"dcv-session-broker/internal/session"
)

// A walk is the pages of one query, read in order.
type walk struct {
	query map[string]any
	ids   []string
}

func cmdDescribe(s *testSystem, ts *testscript.TestScript, args []string) {
	query := map[string]any{}
	var ids []string
	var filters []map[string]string
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		switch {
		case arg == "all":
			ids = append(ids, s.allIDs(ts)...)
		case !ok:
			ids = append(ids, arg)
		case key == "max":
			n, err := strconv.Atoi(value)
			ts.Check(err)
			query["MaxResults"] = n
		default:
			filters = append(filters, map[string]string{"Key": key, "Value": value})
		}
	}
	if ids != nil {
		query["SessionIds"] = ids
	}
	if filters != nil {
		query["Filters"] = filters
	}
	s.walk = walk{query: query}
	s.page(ts)
}

func cmdDescribeOn(s *testSystem, ts *testscript.TestScript, _ []string) {
	if s.walk.query["NextToken"] == nil {
		ts.Fatalf("the last page was the last")
	}
	s.page(ts)
}

func (s *testSystem) page(ts *testscript.TestScript) {
	body, err := json.Marshal(s.walk.query)
	ts.Check(err)
	if len(s.walk.query) == 0 {
		body = nil
	}
	status, text, err := s.call("POST", "/describeSessions", "application/json", body)
	ts.Check(err)
	var answer struct {
		Sessions  []struct{ Id, State string }
		NextToken string
	}
	if status != 200 || json.Unmarshal(text, &answer) != nil {
		ts.Fatalf("POST /describeSessions: %d %s", status, text)
	}
	for _, d := range answer.Sessions {
		s.walk.ids = append(s.walk.ids, d.Id)
		fmt.Fprintf(ts.Stdout(), "%s %s\n", d.State, d.Id)
	}
	delete(s.walk.query, "NextToken")
	if answer.NextToken != "" {
		s.walk.query["NextToken"] = answer.NextToken
		fmt.Fprintln(ts.Stdout(), "more")
	}
}

func cmdDescribed(s *testSystem, ts *testscript.TestScript, _ []string) {
	times := map[string]int{}
	twice, missing := 0, 0
	for _, id := range s.walk.ids {
		if times[id]++; times[id] == 2 {
			twice++
		}
	}
	for _, id := range s.allIDs(ts) {
		if times[id] == 0 {
			missing++
		}
	}
	fmt.Fprintf(ts.Stdout(), "%d sessions, %d twice, %d missing\n", len(times), twice, missing)
}

func cmdAsk(s *testSystem, ts *testscript.TestScript, args []string) {
	s.post(ts, "/describeSessions", args)
}

func cmdLarge(_ *testSystem, ts *testscript.TestScript, args []string) {
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	const before, after = `{"x":"`, `"}`
	text := slices.Concat([]byte(before), bytes.Repeat([]byte("x"), size-len(before)-len(after)), []byte(after))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), text, 0o644))
}

// allIDs returns the IDs of all records.
func (s *testSystem) allIDs(ts *testscript.TestScript) (ids []string) {
	records, err := s.system.store.all(context.Background())
	ts.Check(err)
	for _, r := range records {
		ids = append(ids, r.Session().ID)
	}
	return ids
}

// ready returns the first or the last of the READY sessions, by ID.
func (s *testSystem) ready(ts *testscript.TestScript, which, count string) []session.Session {
	n, err := strconv.Atoi(count)
	ts.Check(err)
	records, err := s.system.store.all(context.Background())
	ts.Check(err)
	var ready []session.Session
	for _, r := range records {
		if sess := r.Session(); sess.State == session.Ready {
			ready = append(ready, sess)
		}
	}
	slices.SortFunc(ready, func(a, b session.Session) int { return cmp.Compare(a.ID, b.ID) })
	if which == "last" {
		return ready[len(ready)-n:]
	}
	return ready[:n]
}
