package main

import (
	"net/http"
	"strings"
	"testing"

	"dcv-session-broker/internal/local/system"
)

// A script's variable may be empty: --owner "$OWNER". That must not select all sessions.
func TestEmptyWordsMeanNoSessions(t *testing.T) {
	_, url := startSystem(t, system.Options{})
	call(t, http.MethodPut, url+"/local/hosts/"+demoHost+"/sessions/s-1", `{"Owner": "user1", "CreationTime": "2026-01-01T00:00:00Z"}`)
	for _, args := range [][]string{
		{"drain", "", "--yes", "--timeout", "1s"},
		{"delete", "--owner", "", "--older-than", "1h", "--yes"},
		{"delete", "--owner=", "--host", demoHost, "--yes"},
		{"delete", "--host", "", "--owner", "user1", "--yes"},
		{"delete", "s-1", "--owner", ""},
		{"delete", "s-1", ""},
		{"cancel", "--owner", "", "--host", demoHost},
		{"cancel", "s-1", "--request", ""},
		{"get", "--owner", ""},
		{"get", ""},
	} {
		said, status := dcvbroker(t, "", append(args, "--url", url)...)
		if status != exitNotRun || !strings.Contains(said, " is empty") || !strings.Contains(said, "--help") {
			t.Errorf("%q: %d\n%s", args, status, said)
		}
	}
	if sessions := get(t, url+"/local/sessions"); strings.Contains(sessions, "Deletion") {
		t.Errorf("deleted: %s", sessions)
	}
}

func TestLeftOutSessionIsReported(t *testing.T) {
	_, url := startSystem(t, system.Options{})
	call(t, http.MethodPut, url+"/local/hosts/"+demoHost+"/sessions/s-1", `{"Owner": "user1"}`)
	said, status := dcvbroker(t, "", "delete", "s-1", "--older-than", "1h", "--url", url)
	if status != exitDone || !strings.Contains(said, "nothing to delete") {
		t.Errorf("%d\n%s", status, said)
	}
}
