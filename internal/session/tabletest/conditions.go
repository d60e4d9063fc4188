package tabletest

import (
	"fmt"
	"maps"
	"testing"

	"dcv-session-broker/internal/session"
)

func everyCondition(t *testing.T, s Subject) {
	record := session.Record{
		"Text": "m", "Empty": "", "Number": int64(5), "Zero": int64(0), "True": true, "False": false,
		"Time": "2026-11-23T19:01:02.123Z",
	}
	is := func(attr string, values ...any) session.Condition {
		return session.Condition{Attr: attr, Op: session.Is, Values: values}
	}
	exists := func(attr string) session.Condition { return session.Condition{Attr: attr, Op: session.Exists} }
	missing := func(attr string) session.Condition { return session.Condition{Attr: attr, Op: session.Missing} }
	before := func(attr, value string) session.Condition {
		return session.Condition{Attr: attr, Op: session.Before, Values: []any{value}}
	}
	for i, test := range []struct {
		session.Condition
		holds bool
	}{
		{is("Text", "m"), true},
		{is("Text", "n"), false},
		{is("Text", "M"), false},
		{is("Text", ""), false},
		{is("Text", "x", "m"), true},
		{is("Text", "x", "y", "z"), false},
		{is("Empty", ""), true},
		{is("Empty", "x"), false},
		{is("Number", int64(5)), true},
		{is("Number", int64(6)), false},
		{is("Number", "5"), false},
		{is("Number", "5", int64(5)), true},
		{is("Zero", int64(0)), true},
		{is("True", true), true},
		{is("True", false), false},
		{is("True", "true"), false},
		{is("False", false), true},
		{is("NotThere", ""), false},
		{is("NotThere", false), false},
		{is("NotThere", int64(0), ""), false},
		{exists("Text"), true},
		{exists("Empty"), true},
		{exists("Zero"), true},
		{exists("False"), true},
		{exists("NotThere"), false},
		{missing("NotThere"), true},
		{missing("Text"), false},
		{missing("Empty"), false},
		{missing("Zero"), false},
		{missing("False"), false},
		{before("Text", "n"), true},
		{before("Text", "m"), false},
		{before("Text", "a"), false},
		{before("Text", "ma"), true},
		{before("Text", "é"), true},
		{before("Text", "Z"), false},
		{before("Empty", "a"), true},
		{before("Empty", ""), false},
		{before("Time", "2026-11-23T19:01:02.124Z"), true},
		{before("Time", "2026-11-23T19:01:02.123Z"), false},
		{before("Time", "2026-11-23T19:01:01.999Z"), false},
		{before("Number", "9"), false},
		{before("True", "z"), false},
		{before("NotThere", "z"), true},
	} {
		sessionID := fmt.Sprintf("s-%02d", i)
		t.Run(fmt.Sprintf("%s_%d_%v", test.Attr, test.Op, test.Values), func(t *testing.T) {
			was := maps.Clone(record)
			was[id] = sessionID
			s.Put(was)
			got := write(t, s, session.Write{
				SessionID: sessionID,
				If:        []session.Condition{test.Condition},
				Set:       session.Record{"Written": true},
			})
			now := maps.Clone(was)
			if test.holds {
				now["Written"] = true
				wantResult(t, got, "", was)
			} else {
				wantResult(t, got, "condition", was)
			}
			wantRecord(t, s, sessionID, now)
		})
	}
}

func allConditionsAreNeeded(t *testing.T, s Subject) {
	was := session.Record{id: "a", "State": "READY", "Owner": "user1", "Attempts": int64(2)}
	s.Put(was)
	holding := []session.Condition{
		{Attr: "State", Op: session.Is, Values: []any{"READY", "UNKNOWN"}},
		{Attr: "Owner", Op: session.Is, Values: []any{"user1"}},
		{Attr: "Attempts", Op: session.Exists},
		{Attr: "Confirmation", Op: session.Missing},
	}
	for i := range holding {
		broken := append([]session.Condition(nil), holding...)
		broken[i].Attr = "Confirmation"
		if broken[i].Op == session.Missing {
			broken[i].Attr = "Owner"
		}
		got := write(t, s, session.Write{SessionID: "a", If: broken, Set: session.Record{"Written": true}})
		wantResult(t, got, "condition", was)
	}
	wantRecord(t, s, "a", was)
	got := write(t, s, session.Write{SessionID: "a", If: holding, Set: session.Record{"Written": true}})
	wantResult(t, got, "", was)
}

func noRecordMeetsNothing(t *testing.T, s Subject) {
	for _, conditions := range [][]session.Condition{
		nil,
		{{Attr: "State", Op: session.Missing}},
		{{Attr: "State", Op: session.Exists}},
		{{Attr: "State", Op: session.Is, Values: []any{"READY"}}},
	} {
		got := write(t, s, session.Write{SessionID: "nobody", If: conditions, Set: session.Record{"State": "DELETING"}})
		wantResult(t, got, "condition", nil)
	}
	wantRecord(t, s, "nobody", nil)
}
