package tabletest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dcv-session-broker/internal/session"
)

// Compare applies the same random batches to two tables and wants the same
// outcomes, records and change feeds. A batch is small, but so is the choice of
// records, attributes and values, so that writes meet each other.
func Compare(t *testing.T, newOne, newOther func(TB) Subject) {
	rapid.Check(t, func(t *rapid.T) {
		one, other := newOne(t), newOther(t)
		put := func(record session.Record) {
			one.Put(record)
			other.Put(record)
		}
		for _, sessionID := range ids {
			if rapid.IntRange(0, 3).Draw(t, "there") > 0 {
				record := genRecord.Draw(t, "record")
				record[id] = sessionID
				put(record)
			}
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"write", "write", "write", "put", "delete"}).Draw(t, "step") {
			case "put":
				put(genRecord.Draw(t, "record"))
			case "delete":
				sessionID := genID.Draw(t, "id")
				one.Delete(sessionID)
				other.Delete(sessionID)
			case "write":
				writes := rapid.SliceOfN(genWrite, 1, 8).Draw(t, "writes")
				a, b := one.Write(t.Context(), writes), other.Write(t.Context(), writes)
				if diff := cmp.Diff(outcomes(a), outcomes(b)); diff != "" {
					t.Fatalf("outcomes (-one +other):\n%s", diff)
				}
			}
		}
		// Between the writes their old images have told.
		for _, sessionID := range ids {
			if diff := cmp.Diff(one.Get(sessionID), other.Get(sessionID)); diff != "" {
				t.Fatalf("record %s (-one +other):\n%s", sessionID, diff)
			}
		}
		wantChanges(t, one.Changes(), other.Changes())
	})
}

var (
	ids   = []string{"a", "b", "c", "d"}
	genID = rapid.SampledFrom(ids)
	// Two of them are reserved words of expressions.
	attrs = []string{"State", "Owner", "Attempts", "Confirmation"}
	// Values of all types, among them those that are easily taken for missing
	// or for each other.
	genValue = rapid.SampledFrom([]any{"", "READY", "DELETING", "1", int64(0), int64(1), int64(-1), true, false})
	genText  = rapid.SampledFrom([]string{"", "DELETING", "E", "READY", "READY ", "z"})
)

var genRecord = rapid.Custom(func(t *rapid.T) session.Record {
	record := session.Record{id: genID.Draw(t, "id")}
	for _, attr := range attrs {
		if rapid.Bool().Draw(t, attr+" is there") {
			record[attr] = genValue.Draw(t, attr)
		}
	}
	return record
})

var genWrite = rapid.Custom(func(t *rapid.T) session.Write {
	if rapid.IntRange(0, 5).Draw(t, "new") == 5 {
		record := genRecord.Draw(t, "record")
		w := session.Write{SessionID: record[id].(string), New: true, Set: record}
		delete(record, id)
		return w
	}
	w := session.Write{SessionID: genID.Draw(t, "id"), Set: session.Record{}}
	for _, attr := range attrs {
		switch rapid.SampledFrom([]string{"leave", "set", "remove"}).Draw(t, attr) {
		case "set":
			w.Set[attr] = genValue.Draw(t, "to")
		case "remove":
			w.Remove = append(w.Remove, attr)
		}
	}
	w.If = rapid.SliceOfN(genCondition, 0, 2).Draw(t, "if")
	return w
})

var genCondition = rapid.Custom(func(t *rapid.T) session.Condition {
	c := session.Condition{
		Attr: rapid.SampledFrom(attrs).Draw(t, "attr"),
		Op:   rapid.SampledFrom([]session.Op{session.Is, session.Exists, session.Missing, session.Before}).Draw(t, "op"),
	}
	switch c.Op {
	case session.Is:
		c.Values = rapid.SliceOfN(genValue, 1, 3).Draw(t, "values")
	case session.Before:
		c.Values = []any{genText.Draw(t, "value")}
	}
	return c
})

// An outcome is a result without its error's words.
type outcome struct {
	Kind string
	Old  session.Record
}

func outcomes(results []session.Result) []outcome {
	list := make([]outcome, len(results))
	for i, r := range results {
		list[i] = outcome{kind(r.Err), r.Old}
	}
	return list
}

// wantChanges compares change feeds record by record: between records there
// need be no order.
func wantChanges(t TB, want, got []Change) {
	t.Helper()
	if diff := cmp.Diff(byRecord(want), byRecord(got)); diff != "" {
		t.Fatalf("change feed (-want +got):\n%s", diff)
	}
}

func byRecord(changes []Change) map[string][]Change {
	of := make(map[string][]Change)
	for _, c := range changes {
		some := c.New
		if some == nil {
			some = c.Old
		}
		sessionID := fmt.Sprint(some[id])
		of[sessionID] = append(of[sessionID], c)
	}
	return of
}
