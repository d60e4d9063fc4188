package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// A described is the table of a Describer, and the reads of it.
type described struct {
	session.Describer
	table *memtable.Table
	hosts *memtable.Hosts
	reads []string
}

func newDescribed() *described {
	d := &described{table: memtable.New(), hosts: memtable.NewHosts()}
	d.Describer = session.Describer{Reader: d, Notes: d, Now: func() time.Time { return noon }}
	return d
}

func (d *described) Get(ctx context.Context, ids []string) ([]session.Record, error) {
	d.reads = append(d.reads, fmt.Sprintf("get %d", len(ids)))
	records, err := memtable.Reader{Table: d.table}.Get(ctx, ids)
	slices.Reverse(records)
	return records, err
}

func (d *described) Owned(ctx context.Context, owner, after string, limit int) ([]session.Record, bool, error) {
	d.reads = append(d.reads, fmt.Sprintf("owned %d", limit))
	return memtable.Reader{Table: d.table}.Owned(ctx, owner, after, limit)
}

func (d *described) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	d.reads = append(d.reads, fmt.Sprintf("on host %d", limit))
	return memtable.Reader{Table: d.table}.OnHost(ctx, hostID, after, limit)
}

func (d *described) Notes(ctx context.Context, hostIDs []string) (map[string]session.HostNote, error) {
	d.reads = append(d.reads, fmt.Sprintf("notes %d", len(hostIDs)))
	return d.hosts.Notes(ctx, hostIDs)
}

func (d *described) All(ctx context.Context, after string, limit int) ([]session.Record, bool, error) {
	d.reads = append(d.reads, fmt.Sprintf("all %d", limit))
	return memtable.Reader{Table: d.table}.All(ctx, after, limit)
}

func (d *described) put(id, owner, state string, expires time.Time) {
	r := session.Record{"SessionId": id, "Owner": owner, "State": state, "LiveHostId": fmt.Sprintf("i-%d", id[len(id)-1]%2)}
	if !expires.IsZero() {
		r["ExpiresAt"] = expires.Unix()
	}
	d.table.Put(r)
}

// page returns the IDs of a page, and where the next one begins.
func (d *described) page(t *testing.T, q session.Query) (ids []string, next string) {
	t.Helper()
	page, err := d.Describe(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range page.Sessions {
		ids = append(ids, s.ID)
	}
	return ids, page.Next
}

// A shownPage is a query, and the page that it must show.
type shownPage struct {
	q     session.Query
	shown int
	next  string
	reads []string
}

func (d *described) shows(t *testing.T, pages map[string]shownPage) {
	t.Helper()
	for name, p := range pages {
		d.reads = nil
		got, next := d.page(t, p.q)
		if len(got) != p.shown || next != p.next || !slices.Equal(d.reads, p.reads) {
			t.Errorf("%s: %d sessions, next %q, %q", name, len(got), next, d.reads)
		}
	}
}

func TestDescriberShowsTheMatchingSessions(t *testing.T) {
	d := newDescribed()
	d.put("creating", "alice", "CREATING", time.Time{})
	d.put("ready", "alice", "READY", time.Time{})
	d.put("deleting", "alice", "DELETING", time.Time{})
	d.put("deleted", "alice", "DELETED", noon.Add(time.Second))
	d.put("unknown", "alice", "UNKNOWN", noon.Add(time.Hour))
	d.put("over", "alice", "DELETED", noon)
	d.put("long over", "alice", "UNKNOWN", noon.Add(-time.Hour))
	d.put("stateless", "alice", "", time.Time{})
	d.put("bobs", "bob", "READY", time.Time{})
	everything := []string{"ready", "bobs", "over", "long over", "nobody", "deleted", "ready", "creating", "unknown", "stateless", "deleting"}
	for name, test := range map[string]struct {
		q    session.Query
		want []string
	}{
		"all":           {session.Query{}, []string{"bobs", "creating", "deleted", "deleting", "ready", "unknown"}},
		"an owner's":    {session.Query{Owner: "alice"}, []string{"creating", "deleted", "deleting", "ready", "unknown"}},
		"nobody's":      {session.Query{Owner: "carol"}, nil},
		"IDs":           {session.Query{IDs: everything}, []string{"ready", "bobs", "deleted", "creating", "unknown", "deleting"}},
		"IDs and owner": {session.Query{IDs: everything, Owner: "bob"}, []string{"bobs"}},
	} {
		test.q.Limit = 100
		if got, next := d.page(t, test.q); !slices.Equal(got, test.want) || next != "" {
			t.Errorf("%s: %q and %q, want %q", name, got, next, test.want)
		}
	}
}

// For every query and limit each matching session is shown once, in order.
func TestPagesAreTheWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDescribed()
		known := rapid.IntRange(0, 300).Draw(rt, "records")
		for n := range known {
			expires := time.Time{}
			if n%rapid.IntRange(1, 4).Draw(rt, "rarely expired") == 1 {
				expires = noon
			}
			d.put(fmt.Sprintf("s-%03d", n), rapid.SampledFrom([]string{"alice", "bob"}).Draw(rt, "owner"), "READY", expires)
		}
		q := session.Query{
			Limit: 2000, Owner: rapid.SampledFrom([]string{"", "alice"}).Draw(rt, "owner"),
			HostID: rapid.SampledFrom([]string{"", "i-1"}).Draw(rt, "host"), Details: rapid.Bool().Draw(rt, "details"),
		}
		if rapid.Bool().Draw(rt, "by IDs") {
			for _, n := range rapid.SliceOfN(rapid.IntRange(0, 400), 1, 400).Draw(rt, "IDs") {
				q.IDs = append(q.IDs, fmt.Sprintf("s-%03d", n))
			}
		}
		whole, next := d.page(t, q)
		if next != "" {
			rt.Fatalf("a page without end: %q", next)
		}
		q.Limit = rapid.IntRange(1, 50).Draw(rt, "limit")
		var got []string
		for {
			ids, next := d.page(t, q)
			if got = append(got, ids...); len(ids) > q.Limit {
				rt.Fatalf("%d sessions, limit %d", len(ids), q.Limit)
			}
			if next == "" {
				break
			}
			q.After = next
		}
		if !slices.Equal(got, whole) {
			rt.Fatalf("by pages %q, in one page %q", got, whole)
		}
	})
}

func TestReadsOfAPage(t *testing.T) {
	ids := make([]string, 1000)
	d := newDescribed()
	for n := range ids {
		ids[n] = fmt.Sprintf("s-%04d", n)
		expires := time.Time{}
		if n%2 == 0 {
			expires = noon
		}
		d.put(ids[n], "alice", "READY", expires)
	}
	d.shows(t, map[string]shownPage{
		"all of the IDs":   {session.Query{IDs: ids, Limit: 1000}, 500, "", []string{"get 1000"}},
		"a few of the IDs": {session.Query{IDs: ids, Limit: 3}, 3, "s-0005", []string{"get 100"}},
		"IDs that are unknown": {
			session.Query{IDs: append(slices.Repeat([]string{"x"}, 5), ids[:2]...), Limit: 1}, 1, "", []string{"get 3"},
		},
		"an owner's":            {session.Query{Owner: "alice", Limit: 4}, 4, "s-0007", []string{"owned 4", "owned 2", "owned 1", "owned 1"}},
		"no more of an owner's": {session.Query{Owner: "alice", Limit: 4, After: "s-0995"}, 2, "", []string{"owned 4"}},
		"all":                   {session.Query{Limit: 1000, After: "s-0499"}, 250, "", []string{"all 1000"}},
	})
}

// A table full of expired records is not read to its end for one page.
func TestPageThatShowsNothingHasAnEnd(t *testing.T) {
	d := newDescribed()
	for n := range 100 {
		d.put(fmt.Sprintf("s-%02d", n), "alice", "DELETED", noon.Add(-time.Hour))
	}
	if got, next := d.page(t, session.Query{Limit: 2}); len(got) > 0 || next != "s-19" || len(d.reads) != 10 {
		t.Errorf("%q, next %q after %q", got, next, d.reads)
	}
}

type unreadable struct{ session.Reader }

var errUnreadable = errors.New("no answer")

func (unreadable) All(context.Context, string, int) ([]session.Record, bool, error) {
	return nil, false, errUnreadable
}

func (unreadable) Get(context.Context, []string) ([]session.Record, error) { return nil, errUnreadable }

func TestTableThatCannotBeRead(t *testing.T) {
	d := session.Describer{Reader: unreadable{}, Now: time.Now}
	for _, q := range []session.Query{{Limit: 1}, {Limit: 1, IDs: []string{"a"}}} {
		if page, err := d.Describe(t.Context(), q); !errors.Is(err, errUnreadable) || page.Sessions != nil || page.Next != "" {
			t.Errorf("%v, %v", page, err)
		}
	}
}
