package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/local/system"
)

func TestGetReadsAllPages(t *testing.T) {
	_, url := startSystem(t, system.Options{Token: apiToken})
	const all = 1100 // more than fit on one page, and more than the IDs that one call may have
	var ids []string
	for i := range all {
		ids = append(ids, fmt.Sprintf("s-%04d", i))
		call(t, http.MethodPut, fmt.Sprintf("%s/local/hosts/i-%017d/sessions/%s", url, 1+i/400, ids[i]), `{"Owner": "user1"}`)
	}
	for name, args := range map[string][]string{"all": nil, "by ID": ids, "by owner": {"--owner", "user1"}} {
		said, status := dcvbroker(t, "", append([]string{"get", "--url", url, "-o", "json"}, args...)...)
		var got []struct{ Id, State string }
		if err := json.Unmarshal([]byte(said), &got); err != nil || status != exitDone || len(got) != all {
			t.Errorf("%s: %d, %v, %d sessions", name, status, err, len(got))
		}
	}
	said, status := dcvbroker(t, "", "get", "--url", url, "--host", "i-00000000000000003")
	if lines := strings.Count(said, "\n"); status != exitDone || lines != 1+300 {
		t.Errorf("by host: %d, %d lines", status, lines)
	}
}

// The system's clock may be ahead of this machine's: dcvbroker explain uses it, too.
func TestAgesAreByTheBrokersClock(t *testing.T) {
	_, url := startSystem(t, system.Options{})
	call(t, http.MethodPut, url+"/local/hosts/"+demoHost+"/sessions/a", `{"Owner": "user1"}`)
	call(t, http.MethodPost, url+"/local/clock", `{"Ahead": "3h30m"}`)
	if said, status := dcvbroker(t, "", "get", "--url", url, "--older-than", "2h"); status != exitDone || !strings.Contains(said, " READY  3h") {
		t.Errorf("%d\n%s", status, said)
	}
}

// A user who waits long for an answer is told so.
func TestALongWaitIsTold(t *testing.T) {
	t.Setenv("TOKEN", "t")
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls == 1 {
			time.Sleep(300 * time.Millisecond) // more than ten of the pauses of a test
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, `{"Sessions": []}`)
	}))
	defer server.Close()
	said, status := dcvbroker(t, "", "get", "--url", server.URL)
	if want := "no answer from " + server.URL + " yet (call 1 of 4)\nno session meets these conditions\n"; status != exitDone || said != want {
		t.Errorf("%d\n%s", status, said)
	}
}
