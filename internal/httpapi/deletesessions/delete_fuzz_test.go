package deletesessions_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"dcv-session-broker/internal/httpapi/httpapitest"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

// Every request is answered with 200, with every entry once and in order, or with 400
// and nothing changes.
func FuzzDeleteSessions(f *testing.F) {
	for _, body := range []string{
		`[{"SessionId": "SessionId123", "Owner": "user1"}, {"SessionId": "SessionIdabc", "Owner": "user1"}]`,
		`[{"SessionId":"open","Owner":"user1","Force":true},{"SessionId":"over","Owner":"user1","Force":true}]`,
		`[{"SessionId":"SessionId123","Owner":"user2"},{"SessionId":"SessionId123","Owner":"user1"},{"SessionId":"SessionId123","Owner":"user1","Force":true}]`,
		`[{"SessionId":"<\u2028&>\\","Owner":"user1"},{"SessionId":"open","Owner":"user1","Force":null}]`,
		`[{"SessionId":"SessionId123","Owner":"user1","GracePeriodSeconds":600,"Message":"m\"","Reason":"r"},{"SessionId":"open","Owner":"user1","GracePeriodSeconds":60}]`,
		`[{"SessionId":"SessionId123","Owner":"user1","HostId":"i-0"},{"SessionId":"open","Owner":"user1","HostId":"i-0123456789abcdef0","Force":true}]`,
		`[{"SessionId":"open","Owner":"user2","CreationTime":"2026-11-23T08:30:00Z"},{"SessionId":"SessionId123","Owner":"user1","CreationTime":"2026-11-23T08:30:00Z"}]`,
		`[]`, `{}`, ``, "\ufeff[]", `[{"SessionId":"SessionId123","Owner":"user1"},7]`, `[{"SessionId":"SessionId123","Owner":"user1","Owner":"user1"}]`,
	} {
		f.Add(body, false, "")
		f.Add(base64.StdEncoding.EncodeToString([]byte(body)), true, "true")
	}
	f.Add("[", true, "false")
	f.Add("[]", false, "yes")
	f.Fuzz(func(t *testing.T, body string, isBase64 bool, dryRun string) {
		a := newAPI(t)
		a.DryRunner = &session.DryRunner{Getter: memtable.Reader{Table: a.table}, Notes: memtable.NewHosts(), HostChecker: a, Log: a.Log}
		for id, state := range map[string]string{"open": "DELETING", "over": "DELETED"} {
			a.table.Put(session.Record{"SessionId": id, "Owner": "user1", "HostId": host, "State": state, "DeletionRequestId": "r0", "AttemptId": "r0"})
		}
		before := a.table.All()
		req := events.APIGatewayV2HTTPRequest{Body: body, IsBase64Encoded: isBase64}
		if dryRun != "" {
			req.QueryStringParameters = map[string]string{"dryRun": dryRun}
		}
		resp := a.serve(req)
		diff := cmp.Diff(before, a.table.All())
		switch {
		case resp.StatusCode == 400 || dryRun == "true":
			if diff != "" || a.calls > 0 {
				t.Errorf("%d, and changed (-before +after):\n%s", resp.StatusCode, diff)
			}
		case resp.StatusCode != 200:
			t.Fatalf("%d %s", resp.StatusCode, resp.Body)
		}
		if resp.StatusCode == 400 {
			var got httpapitest.BadRequest
			if err := json.Unmarshal([]byte(resp.Body), &got); err != nil || len(got.Errors) == 0 {
				t.Errorf("%v: %s", err, resp.Body)
			}
			return
		}

		if isBase64 {
			plain, err := base64.StdEncoding.DecodeString(body)
			if err != nil {
				t.Fatal(err)
			}
			body = string(plain)
		}
		body = strings.TrimPrefix(body, "\ufeff")
		var entries []map[string]any
		var got struct {
			SuccessfulList   []struct{ SessionId, State, CloseAt string }
			UnsuccessfulList []struct{ SessionId, FailureReason string }
		}
		if err := json.Unmarshal([]byte(body), &entries); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(resp.Body), &got); err != nil {
			t.Fatal(err)
		}
		var deleting, failed []map[string]any // the expected lists
		known := func(e map[string]any) bool {
			return slices.Contains([]string{"SessionId123", "open"}, e["SessionId"].(string)) && e["Owner"] == "user1"
		}
		for _, e := range entries {
			// The record has no creation time.
			if known(e) && (e["HostId"] == nil || e["HostId"] == host) && e["CreationTime"] == nil {
				deleting = append(deleting, e)
			} else {
				failed = append(failed, e)
			}
		}
		for _, s := range got.SuccessfulList {
			if len(deleting) == 0 || s.SessionId != deleting[0]["SessionId"] || s.State != "DELETING" {
				t.Fatalf("%+v, and next is %v", s, deleting)
			}
			// The deletion that was open before has no grace period.
			seconds, _ := deleting[0]["GracePeriodSeconds"].(float64)
			if waits := seconds > 0 && s.SessionId == "SessionId123"; waits != (s.CloseAt != "") {
				t.Errorf("%+v, for %v", s, deleting[0])
			}
			deleting = deleting[1:]
		}
		for _, u := range got.UnsuccessfulList {
			if len(failed) == 0 || u.SessionId != failed[0]["SessionId"] || (u.FailureReason == session.NotFound) != !known(failed[0]) {
				t.Fatalf("%+v, and next is %v", u, failed)
			}
			failed = failed[1:]
		}
		if len(deleting)+len(failed) > 0 {
			t.Errorf("not answered: %v, %v", deleting, failed)
		}
	})
}
