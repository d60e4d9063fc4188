package canceldeletions_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/httpapi/httpapitest"
	"dcv-session-broker/internal/session"
)

const (
	head    = `{"RequestId":"` + httpapitest.RequestID + `",`
	entry   = `[{"SessionId":"SessionId123","Owner":"user1"}]`
	unknown = `"FailureReason":"The requested dcvSession does not exist"}`
	tooLate = "Too late: its close time was 2026-11-23T19:00:02Z."
)

func TestWaitingDeletionIsCancelled(t *testing.T) {
	a := newAPI(t)
	a.answers(entry, 200, head+`"SuccessfulList":[{"SessionId":"SessionId123","State":"READY"}],"UnsuccessfulList":[]}`)
	r := a.table.Get("SessionId123")
	if r["State"] != "READY" || r["CloseAt"] != nil || r["CancelledBy"] != httpapitest.RequestID || r["CancelledAt"] == nil {
		t.Errorf("record: %v", r)
	}
	if len(a.notices) != 1 || a.notices[0].SessionID != "SessionId123" || !a.notices[0].CloseAt.IsZero() {
		t.Errorf("told: %+v", a.notices)
	}
	for _, line := range strings.Split(strings.TrimSpace(a.log.String()), "\n") {
		if !strings.Contains(line, "RequestId="+httpapitest.RequestID) {
			t.Errorf("log line: %s", line)
		}
	}
}

func TestStateIsTheOneBefore(t *testing.T) {
	a := newAPI(t)
	r := a.table.Get("SessionId123")
	r["StateBefore"] = "UNKNOWN"
	a.table.Put(r)
	a.answers(entry, 200, head+`"SuccessfulList":[{"SessionId":"SessionId123","State":"UNKNOWN"}],"UnsuccessfulList":[]}`)
}

// Promise 7: in request order, each entry once, duplicates included.
func TestListsKeepTheOrderOfTheRequest(t *testing.T) {
	a := newAPI(t)
	body := `[{"SessionId":"z","Owner":"user1"},{"SessionId":"SessionId123","Owner":"user1"},{"SessionId":"late","Owner":"user1"},{"SessionId":"ready","Owner":"user1"},
	          {"SessionId":"SessionId123","Owner":"user2"},{"SessionId":"SessionId123","Owner":"user1"},{"SessionId":"z","Owner":"user1"},{"SessionId":"late","Owner":"user1"}]`
	want := head + `"SuccessfulList":[{"SessionId":"SessionId123","State":"READY"},{"SessionId":"ready","State":"READY"},{"SessionId":"SessionId123","State":"READY"}],` +
		`"UnsuccessfulList":[{"SessionId":"z",` + unknown + `,{"SessionId":"late",LATE},{"SessionId":"SessionId123",` + unknown + `,{"SessionId":"z",` + unknown + `,{"SessionId":"late",LATE}]`
	want = strings.ReplaceAll(want, "LATE", `"FailureReason":"`+tooLate+`"`)
	if resp := a.dryRun(body); resp.StatusCode != 200 || resp.Body != want+`,"DryRun":true}` || a.writes > 0 || len(a.notices) > 0 {
		t.Errorf("%d %s\nwant %s\n%d writes, %d notices", resp.StatusCode, resp.Body, want, a.writes, len(a.notices))
	}
	a.answers(body, 200, want+"}")
	if len(a.notices) != 1 {
		t.Errorf("two entries of one session and owner are %d cancels", len(a.notices))
	}
}

func TestEmptyArrayNeedsNoCall(t *testing.T) {
	a := newAPI(t)
	a.unreadable = errors.New("read for nothing")
	a.answers(` [ ] `, 200, head+`"SuccessfulList":[],"UnsuccessfulList":[]}`)
	if a.writes > 0 {
		t.Errorf("%d writes", a.writes)
	}
}

// Promise 4: the same bytes for every other owner, and in every state of the session.
func TestStrangerReadsLikeUnknown(t *testing.T) {
	for _, id := range []string{"SessionId123", "late", "render-7", "ready"} {
		for _, of := range []string{"", `,"RequestId":"` + deletion + `"`, `,"RequestId":"another"`} {
			body := `[{"SessionId":"` + id + `","Owner":"user2"` + of + `}]`
			a := newAPI(t)
			before := fmt.Sprint(a.table.All())
			a.answers(body, 200, head+`"SuccessfulList":[],"UnsuccessfulList":[{"SessionId":"`+id+`",`+unknown+`]}`)
			if after := fmt.Sprint(a.table.All()); after != before || len(a.notices) > 0 {
				t.Errorf("%s: %d notices\nbefore: %s\nafter:  %s", body, len(a.notices), before, after)
			}
		}
	}
}

func TestOnlyTheNamedRequestsDeletionIsCancelled(t *testing.T) {
	for of, taken := range map[string]bool{
		``: true, `,"RequestId":null`: true, `,"RequestId":"` + deletion + `"`: true, `,"RequestId":"another"`: false,
	} {
		a := newAPI(t)
		resp := a.post(`[{"SessionId":"SessionId123","Owner":"user1"` + of + `}]`)
		if state := a.table.Get("SessionId123")["State"]; resp.StatusCode != 200 || (state == "READY") != taken || strings.Contains(resp.Body, "FailureReason") == taken {
			t.Errorf("%q: %s, %d %s", of, state, resp.StatusCode, resp.Body)
		}
	}
}

func TestTableThatTakesNothingIs503(t *testing.T) {
	for what, broken := range map[string]func(*api){
		"reads":  func(a *api) { a.unreadable = errors.New("secret table arn") },
		"writes": func(a *api) { a.write = refuseAll },
	} {
		a := newAPI(t)
		broken(a)
		resp := a.post(entry)
		if resp.StatusCode != 503 || resp.Headers["Retry-After"] != "5" ||
			resp.Body != `{"message":"Sessions cannot be changed right now. Repeat the call.","RequestId":"`+httpapitest.RequestID+`"}` {
			t.Errorf("%s: %d %v %s", what, resp.StatusCode, resp.Headers, resp.Body)
		}
	}
	a := newAPI(t)
	a.unreadable = errors.New("secret table arn")
	if resp := a.dryRun(entry); resp.StatusCode != 503 || resp.Headers["Retry-After"] == "" {
		t.Errorf("dry run: %d %s", resp.StatusCode, resp.Body)
	}
}

func refuseAll(writes []session.Write) []session.Result {
	results := make([]session.Result, len(writes))
	for i := range results {
		results[i].Err = fmt.Errorf("secret table arn: %w", session.ErrNotWritten)
	}
	return results
}

func TestPanicShowsNothingInternal(t *testing.T) {
	a := newAPI(t)
	a.write = func([]session.Write) []session.Result { panic("secret internals") }
	resp := a.post(entry)
	if resp.StatusCode != 500 || !strings.Contains(resp.Body, httpapitest.RequestID) || strings.Contains(resp.Body, "secret") || strings.Contains(resp.Body, ".go") {
		t.Errorf("%d %s", resp.StatusCode, resp.Body)
	}
}

// A request whose sender may have meant a dry run changes nothing.
func TestMisspelledDryRunsAreRefused(t *testing.T) {
	for key, value := range map[string]string{"dryRun": "yes", "dryrun": "true", "dryRun[]": "true"} {
		a := newAPI(t)
		resp := a.serve(events.APIGatewayV2HTTPRequest{Body: entry, QueryStringParameters: map[string]string{key: value}})
		if resp.StatusCode != 400 || !strings.Contains(resp.Body, `"Field":"dryRun"`) || a.writes > 0 {
			t.Errorf("%s: %d %s, %d writes", key, resp.StatusCode, resp.Body, a.writes)
		}
	}
}
