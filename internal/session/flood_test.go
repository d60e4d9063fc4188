package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"dcv-session-broker/internal/session"
)

// flood is an inventory with sessions of those numbers.
func flood(seconds float64, numbers ...int) session.Inventory {
	var sessions []session.Found
	for _, n := range numbers {
		sessions = append(sessions, found(fmt.Sprintf("n%05d", n), alice))
	}
	return inventory(hostA, at(seconds), sessions...)
}

func numbers(from, to int) (all []int) {
	for n := from; n < to; n++ {
		all = append(all, n)
	}
	return all
}

// living returns the IDs of the host's sessions that live or have not ended yet.
func (u *upkeep) living(hostID string) (ids []string) {
	for _, r := range u.table.All() {
		if r[session.AttrLiveHostID] == hostID {
			ids = append(ids, r[session.AttrSessionID].(string))
		}
	}
	return ids
}

func (u *upkeep) finishAll() { u.finish(u.now, u.table.All()...) }

// Promise 11: however many sessions a host lists, only a bounded number is in the table:
// the same ones in each round, and another when one has ended.
func TestHostHasNoMoreSessionsThanItMay(t *testing.T) {
	u := newUpkeep(t)
	u.maxSessions = 3
	others := seen(ready("other", alice, hostB))
	u.table.Put(others)
	for round := range 3 {
		u.take(flood(float64(300*round), 5, 4, 3, 2, 1))
		if got := u.living(hostA); !slices.Equal(got, []string{"n00001", "n00002", "n00003"}) {
			t.Fatalf("round %d: %q", round, got)
		}
	}
	if told := strings.Count(u.log.String(), "host has reached its bound: its other sessions are not listed until some end"); told != 3 {
		t.Errorf("told of %d times: %s", told, &u.log)
	}

	u.take(flood(1000, 5, 4, 3, 1, 0)) // 2 has ended, and its record not yet
	if got := u.living(hostA); len(got) != 3 {
		t.Errorf("while one ends: %q", got)
	}
	u.finishAll()
	u.take(flood(1300, 5, 4, 3, 1, 0))
	if got := u.living(hostA); !slices.Equal(got, []string{"n00000", "n00001", "n00003"}) {
		t.Errorf("when one has ended: %q", got)
	}
	u.is("other", others)
}

// A host that invents new sessions for each inventory never exceeds its bound.
func TestFloodOfNewSessionsIsBounded(t *testing.T) {
	u := newUpkeep(t)
	u.maxSessions = 500
	for round := range 12 {
		u.take(flood(float64(300*round), numbers(781*round, 781*(round+1))...))
		if got := len(u.living(hostA)); got > 500 {
			t.Fatalf("round %d: %d sessions", round, got)
		}
		u.finishAll()
	}
}

// A session that was removed by force is listed again only if its host is below its
// bound.
func TestHostAtItsBoundListsNothingAgain(t *testing.T) {
	u := newUpkeep(t)
	u.maxSessions = 1
	u.take(flood(0, 1))
	u.expect(session.Request{ID: "r1", At: at(20), Entries: []session.Entry{{SessionID: "n00001", Owner: alice, Force: true}}}, "")
	u.finishAll()
	u.take(flood(300, 0, 1))
	if got := u.living(hostA); !slices.Equal(got, []string{"n00000"}) {
		t.Errorf("listed %q", got)
	}
}

// A host with more records than the bound, from before there was one, is read in pages.
func TestManyRecordsOfAHostAreReadInPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a host's time does not end while a busy machine computes
		u := newUpkeep(t)
		for n := range 2000 {
			u.table.Put(seen(ready(fmt.Sprintf("n%05d", n), alice, hostA)))
		}
		u.take(flood(0, numbers(0, 600)...))
		u.markUnresponsive(at(2000))
		u.statuses[hostA] = session.Terminated
		u.checkHosts(at(2100), hostA)
		if u.largestPage == 0 || u.largestPage > 250 {
			t.Errorf("%d records at one time", u.largestPage)
		}
		for _, r := range u.table.All() {
			if r[session.AttrConfirmation] == nil {
				t.Fatalf("not ended: %v", r)
			}
		}
	})
}
