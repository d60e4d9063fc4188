package deletesessions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/httpapi/httpapitest"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

const head = `{"RequestId":"` + httpapitest.RequestID + `",`

// The example of the developer guide, to the byte.
func TestGuidesExample(t *testing.T) {
	newAPI(t).answers(
		`[{"SessionId": "SessionId123", "Owner": "user1"}, {"SessionId": "SessionIdabc", "Owner": "user1"}]`,
		200, head+`"SuccessfulList":[{"SessionId":"SessionId123","State":"DELETING"}],`+
			`"UnsuccessfulList":[{"SessionId":"SessionIdabc","FailureReason":"The requested dcvSession does not exist"}]}`)
}

func TestBothListsAreAlwaysThere(t *testing.T) {
	for body, lists := range map[string]string{
		`[]`: `"SuccessfulList":[],"UnsuccessfulList":[]}`,
		`[{"SessionId":"SessionId123","Owner":"user1"}]`: `"SuccessfulList":[{"SessionId":"SessionId123","State":"DELETING"}],"UnsuccessfulList":[]}`,
		`[{"SessionId":"x","Owner":"user1"}]`:            `"SuccessfulList":[],"UnsuccessfulList":[{"SessionId":"x","FailureReason":"The requested dcvSession does not exist"}]}`,
	} {
		newAPI(t).answers(body, 200, head+lists)
	}
}

func TestEmptyArrayNeedsNoCall(t *testing.T) {
	a := newAPI(t)
	a.post(` [ ] `)
	if a.calls > 0 {
		t.Errorf("%d calls", a.calls)
	}
}

// Promise 7: in request order, each entry once, duplicates included.
func TestListsKeepTheOrderOfTheRequest(t *testing.T) {
	a := newAPI(t)
	a.table.Put(session.Listed(session.Session{ID: "b", Owner: "user1", HostID: host}))
	a.answers(`[{"SessionId":"z","Owner":"u"},{"SessionId":"SessionId123","Owner":"user1"},{"SessionId":"b","Owner":"user1"},
	            {"SessionId":"a","Owner":"u"},{"SessionId":"SessionId123","Owner":"user1"},{"SessionId":"z","Owner":"u"}]`,
		200, head+`"SuccessfulList":[{"SessionId":"SessionId123","State":"DELETING"},{"SessionId":"b","State":"DELETING"},{"SessionId":"SessionId123","State":"DELETING"}],`+
			`"UnsuccessfulList":[{"SessionId":"z","FailureReason":"The requested dcvSession does not exist"},`+
			`{"SessionId":"a","FailureReason":"The requested dcvSession does not exist"},{"SessionId":"z","FailureReason":"The requested dcvSession does not exist"}]}`)
}

// Promise 4: the same bytes, whoever asks.
func TestWrongOwnerReadsLikeUnknown(t *testing.T) {
	const body = `[{"SessionId":"SessionId123","Owner":"user2"}]`
	other, none := newAPI(t), newAPI(t)
	none.table.Delete("SessionId123")
	before := fmt.Sprint(other.table.All())
	if got, want := other.post(body), none.post(body); got.Body != want.Body || got.StatusCode != want.StatusCode {
		t.Errorf("somebody else's: %s\nunknown:         %s", got.Body, want.Body)
	}
	if after := fmt.Sprint(other.table.All()); after != before {
		t.Errorf("before: %s\nafter:  %s", before, after)
	}
	ended := newAPI(t)
	ended.table.Put(session.Record{"SessionId": "SessionId123", "Owner": "user2", "State": "DELETED"})
	if got, want := ended.post(body), none.post(body); got.Body != want.Body {
		t.Errorf("deleted: %s\nunknown: %s", got.Body, want.Body)
	}
}

func TestFormsOfAnEntry(t *testing.T) {
	for _, tc := range []struct {
		body  string
		force bool
	}{
		{`[{"SessionId":"SessionId123","Owner":"user1","Force":true}]`, true},
		{`[{"SessionId":"SessionId123","Owner":"user1","Force":false}]`, false},
		{`[{"SessionId":"SessionId123","Owner":"user1","Force":null}]`, false},
		{`[{"SessionId":"SessionId123","Owner":"user1"}]`, false},
		{"\n[\t{ \"Owner\" : \"user1\" ,\r\n \"Force\" :  true , \"SessionId\" : \"SessionId123\" } ]\n", true},
		{`[{"SessionId":"SessionId123","Owner":"user1","Colour":{"a":[1]},"force":true,"FORCE":1}]`, false},
		{`[{"SessionId":"Session\u0049d123","Owner":"user1","\u0046orce":true}]`, true},
		{"\ufeff" + `[{"SessionId":"SessionId123","Owner":"user1"}]`, false},
	} {
		for _, req := range []events.APIGatewayV2HTTPRequest{{Body: tc.body}, httpapitest.Encoded(tc.body)} {
			a := newAPI(t)
			resp := a.serve(req)
			if want := head + `"SuccessfulList":[{"SessionId":"SessionId123","State":"DELETING"}],"UnsuccessfulList":[]}`; resp.Body != want {
				t.Errorf("%s: %s", tc.body, resp.Body)
			}
			if got := a.table.Get("SessionId123")["Force"]; got != tc.force {
				t.Errorf("%s: Force is %v", tc.body, got)
			}
		}
	}
}

func TestOddIDsAreIDs(t *testing.T) {
	for _, tc := range []struct{ sent, id, answered string }{
		{`a\ud834\udd1eb`, "a\U0001D11Eb", "a\U0001D11Eb"},
		{`;\"$(reboot)\\ `, `;"$(reboot)\ `, `;\"$(reboot)\\ `},
		{" é ", " é ", " é "},
		{"<a href='x'>&", "<a href='x'>&", "<a href='x'>&"},
		{strings.Repeat("x", 256), strings.Repeat("x", 256), strings.Repeat("x", 256)},
	} {
		a := newAPI(t)
		a.table.Put(session.Listed(session.Session{ID: tc.id, Owner: tc.id, HostID: host}))
		a.answers(`[{"SessionId":"`+tc.sent+`","Owner":"`+tc.sent+`"}]`, 200,
			head+`"SuccessfulList":[{"SessionId":"`+tc.answered+`","State":"DELETING"}],"UnsuccessfulList":[]}`)
	}
}

func TestRefusalReachesTheCallerWithItsReason(t *testing.T) {
	a := newAPI(t)
	a.send = func(session.Attempt) []error {
		return []error{&session.Refusal{HostID: host, Reason: "is not connected to Systems Manager", Err: errors.New("InvalidInstanceId: secret")}}
	}
	resp := a.post(`[{"SessionId":"SessionId123","Owner":"user1"}]`)
	if !strings.Contains(resp.Body, "set Force to true") || strings.Contains(resp.Body, "secret") || resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, resp.Body)
	}
}

func TestTableThatTakesNothingIs503(t *testing.T) {
	a := newAPI(t)
	a.write = func(_ context.Context, writes []session.Write) []session.Result {
		results := make([]session.Result, len(writes))
		for i := range results {
			results[i].Err = fmt.Errorf("secret table arn: %w", session.ErrNotWritten)
		}
		return results
	}
	resp := a.post(`[{"SessionId":"SessionId123","Owner":"user1"}]`)
	if resp.StatusCode != 503 || resp.Headers["Retry-After"] != "5" ||
		resp.Body != `{"message":"Sessions cannot be changed right now. Repeat the call.","RequestId":"`+httpapitest.RequestID+`"}` {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Headers, resp.Body)
	}
}

func TestPanicShowsNothingInternal(t *testing.T) {
	a := newAPI(t)
	a.write = func(context.Context, []session.Write) []session.Result { panic("secret internals") }
	resp := a.post(`[{"SessionId":"SessionId123","Owner":"user1"}]`)
	if resp.StatusCode != 500 || !strings.Contains(resp.Body, httpapitest.RequestID) || strings.Contains(resp.Body, "secret") || strings.Contains(resp.Body, ".go") {
		t.Errorf("%d %s", resp.StatusCode, resp.Body)
	}
	if log := a.log.String(); !strings.Contains(log, "secret internals") || !strings.Contains(log, "RequestId="+httpapitest.RequestID) {
		t.Errorf("the log does not tell: %s", log)
	}
}

func TestRequesterIsRecorded(t *testing.T) {
	type (
		authorizer = events.APIGatewayV2HTTPRequestContextAuthorizerDescription
		jwt        = events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription
	)
	claims := func(c map[string]string) *authorizer { return &authorizer{JWT: &jwt{Claims: c}} }
	for _, tc := range []struct {
		authorizer *authorizer
		want       string
	}{
		// Cognito's client credentials, and another issuer's.
		{claims(map[string]string{"client_id": "client", "sub": "client", "scope": "dcv-session-manager/sm_scope"}), "client"},
		{claims(map[string]string{"azp": "client", "sub": "client@clients", "scope": "desktops"}), "client@clients"},
		// A user's token names the user.
		{claims(map[string]string{"client_id": "client", "sub": "subject"}), "subject"},
		{claims(map[string]string{"client_id": "client", "sub": "subject", "username": "name"}), "name"},
		{claims(map[string]string{"client_id": "client", "sub": "", "username": ""}), "client"},
		{claims(map[string]string{"scope": "dcv-session-manager/sm_scope"}), "unknown"},
		{claims(nil), "unknown"},
		{&authorizer{}, "unknown"},
		{nil, "unknown"},
	} {
		a := newAPI(t)
		req := events.APIGatewayV2HTTPRequest{Body: `[{"SessionId":"SessionId123","Owner":"user1"}]`}
		req.RequestContext.Authorizer = tc.authorizer
		a.serve(req)
		if got := a.table.Get("SessionId123")["DeletionRequestedBy"]; got != tc.want {
			t.Errorf("requested by %v, want %v", got, tc.want)
		}
	}
}

// The answer, the log and the record have the same request ID.
func TestRequestIsNamedAlikeEverywhere(t *testing.T) {
	a := newAPI(t)
	a.post(`[{"SessionId":"SessionId123","Owner":"user1"}]`)
	r := a.table.Get("SessionId123")
	if r["DeletionRequestId"] != httpapitest.RequestID || r["AttemptId"] != httpapitest.RequestID || r["DeletionRequestedAt"] != "2026-11-23T19:01:02.123Z" {
		t.Errorf("record: %v", r)
	}
	for _, line := range strings.Split(strings.TrimSpace(a.log.String()), "\n") {
		if !strings.Contains(line, "RequestId="+httpapitest.RequestID) {
			t.Errorf("log line: %s", line)
		}
	}
}

func TestDryRun(t *testing.T) {
	a := newAPI(t)
	a.DryRunner = &session.DryRunner{
		Getter: memtable.Reader{Table: a.table}, Notes: memtable.NewHosts(), HostChecker: a, Log: a.Log,
	}
	a.table.Put(session.Listed(session.Session{
		ID: "s2", Owner: "user1", HostID: "laptop", NumOfConnections: 2, FirstSeenAt: now.Add(-time.Minute),
	}))
	const body = `[{"SessionId":"SessionId123","Owner":"user1"},{"SessionId":"s2","Owner":"user1"},{"SessionId":"s2","Owner":"user2"}]`
	dryRun := func(value string) events.APIGatewayV2HTTPResponse {
		return a.serve(events.APIGatewayV2HTTPRequest{Body: body, QueryStringParameters: map[string]string{"dryRun": value}})
	}
	resp := dryRun("true")
	want := `{"RequestId":"` + httpapitest.RequestID + `","SuccessfulList":[` +
		`{"SessionId":"SessionId123","State":"DELETING","Session":{"State":"READY","HostId":"i-0123456789abcdef0","NumOfConnections":0}}],` +
		`"UnsuccessfulList":[{"SessionId":"s2","FailureReason":"The session's host laptop is a laptop. Nothing was changed. Repeat the call when the host is back, or set Force to true to remove the session without its host.",` +
		`"Session":{"State":"READY","HostId":"laptop","NumOfConnections":2,"LastSeenTime":"2026-11-23T19:00:02Z"}},` +
		`{"SessionId":"s2","FailureReason":"The requested dcvSession does not exist"}],"DryRun":true}`
	if resp.StatusCode != 200 || resp.Body != want || a.calls > 0 {
		t.Errorf("%d %s\nwant %s\n%d calls that change something", resp.StatusCode, resp.Body, want, a.calls)
	}

	for _, wrong := range []string{"", "TRUE", "1", "true,true"} {
		resp := dryRun(wrong)
		want := `{"message":"The request is malformed, and nothing was done; errors has every fault.","RequestId":"` + httpapitest.RequestID +
			`","errors":[{"Index":null,"Field":"dryRun","Reason":"is not true or false"}]}`
		if resp.StatusCode != 400 || resp.Body != want || a.calls > 0 {
			t.Errorf("dryRun=%s: %d %s, %d calls", wrong, resp.StatusCode, resp.Body, a.calls)
		}
	}

	both := a.serve(events.APIGatewayV2HTTPRequest{Body: `[{"SessionId":"s"}]`, QueryStringParameters: map[string]string{"dryRun": "1"}})
	if !strings.Contains(both.Body, `"Field":"dryRun"`) || !strings.Contains(both.Body, `"Field":"Owner"`) {
		t.Errorf("one of two faults is not named: %s", both.Body)
	}

	a.noChecks = true
	if resp := dryRun("true"); resp.StatusCode != 503 || resp.Headers["Retry-After"] == "" || a.calls > 0 {
		t.Errorf("when hosts cannot be asked about: %d %s", resp.StatusCode, resp.Body)
	}
	if resp := dryRun("false"); resp.StatusCode != 200 || strings.Contains(resp.Body, "DryRun") || a.calls == 0 {
		t.Errorf("dryRun=false: %d %s", resp.StatusCode, resp.Body)
	}
}

// A request whose sender may have meant a dry run changes nothing.
func TestMisspelledDryRunsAreRefused(t *testing.T) {
	a := newAPI(t)
	const body = `[{"SessionId":"SessionId123","Owner":"user1"}]`
	for name, quoted := range map[string]string{
		"dryrun": `dryrun`, "DryRun": `DryRun`, "dry_run": `dry_run`, "dry-run": `dry-run`, "dryRun[]": `dryRun[]`, "dryRun ": `dryRun `,
		"dry.run": `dry.run`, "dryRun%20": `dryRun%20`, "dry%52un": `dry%52un`, "dry%2552un": `dry%2552un`, "d%72y%5BRun": `d%72y%5BRun`,
		"options[dryRun]": `options[dryRun]`, "isDryRun": `isDryRun`, "dryRun1": `dryRun1`, "\ufeffdryRun": `\ufeffdryRun`, "$dry$run%": `$dry$run%`,
		"a long name of dryRun": `a long name of dryRu`,
	} {
		for _, more := range []map[string]string{nil, {"dryRun": "false"}, {"a": "b"}} {
			query := map[string]string{name: "true"}
			maps.Copy(query, more)
			resp := a.serve(events.APIGatewayV2HTTPRequest{Body: body, QueryStringParameters: query})
			var got httpapitest.BadRequest
			err := json.Unmarshal([]byte(resp.Body), &got)
			want := []httpapitest.Wrong{{Field: "dryRun", Reason: `is spelled dryRun, not "` + quoted + `"`}}
			if diff := cmp.Diff(want, got.Errors); resp.StatusCode != 400 || err != nil || diff != "" || a.calls > 0 {
				t.Errorf("%q and %v: %d %s, %d calls", name, more, resp.StatusCode, resp.Body, a.calls)
			}
		}
	}
	for _, name := range []string{"", "dry", "run", "rundry", "%", "%64%72%79"} {
		a := newAPI(t)
		if resp := a.serve(events.APIGatewayV2HTTPRequest{Body: body, QueryStringParameters: map[string]string{name: "dryRun"}}); resp.StatusCode != 200 {
			t.Errorf("%q: %d %s", name, resp.StatusCode, resp.Body)
		}
	}
}
