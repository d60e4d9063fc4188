package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"dcv-session-broker/internal/local/system"
)

// cancel --all sends many requests. An entry or a whole request may be refused.
func TestCancelOfAllSaysWhatIsLeft(t *testing.T) {
	for name, c := range map[string]struct {
		refused int32  // the first cancelDeletions request that is answered 401; 0: none. Requests of 7 and of 4 entries are too large
		closing string // is closed before the answer to the question
		status  int
		says    []string
	}{
		"nothing":            {0, "", exitDone, []string{"s-0 READY\n", "s-3 READY\n", "s-6 READY\n"}},
		"one that is closed": {0, "s-3", exitUnsuccessful, []string{"s-2 READY\n", "s-3: ", "s-4 READY\n", "s-6 READY\n"}},
		"the last requests":  {4, "", exitNotRun, []string{"s-1 READY\n", "\n5 cancels were not requested\n", "cancelDeletions answered 401"}},
		"all requests":       {1, "", exitNotRun, []string{"cancelDeletions answered 401"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, address := startSystem(t, system.Options{Parameters: map[string]string{"MaxBatchSize": "3"}})
			for i := range 7 {
				call(t, http.MethodPut, fmt.Sprintf("%s/local/hosts/%s/sessions/s-%d", address, demoHost, i), fmt.Sprintf(`{"Owner": "user%d"}`, i))
			}
			if said, status := dcvbroker(t, "", "delete", "--host", demoHost, "--grace", "1h", "--yes", "--url", address); status != exitDone {
				t.Fatalf("%d\n%s", status, said)
			}
			var asked atomic.Int32
			front := before(t, address, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
				if r.URL.Path == "/cancelDeletions" && asked.Add(1) >= c.refused && c.refused > 0 {
					http.Error(w, `{"message":"Unauthorized"}`, http.StatusUnauthorized)
					return
				}
				pass.ServeHTTP(w, r)
			})
			closes := func() {
				if c.closing != "" {
					dcvbroker(t, "", "delete", c.closing, "--force", "--url", address)
				}
			}
			said, status := typed(t, &answerer{closes}, "cancel", "--all", "--url", front)
			if status != c.status || !strings.Contains(said, "Cancel these 7 deletions?") {
				t.Errorf("%d\n%s", status, said)
			}
			for _, want := range c.says {
				if !strings.Contains(said, want) {
					t.Errorf("%q is not in\n%s", want, said)
				}
			}
		})
	}
}
