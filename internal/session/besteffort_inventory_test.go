package session_test

import (
	"testing"

	"dcv-session-broker/internal/session"
)

// While the host has to close it, no inventory lists the session again; after that one
// does, if it still runs.
func TestInventoryAndForcedSessions(t *testing.T) {
	s1 := found("s1", alice)
	newer := changed(s1, func(f *session.Found) { f.CreationTime = "2026-11-23T18:59:00.5Z" })
	ending := aMinuteOld(toCloseRecord)
	ended := aMinuteOld(with(closingRecord, "DeletedAt", session.FormatTime(at(-40))))
	nameless := with(ended, "CreationTime", "")
	over := with(ended, "CloseUntil", session.FormatTime(t0))
	elsewhere := with(ended, "HostId", hostB, "LiveHostId", hostB)
	let := func(r session.Record) session.Record {
		r = with(r, "CloseUntil", nil, "StateReason", "Removed by force. Its host no longer runs it.")
		if r["State"] == "DELETED" {
			r = with(r, "DeletedAt", session.FormatTime(at(10)), "ExpiresAt", at(10).Add(session.KeepDeleted).Unix(), "NextAttemptAt", nil, "DueLane", nil, "LiveHostId", nil)
		}
		return r
	}
	again := func(f session.Found) session.Record {
		return with(listedAt(listedRecord, t0), "CreationTime", f.CreationTime)
	}
	for name, tc := range map[string]struct {
		from  session.Record
		found []session.Found
		want  session.Record // nil: nothing is written
		other bool           // it is listed under another name
	}{
		"still there":                         {ended, []session.Found{s1}, nil, false},
		"still there, and not even ended":     {ending, []session.Found{s1}, nil, false},
		"may be the one":                      {nameless, []session.Found{s1}, nil, false},
		"came after the request":              {nameless, []session.Found{changed(s1, func(f *session.Found) { f.CreationTime = "2026-11-23T19:00:08Z" })}, with(listedAt(listedRecord, t0), "CreationTime", "2026-11-23T19:00:08Z"), false},
		"a new one":                           {ended, []session.Found{newer}, again(newer), false},
		"a new one, and not even ended":       {ending, []session.Found{newer}, let(ending), false},
		"a new one, but ended since":          {with(ended, "DeletedAt", session.FormatTime(t0)), []session.Found{newer}, nil, false},
		"gone":                                {ended, nil, let(ended), false},
		"gone, and not even ended":            {ending, nil, let(ending), false},
		"gone, but requested since":           {with(ended, "DeletionRequestedAt", session.FormatTime(t0)), nil, nil, false},
		"still there when the time is over":   {over, []session.Found{s1}, again(s1), false},
		"the same ID on another host":         {elsewhere, []session.Found{s1}, nil, true},
		"the same ID, no longer closed there": {with(elsewhere, "CloseUntil", session.FormatTime(t0)), []session.Found{s1}, nil, true},
		"the same ID, expired":                {with(elsewhere, "CloseUntil", nil, "LiveHostId", nil, "ExpiresAt", at(10).Unix()), []session.Found{s1}, again(s1), false},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, tc.from)
			u.take(inventory(hostA, t0, tc.found...))
			want := tc.want
			if want == nil {
				want = tc.from
			}
			u.is("s1", want)
			if got := u.table.Get("s1-"+hostA) != nil; got != tc.other {
				t.Errorf("listed under another name: %v", got)
			}
		})
	}
}

// An inventory that was sent before the host closed the session, and read after, does not
// list it again.
func TestOlderInventoryAfterTheHostHasClosedIt(t *testing.T) {
	for name, end := range map[string]func(u *upkeep){
		"closed by its host": func(u *upkeep) { u.report(at(25), closed(hostA, "r1", "s1")) },
		"closed for being idle": func(u *upkeep) {
			if err := u.idle(hostA, idleSession("s1", session.OutcomeClosed)); err != nil {
				t.Fatal(err)
			}
		},
		"host terminated": func(u *upkeep) { u.statuses[hostA] = session.Terminated; u.checkHosts(at(25), hostA) },
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, seen(listedRecord))
			u.bestEffort(request("r1", t0, forced("s1", alice)))
			u.finish(at(1), u.table.Get("s1"))
			inv := inventory(hostA, at(20), found("s1", alice)) // sent at 20 s, lists s1 at 21 s
			end(u)                                              // closed at 25 s
			u.has("s1", "State", "DELETED", "CloseUntil", nil)
			u.take(inv) // read at 30 s
			u.has("s1", "State", "DELETED")
		})
	}
}

func TestInventorySentWhileItIsClosed(t *testing.T) {
	u := newUpkeep(t, with(closingRecord, "AttemptId", "a9"))
	u.take(inventory(hostA, at(3595), found("s1", alice))) // read at 3605 s; void after 3600
	u.has("s1", "State", "DELETED")
}
