package deletesessions_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/httpapi/contract/contracttest"
	"dcv-session-broker/internal/httpapi/deletesessions"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

const (
	waits    = `{"SessionId":"SessionId123","State":"DELETING","CloseAt":"2026-11-23T19:11:02.123Z"}`
	deleting = `{"SessionId":"SessionId123","State":"DELETING"}`
)

func successfully(entries ...string) string {
	return head + `"SuccessfulList":[` + strings.Join(entries, ",") + `],"UnsuccessfulList":[]}`
}

func unsuccessfully(reason string) string {
	return head + `"SuccessfulList":[],"UnsuccessfulList":[{"SessionId":"SessionId123","FailureReason":"` + reason + `"}]}`
}

func TestGracePeriodIsRecordedAndAnswered(t *testing.T) {
	a := newAPI(t)
	a.answers(`[{"SessionId":"SessionId123","Owner":"user1","GracePeriodSeconds":600,"Message":"Save your \"work\"","Reason":"<maintenance>"}]`, 200, successfully(waits))
	r := a.table.Get("SessionId123")
	for attr, want := range map[string]any{
		"State": "DELETING", "CloseAt": "2026-11-23T19:11:02.123Z", "Attempts": int64(0), "Message": `Save your "work"`, "DeletionReason": "<maintenance>",
	} {
		if r[attr] != want {
			t.Errorf("%s: %v", attr, r[attr])
		}
	}
	// The answer has the valid close time.
	a.answers(`[{"SessionId":"SessionId123","Owner":"user1","GracePeriodSeconds":1200}]`, 200, successfully(waits))
	a.answers(`[{"SessionId":"SessionId123","Owner":"user1","GracePeriodSeconds":600},{"SessionId":"SessionId123","Owner":"user1","GracePeriodSeconds":600}]`, 200,
		successfully(waits, waits))
}

// Promise 7, and the contract of Session Manager: without new fields in the entry the
// answer has none either, with any defaults of the stack, and also if the deletion
// waits.
func TestAnswersWithoutNewFieldsAreAsEver(t *testing.T) {
	for _, fields := range []string{``, `,"Force":true`, `,"Force":false,"GracePeriodSeconds":null,"Message":null,"Reason":null,"HostId":null,"CreationTime":null`} {
		for _, defaults := range []deletesessions.Defaults{{}, {GracePeriod: 10 * time.Minute, Message: "The stack's"}} {
			for _, before := range []string{``, `[{"SessionId":"SessionId123","Owner":"user1","GracePeriodSeconds":600}]`} {
				a := newAPI(t)
				a.Defaults = defaults
				if before != "" {
					a.post(before)
				}
				a.answers(`[{"SessionId":"SessionId123","Owner":"user1"`+fields+`}]`, 200, successfully(deleting))
			}
		}
	}
}

func TestStacksGracePeriodHoldsForEntriesWithoutOne(t *testing.T) {
	for fields, want := range map[string]session.Session{
		``: {CloseAt: now.Add(10 * time.Minute), Message: "The stack's"}, `,"Message":"Mine"`: {CloseAt: now.Add(10 * time.Minute), Message: "Mine"},
		`,"GracePeriodSeconds":60`: {CloseAt: now.Add(time.Minute), Message: "The stack's"}, `,"GracePeriodSeconds":0`: {}, `,"Force":true`: {},
	} {
		a := newAPI(t)
		a.Defaults = deletesessions.Defaults{GracePeriod: 10 * time.Minute, Message: "The stack's"}
		if resp := a.post(`[{"SessionId":"SessionId123","Owner":"user1"` + fields + `}]`); resp.StatusCode != 200 {
			t.Errorf("%s: %d %s", fields, resp.StatusCode, resp.Body)
		}
		if s := a.table.Get("SessionId123").Session(); s.State != session.Deleting || !s.CloseAt.Equal(want.CloseAt) || s.Message != want.Message {
			t.Errorf("%s: %s, closed at %v, %q", fields, s.State, s.CloseAt, s.Message)
		}
	}
	// A forced entry and one that is not are one deletion without a grace period.
	a := newAPI(t)
	a.Defaults.GracePeriod = 10 * time.Minute
	a.answers(`[{"SessionId":"SessionId123","Owner":"user1"},{"SessionId":"SessionId123","Owner":"user1","Force":true}]`, 200, successfully(deleting, deleting))
	if r := a.table.Get("SessionId123"); r["Confirmation"] != "forced" || r["CloseAt"] != nil {
		t.Errorf("%v", r)
	}
}

// Promises 4 and 5: a failed precondition is told only to the owner, and nothing
// changes.
func TestPreconditionsAreToldToTheOwnerOnly(t *testing.T) {
	for fields, want := range map[string]string{
		`"HostId":"i-0"`: unsuccessfully("The session is on host i-0123456789abcdef0, not on i-0. Nothing was changed."),
		`"HostId":"i-0123456789abcdef0","CreationTime":"2026-11-23T08:30:01Z"`: unsuccessfully(
			"The session was created at 2026-11-23T08:30:00.262883Z, not at 2026-11-23T08:30:01Z. Nothing was changed."),
		`"HostId":"i-0123456789abcdef0","CreationTime":"2026-11-23T08:30:00.262883Z"`: successfully(deleting),
		`"CreationTime":"2026-11-23T09:30:00.262883+01:00"`:                           successfully(deleting),
		`"CreationTime":"2026-11-23T08:30:00Z"`:                                       successfully(deleting),
	} {
		for _, dryRun := range []bool{false, true} {
			a := newAPI(t)
			a.DryRunner = &session.DryRunner{Getter: memtable.Reader{Table: a.table}, Notes: memtable.NewHosts(), HostChecker: a, Log: a.Log}
			a.table.Put(session.Listed(session.Session{ID: "SessionId123", Owner: "user1", HostID: host, CreationTime: "2026-11-23T08:30:00.262883Z"}))
			before := fmt.Sprint(a.table.All())
			body := `[{"SessionId":"SessionId123","Owner":"user%d",` + fields + `}]`
			a.answers(fmt.Sprintf(body, 2), 200, unsuccessfully(session.NotFound))
			if dryRun {
				resp := a.serve(events.APIGatewayV2HTTPRequest{Body: fmt.Sprintf(body, 1), QueryStringParameters: map[string]string{"dryRun": "true"}})
				hit := `,"Session":{"State":"READY","HostId":"i-0123456789abcdef0","NumOfConnections":0}}`
				foretold := strings.Replace(strings.TrimSuffix(want, "}"), `"}]`, `"`+hit+`]`, 1) + `,"DryRun":true}`
				if resp.Body != foretold {
					t.Errorf("%s\nis foretold %s\nwant        %s", fields, resp.Body, foretold)
				}
			} else {
				a.answers(fmt.Sprintf(body, 1), 200, want)
			}
			if after := fmt.Sprint(a.table.All()); (after == before) != (dryRun || strings.Contains(want, "Nothing was changed")) {
				t.Errorf("%s, dry run %t\nbefore: %s\nafter:  %s", fields, dryRun, before, after)
			}
		}
	}
}

func TestDryRunTellsWhenTheSessionWouldBeClosed(t *testing.T) {
	a := newAPI(t)
	a.DryRunner = &session.DryRunner{Getter: memtable.Reader{Table: a.table}, Notes: memtable.NewHosts(), HostChecker: a, Log: a.Log}
	a.Defaults.GracePeriod = 20 * time.Minute
	const hit = `,"Session":{"State":"READY","HostId":"i-0123456789abcdef0","NumOfConnections":0}}],"UnsuccessfulList":[],"DryRun":true}`
	for fields, closeAt := range map[string]string{
		`,"GracePeriodSeconds":600`: `,"CloseAt":"2026-11-23T19:11:02.123Z"`, `,"Reason":"r"`: `,"CloseAt":"2026-11-23T19:21:02.123Z"`,
		`,"GracePeriodSeconds":0`: ``, ``: ``, `,"Force":true,"Reason":"r"`: ``,
	} {
		resp := a.serve(events.APIGatewayV2HTTPRequest{
			Body: `[{"SessionId":"SessionId123","Owner":"user1"` + fields + `}]`, QueryStringParameters: map[string]string{"dryRun": "true"},
		})
		if want := head + `"SuccessfulList":[{"SessionId":"SessionId123","State":"DELETING"` + closeAt + hit; resp.Body != want || a.calls > 0 {
			t.Errorf("%s\nis answered %s\nwant        %s", fields, resp.Body, want)
		}
	}
}

// The contract allows what the parser accepts, and forbids the values of single fields
// that it refuses.
func TestContractAndParserAgreeOnValues(t *testing.T) {
	values := map[string][]string{
		"GracePeriodSeconds": {`0`, `-0`, `1`, `59`, `60`, `60.0`, `60.5`, `6e1`, `86400`, `86401`, `-60`, `"60"`, `true`, `null`, `[60]`, `1e9`},
		"Reason":             {`""`, `"é"`, `7`, `null`, `{}`, `"\u2028"`, `"\u2029"`, `"\u202f"`, `"\u2065"`, `"\u206a"`, `"\u200b"`, `"\u200d"`, `"\u00ad"`, `"\u00a0"`, `"\ufffd"`},
		"HostId":             {`""`, `"i-0123456789abcdef0"`, `7`, `null`, `"\u0000"`, `"\u0085"`, `"` + strings.Repeat("x", 256) + `"`, `"` + strings.Repeat("x", 257) + `"`},
		"CreationTime": {
			`"2026-11-23T08:30:00Z"`, `"2026-11-23T08:30:00.262883Z"`, `"2026-11-23T08:30:00+01:00"`, `"2026-11-23T8:30:00Z"`, `"2026-11-23T08:30:00,5Z"`,
			`"2026-11-23"`, `"now"`, `""`, `null`, `1795422600`, `"2026-11-23T08:30:00"`, `"2026-11-23 08:30:00Z"`, `"2026-13-23T08:30:00Z"`, `"2026-11-23T08:30:00.Z"`,
		},
	}
	for _, length := range []int{199, 200, 201} {
		values["Reason"] = append(values["Reason"], `"`+strings.Repeat("x", length)+`"`, `"`+strings.Repeat(`\ud834\udd1e`, length)+`"`)
	}
	for r := rune(0); r < 0x2070; r++ {
		if r < 0xa0 || r > 0x600 && r < 0x620 || r > 0x2000 {
			values["Reason"] = append(values["Reason"], fmt.Sprintf(`"\u%04x"`, r))
		}
	}
	schemas := contracttest.Document().Components.Schemas["DeleteSessionRequestData"].Value.Properties
	for field, all := range values {
		for _, value := range all {
			resp := newAPI(t).post(`[{"SessionId":"SessionId123","Owner":"user1","` + field + `":` + value + `}]`)
			allowed := schemas[field].Value.VisitJSON(decoded(t, value)) == nil
			if taken := resp.StatusCode == 200; taken != allowed {
				t.Errorf("%s %.60s: taken %t, allowed %t", field, value, taken, allowed)
			}
		}
	}
}

func decoded(t *testing.T, text string) (value any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}
