package canceldeletions_test

import (
	"strings"
	"testing"

	"dcv-session-broker/internal/httpapi/httpapitest"
)

// The samples in events/ get the answer that their names promise.
func TestSamplesAreUnderstood(t *testing.T) {
	const lists = `"SuccessfulList":[{"SessionId":"SessionId123","State":"READY"}],"UnsuccessfulList":[{"SessionId":"SessionIdabc",` + unknown + `]`
	for name, want := range map[string]struct{ body, state string }{
		"cancel-deletions.json":         {head + lists + `}`, "READY"},
		"cancel-deletions-dry-run.json": {head + lists + `,"DryRun":true}`, "DELETING"},
	} {
		a := newAPI(t)
		resp := a.serve(httpapitest.Sample(t, name))
		if cancelled := want.state == "READY"; strings.Contains(a.log.String(), "RequestedBy=1example23456789") != cancelled {
			t.Errorf("%s: the log does not say who asked: %s", name, a.log.String())
		}
		if state := a.table.Get("SessionId123")["State"]; resp.StatusCode != 200 || resp.Body != want.body || state != want.state {
			t.Errorf("%s: %s, %d %s", name, state, resp.StatusCode, resp.Body)
		}
	}
}
