package system

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/rogpeppe/go-internal/testscript"

	"dcv-session-broker/internal/local/delivery"
)

func cmdCalls(s *testSystem, ts *testscript.TestScript, args []string) {
	counts := s.system.calls.all()[args[0]]
	for _, op := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(ts.Stdout(), "%s %d\n", op, counts[op])
	}
}

func cmdAwaitCalls(s *testSystem, ts *testscript.TestScript, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	got := 0
	until(ts, func() bool {
		got = 0
		for _, operation := range args[2:] {
			got += s.system.calls.all()[args[0]][operation]
		}
		return got >= want
	}, func() string { return fmt.Sprintf("%d calls of %v, not %d", got, args[2:], want) })
}

func cmdAttempts(s *testSystem, ts *testscript.TestScript, _ []string) {
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

func cmdSentOnce(s *testSystem, ts *testscript.TestScript, args []string) {
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

func cmdForgetCalls(s *testSystem, _ *testscript.TestScript, _ []string) { s.system.calls.reset() }

func cmdRefuse(s *testSystem, ts *testscript.TestScript, args []string) { s.refuse(ts, args, true) }

func cmdAllow(s *testSystem, ts *testscript.TestScript, args []string) { s.refuse(ts, args, false) }

func (s *testSystem) refuse(ts *testscript.TestScript, args []string, on bool) {
	f, ok := serviceFaults[args[1]]
	if !ok || s.recorders[args[0]] == nil {
		ts.Fatalf("usage: refuse FUNCTION writes|commands|outputs")
	}
	s.system.calls.setRefused(args[0], f, on)
}

func cmdMessage(s *testSystem, ts *testscript.TestScript, args []string) {
	queue := s.system.queues[args[0]]
	if queue == nil {
		ts.Fatalf("the template has no queue %s", args[0])
	}
	queue.Send(ts.ReadFile(args[1]))
}

func cmdSwallow(s *testSystem, _ *testscript.TestScript, args []string) {
	s.recorders[args[0]].setSwallow(true)
}

func cmdDeliver(s *testSystem, _ *testscript.TestScript, args []string) {
	s.recorders[args[0]].setSwallow(false)
}

func (r *recorder) setSwallow(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.swallow = on
}

func cmdSeen(s *testSystem, ts *testscript.TestScript, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	s.recorders[args[0]].seen(ts, n)
}

// seen waits until the function has handled n events, and returns all that it has handled.
func (r *recorder) seen(ts *testscript.TestScript, n int) (events [][]byte) {
	until(ts, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		events = slices.Clone(r.events)
		return len(events) >= n
	}, func() string { return fmt.Sprintf("only %d events were seen, not %d", len(events), n) })
	return events
}

func cmdReplay(s *testSystem, ts *testscript.TestScript, args []string) {
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
	if len(args) > 2 {
		for i, event := range events {
			events[i] = bytes.ReplaceAll(event, []byte(`"ApproximateReceiveCount":"1"`), fmt.Appendf(nil, `"ApproximateReceiveCount":%q`, args[2]))
		}
	}
	again := delivery.Function{Name: args[0], Timeout: s.system.functions[args[0]].Timeout, Handler: r.handler}
	for _, event := range events {
		answer, err := again.Invoke(context.Background(), event)
		ts.Check(err)
		fmt.Fprintf(ts.Stdout(), "%s\n", answer)
	}
}
