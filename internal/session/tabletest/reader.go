package tabletest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/session"
)

// A ReaderSubject is the reader of an empty table.
type ReaderSubject struct {
	session.Reader
	Put    func(session.Record)
	Delete func(id string)
}

// RunReader runs the suite of session.Reader, each of its tests on a new table.
func RunReader(t *testing.T, newSubject func(TB) ReaderSubject) {
	for name, run := range map[string]func(*testing.T, ReaderSubject){
		"GetWhatIsThere":      getWhatIsThere,
		"GetMany":             getMany,
		"OwnedIsByID":         ownedIsByID,
		"OwnedShowsDeleted":   ownedShowsDeleted,
		"OwnedPages":          ownedPages,
		"OnHostPages":         onHostPages,
		"AllPages":            allPages,
		"AllInOneOrder":       allInOneOrder,
		"RecordOfAfterIsGone": recordOfAfterIsGone,
		"LargeRecords":        largeRecords,
		"ReaderContextOver":   readerContextOver,
	} {
		t.Run(name, func(t *testing.T) { run(t, newSubject(t)) })
	}
}

// described returns a record with all attributes that describeSessions shows, and no
// others.
func described(sessionID, owner string) session.Record {
	return session.Record{
		id: sessionID, "Owner": owner, "HostId": "i-1", "Name": "n", "Type": "virtual", "State": "UNKNOWN", "StateReason": "why",
		"CreationTime": "2026-11-23T08:30:00Z", "NumOfConnections": int64(2), "LastDisconnectionTime": "", "ExpiresAt": int64(1795460464),
	}
}

func (s ReaderSubject) put(owner string, sessionIDs ...string) {
	for _, sessionID := range sessionIDs {
		s.Put(described(sessionID, owner))
	}
}

// walk reads a listing to its end, and calls between after each page but the
// last.
func walk(t *testing.T, list func(ctx context.Context, after string, limit int) ([]session.Record, bool, error), limit int, between func(page int)) (all []string) {
	t.Helper()
	for page, after := 0, ""; ; page++ {
		records, more, err := list(t.Context(), after, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) > limit || more && len(records) == 0 || page > 100 {
			t.Fatalf("page %d has %d records of at most %d, more: %v", page, len(records), limit, more)
		}
		all = append(all, idsOf(records)...)
		if !more {
			return all
		}
		after = all[len(all)-1]
		between(page)
	}
}

func nothing(int) {}

// onHost1 is the listing of one host.
func (s ReaderSubject) onHost1(ctx context.Context, after string, limit int) ([]session.Record, bool, error) {
	return s.OnHost(ctx, "i-1", after, limit)
}

// alices is the listing of one owner.
func (s ReaderSubject) alices(ctx context.Context, after string, limit int) ([]session.Record, bool, error) {
	return s.Owned(ctx, "alice", after, limit)
}

func getWhatIsThere(t *testing.T, s ReaderSubject) {
	whole := described("a", "alice")
	whole["Force"], whole["AttemptId"] = true, "x"
	s.Put(whole)
	s.put("bob", "b", "c")
	records, err := s.Get(t.Context(), []string{"c", "nobody", "a"})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(records, func(a, b session.Record) int { return strings.Compare(a[id].(string), b[id].(string)) })
	if diff := cmp.Diff([]session.Record{whole, described("c", "bob")}, records); diff != "" {
		t.Errorf("records, whole (-want +got):\n%s", diff)
	}
	for _, none := range [][]string{nil, {"nobody"}} {
		if records, err := s.Get(t.Context(), none); len(records) > 0 || err != nil {
			t.Errorf("%q: %v, %v", none, records, err)
		}
	}
}

func getMany(t *testing.T, s ReaderSubject) {
	var want, asked []string
	for n := range 250 {
		sessionID := fmt.Sprintf("s-%03d", n)
		asked = append(asked, sessionID)
		if n%3 > 0 {
			s.put("alice", sessionID)
			want = append(want, sessionID)
		}
	}
	records, err := s.Get(t.Context(), asked)
	got := idsOf(records)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func ownedIsByID(t *testing.T, s ReaderSubject) {
	s.put("alice", "é", "b", "B", "a", "b1")
	s.put("alice2", "a2")
	s.put("bob", "aa")
	if got, want := walk(t, s.alices, 10, nothing), []string{"B", "a", "b", "b1", "é"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	records, more, err := s.Owned(t.Context(), "bob", "", 10)
	if diff := cmp.Diff([]session.Record{described("aa", "bob")}, records); diff != "" || more || err != nil {
		t.Errorf("more %v, %v; all that is shown is there (-want +got):\n%s", more, err, diff)
	}
	if records, more, err := s.Owned(t.Context(), "nobody", "", 10); len(records) > 0 || more || err != nil {
		t.Errorf("nobody's: %v, %v, %v", records, more, err)
	}
}

func ownedShowsDeleted(t *testing.T, s ReaderSubject) {
	s.Put(session.Record{id: "deleted", "Owner": "alice", "State": "DELETED", "ExpiresAt": int64(1795460464)})
	if got := walk(t, s.alices, 10, nothing); !slices.Equal(got, []string{"deleted"}) {
		t.Errorf("%q", got)
	}
}

func ownedPages(t *testing.T, s ReaderSubject) {
	s.put("alice", "a", "b", "c", "d", "e")
	s.put("bob", "bb")
	for limit := 1; limit <= 6; limit++ {
		if got := walk(t, s.alices, limit, nothing); !slices.Equal(got, []string{"a", "b", "c", "d", "e"}) {
			t.Errorf("pages of %d: %q", limit, got)
		}
	}
	for after, want := range map[string][]string{"bb": {"c", "d", "e"}, "0": {"a", "b", "c", "d", "e"}, "e": nil, "z": nil} {
		records, more, err := s.Owned(t.Context(), "alice", after, 10)
		if got := idsOf(records); !slices.Equal(got, want) || more || err != nil {
			t.Errorf("after %q: %q, more %v, %v", after, got, more, err)
		}
	}
}

func onHostPages(t *testing.T, s ReaderSubject) {
	shown := living("c", "i-1")
	s.Put(shown)
	for sessionID, hostID := range map[string]string{"a": "i-1", "b": "i-1", "d": "i-1", "e": "i-1", "bb": "i-2"} {
		s.Put(living(sessionID, hostID))
	}
	s.put("alice", "ended") // its host is i-1, and it does not live
	for limit := 1; limit <= 6; limit++ {
		if got := walk(t, s.onHost1, limit, nothing); !slices.Equal(got, []string{"a", "b", "c", "d", "e"}) {
			t.Errorf("pages of %d: %q", limit, got)
		}
	}
	records, more, err := s.onHost1(t.Context(), "bb", 1)
	if diff := cmp.Diff([]session.Record{shown}, records); diff != "" || !more || err != nil {
		t.Errorf("more %v, %v; the record (-want +got):\n%s", more, err, diff)
	}
	if records, more, err := s.OnHost(t.Context(), "i-3", "", 10); len(records) > 0 || more || err != nil {
		t.Errorf("a host with nothing: %v, %v, %v", records, more, err)
	}
}

func allPages(t *testing.T, s ReaderSubject) {
	if got := walk(t, s.All, 3, nothing); len(got) > 0 {
		t.Errorf("an empty table: %q", got)
	}
	s.put("alice", "a", "b", "c")
	s.put("bob", "bb", "d")
	for limit := 1; limit <= 6; limit++ {
		got := walk(t, s.All, limit, nothing)
		slices.Sort(got)
		if !slices.Equal(got, []string{"a", "b", "bb", "c", "d"}) {
			t.Errorf("pages of %d: %q", limit, got)
		}
	}
	records, _, err := s.All(t.Context(), "", 10)
	for _, r := range records {
		if r[id] == "bb" {
			if diff := cmp.Diff(described("bb", "bob"), r); diff != "" {
				t.Errorf("the record (-want +got):\n%s", diff)
			}
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// Records that are added or removed between two pages do not move the others.
func allInOneOrder(t *testing.T, s ReaderSubject) {
	var stay []string
	for n := range 60 {
		sessionID := fmt.Sprintf("s-%02d", n)
		s.put("alice", sessionID)
		if n%2 == 0 {
			stay = append(stay, sessionID)
		}
	}
	got := walk(t, s.All, 7, func(page int) {
		for n := range 4 {
			s.Delete(fmt.Sprintf("s-%02d", page*8+n*2+1))
			s.put("bob", fmt.Sprintf("new-%d-%d", page, n))
		}
	})
	seen := map[string]int{}
	for _, sessionID := range got {
		seen[sessionID]++
	}
	for sessionID, times := range seen {
		if times > 1 {
			t.Errorf("%s is shown %d times", sessionID, times)
		}
	}
	for _, sessionID := range stay {
		if seen[sessionID] != 1 {
			t.Errorf("%s was there all the time, and is shown %d times", sessionID, seen[sessionID])
		}
	}
}

func recordOfAfterIsGone(t *testing.T, s ReaderSubject) {
	for _, sessionID := range []string{"a", "b", "c", "d", "e", "f"} {
		s.Put(living(sessionID, "i-1")) // alice's
	}
	for name, list := range map[string]func(context.Context, string, int) ([]session.Record, bool, error){
		"all": s.All, "owned": s.alices, "on host": s.onHost1,
	} {
		whole := walk(t, list, 10, nothing)
		s.Delete(whole[2])
		records, _, err := list(t.Context(), whole[2], 10)
		if got := idsOf(records); !slices.Equal(got, whole[3:]) || err != nil {
			t.Errorf("%s after %q, which is gone: %q, want %q, %v", name, whole[2], got, whole[3:], err)
		}
		s.Put(living(whole[2], "i-1"))
	}
}

// A page of DynamoDB has a megabyte at most, and an answer to many keys 16.
func largeRecords(t *testing.T, s ReaderSubject) {
	var want []string
	for n := range 60 {
		r := described(fmt.Sprintf("s-%02d", n), "alice")
		r["Name"] = strings.Repeat("x", 300_000)
		s.Put(r)
		want = append(want, r[id].(string))
	}
	if got := walk(t, s.alices, 1000, nothing); !slices.Equal(got, want) {
		t.Errorf("owned: %q", got)
	}
	got := walk(t, s.All, 1000, nothing)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("all: %q", got)
	}
	records, err := s.Get(t.Context(), want)
	got = idsOf(records)
	slices.Sort(got)
	if !slices.Equal(got, want) || err != nil {
		t.Errorf("get: %q, %v", got, err)
	}
}

func readerContextOver(t *testing.T, s ReaderSubject) {
	s.put("alice", "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if records, err := s.Get(ctx, []string{"a"}); records != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("get: %v, %v", records, err)
	}
	if records, more, err := s.Owned(ctx, "alice", "", 1); records != nil || more || !errors.Is(err, context.Canceled) {
		t.Errorf("owned: %v, %v, %v", records, more, err)
	}
	if records, more, err := s.OnHost(ctx, "i-1", "", 1); records != nil || more || !errors.Is(err, context.Canceled) {
		t.Errorf("on host: %v, %v, %v", records, more, err)
	}
	if records, more, err := s.All(ctx, "", 1); records != nil || more || !errors.Is(err, context.Canceled) {
		t.Errorf("all: %v, %v, %v", records, more, err)
	}
}
