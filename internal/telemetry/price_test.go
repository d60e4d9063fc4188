package telemetry_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"dcv-session-broker/internal/session"
)

// The runbook has the cost of all metrics for a month. The alarms' cost is in the
// figures of make bench.
func TestRunbookSaysWhatTheMetricsCost(t *testing.T) {
	const metricMonth = 0.30 // dollars for a metric, and for each reason of one; internal/bench has its source
	runbook, err := os.ReadFile("../operate/RUNBOOK.md")
	if err != nil {
		t.Fatal(err)
	}
	reasons := []string{session.RefusedNoSuchSession, session.RefusedByHost, session.RefusedNotRecorded, session.RefusedNotAsAsked}
	told := fmt.Sprintf("$%.2f with all of them", metricMonth*float64(len(session.Metrics)+len(reasons)))
	if !strings.Contains(string(runbook), told) {
		t.Errorf("RUNBOOK.md does not say: %s", told)
	}
}
