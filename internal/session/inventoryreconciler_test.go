package session_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"dcv-session-broker/internal/session"
)

// listedAt returns the record of a session that an inventory, sent then and applied ten
// seconds later, lists for the first time.
func listedAt(r session.Record, sentAt time.Time) session.Record {
	return with(r, "FirstSeenAt", session.FormatTime(sentAt.Add(10*time.Second)), "ObservedAt", session.FormatTime(sentAt))
}

// observedAt returns the record with the changes of an inventory sent then.
func observedAt(r session.Record, sentAt time.Time, namesAndValues ...any) session.Record {
	return with(with(r, "ObservedAt", session.FormatTime(sentAt)), namesAndValues...)
}

func changed(f session.Found, how func(*session.Found)) session.Found {
	how(&f)
	return f
}

// The effect of an inventory, sent at t0 and read ten seconds later, on a record whose
// session it lists or lacks.
func TestInventoryAndRecord(t *testing.T) {
	s1 := found("s1", alice)
	known := seen(listedRecord)
	newer := changed(s1, func(f *session.Found) { f.CreationTime = "2026-11-23T18:59:00.5Z" })
	newerListed := with(listedAt(listedRecord, t0), "CreationTime", newer.CreationTime)
	sameSecond := changed(s1, func(f *session.Found) { f.CreationTime = "2026-11-23T08:30:00.262884Z" })
	open := aMinuteOld(seen(failedRecord))
	justNow := with(open, "DeletionRequestedAt", session.FormatTime(t0))
	nameless := with(open, "CreationTime", "")
	givenUp := aMinuteOld(with(seen(givenUpRecord), "GivenUpAt", session.FormatTime(at(-1)), "ExpiresAt", int64(1)))
	unresponsive := with(known, "State", "UNKNOWN", "StateReason", "silent", "ExpiresAt", int64(1))
	deleted := with(seen(deletedRecord), "DeletedAt", session.FormatTime(at(-1)))
	expired := with(deleted, "ExpiresAt", at(10).Unix())
	confirmed := func(r session.Record, c string) session.Record {
		return confirmedAt(at(10), r, c)
	}
	vanished := with(ended(known, "inv-"+session.FormatTime(t0), "vanished", "Its host no longer runs it."),
		"DeletionRequestedAt", session.FormatTime(at(10)), "AttemptedAt", session.FormatTime(at(10)),
		"ConfirmedAt", session.FormatTime(at(10)), "NextAttemptAt", session.FormatTime(at(130)))

	for name, tc := range map[string]struct {
		from  session.Record
		found []session.Found
		want  session.Record // nil: nothing is written
	}{
		"nothing new": {known, []session.Found{s1}, nil},
		"said twice":  {known, []session.Found{s1, s1}, nil},
		"the same to the second": {with(known, "CreationTime", "2026-11-23T08:30:00.5Z"), []session.Found{changed(s1, func(f *session.Found) { f.CreationTime = "2026-11-23T08:30:00Z" })},
			observedAt(known, t0, "CreationTime", "2026-11-23T08:30:00Z")},
		"connections": {known, []session.Found{changed(s1, func(f *session.Found) { f.NumOfConnections = 2 })},
			observedAt(known, t0, "NumOfConnections", int64(2))},
		"somebody left": {known, []session.Found{changed(s1, func(f *session.Found) { f.LastDisconnectionTime = "x" })},
			observedAt(known, t0, "LastDisconnectionTime", "x")},
		"owner":                             {known, []session.Found{found("s1", mallory)}, observedAt(known, t0, "Owner", mallory)},
		"name":                              {known, []session.Found{changed(s1, func(f *session.Found) { f.Name = "n" })}, observedAt(known, t0, "Name", "n")},
		"no name any more":                  {with(known, "Name", "n"), []session.Found{s1}, observedAt(known, t0)},
		"never seen before":                 {listedRecord, []session.Found{s1}, listedAt(listedRecord, t0)},
		"came up":                           {with(known, "State", "CREATING"), []session.Found{s1}, observedAt(known, t0)},
		"host was silent":                   {unresponsive, []session.Found{s1}, observedAt(known, t0)},
		"new one in the same second":        {known, []session.Found{sameSecond}, with(newerListed, "CreationTime", sameSecond.CreationTime)},
		"new incarnation":                   {known, []session.Found{newer}, newerListed},
		"new incarnation of an UNKNOWN one": {unresponsive, []session.Found{newer}, newerListed},
		"in a way that cannot be listed":    {known, []session.Found{found("s1", "")}, nil},
		"named only, open deletion":         {open, []session.Found{{NameOnHost: "s1"}}, nil},
		"named only, given up":              {givenUp, []session.Found{{NameOnHost: "s1"}}, nil},
		"named only, ended":                 {deleted, []session.Found{{NameOnHost: "s1"}}, nil},
		"named only":                        {known, []session.Found{{NameOnHost: "s1"}}, nil},
		"named only, host was silent":       {unresponsive, []session.Found{{NameOnHost: "s1"}}, observedAt(known, t0)},
		"written by a newer inventory":      {with(known, "ObservedAt", session.FormatTime(at(1))), []session.Found{newer}, nil},

		"open deletion, still there":            {open, []session.Found{s1}, nil},
		"open deletion, replaced":               {open, []session.Found{newer}, confirmed(open, "replaced")},
		"open deletion, replaced in a second":   {open, []session.Found{sameSecond}, confirmed(open, "replaced")},
		"open deletion, replaced, but later":    {justNow, []session.Found{newer}, nil},
		"open deletion, may be meant":           {nameless, []session.Found{s1}, nil},
		"open deletion, came after the request": {nameless, []session.Found{changed(s1, func(f *session.Found) { f.CreationTime = "2026-11-23T19:00:08Z" })}, confirmed(nameless, "replaced")},
		"open deletion, within tolerance":       {nameless, []session.Found{changed(s1, func(f *session.Found) { f.CreationTime = "2026-11-23T19:00:07Z" })}, nil},
		"open deletion, of nobody knows when":   {nameless, []session.Found{changed(s1, func(f *session.Found) { f.CreationTime = "noon" })}, nil},
		"open deletion, gone":                   {open, nil, confirmed(open, "vanished")},
		"accepted as the inventory was sent":    {justNow, nil, nil},
		"accepted after the inventory was sent": {with(open, "DeletionRequestedAt", session.FormatTime(at(5))), nil, nil},
		"confirmed, still there":                {aMinuteOld(seen(confirmedRecord)), []session.Found{s1}, nil},
		"confirmed, gone":                       {aMinuteOld(seen(confirmedRecord)), nil, nil},
		"confirmed, replaced":                   {aMinuteOld(seen(confirmedRecord)), []session.Found{newer}, nil},
		"forced and not yet ended, still there": {aMinuteOld(seen(forcedRecord)), []session.Found{s1}, nil},

		"given up, still there":                    {givenUp, []session.Found{s1}, listedAt(listedRecord, t0)},
		"given up when it was sent":                {with(givenUp, "GivenUpAt", session.FormatTime(t0)), []session.Found{s1}, nil},
		"given up after it was sent":               {with(givenUp, "GivenUpAt", session.FormatTime(at(1))), []session.Found{s1}, nil},
		"given up, replaced":                       {givenUp, []session.Found{newer}, confirmed(givenUp, "replaced")},
		"given up, gone":                           {givenUp, nil, confirmed(givenUp, "vanished")},
		"given up, requested after it was sent":    {with(givenUp, "DeletionRequestedAt", session.FormatTime(at(1)), "GivenUpAt", session.FormatTime(at(2))), nil, nil},
		"given up and then confirmed, still there": {confirmed(givenUp, "closed"), []session.Found{s1}, nil},
		"given up and then confirmed, gone":        {confirmed(givenUp, "closed"), nil, nil},

		"gone":                         {known, nil, vanished},
		"UNKNOWN, gone":                {unresponsive, nil, vanished},
		"first seen then":              {with(known, "FirstSeenAt", session.FormatTime(t0)), nil, nil},
		"first seen later":             {with(known, "FirstSeenAt", session.FormatTime(at(5))), nil, nil},
		"no inventory ever had it":     {listedRecord, nil, with(listedRecord, "FirstSeenAt", session.FormatTime(at(10)))},
		"removed by force, but lives":  {deleted, []session.Found{s1}, listedAt(listedRecord, t0)},
		"removed as it was sent":       {with(deleted, "DeletedAt", session.FormatTime(t0)), []session.Found{s1}, nil},
		"removed after it was sent":    {with(deleted, "DeletedAt", session.FormatTime(at(1))), []session.Found{s1}, nil},
		"deleted, and gone":            {deleted, nil, nil},
		"ID of one expired, elsewhere": {with(expired, "HostId", hostB, "DcvSessionId", "x", "Name", "n"), []session.Found{s1}, listedAt(listedRecord, t0)},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, tc.from)
			u.take(inventory(hostA, t0, tc.found...))
			want := tc.want
			if want == nil {
				want = tc.from
			}
			u.is("s1", want)
			if all := u.table.All(); len(all) != 1 {
				t.Errorf("listed: %v", all)
			}
			first := u.table.All() // the same answer comes twice
			u.take(inventory(hostA, t0, tc.found...))
			u.same(first)

			if tc.found == nil || want["Confirmation"] != nil { // an incomplete one ends nothing
				u := newUpkeep(t, tc.from)
				cut := inventory(hostA, t0, tc.found...)
				cut.Complete = false
				u.take(cut)
				u.is("s1", tc.from)
			}
		})
	}
}

func TestNothingIsWrittenWhenNothingChanged(t *testing.T) {
	u := newUpkeep(t)
	sessions := []session.Found{found("s1", alice), found("console", alice), found("x-"+hostB, alice)}
	u.take(inventory(hostA, t0, sessions...))
	u.table.written = nil
	for minute := range 5 {
		u.take(inventory(hostA, at(float64(300+60*minute)), sessions...))
	}
	if len(u.table.written) > 0 || len(u.table.All()) != 3 {
		t.Errorf("%d writes, records %v", len(u.table.written), u.table.All())
	}
}

func TestAgeOfInventories(t *testing.T) {
	ctx := context.Background()
	for name, tc := range map[string]struct {
		sentAt, readAt float64
		applied        bool
	}{
		"older than the newest": {-1, 10, false},
		"the newest again":      {0, 10, true},
		"newer":                 {1, 10, true},
		"an hour old":           {1, 3601, true},
		"more than an hour old": {1, 3601.001, false},
		"older than an hour and newer than others": {30, 4000, false},
		"a minute ahead":           {70, 10, true},
		"more than a minute ahead": {70.001, 10, false},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t)
			u.take(inventory(hostA, t0))
			u.take(inventory(hostB, at(99))) // another host's inventory does not count
			u.now = at(tc.readAt)
			if _, err := u.reconciler().Apply(ctx, inventory(hostA, at(tc.sentAt), found("s1", alice))); err != nil {
				t.Fatal(err)
			}
			if got := u.table.Get("s1") != nil; got != tc.applied {
				t.Errorf("applied: %v", got)
			}
		})
	}
}

// While an inventory is being applied, a newer one is applied that no longer has the
// session: the session stays ended, and the older one does not count.
func TestOlderInventoryDoesNotUndoANewerOne(t *testing.T) {
	for name, tc := range map[string]struct{ older, newer []session.Found }{
		"session gone":    {[]session.Found{found("s1", alice)}, nil},
		"session changed": {[]session.Found{changed(found("s2", alice), func(f *session.Found) { f.NumOfConnections = 1 })}, []session.Found{found("s2", alice)}},
		"session new":     {nil, []session.Found{found("s2", alice)}},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, seen(ready("s2", alice, hostA)))
			var want []session.Record
			u.onHost = func() []session.Record {
				u.onHost = nil
				known, _, _ := u.table.OnHost(t.Context(), hostA, "", 100)
				u.take(inventory(hostA, at(5), tc.newer...))
				want = u.table.All()
				return known
			}
			u.take(inventory(hostA, t0, tc.older...))
			u.same(want)
		})
	}
}

// An inventory with a time in the future does not make its host's later ones void.
func TestInventoryWithAFutureTimeDoesNotBlockLaterOnes(t *testing.T) {
	u := newUpkeep(t)
	u.now = t0
	for _, ahead := range []float64{3600, 61} {
		if _, err := u.reconciler().Apply(t.Context(), inventory(hostA, at(ahead))); err != nil {
			t.Fatal(err)
		}
	}
	u.take(inventory(hostA, at(10), found("s1", alice)))
	u.has("s1", "State", "READY")
}

// ... or it shows an outdated record.
func TestRecordThatChangedSinceTheIndexShowedIt(t *testing.T) {
	known := seen(listedRecord)
	moved := map[string]session.Record{
		"deleted":          seen(markedRecord),
		"DELETED":          seen(deletedRecord),
		"a new one":        with(known, "CreationTime", "2026-11-23T18:59:00.5Z"),
		"taken over":       with(known, "HostId", hostB),
		"changed by newer": with(known, "ObservedAt", session.FormatTime(at(1))),
	}
	for how, say := range map[string][]session.Found{
		"changed":  {changed(found("s1", alice), func(f *session.Found) { f.NumOfConnections = 2 })},
		"replaced": {changed(found("s1", alice), func(f *session.Found) { f.CreationTime = "2026-11-23T19:00:00Z" })},
		"gone":     nil,
	} {
		for name, now := range moved {
			if how == "gone" && name == "changed by newer" {
				continue // it is gone anyway
			}
			t.Run(how+", but "+name, func(t *testing.T) {
				u := newUpkeep(t, now)
				u.onHost = func() []session.Record { return []session.Record{known} }
				u.take(inventory(hostA, t0, say...))
				u.is("s1", now)
			})
		}
	}
}

func TestInventoryThatCouldNotBeAppliedComesAgain(t *testing.T) {
	ctx := context.Background()
	sessions := []session.Found{found("s1", alice), found("s2", alice), changed(found("s3", alice), func(f *session.Found) { f.Name = "n" })}
	for _, what := range []fault{refused, lostBefore, lostAfter} {
		for n := 1; n <= 4; n++ {
			t.Run(fmt.Sprint("fault ", what, " of write ", n), func(t *testing.T) {
				u := newUpkeep(t, seen(ready("s3", alice, hostA)), seen(ready("s4", alice, hostA)))
				u.table.fault = onWrite(n, what)
				u.now = at(10)
				if _, err := u.reconciler().Apply(ctx, inventory(hostA, t0, sessions...)); err == nil {
					t.Error("no error")
				}
				if len(u.table.written) != 4 {
					t.Errorf("%d writes: one that fails must not hinder the others", len(u.table.written))
				}
				u.take(inventory(hostA, t0, sessions...))
				u.has("s1", "State", "READY")
				u.has("s2", "State", "READY")
				u.has("s3", "Name", "n")
				u.has("s4", "Confirmation", "vanished")
			})
		}
	}
	u := newUpkeep(t)
	u.indexFails = errors.New("throttled")
	if _, err := u.reconciler().Apply(ctx, inventory(hostA, t0, sessions...)); !errors.Is(err, u.indexFails) {
		t.Errorf("error %v", err)
	}
}

// A creation time that cannot be read names no other incarnation.
func TestGarbageCreationTimeEndsNoDeletion(t *testing.T) {
	open := aMinuteOld(seen(markedRecord))
	for _, created := range []string{"", "noon"} {
		u := newUpkeep(t, open)
		u.take(inventory(hostA, t0, changed(found("s1", alice), func(f *session.Found) { f.CreationTime = created })))
		u.is("s1", open)
		r := aMinuteOld(with(closingRecord, "DeletedAt", session.FormatTime(at(-40))))
		u = newUpkeep(t, r)
		u.take(inventory(hostA, t0, changed(found("s1", alice), func(f *session.Found) { f.CreationTime = created })))
		u.is("s1", r)
	}
}

// A late confirmation between the read and the listing is not removed.
func TestConfirmedWhileItIsListedAgain(t *testing.T) {
	shown := aMinuteOld(with(seen(givenUpRecord), "GivenUpAt", session.FormatTime(at(-1))))
	now := with(shown, "Confirmation", "closed", "ConfirmedAt", session.FormatTime(at(5)))
	u := newUpkeep(t, now)
	u.onHost = func() []session.Record { return []session.Record{shown} }
	u.take(inventory(hostA, t0, found("s1", alice)))
	u.is("s1", now)
}
