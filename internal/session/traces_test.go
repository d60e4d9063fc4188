package session_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dcv-session-broker/internal/session"
)

// anyPast is a session that lives, with any traces of earlier deletions, and
// with attributes that the broker does not know.
func anyPast(t *rapid.T) session.Record {
	r := with(listedRecord, "State", rapid.SampledFrom([]string{"READY", "CREATING", "UNKNOWN"}).Draw(t, "state"))
	for _, attr := range session.DeletionAttrs {
		if attr == "State" {
			continue
		}
		if rapid.Bool().Draw(t, attr) {
			values := []any{"x", "2026-11-23T19:01:02.123Z"} // all that an index's key can be
			if attr != "NextAttemptAt" && attr != "DueLane" {
				values = append(values, "", int64(0), int64(7), true, false)
			}
			r[attr] = rapid.SampledFrom(values).Draw(t, attr+" is")
		}
	}
	if rapid.Bool().Draw(t, "other attributes") {
		r["SomethingElse"] = "stays"
	}
	return r
}

func TestMarkRemovesEveryTraceOfAnEarlierDeletion(t *testing.T) {
	marks := map[string]session.Write{
		"mark":        session.Mark(entry("s1", alice), request("r1", t0)),
		"forced mark": session.MarkForced(forced("s1", alice), request("r1", t0)),
	}
	rapid.Check(t, func(t *rapid.T) {
		past := anyPast(t)
		unconfirmed := with(past, "Confirmation", nil) // an ordinary mark takes no other
		clean := with(listedRecord)
		if v, ok := past["SomethingElse"]; ok {
			clean["SomethingElse"] = v
		}
		for name, w := range marks {
			want, err := apply(clean, w)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			from := past
			if name == "mark" {
				from = unconfirmed
			}
			got, err := apply(from, w)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s leaves traces (-want +got):\n%s", name, diff)
			}
		}
	})
}

func TestPutBackRestoresTheRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := with(anyPast(t), "Confirmation", nil)
		marked, err := apply(before, session.Mark(entry("s1", alice), request("r1", t0)))
		if err != nil {
			t.Fatal(err)
		}
		after, err := apply(marked, session.PutBack(before, request("r1", t0)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("not as it was (-want +got):\n%s", diff)
		}
	})
}
