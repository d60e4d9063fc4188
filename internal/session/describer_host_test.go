package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// Every query by host shows the sessions that live there and those that it still has to
// close.
func TestShownOfAHost(t *testing.T) {
	d := newDescribed()
	d.table.Put(listedRecord)
	for id, r := range map[string]session.Record{
		"bobs": with(listedRecord, "Owner", "bob"), "elsewhere": with(listedRecord, "HostId", hostB, "LiveHostId", hostB),
		"open": markedRecord, "given up": with(givenUpRecord, "ExpiresAt", noon.Unix()+1), "to be closed": closingRecord, "ended": deletedRecord,
		"over": with(listedRecord, "State", "UNKNOWN", "ExpiresAt", noon.Unix()), "moved": with(listedRecord, "LiveHostId", hostB),
	} {
		r := with(r, "SessionId", id)
		if _, dated := r["ExpiresAt"]; dated && r["State"] == "DELETED" {
			r["ExpiresAt"] = noon.Unix() + 1
		}
		d.table.Put(r)
	}
	everything := []string{"s1", "to be closed", "ended", "over", "nobody", "open", "moved", "bobs", "given up", "elsewhere"}
	for name, test := range map[string]struct {
		q    session.Query
		want []string
	}{
		"all":                  {session.Query{}, []string{"bobs", "given up", "open", "s1", "to be closed"}},
		"all, with details":    {session.Query{Details: true}, []string{"bobs", "given up", "open", "s1", "to be closed"}},
		"an owner's":           {session.Query{Owner: "bob"}, []string{"bobs"}},
		"nobody's":             {session.Query{Owner: "carol"}, nil},
		"IDs":                  {session.Query{IDs: everything}, []string{"s1", "to be closed", "open", "bobs", "given up"}},
		"IDs of an owner":      {session.Query{IDs: everything, Owner: "bob"}, []string{"bobs"}},
		"of what is elsewhere": {session.Query{IDs: []string{"elsewhere"}}, nil},
	} {
		test.q.Limit, test.q.HostID = 100, hostA
		if got, next := d.page(t, test.q); !slices.Equal(got, test.want) || next != "" {
			t.Errorf("%s: %q and %q, want %q", name, got, next, test.want)
		}
	}
}

func TestReadsOfAHostAndOfDetails(t *testing.T) {
	d := newDescribed()
	for n := range 300 {
		owner := "alice"
		if n%100 == 99 {
			owner = "bob"
		}
		d.table.Put(session.Listed(session.Session{ID: fmt.Sprintf("s-%03d", n), Owner: owner, HostID: fmt.Sprintf("i-%d", n/150)}))
	}
	d.shows(t, map[string]shownPage{
		"a host":                  {session.Query{HostID: "i-0", Limit: 1000}, 150, "", []string{"on host 1000"}},
		"a few of a host":         {session.Query{HostID: "i-1", Limit: 2, After: "s-160"}, 2, "s-162", []string{"on host 2"}},
		"one owner's on a host":   {session.Query{HostID: "i-1", Owner: "bob", Limit: 1}, 1, "s-199", []string{"on host 100"}},
		"the rest of that":        {session.Query{HostID: "i-1", Owner: "bob", Limit: 1, After: "s-199"}, 1, "", []string{"on host 100"}},
		"many owners on a host":   {session.Query{HostID: "i-0", Owner: "alice", Limit: 130}, 130, "s-130", []string{"on host 130", "on host 100"}},
		"details":                 {session.Query{Limit: 200, Details: true}, 200, "s-199", []string{"all 200", "notes 2"}},
		"details of a host":       {session.Query{HostID: "i-1", Limit: 9, Details: true}, 9, "s-158", []string{"on host 9", "notes 1"}},
		"details of an owner's":   {session.Query{Owner: "bob", Limit: 10, Details: true}, 3, "", []string{"owned 10", "get 3", "notes 2"}},
		"details of nobody's":     {session.Query{Owner: "carol", Limit: 10, Details: true}, 0, "", []string{"owned 10"}},
		"details of IDs":          {session.Query{IDs: []string{"s-150", "x"}, Limit: 10, Details: true}, 1, "", []string{"get 2", "notes 1"}},
		"details of an unknown":   {session.Query{IDs: []string{"x"}, Limit: 10, Details: true}, 0, "", []string{"get 1"}},
		"an owner's without them": {session.Query{Owner: "bob", Limit: 10}, 3, "", []string{"owned 10"}},
	})
}

// thinIndex is a table whose index by-owner has only a part of each record, as in
// template.yaml, and is a moment behind.
type thinIndex struct{ session.Reader }

func (x thinIndex) Owned(ctx context.Context, owner, after string, limit int) ([]session.Record, bool, error) {
	records, more, err := x.Reader.Owned(ctx, owner, after, limit)
	for i, r := range records {
		records[i] = session.Record{"SessionId": r["SessionId"], "Owner": owner, "State": "READY"}
	}
	return append(records, session.Record{"SessionId": "z-gone", "Owner": owner, "State": "READY"}), more, err
}

func TestDetailsOfAnOwnersAreOfTheTable(t *testing.T) {
	table := memtable.New()
	table.Put(with(markedRecord, "DeletionRequestedBy", "me"))
	d := session.Describer{Reader: thinIndex{memtable.Reader{Table: table}}, Notes: memtable.NewHosts(), Now: func() time.Time { return noon }}
	page, err := d.Describe(t.Context(), session.Query{Owner: alice, Limit: 10, Details: true})
	want := []session.Session{with(markedRecord, "DeletionRequestedBy", "me").Session()}
	if diff := cmp.Diff(want, page.Sessions); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestDetailsTellWhenSessionsWereLastSeen(t *testing.T) {
	d := newDescribed()
	if _, _, err := d.hosts.RecordAnswer(t.Context(), session.HostAnswer{HostID: hostA, SentAt: at(300), Complete: true}); err != nil {
		t.Fatal(err)
	}
	d.table.Put(seen(listedRecord))
	d.table.Put(with(seen(markedRecord), "SessionId", "s2", "ObservedAt", session.FormatTime(at(-60))))
	d.table.Put(with(listedRecord, "SessionId", "s3"))
	page, err := d.Describe(t.Context(), session.Query{Limit: 10, Details: true})
	want := map[string]time.Time{"s1": at(300), "s2": at(-60), "s3": {}}
	if diff := cmp.Diff(want, page.LastSeenAt); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if page, err := d.Describe(t.Context(), session.Query{Limit: 10}); page.LastSeenAt != nil || err != nil {
		t.Errorf("nobody asked: %v, %v", page.LastSeenAt, err)
	}
}

type noNotes struct{}

func (noNotes) Notes(context.Context, []string) (map[string]session.HostNote, error) {
	return nil, errUnreadable
}

func TestDetailsThatCannotBeRead(t *testing.T) {
	d := newDescribed()
	d.table.Put(listedRecord)
	d.Describer.Notes = noNotes{}
	if page, err := d.Describe(t.Context(), session.Query{Limit: 1, Details: true}); !errors.Is(err, errUnreadable) || page.Sessions != nil {
		t.Errorf("%v, %v", page, err)
	}
	if page, err := d.Describe(t.Context(), session.Query{Limit: 1}); len(page.Sessions) != 1 || err != nil {
		t.Errorf("without them: %v, %v", page, err)
	}
}
