package tabletest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"dcv-session-broker/internal/session"
)

// What DynamoDB refuses (Developer Guide, "Quotas in Amazon DynamoDB" and API
// reference, BatchStatementRequest), each seen on DynamoDB Local 3.1.0.
const (
	maxItemBytes = 400 << 10
	// maxIDBytes: the ID is the sort key of two indexes.
	maxIDBytes  = 1024
	maxKeyBytes = 2048
)

func xs(n int) string { return strings.Repeat("x", n) }

// unfitKeys are keys that no record has.
var unfitKeys = []string{"", xs(maxKeyBytes + 1)}

// unfitHostIDs are IDs that no host has. Some are keys of other items of the Hosts table.
var unfitHostIDs = append([]string{"fleet", "refused-", "refused-i-1"}, unfitKeys...)

// wantBetweenOthers wants that outcome of a write, and that the others of its
// call succeed.
func wantBetweenOthers(t *testing.T, s Subject, what string, w session.Write, want string) {
	t.Helper()
	set := session.Record{"Written": true}
	for _, other := range []string{"before", "after"} {
		s.Put(session.Record{id: other})
	}
	results := s.Write(t.Context(), []session.Write{{SessionID: "before", Set: set}, w, {SessionID: "after", Set: set}})
	for i, want := range []string{"", want, ""} {
		if got := kind(results[i].Err); got != want {
			t.Errorf("%s: write %d of 3: outcome %q (%.200v), want %q", what, i, got, results[i].Err, want)
		}
	}
}

func largestRecords(t *testing.T, s Subject) {
	// The length of the names counts, too.
	longest := func(sessionID string) int { return maxItemBytes - len(id) - len(sessionID) - len("Text") }
	for _, made := range []struct {
		id    string
		bytes int
		want  string
	}{{"full", longest("full"), ""}, {"over", longest("over") + 1, "not written"}} {
		w := session.Write{SessionID: made.id, New: true, Set: session.Record{"Text": xs(made.bytes)}}
		wantBetweenOthers(t, s, "new: "+made.id, w, made.want)
	}
	wantRecord(t, s, "over", nil)

	s.Put(session.Record{id: "grows", "Text": xs(longest("grows") / 2)})
	rest := longest("grows") - longest("grows")/2 - len("More")
	is := session.Condition{Attr: "None", Op: session.Exists}
	for _, step := range []struct {
		what  string
		bytes int
		when  []session.Condition
		want  string
	}{
		{"over", rest + 1, nil, "not written"},
		{"over, but on a condition that is not met", rest + 1, []session.Condition{is}, "condition"},
		{"full", rest, nil, ""},
		{"over by one attribute", rest + 1, nil, "not written"},
		{"smaller", 1, nil, ""},
	} {
		w := session.Write{SessionID: "grows", If: step.when, Set: session.Record{"More": xs(step.bytes)}}
		wantBetweenOthers(t, s, "grows: "+step.what, w, step.want)
	}
}

func longestKeys(t *testing.T, s Subject) {
	set := session.Record{"State": "READY"}
	for n, want := range map[int]string{maxIDBytes: "", maxIDBytes + 1: "not written", maxKeyBytes: "not written", maxKeyBytes + 1: "not written"} {
		wantBetweenOthers(t, s, fmt.Sprint("new ID of ", n), session.Write{SessionID: xs(n), New: true, Set: set}, want)
	}
	for n, want := range map[int]string{maxIDBytes: "", maxIDBytes + 1: "condition", maxKeyBytes: "condition", maxKeyBytes + 1: "not written"} {
		wantBetweenOthers(t, s, fmt.Sprint("ID of ", n), session.Write{SessionID: xs(n), Set: session.Record{"A": "b"}}, want)
	}
	for attr, longest := range map[string]int{
		session.AttrOwner: maxKeyBytes, session.AttrLiveHostID: maxKeyBytes, session.AttrDueShard: maxKeyBytes, session.AttrNextAttemptAt: maxIDBytes,
	} {
		// Of updates DynamoDB Local takes longer ones, too.
		for n, want := range map[int]string{0: "not written", longest: "", longest + 1: "not written"} {
			w := session.Write{SessionID: fmt.Sprint(attr, n), New: true, Set: session.Record{attr: xs(n)}}
			wantBetweenOthers(t, s, fmt.Sprint(attr, " of ", n), w, want)
		}
	}
}

// statementsTooLong are refused alone, whatever the name of the table.
func statementsTooLong(t *testing.T, s Subject) {
	const (
		longest = 8192 - 255 // the longest name of a table
		update  = len(`UPDATE "" SET ""=? WHERE "SessionId"=? RETURNING ALL OLD *`)
		insert  = len(`INSERT INTO "" VALUE {'SessionId':?,'':?}`)
	)
	for n, want := range map[int]string{longest - 1: "", longest: "", longest + 1: "not written", 2 * longest: "not written"} {
		s.Put(session.Record{id: "a"})
		wantBetweenOthers(t, s, fmt.Sprint("update of ", n), session.Write{SessionID: "a", Set: session.Record{xs(n - update): true}}, want)
		s.Delete("a")
		wantBetweenOthers(t, s, fmt.Sprint("insert of ", n), session.Write{SessionID: "a", New: true, Set: session.Record{xs(n - insert): true}}, want)
	}
	// A name stands in some conditions twice.
	s.Put(session.Record{id: "a"})
	twice := len(`UPDATE "" REMOVE "A" WHERE "SessionId"=? AND ("" IS MISSING OR ""<?) RETURNING ALL OLD *`)
	for n, want := range map[int]string{(longest - twice) / 2: "", (longest-twice)/2 + 1: "not written"} {
		before := session.Condition{Attr: xs(n), Op: session.Before, Values: []any{"z"}}
		wantBetweenOthers(t, s, fmt.Sprint("condition on a name of ", n), session.Write{SessionID: "a", If: []session.Condition{before}, Remove: []string{"A"}}, want)
	}
	// Bytes count, not characters; of all parts of a statement.
	long := strings.Repeat("é", longest/2)
	for what, w := range map[string]session.Write{
		"set":       {SessionID: "a", Set: session.Record{long: true}},
		"remove":    {SessionID: "a", Remove: []string{long}},
		"condition": {SessionID: "a", If: []session.Condition{{Attr: long, Op: session.Missing}}, Remove: []string{"A"}},
	} {
		wantBetweenOthers(t, s, what, w, "not written")
	}
}

// oddNames: records may have attributes of others, with any name.
func oddNames(t *testing.T, s Subject) {
	names := []string{`a"b`, `a""b`, `"`, `'`, `a'b`, "a`b", "a b", "a\n", `\`, "é🙂", "?", `a" = 'x' REMOVE "State`, "a[0].b", "{{a}}"}
	record, set := session.Record{id: "a"}, session.Record{}
	for _, name := range names {
		record[name], set[name] = name, name
	}
	wantResult(t, write(t, s, session.Write{SessionID: "a", New: true, Set: set}), "", nil)
	wantRecord(t, s, "a", record)
	var (
		when []session.Condition
		more = session.Record{}
	)
	for _, name := range names {
		when = append(when, session.Condition{Attr: name, Op: session.Is, Values: []any{name}})
		more[name] = "new"
	}
	wantResult(t, write(t, s, session.Write{SessionID: "a", If: when, Set: more}), "", record)
	record = s.Get("a")
	wantResult(t, write(t, s, session.Write{SessionID: "a", Remove: names, Set: session.Record{"State": "READY"}}), "", record)
	wantRecord(t, s, "a", session.Record{id: "a", "State": "READY"})

	for what, w := range map[string]session.Write{
		"set":       {SessionID: "a", Set: session.Record{"": true}},
		"remove":    {SessionID: "a", Remove: []string{""}},
		"condition": {SessionID: "a", If: []session.Condition{{Op: session.Missing}}, Remove: []string{"A"}},
		"new":       {SessionID: "b", New: true, Set: session.Record{"": true}},
	} {
		wantBetweenOthers(t, s, "no name: "+what, w, "not written")
	}
	many := make([]any, 101)
	for i := range many {
		many[i] = int64(i)
	}
	for n, want := range map[int]string{100: "condition", 101: "not written"} {
		w := session.Write{SessionID: "a", If: []session.Condition{{Attr: "A", Op: session.Is, Values: many[:n]}}, Remove: []string{"A"}}
		wantBetweenOthers(t, s, fmt.Sprint(n, " values"), w, want)
	}
}

// nothingUnderUnfitKeys: there is no record with such a key, and reading one does not
// make the other reads of the call fail.
func nothingUnderUnfitKeys(t *testing.T, s Subject) {
	s.Put(session.Record{id: "a", session.AttrOwner: "alice", session.AttrLiveHostID: "i-1"})
	for _, key := range unfitKeys {
		records, err := s.Reader.Get(t.Context(), []string{key, "a"})
		if err != nil || len(records) != 1 || records[0][id] != "a" {
			t.Errorf("get a key of %d bytes, and another: %v, %v", len(key), records, err)
		}
		if records, more, err := s.Index.OnHost(t.Context(), key, "", 10); err != nil || more || len(records) > 0 {
			t.Errorf("on a host of %d bytes: %v, %v, %v", len(key), records, more, err)
		}
		if records, more, err := s.Reader.OnHost(t.Context(), key, "", 10); err != nil || more || len(records) > 0 {
			t.Errorf("read on a host of %d bytes: %v, %v, %v", len(key), records, more, err)
		}
		if records, more, err := s.Reader.Owned(t.Context(), key, "", 10); err != nil || more || len(records) > 0 {
			t.Errorf("owned by %d bytes: %v, %v, %v", len(key), records, more, err)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Index.OnHost(cancelled, "", "", 1); err == nil {
		t.Error("on host: no error of the context")
	}
	if _, _, err := s.Reader.Owned(cancelled, "", "", 1); err == nil {
		t.Error("owned: no error of the context")
	}
}
