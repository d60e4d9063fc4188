package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// Whatever is sent, it is answered 200 with every entry once and in order, or
// 400 and nothing is changed.
func FuzzDeleteSessions(f *testing.F) {
	for _, body := range []string{
		`[{"SessionId": "SessionId123", "Owner": "user1"}, {"SessionId": "SessionIdabc", "Owner": "user1"}]`,
		`[{"SessionId":"open","Owner":"user1","Force":true},{"SessionId":"over","Owner":"user1","Force":true}]`,
		`[{"SessionId":"SessionId123","Owner":"user2"},{"SessionId":"SessionId123","Owner":"user1"},{"SessionId":"SessionId123","Owner":"user1","Force":true}]`,
		`[{"SessionId":"<\u2028&>\\","Owner":"user1"},{"SessionId":"open","Owner":"user1","Force":null}]`,
		`[]`, `{}`, ``, "\ufeff[]", `[{"SessionId":"SessionId123","Owner":"user1"},7]`, `[{"SessionId":"SessionId123","Owner":"user1","Owner":"user1"}]`,
	} {
		f.Add(body, false, "")
		f.Add(base64.StdEncoding.EncodeToString([]byte(body)), true, "true")
	}
	f.Add("[", true, "false")
	f.Add("[]", false, "yes")
	f.Fuzz(func(t *testing.T, body string, isBase64 bool, dryRun string) {
		a := newAPI(t)
		a.DryRunner = &session.DryRunner{Reader: memtable.Reader{Table: a.table}, Notes: memtable.NewHosts(), HostChecker: a, Log: a.Log}
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
			var got badRequest
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
			SuccessfulList   []struct{ SessionId, State string }
			UnsuccessfulList []struct{ SessionId, FailureReason string }
		}
		if err := json.Unmarshal([]byte(body), &entries); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(resp.Body), &got); err != nil {
			t.Fatal(err)
		}
		var deleting, failed []string // as it should be
		for _, e := range entries {
			id := e["SessionId"].(string)
			known := slices.Contains([]string{"SessionId123", "open"}, id) && e["Owner"] == "user1"
			if known {
				deleting = append(deleting, id)
			} else {
				failed = append(failed, id)
			}
		}
		for _, s := range got.SuccessfulList {
			if len(deleting) == 0 || s.SessionId != deleting[0] || s.State != "DELETING" {
				t.Fatalf("%+v, and next is %q", s, deleting)
			}
			deleting = deleting[1:]
		}
		for _, u := range got.UnsuccessfulList {
			if len(failed) == 0 || u.SessionId != failed[0] || u.FailureReason != session.NotFound {
				t.Fatalf("%+v, and next is %q", u, failed)
			}
			failed = failed[1:]
		}
		if len(deleting)+len(failed) > 0 {
			t.Errorf("not answered: %q, %q", deleting, failed)
		}
	})
}

// shown is the sessions of an answer, by ID and owner.
func shown(t *testing.T, resp events.APIGatewayV2HTTPResponse) (sessions []struct{ ID, Owner string }, next string) {
	t.Helper()
	var answer struct {
		Sessions  []struct{ ID, Owner string }
		NextToken string
	}
	if err := json.Unmarshal([]byte(resp.Body), &answer); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v: %d %s", err, resp.StatusCode, resp.Body)
	}
	return answer.Sessions, answer.NextToken
}

// Whatever is asked, the answer is 200 with no session outside the query, or
// 400 and nothing is read.
func FuzzDescribeSessions(f *testing.F) {
	for _, body := range []string{
		``, `{}`, `[]`, `{"SessionIds":["b","a","x","b"],"MaxResults":1}`, `{"Filters":[{"Key":"owner","Value":"user1"}],"MaxResults":1}`,
		`{"SessionIds":["a","b"],"Filters":[{"Key":"owner","Value":"user2"},{"Key":"tag:DcvFleet","Value":"studio"}]}`,
		`{"Filters":[{"Key":"tag:DcvFleet","Value":"other"}]}`, `{"NextToken":"AQAAAAAAAAAAczE","Filters":[{"Key":"owner","Value":"user1"}]}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		a := newDescribeAPI(t).somebodys()
		before := a.table.All()
		resp := a.serve(events.APIGatewayV2HTTPRequest{Body: body})
		if diff := cmp.Diff(before, a.table.All()); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
		if resp.StatusCode == 400 && a.reads == 0 {
			return
		}
		sessions, _ := shown(t, resp)
		var asked struct {
			ids, filters []any
			max          float64
		}
		var read map[string]any
		_ = json.Unmarshal([]byte(strings.TrimPrefix(body, "\ufeff")), &read) // a blank body asks for all
		asked.ids, _ = read["SessionIds"].([]any)
		asked.filters, _ = read["Filters"].([]any)
		if asked.max, _ = read["MaxResults"].(float64); asked.max > 0 && len(sessions) > int(asked.max) {
			t.Errorf("%d sessions of at most %v", len(sessions), asked.max)
		}
		for _, s := range sessions {
			if len(asked.ids) > 0 && !slices.Contains(asked.ids, any(s.ID)) {
				t.Errorf("%s is not among %q", s.ID, asked.ids)
			}
			for _, filter := range asked.filters {
				f := filter.(map[string]any)
				if f["Key"] == "owner" && f["Value"] != s.Owner || f["Key"] == "tag:DcvFleet" && f["Value"] != "studio" {
					t.Errorf("%s of %s does not meet %v", s.ID, s.Owner, f)
				}
			}
		}
	})
}

// A token, made up or begun from a good one, only ever moves inside its query.
func FuzzNextToken(f *testing.F) {
	f.Add("", "b")
	f.Add("AQAAAAAAAAAAczE", "\x00")
	f.Add("czI", "a\xff")
	f.Add("AQ==", "zz")
	const query = `"Filters":[{"Key":"owner","Value":"user1"}]`
	f.Fuzz(func(t *testing.T, token, after string) {
		a := newDescribeAPI(t).somebodys()
		_, good := shown(t, a.serve(events.APIGatewayV2HTTPRequest{Body: `{"MaxResults":1,` + query + `}`}))
		text, err := base64.RawURLEncoding.DecodeString(good)
		if err != nil || len(text) < 10 {
			t.Fatalf("%q: %v", good, err)
		}
		behind := base64.RawURLEncoding.EncodeToString(append(text[:9], after...)) // after the version and the checksum
		for _, token := range []string{token, behind, good + token, token + good} {
			quoted, err := json.Marshal(token)
			if err != nil {
				t.Fatal(err)
			}
			reads := a.reads
			resp := a.serve(events.APIGatewayV2HTTPRequest{Body: `{"NextToken":` + string(quoted) + `,` + query + `}`})
			if resp.StatusCode == 400 && a.reads == reads {
				continue
			}
			sessions, _ := shown(t, resp)
			for _, s := range sessions {
				if s.Owner != "user1" || token == behind && s.ID <= after {
					t.Errorf("%q shows %s of %s", token, s.ID, s.Owner)
				}
			}
		}
	})
}
