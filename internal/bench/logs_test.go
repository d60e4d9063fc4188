package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"dcv-session-broker/internal/session"
)

// maxLogged is how many bytes of logs a deletion may make, of 25 in a request.
const maxLogged = 1000

func TestLogsOfADeletionStayShort(t *testing.T) {
	for _, hosts := range []int{1, 5, 25} {
		l, err := logDeletion(t.Context(), deployed(t, "", ""), 25, hosts)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("25 sessions of %d hosts: %.0f bytes a deletion", hosts, l.bytes(25))
		if got := l.bytes(25); got > maxLogged {
			t.Errorf("25 sessions of %d hosts: %.0f bytes a deletion, and at most %d are meant:\n%s", hosts, got, maxLogged,
				strings.Join(slices.Concat(slices.Collect(maps.Values(l.own))...), "\n"))
		}
	}
}

// The bill has each line of each function, those of Lambda, and the API's, with what CloudWatch Logs adds to each.
func TestEachLineIsCounted(t *testing.T) {
	l := &deletionLog{
		own:    map[string][]string{"delete-sessions": {"ab", "c"}, "host-events": {"def"}},
		lambda: map[string][]string{"host-events": {"ghij"}}, access: []string{"klmno"},
	}
	if got := l.bytes(3); got != (15+5*26)/3. {
		t.Errorf("%v bytes a session", got)
	}
	if l, err := logDeletion(t.Context(), deployed(t, "", ""), 1, 1); err != nil || len(l.access) != 1 {
		t.Errorf("%v, %q", err, l.access)
	}
}

// What is not written is not cheap: each step of each session is there, under its ID and its request's.
func TestLogsOfADeletionNameEachStepOfEachSession(t *testing.T) {
	const sessions = 60
	l, err := logDeletion(t.Context(), deployed(t, "", ""), sessions, 7)
	if err != nil {
		t.Fatal(err)
	}
	for function, step := range map[string]string{
		"delete-sessions": "deletion accepted: ", "host-events": "deletion confirmed: ", "session-stream": "session deleted", "ended-sessions": "session's end goes to the event bus",
	} {
		told := map[string]bool{}
		for _, line := range l.own[function] {
			var object map[string]any
			if err := json.Unmarshal([]byte(line), &object); err != nil {
				t.Fatal(err)
			}
			for _, of := range session.SplitLine(object) {
				if msg, _ := of["msg"].(string); strings.HasPrefix(msg, step) && of["RequestId"] == l.requestID && strings.HasPrefix(fmt.Sprint(of["HostId"]), "i-") {
					told[fmt.Sprint(of["SessionId"])] = true
				}
			}
		}
		if len(told) != sessions {
			t.Errorf("%s says of %d sessions of %d: %s", function, len(told), sessions, step)
		}
	}
}

// Lambda writes three lines of an invocation, and nothing where the template says so.
func TestLambdasOwnLinesAreCounted(t *testing.T) {
	const log = "LoggingConfig: {LogFormat: JSON, SystemLogLevel: WARN, "
	bytes := func(config string) float64 {
		l, err := logDeletion(t.Context(), deployed(t, log, config), 25, 5)
		if err != nil {
			t.Fatal(err)
		}
		return l.bytes(25)
	}
	quiet := bytes(log)
	for _, config := range []string{"LoggingConfig: {LogFormat: Text, ", "LoggingConfig: {LogFormat: JSON, "} {
		if more := bytes(config) - quiet; more < 300 {
			t.Errorf("%s: %.0f bytes more", config, more)
		}
	}
}
