package telemetry_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"dcv-session-broker/internal/session"
)

// README.md says what all metrics cost a month. The alarms' cost is in the figures
// of make bench.
func TestReadmeSaysWhatTheMetricsCost(t *testing.T) {
	const metricMonth = 0.30 // dollars for a metric, and for each reason of one; internal/bench has its source
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	reasons := []string{session.RefusedNoSuchSession, session.RefusedByHost, session.RefusedNotRecorded, session.RefusedNotAsAsked}
	told := fmt.Sprintf("$%.2f with all of them", metricMonth*float64(len(session.Metrics)+len(reasons)))
	if !strings.Contains(string(readme), told) {
		t.Errorf("README.md does not say: %s", told)
	}
}
