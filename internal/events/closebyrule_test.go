package events_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/events/cleanup"
	"dcv-session-broker/internal/session"
)

// invoke runs cleanup with that event, in the form of Lambda's runtime.
func (f *fleetWorld) invoke(event string) (answer string, err error) {
	f.t.Helper()
	var read cleanup.Event
	if err := json.Unmarshal([]byte(event), &read); err != nil {
		f.t.Fatal(err)
	}
	got, err := f.handler(0).Handle(f.t.Context(), read)
	text, _ := json.Marshal(got)
	return string(text), err
}

// An event with faults ends no session, and the error names all faults.
func TestRuleThatIsNotUnderstoodDoesNothing(t *testing.T) {
	long := strings.Repeat("x", 257)
	for event, faults := range map[string]string{
		`{}`:                                      "name is missing; select is missing",
		`{"name": "n"}`:                           "select is missing",
		`{"name": "n", "select": {}}`:             `select has no condition; all sessions are {"all": true}`,
		`{"name": "n", "select": []}`:             "select is not an object",
		`{"name": "n", "select": null}`:           "select is not an object",
		`{"name": "n", "select": {"all": false}}`: "select.all can only be true",
		`{"name": "n", "select": {"all": true, "owners": ["a"]}}`:                              "select.all stands alone: all sessions, or those that meet the conditions",
		`{"name": "n", "select": {"owners": []}}`:                                              "select.owners is an empty list",
		`{"name": "n", "select": {"owners": "a", "hosts": null}}`:                              "select.owners is not a list; select.hosts is not a list",
		`{"name": "n", "select": {"owners": ["a", ""], "hosts": [1]}}`:                         "select.owners [1] is empty; select.hosts [0] is not a string",
		`{"name": "n", "select": {"owners": ["` + long + `"]}}`:                                "select.owners [0] is longer than 256 bytes, or has a control character",
		`{"name": "n", "select": {"hosts": ["i-1\u0007"]}}`:                                    "select.hosts [0] is longer than 256 bytes, or has a control character",
		`{"name": "n", "select": {"owners": ["a"` + strings.Repeat(`,"a"`, 1000) + `]}}`:       "select.owners has more than 1000 elements",
		`{"name": "n", "select": {"type": "Virtual"}}`:                                         "select.type is not virtual or console",
		`{"name": "n", "select": {"olderThanHours": 0}}`:                                       "select.olderThanHours is not a number above 0, and at most 878400",
		`{"name": "n", "select": {"olderThanHours": "12"}}`:                                    "select.olderThanHours is not a number above 0, and at most 878400",
		`{"name": "n", "select": {"olderThanHours": 878401}}`:                                  "select.olderThanHours is not a number above 0, and at most 878400",
		`{"name": "n", "select": {"createdBefore": "yesterday"}}`:                              "select.createdBefore is not a time like 2026-11-23T20:00:00Z",
		`{"name": "n", "select": {"createdBefore": 1795460400}}`:                               "select.createdBefore is not a time like 2026-11-23T20:00:00Z",
		`{"name": "n", "select": {"All": true}}`:                                               "select.All is not known",
		`{"name": "n", "select": {"all": true, "olderThan": 1}}`:                               "select.olderThan is not known; select.all stands alone: all sessions, or those that meet the conditions",
		`{"name": "n", "select": {"all": true}, "dryrun": true}`:                               "dryrun is not known",
		`{"name": "n", "select": {"all": true}, "dryRun": "true"}`:                             "dryRun is not true or false",
		`{"name": "n", "select": {"all": true}, "dryRun": null}`:                               "dryRun is not true or false",
		`{"name": "n", "select": {"all": true}, "dryRun": true, "dryRun": false}`:              "dryRun is there twice",
		`{"name": "n", "select": {"owners": ["a"], "owners": ["b"]}}`:                          "select.owners is there twice",
		`{"name": "n", "select": {"all": true}, "limit": 0}`:                                   "limit is not a whole number from 1 to 1000",
		`{"name": "n", "select": {"all": true}, "limit": 1001}`:                                "limit is not a whole number from 1 to 1000",
		`{"name": "n", "select": {"all": true}, "limit": 1.5}`:                                 "limit is not a whole number from 1 to 1000",
		`{"name": "", "select": {"all": true}}`:                                                "name is empty",
		`{"name": "-a", "select": {"all": true}}`:                                              "name is not 1 to 64 letters, digits, spaces, - and _, the first a letter or digit",
		`{"name": "a.b", "select": {"all": true}}`:                                             "name is not 1 to 64 letters, digits, spaces, - and _, the first a letter or digit",
		`{"name": "n", "select": {"all": true}, "gracePeriodSeconds": 59}`:                     "gracePeriodSeconds is neither 0 nor a whole number from 60 to 86400",
		`{"name": "n", "select": {"all": true}, "gracePeriodSeconds": "60", "message": "m"}`:   "gracePeriodSeconds is neither 0 nor a whole number from 60 to 86400",
		`{"name": "n", "select": {"all": true}, "message": "m"}`:                               "message would be shown to nobody, since there is no grace period",
		`{"name": "n", "select": {"all": true}, "gracePeriodSeconds": 60, "message": "a\nb"}`:  "message has a control character",
		`{"name": "n", "select": {"all": true}, "gracePeriodSeconds": 60, "message": ""}`:      "message is empty",
		`{"name": 7, "select": {"all": true}}`:                                                 "name is not a string",
		`{"name": "a\nb", "select": {"all": true}}`:                                            "name is not 1 to 64 letters, digits, spaces, - and _, the first a letter or digit",
		`{"name": "` + strings.Repeat("n", 65) + `", "select": {"all": true}}`:                 "name is not 1 to 64 letters, digits, spaces, - and _, the first a letter or digit",
		`{"name": "n", "select": {"all": true}, "reason": "` + strings.Repeat("x", 201) + `"}`: "reason is longer than 200 characters",
		`{"name": "n", "select": {"all": true}, "reason": "a\u202eb"}`:                         "reason has a bidirectional formatting character",
		`{"name": "n", "select": {"all": true}, "reason": ""}`:                                 "reason is empty",
	} {
		f := newFleetWorld(t)
		f.put("s0", hostID(0), "READY", "")
		answer, err := f.invoke(strings.Replace(`{"task": "close", `+event[1:], ", }", "}", 1))
		want := `task "close": the event is not understood, and nothing was done: ` + faults
		if err == nil || err.Error() != want || answer != "null" {
			t.Errorf("%s:\n%v\nwant: %s", event, err, want)
		}
		f.has("s0", "State", "READY")
		if len(f.sent) > 0 || !strings.Contains(f.log.String(), "task failed") {
			t.Errorf("%s: sent %q, logged %s", event, f.documents(), &f.log)
		}
	}
}

// Every condition reaches the rule, and the answer has the result for each session.
func TestRuleOfAnEvent(t *testing.T) {
	for sel, want := range map[string]bool{
		`{"all": true}`:                                  true,
		`{"owners": ["bob", "alice"]}`:                   true,
		`{"owners": ["bob"]}`:                            false,
		`{"hosts": ["` + hostID(0) + `"]}`:               true,
		`{"hosts": ["` + hostID(1) + `"]}`:               false,
		`{"type": "virtual"}`:                            true,
		`{"type": "console"}`:                            false,
		`{"olderThanHours": 1}`:                          true,
		`{"olderThanHours": 1.1}`:                        false,
		`{"olderThanHours": 0.5, "owners": ["bob"]}`:     false,
		`{"createdBefore": "2026-11-23T09:30:01+01:00"}`: true,
		`{"createdBefore": "2026-11-23T08:30:00Z"}`:      false,
		`{"createdBefore": "2026-11-23T08:30:00.5Z"}`:    true,
	} {
		f := newFleetWorld(t)
		f.put("s0", hostID(0), "READY", "")
		r := f.table.Get("s0")
		r["Type"], r["NumOfConnections"] = "virtual", int64(2)
		f.table.Put(r)
		for _, dryRun := range []bool{true, false} {
			state, result, sent := "READY", session.WouldDelete, 0
			if !dryRun && want {
				state, result, sent = "DELETING", session.RuleMarked, 1
			}
			text, err := f.invoke(fmt.Sprintf(`{"task": "close", "name": "the night", "select": %s, "dryRun": %v}`, sel, dryRun))
			if err != nil {
				t.Fatal(sel, err)
			}
			var answer map[string]any
			if err := json.Unmarshal([]byte(text), &answer); err != nil {
				t.Fatal(err)
			}
			delete(answer, "requestId")
			delete(answer, "looked") // it depends on whether an index or the whole table is read
			sessions := []any{}
			if want {
				sessions = []any{map[string]any{
					"sessionId": "s0", "owner": "alice", "hostId": hostID(0), "creationTime": "2026-11-23T08:30:00Z", "connections": 2.0, "result": string(result),
				}}
			}
			if diff := cmp.Diff(map[string]any{"rule": "the night", "dryRun": dryRun, "leftAlone": 0.0, "stoppedAt": nil, "sessions": sessions}, answer); diff != "" {
				t.Errorf("%s (-want +got):\n%s", sel, diff)
			}
			f.has("s0", "State", state)
			if len(f.sent) != sent {
				t.Errorf("%s: sent %q", sel, f.documents())
			}
		}
		if want {
			f.has("s0", "DeletionRequestedBy", "rule the night")
		}
	}
}

// The stack's grace period and message are for rules without their own.
func TestRuleWithAGracePeriod(t *testing.T) {
	stacks := cleanup.RuleDefaults{GracePeriod: 10 * time.Minute, Message: "The stack's."}
	for _, tc := range []struct {
		keys     string
		defaults cleanup.RuleDefaults
		grace    time.Duration
		message  any
	}{
		{``, cleanup.RuleDefaults{}, 0, nil},
		{`, "gracePeriodSeconds": 60`, cleanup.RuleDefaults{}, time.Minute, nil},
		{`, "message": "Mine.", "gracePeriodSeconds": 60`, cleanup.RuleDefaults{}, time.Minute, "Mine."},
		{``, stacks, 10 * time.Minute, "The stack's."},
		{`, "message": "Mine."`, stacks, 10 * time.Minute, "Mine."},
		{`, "gracePeriodSeconds": 60`, stacks, time.Minute, "The stack's."},
		{`, "gracePeriodSeconds": 0`, stacks, 0, nil},
	} {
		f := newFleetWorld(t)
		f.ruleDefaults = tc.defaults
		f.put("s0", hostID(0), "READY", "")
		text, err := f.invoke(`{"task": "close", "name": "n", "select": {"all": true}` + tc.keys + `}`)
		var answer cleanup.RuleAnswer
		if json.Unmarshal([]byte(text), &answer); err != nil || len(answer.Sessions) != 1 {
			t.Fatalf("%s: %s, %v", tc.keys, text, err)
		}
		document, closeAt := "Close", any(nil)
		if tc.grace > 0 {
			document, closeAt = "Notify", session.FormatTime(f.now().Add(tc.grace))
		}
		f.has("s0", "CloseAt", closeAt)
		f.has("s0", "Message", tc.message)
		if told := answer.Sessions[0].CloseAt; len(f.sent) != 1 || f.documents()[0] != document || (told != nil) != (tc.grace > 0) || told != nil && session.FormatTime(*told) != closeAt {
			t.Errorf("%s: sent %q, answered %s", tc.keys, f.documents(), text)
		}
	}
}

func TestRuleSaysWhereItStopped(t *testing.T) {
	f := newFleetWorld(t)
	for n := range 101 {
		f.put(fmt.Sprintf("s%d", n), hostID(0), "READY", "")
	}
	for event, want := range map[string]any{`"dryRun": true`: "limit", `"dryRun": true, "limit": 101`: nil, `"dryRun": true, "limit": 1`: "limit"} {
		text, err := f.invoke(`{"task": "close", "name": "n", "select": {"all": true}, ` + event + `}`)
		var answer map[string]any
		if json.Unmarshal([]byte(text), &answer); err != nil || answer["stoppedAt"] != want {
			t.Errorf("%s: stopped at %v, %v", event, answer["stoppedAt"], err)
		}
	}
}

// Lambda ends a function at its deadline: a run stops earlier.
func TestRuleStopsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleetWorld(t)
		f.put("s0", hostID(0), "READY", "")
		ctx, cancel := context.WithTimeout(t.Context(), 21*time.Second)
		defer cancel()
		var event cleanup.Event
		if err := json.Unmarshal([]byte(`{"task": "close", "name": "n", "select": {"all": true}}`), &event); err != nil {
			t.Fatal(err)
		}
		answer, err := f.handler(0).Handle(ctx, event)
		if rule, ok := answer.(*cleanup.RuleAnswer); err != nil || !ok || rule.StoppedAt == nil || *rule.StoppedAt != session.BoundTime {
			t.Errorf("%+v, %v", answer, err)
		}
		f.has("s0", "State", "READY")
	})
}
