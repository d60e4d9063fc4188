package system

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"dcv-session-broker/internal/events/cleanup"
)

func cmdRule(s *testSystem, ts *testscript.TestScript, args []string) {
	parallelRuns := 1
	if len(args) > 1 {
		var err error
		parallelRuns, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	var (
		rule  = []byte(ts.ReadFile(args[0]))
		runs  sync.WaitGroup
		mu    sync.Mutex
		lines []string
	)
	for range parallelRuns {
		runs.Go(func() {
			status, answer, err := s.call("POST", "/local/cleanup/close", "application/json", rule)
			mu.Lock()
			defer mu.Unlock()
			var run cleanup.RuleAnswer
			if err != nil || status != http.StatusOK || json.Unmarshal(answer, &run) != nil {
				lines = append(lines, fmt.Sprintf("failed: %d %s", status, answer))
				return
			}
			for _, session := range run.Sessions {
				lines = append(lines, fmt.Sprintf("%s: %s", session.SessionID, session.Result))
			}
			if run.StoppedAt != nil {
				lines = append(lines, "stopped at "+string(*run.StoppedAt))
			}
		})
	}
	runs.Wait()
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Fprintln(ts.Stdout(), line)
	}
}
