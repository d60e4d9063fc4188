package deletesessions_test

import (
	"strings"
	"testing"

	"dcv-session-broker/internal/httpapi/httpapitest"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// The samples in events/ that the API is invoked with get the answer that their
// names promise. delete-base64.json comes without an authorizer, as from a
// caller of the function itself.
func TestSamplesAreUnderstood(t *testing.T) {
	const deleted = head + `"SuccessfulList":[{"SessionId":"SessionId123","State":"DELETING"}],`
	const client = "1example23456789"
	for name, want := range map[string]struct {
		status       int
		body         string // its beginning
		confirmation any
		by           any
	}{
		"delete.json":              {200, deleted + `"UnsuccessfulList":[{"SessionId":"SessionIdabc","FailureReason":"The requested dcvSession does not exist"}]}`, nil, client},
		"delete-base64.json":       {200, deleted + `"UnsuccessfulList":[{"SessionId":"SessionIdabc","FailureReason":"The requested dcvSession does not exist"}]}`, nil, "unknown"},
		"delete-grace-period.json": {200, head + `"SuccessfulList":[{"SessionId":"SessionId123","State":"DELETING","CloseAt":"2026-11-23T19:11:02.123Z"}],"UnsuccessfulList":[]}`, nil, client},
		"delete-forced.json":       {200, deleted + `"UnsuccessfulList":[]}`, "forced", client},
		"delete-dry-run.json":      {200, head + `"SuccessfulList":[{"SessionId":"SessionId123","State":"DELETING","Session":{"State":"READY"`, nil, nil},
		"delete-malformed.json":    {400, `{"message":"The request is malformed`, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			a.table.Put(session.Listed(session.Session{ID: "SessionId123", Owner: "user1", HostID: "i-0a1b2c3d4e5f60001", Type: "virtual"}))
			a.DryRunner = &session.DryRunner{Getter: memtable.Reader{Table: a.table}, Notes: memtable.NewHosts(), HostChecker: a, Log: a.Log}
			resp := a.serve(httpapitest.Sample(t, name))
			if resp.StatusCode != want.status || !strings.HasPrefix(resp.Body, want.body) {
				t.Errorf("%d %s", resp.StatusCode, resp.Body)
			}
			r := a.table.Get("SessionId123")
			if r["Confirmation"] != want.confirmation {
				t.Errorf("record: %v", r)
			}
			if by := r["DeletionRequestedBy"]; by != want.by {
				t.Errorf("requested by %v", by)
			}
		})
	}
}
