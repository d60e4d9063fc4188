package system

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"dcv-session-broker/internal/events/cleanup"
)

func cmdRule(s *testSystem, ts *testscript.TestScript, args []string) {
	var (
		rule  = []byte(ts.ReadFile(args[0]))
		mu    sync.Mutex
		lines []string
	)
	inParallel(ts, args, func() {
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
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Fprintln(ts.Stdout(), line)
	}
}
