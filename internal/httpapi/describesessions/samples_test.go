package describesessions_test

import (
	"strings"
	"testing"

	"dcv-session-broker/internal/httpapi/httpapitest"
	"dcv-session-broker/internal/session"
)

// The samples in events/ get the answer that their names promise.
func TestSamplesOfDescribeAreUnderstood(t *testing.T) {
	const shown = head + `"Sessions":[{"Id":"SessionId123","Owner":"user1"`
	for name, want := range map[string]struct {
		status int
		body   string // its beginning
	}{
		"describe.json":           {200, shown},
		"describe-owner.json":     {200, shown},
		"describe-host.json":      {200, shown},
		"describe-all.json":       {200, shown},
		"describe-malformed.json": {400, `{"message":"The request is malformed`},
	} {
		a := newDescribeAPI(t, session.Session{ID: "SessionId123", Owner: "user1", HostID: "i-0a1b2c3d4e5f60001"})
		a.FleetTag = "default"
		if resp := a.serve(httpapitest.Sample(t, name)); resp.StatusCode != want.status || !strings.HasPrefix(resp.Body, want.body) {
			t.Errorf("%s: %d %s", name, resp.StatusCode, resp.Body)
		}
	}
}
