package tabletest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/session"
)

// An IndexSubject is the indexes of an empty table.
type IndexSubject struct {
	Index
	Hosts session.HostLister
	Put   func(session.Record)
}

// Index has all operations of the table's indexes.
type Index interface {
	session.Index
	session.OpenIndex
}

// RunIndex runs the suite of Index, each of its tests on a new table.
func RunIndex(t *testing.T, newSubject func(TB) IndexSubject) {
	for name, run := range map[string]func(*testing.T, IndexSubject){
		"DueOrderAndBounds":   dueOrderAndBounds,
		"OpenIsDueOrNot":      openIsDueOrNot,
		"OnHostIsWhatLives":   onHostIsWhatLives,
		"OnHostReadsAllPages": onHostReadsAllPages,
		"WalkOverAllHosts":    walkOverAllHosts,
		"IndexContextOver":    indexContextOver,
	} {
		t.Run(name, func(t *testing.T) { run(t, newSubject(t)) })
	}
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func dueOrderAndBounds(t *testing.T, s IndexSubject) {
	put := func(id, shard string, next time.Time) {
		s.Put(session.Record{session.AttrSessionID: id, "DueLane": shard, "NextAttemptAt": session.FormatTime(next), "Attempts": int64(1), "Force": true})
	}
	put("third", "1", noon)
	put("first", "1", noon.Add(-time.Hour))
	put("second", "1", noon.Add(-time.Millisecond))
	put("later", "1", noon.Add(time.Millisecond))
	put("of another shard", "2", noon.Add(-time.Hour))
	s.Put(session.Record{session.AttrSessionID: "without a lease", "DueLane": "1"})
	s.Put(session.Record{session.AttrSessionID: "without a shard", "NextAttemptAt": session.FormatTime(noon)})
	for limit, want := range map[int][]string{
		1: {"first"}, 2: {"first", "second"}, 3: {"first", "second", "third"}, 250: {"first", "second", "third"},
	} {
		records, err := s.Due(t.Context(), "1", noon, limit)
		if err != nil {
			t.Fatal(err)
		}
		if got := idsOf(records); !slices.Equal(got, want) {
			t.Errorf("at most %d: %q, want %q", limit, got, want)
		}
	}
	records, err := s.Due(t.Context(), "2", noon, 1)
	want := []session.Record{{
		session.AttrSessionID: "of another shard", "DueLane": "2", "NextAttemptAt": "2026-11-23T11:00:00.000Z", "Attempts": int64(1),
	}}
	if diff := cmp.Diff(want, records); diff != "" || err != nil {
		t.Errorf("%v; an index shows its attributes (-want +got):\n%s", err, diff)
	}
	if records, err := s.Due(t.Context(), "3", noon, 5); len(records) > 0 || err != nil {
		t.Errorf("an empty shard: %v, %v", records, err)
	}
}

func openIsDueOrNot(t *testing.T, s IndexSubject) {
	put := func(id, shard string, next time.Time) {
		s.Put(session.Record{
			session.AttrSessionID: id, "DueLane": shard, "NextAttemptAt": session.FormatTime(next),
			"State": "DELETING", "Confirmation": "closed", "CloseUntil": "never", "DeletionRequestedAt": session.FormatTime(next.Add(-time.Hour)),
			"Attempts": int64(1), "CloseAt": session.FormatTime(next.Add(-time.Minute)), "ClosingSince": session.FormatTime(next),
		})
	}
	put("later", "1", noon.Add(time.Hour))
	put("due", "1", noon)
	put("of another shard", "2", noon)
	s.Put(session.Record{session.AttrSessionID: "without a lease", "DueLane": "1", "State": "DELETING"})
	for limit, want := range map[int]int{1: 1, 2: 2, 1000: 2} {
		records, err := s.Open(t.Context(), "1", limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if open := r.Session(); open.State != session.Deleting || open.Confirmation != "" || !open.CloseUntil.IsZero() || open.DeletionRequestedAt.IsZero() || open.Attempts != 1 || open.CloseAt.IsZero() || open.ClosingSince.IsZero() {
				t.Errorf("at most %d: %v", limit, r)
			}
		}
		if len(records) != want {
			t.Errorf("at most %d: %d records, want %d", limit, len(records), want)
		}
	}
	if first, err := s.Open(t.Context(), "1", 1); err != nil || !first[0].Session().DeletionRequestedAt.Equal(noon.Add(-time.Hour)) {
		t.Errorf("the soonest due comes first: %v, %v", first, err)
	}
}

func onHostIsWhatLives(t *testing.T, s IndexSubject) {
	ready := session.Listed(session.Session{
		ID: "b", DCVID: "on host", Owner: "alice", HostID: "i-1", Name: "n", Type: "virtual", CreationTime: "x", LastDisconnectionTime: "y", FirstSeenAt: noon,
	})
	for _, attr := range []string{session.AttrObservedAt, session.AttrCancelledAt, session.AttrCancelledBy, session.AttrNoticeAt} {
		ready[attr] = "z"
	}
	stored := maps.Clone(ready)
	for _, attr := range []string{session.AttrStateReason, session.AttrAttemptID, session.AttrConfirmation, session.AttrDeletionRequestID} {
		stored[attr] = "not shown"
	}
	s.Put(stored)
	s.Put(session.Listed(session.Session{ID: "a", Owner: "bob", HostID: "i-1"}))
	s.Put(session.Listed(session.Session{ID: "c", Owner: "alice", HostID: "i-2"}))
	s.Put(session.Record{session.AttrSessionID: "deleted", "HostId": "i-1"})
	records, more, err := s.OnHost(t.Context(), "i-1", "", 10)
	if got := idsOf(records); !slices.Equal(got, []string{"a", "b"}) || more || err != nil {
		t.Fatalf("%q, %v, %v", got, more, err)
	}
	if diff := cmp.Diff(ready, records[1]); diff != "" {
		t.Errorf("all that a READY session has is shown, and nothing of deletions (-want +got):\n%s", diff)
	}
	if records, more, err := s.OnHost(t.Context(), "i-3", "", 10); len(records) > 0 || more || err != nil {
		t.Errorf("an empty host: %v, %v, %v", records, more, err)
	}
}

// A page of DynamoDB has a megabyte at most.
func onHostReadsAllPages(t *testing.T, s IndexSubject) {
	for n := range 25 {
		s.Put(session.Record{
			session.AttrSessionID: fmt.Sprintf("s-%02d", n), session.AttrLiveHostID: "i-1", "Name": strings.Repeat("x", 100_000),
			"DueLane": "1", "NextAttemptAt": session.FormatTime(noon),
		})
	}
	var read []string
	after, more := "", true
	for more {
		var (
			records []session.Record
			err     error
		)
		if records, more, err = s.OnHost(t.Context(), "i-1", after, 24); err != nil || more && len(records) == 0 {
			t.Fatalf("%d records after %q, more: %v, %v", len(records), after, more, err)
		}
		if len(records) > 0 {
			read = append(read, idsOf(records)...)
			after = read[len(read)-1]
		}
	}
	if len(read) != 25 || !slices.IsSorted(read) {
		t.Errorf("%d records: %q", len(read), read)
	}
	if records, err := s.Due(t.Context(), "1", noon, 24); len(records) != 24 || err != nil {
		t.Errorf("%d due records, %v", len(records), err)
	}
}

func indexContextOver(t *testing.T, s IndexSubject) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Due(ctx, "1", noon, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("due: %v", err)
	}
	if _, err := s.Open(ctx, "1", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("open: %v", err)
	}
	if _, _, err := s.OnHost(ctx, "i-1", "", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("on host: %v", err)
	}
}

func idsOf(records []session.Record) (all []string) {
	for _, r := range records {
		all = append(all, r[session.AttrSessionID].(string))
	}
	return all
}

// Each host is returned once, and one with many sessions does not delay others.
func walkOverAllHosts(t *testing.T, s IndexSubject) {
	for n := range 9 {
		for m := range 1 + n/8*40 {
			s.Put(living(fmt.Sprintf("s-%d-%d", n, m), fmt.Sprintf("i-%d", n)))
		}
	}
	s.Put(session.Record{session.AttrSessionID: "ended", "HostId": "i-10"})
	for _, limit := range []int{1, 2, 5, 1000} {
		met := map[string]int{}
		place, pages := "", 0
		for {
			hosts, err := s.Hosts.HostsAfter(t.Context(), place, limit)
			if err != nil || len(hosts) > limit {
				t.Fatalf("after %q: %q, %v", place, hosts, err)
			}
			if len(hosts) == 0 {
				break
			}
			for _, host := range hosts {
				met[host]++
			}
			if pages++; pages > 9 {
				t.Fatalf("no end: %v", met)
			}
			place = hosts[len(hosts)-1]
		}
		for n := range 9 {
			if host := fmt.Sprintf("i-%d", n); met[host] != 1 || len(met) != 9 {
				t.Errorf("%d records a page: %s was met %d times, hosts: %v", limit, host, met[host], met)
			}
		}
	}
}

func living(id, hostID string) session.Record {
	return session.Listed(session.Session{ID: id, Owner: "alice", HostID: hostID})
}
