package tabletest

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"dcv-session-broker/internal/session"
)

func setAndRemove(t *testing.T, s Subject) {
	was := session.Record{id: "a", "State": "READY", "Name": "x", "Owner": "user1", "StateReason": "r"}
	s.Put(was)
	got := write(t, s, session.Write{
		SessionID: "a",
		Set:       session.Record{"State": "DELETING", "Force": false, "Attempts": int64(1)},
		Remove:    []string{"StateReason", "Name", "NeverThere"},
	})
	wantResult(t, got, "", was)
	now := session.Record{id: "a", "State": "DELETING", "Owner": "user1", "Force": false, "Attempts": int64(1)}
	wantRecord(t, s, "a", now)

	got = write(t, s, session.Write{SessionID: "a", Remove: []string{"Attempts"}})
	wantResult(t, got, "", now)
	delete(now, "Attempts")
	wantRecord(t, s, "a", now)
}

func everyTypeOfValue(t *testing.T, s Subject) {
	s.Put(session.Record{id: "a", "WasText": "1", "WasNumber": int64(1)})
	values := session.Record{
		"Empty": "", "Text": "a \"b\" 'c' ? {{d}} é\u2028\x00🙂", "Long": strings.Repeat("x", 5000),
		"Zero": int64(0), "Least": int64(math.MinInt64), "Most": int64(math.MaxInt64),
		"True": true, "False": false,
		"WasText": int64(1), "WasNumber": "1", // a type may change
		// Words that expressions reserve.
		"Owner": "o", "State": "s", "Name": "n", "Type": "t", "Force": "f", "Set": "s", "Missing": "m",
	}
	if got := write(t, s, session.Write{SessionID: "a", Set: values}); got.Err != nil {
		t.Fatal(got.Err)
	}
	values[id] = "a"
	wantRecord(t, s, "a", values)
	// All of them also come back as the old record.
	wantResult(t, write(t, s, session.Write{SessionID: "a", Remove: []string{"Empty"}}), "", values)
}

func newRecords(t *testing.T, s Subject) {
	s.Put(session.Record{id: "there", "State": "READY", "Name": ""})
	set := func() session.Record {
		return session.Record{"State": "READY", "Empty": "", "Number": int64(7), "False": false}
	}
	made := func(sessionID string) session.Record {
		r := set()
		r[id] = sessionID
		return r
	}
	update := session.Record{"State": "DELETING"}
	updated := made("new")
	updated["State"] = "DELETING"

	writes := []session.Write{
		{SessionID: "new", Set: update},
		{SessionID: "there", New: true, Set: set()},
		{SessionID: "new", New: true, Set: set()},
		{SessionID: "new", New: true, Set: session.Record{"Other": true}},
		{SessionID: "new", Set: update},
		{SessionID: "bare", New: true},
	}
	for i := range 30 {
		writes = append(writes, session.Write{SessionID: fmt.Sprintf("new-%d", i), New: true, Set: set()})
	}
	results := s.Write(t.Context(), writes)
	wantResult(t, results[0], "condition", nil)
	wantResult(t, results[1], "condition", session.Record{id: "there", "State": "READY", "Name": ""})
	wantResult(t, results[2], "", nil)
	wantResult(t, results[3], "condition", made("new"))
	wantResult(t, results[4], "", made("new"))
	wantResult(t, results[5], "", nil)
	for _, got := range results[6:] {
		wantResult(t, got, "", nil)
	}
	wantRecord(t, s, "there", session.Record{id: "there", "State": "READY", "Name": ""})
	wantRecord(t, s, "new", updated)
	wantRecord(t, s, "bare", session.Record{id: "bare"})
	wantRecord(t, s, "new-29", made("new-29"))

	var changes []Change
	for _, c := range s.Changes() {
		if sessionID := c.New[id]; sessionID == "new" {
			changes = append(changes, c)
		}
	}
	wantChanges(t, []Change{{"INSERT", nil, made("new")}, {"MODIFY", made("new"), updated}}, changes)
}

// oneRecordInOrder: each write needs the one before it, and what another
// record's writes do in between does not matter.
func oneRecordInOrder(t *testing.T, s Subject) {
	const steps = 5
	s.Put(session.Record{id: "a", "Step": int64(0)})
	s.Put(session.Record{id: "b"})
	var writes []session.Write
	for i := range int64(steps) {
		writes = append(writes,
			session.Write{
				SessionID: "a",
				If:        []session.Condition{{Attr: "Step", Op: session.Is, Values: []any{i}}},
				Set:       session.Record{"Step": i + 1},
			},
			session.Write{SessionID: fmt.Sprintf("nobody-%d", i), Set: session.Record{"Step": i}},
			session.Write{SessionID: "b", Set: session.Record{"Last": i}},
		)
	}
	for i, got := range s.Write(t.Context(), writes) {
		switch step := int64(i / 3); i % 3 {
		case 0:
			wantResult(t, got, "", session.Record{id: "a", "Step": step})
		case 1:
			wantResult(t, got, "condition", nil)
		case 2:
			old := session.Record{id: "b"}
			if step > 0 {
				old["Last"] = step - 1
			}
			wantResult(t, got, "", old)
		}
	}
	wantRecord(t, s, "a", session.Record{id: "a", "Step": int64(steps)})
	wantRecord(t, s, "b", session.Record{id: "b", "Last": int64(steps - 1)})
}

// manyRecords are more than one call can take; every third does not meet its condition,
// and every seventh does not exist.
func manyRecords(t *testing.T, s Subject) {
	const n = 60
	was := make([]session.Record, n)
	var writes []session.Write
	for i := range was {
		sessionID := fmt.Sprintf("s-%02d", i)
		if i%7 != 0 {
			was[i] = session.Record{id: sessionID, "State": "READY", "Number": int64(i)}
			if i%3 == 0 {
				was[i]["State"] = "DELETED"
			}
			s.Put(was[i])
		}
		writes = append(writes, session.Write{
			SessionID: sessionID,
			If:        []session.Condition{{Attr: "State", Op: session.Is, Values: []any{"READY"}}},
			Set:       session.Record{"State": "DELETING"},
		})
	}
	results := s.Write(t.Context(), writes)
	if len(results) != n {
		t.Fatalf("%d results of %d writes", len(results), n)
	}
	for i, got := range results {
		if i%7 == 0 || i%3 == 0 {
			wantResult(t, got, "condition", was[i])
			wantRecord(t, s, writes[i].SessionID, was[i])
		} else {
			wantResult(t, got, "", was[i])
			wantRecord(t, s, writes[i].SessionID, session.Record{id: writes[i].SessionID, "State": "DELETING", "Number": int64(i)})
		}
	}
}

func malformedWritesFailAlone(t *testing.T, s Subject) {
	set := session.Record{"Written": true}
	was := session.Record{id: "bad"}
	s.Put(was)
	for name, bad := range map[string]session.Write{
		"changes nothing":         {SessionID: "bad"},
		"changes the key":         {SessionID: "bad", Set: session.Record{id: "other"}},
		"removes the key":         {SessionID: "bad", Remove: []string{id}},
		"sets and removes":        {SessionID: "bad", Set: set, Remove: []string{"Written"}},
		"removes twice":           {SessionID: "bad", Remove: []string{"X", "X"}},
		"condition without value": {SessionID: "bad", If: []session.Condition{{Attr: "X", Op: session.Is}}, Set: set},
		"no key":                  {Set: set},
		"new, with a condition":   {SessionID: "new", New: true, If: []session.Condition{{Attr: "X", Op: session.Missing}}, Set: set},
		"new, less something":     {SessionID: "new", New: true, Set: set, Remove: []string{"X"}},
		"new, with two keys":      {SessionID: "new", New: true, Set: session.Record{id: "other"}},
		"new, without key":        {New: true, Set: set},
		"key too long":            {SessionID: strings.Repeat("x", 2049), Set: set},
	} {
		t.Run(name, func(t *testing.T) {
			var writes []session.Write
			for i := range 10 {
				good := fmt.Sprintf("good-%d", i)
				s.Put(session.Record{id: good})
				writes = append(writes, session.Write{SessionID: good, Set: set})
			}
			writes = append(writes[:4], append([]session.Write{bad}, writes[4:]...)...)
			for i, got := range s.Write(t.Context(), writes) {
				if i == 4 {
					wantResult(t, got, "not written", nil)
				} else {
					wantResult(t, got, "", session.Record{id: writes[i].SessionID})
				}
			}
			wantRecord(t, s, "bad", was)
			wantRecord(t, s, "new", nil)
		})
	}
}

func oldIsACopy(t *testing.T, s Subject) {
	s.Put(session.Record{id: "a", "State": "READY"})
	w := session.Write{SessionID: "a", Set: session.Record{"State": "DELETING"}}
	write(t, s, w).Old["State"] = "changed"
	w.Set["State"] = "changed"
	w.If = []session.Condition{{Attr: "State", Op: session.Missing}}
	write(t, s, w).Old["State"] = "changed"
	wantRecord(t, s, "a", session.Record{id: "a", "State": "DELETING"})
	wantChanges(t, []Change{
		{"INSERT", nil, session.Record{id: "a", "State": "READY"}},
		{"MODIFY", session.Record{id: "a", "State": "READY"}, session.Record{id: "a", "State": "DELETING"}},
	}, s.Changes())
}

// oneWinner: of many who claim a record at the same time, one gets it.
func oneWinner(t *testing.T, s Subject) {
	const claimers = 20
	s.Put(session.Record{id: "a"})
	var (
		all     sync.WaitGroup
		results [claimers]session.Result
	)
	for i := range results {
		all.Go(func() {
			results[i] = s.Write(t.Context(), []session.Write{{
				SessionID: "a",
				If:        []session.Condition{{Attr: "Claimer", Op: session.Missing}},
				Set:       session.Record{"Claimer": int64(i)},
			}})[0]
		})
	}
	all.Wait()
	winners := 0
	for i, got := range results {
		if got.Err == nil {
			winners++
			wantRecord(t, s, "a", session.Record{id: "a", "Claimer": int64(i)})
		} else if k := kind(got.Err); k != "condition" {
			t.Errorf("claimer %d: %v", i, got.Err)
		}
	}
	if winners != 1 {
		t.Errorf("%d claimers won", winners)
	}
}

func nothingToWrite(t *testing.T, s Subject) {
	if got := s.Write(t.Context(), nil); len(got) != 0 {
		t.Errorf("no writes, but results: %v", got)
	}
}

func contextOver(t *testing.T, s Subject) {
	was := session.Record{id: "a"}
	s.Put(was)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := s.Write(ctx, []session.Write{{SessionID: "a", Set: session.Record{"Written": true}}})
	wantResult(t, got[0], "not written", nil)
	wantRecord(t, s, "a", was)
}

func changeFeed(t *testing.T, s Subject) {
	first := session.Record{id: "a", "State": "READY", "Attempts": int64(1), "Force": true, "Name": ""}
	second := session.Record{id: "a", "State": "READY", "Attempts": int64(1), "Force": true}
	third := session.Record{id: "a", "State": "DELETED"}
	s.Put(first)
	s.Put(first) // as it is: no change
	write(t, s, session.Write{SessionID: "a", Remove: []string{"Name"}})
	// Neither of these changes anything.
	write(t, s, session.Write{SessionID: "a", Set: session.Record{"State": "READY"}, Remove: []string{"Name"}})
	write(t, s, session.Write{
		SessionID: "a",
		If:        []session.Condition{{Attr: "State", Op: session.Missing}},
		Set:       session.Record{"State": "DELETED"},
	})
	s.Put(third)
	s.Delete("a")
	s.Delete("a")
	s.Delete("never there")
	wantChanges(t, []Change{
		{"INSERT", nil, first},
		{"MODIFY", first, second},
		{"MODIFY", second, third},
		{"REMOVE", third, nil},
	}, s.Changes())
}
