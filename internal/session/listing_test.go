package session_test

import (
	"strings"
	"testing"

	"dcv-session-broker/internal/session"
)

func TestListedUnderANameOfItsOwn(t *testing.T) {
	hostMi, hostOld := "mi-0123456789abcdef0", "i-01234567"
	theirs := with(seen(ready("s1", mallory, hostB)), "Name", "theirs")
	for _, tc := range []struct{ name, hostID, want string }{
		{"new", hostA, "new"},
		{"console", hostA, "console-" + hostA},
		{"console", hostMi, "console-" + hostMi},
		{"s1", hostA, "s1-" + hostA}, // there is one on another host
		{"console-" + hostB, hostA, "console-" + hostB + "-" + hostA},
		{"console-" + hostA, hostA, "console-" + hostA + "-" + hostA},
		{"s1-" + hostB, hostA, "s1-" + hostB + "-" + hostA},
		{"s1-" + hostMi, hostA, "s1-" + hostMi + "-" + hostA},
		{"s1-" + hostOld, hostA, "s1-" + hostOld + "-" + hostA},
		{"a-i-b" + "-" + hostB, hostA, "a-i-b-" + hostB + "-" + hostA},
		{"s1-i-0", hostA, "s1-i-0"}, // no host has such an ID
		{hostB, hostA, hostB},
		{"Console", hostA, "Console"},
		{"é \"x", hostA, "é \"x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := newUpkeep(t, theirs)
			u.take(inventory(tc.hostID, t0, found(tc.name, alice)))
			want := with(listedAt(ready(tc.want, alice, tc.hostID), t0), "DcvSessionId", tc.name)
			if tc.want == tc.name {
				delete(want, "DcvSessionId")
			}
			u.is(tc.want, want)
			u.is("s1", theirs)
			if n := len(u.table.All()); n != 2 {
				t.Errorf("%d records", n)
			}
		})
	}
}

func TestWhatCannotBeListedIsLeftOut(t *testing.T) {
	u := newUpkeep(t)
	u.take(inventory(hostA, t0, found("", alice), found("s1", ""), found("s1\x00", alice), found("s\uFFFD", alice), found("s1", "alice\n"), found(strings.Repeat("x", 129), alice),
		found("s2", strings.Repeat("x", session.MaxIDBytes+1)), found(strings.Repeat("x", 128), strings.Repeat("y", session.MaxIDBytes))))
	if all := u.table.All(); len(all) != 1 || all[0]["Owner"] != strings.Repeat("y", session.MaxIDBytes) {
		t.Errorf("listed: %v", all)
	}
	if told := strings.Count(u.log.String(), "too long or have control characters"); told != 1 {
		t.Errorf("told %d times: %s", told, &u.log)
	}
}

// Two records of the same session: both are kept current.
func TestBothRecordsOfOneSessionAreKeptTrue(t *testing.T) {
	u := newUpkeep(t, seen(listedRecord), with(seen(listedRecord), "SessionId", "s1-"+hostA, "DcvSessionId", "s1"))
	u.take(inventory(hostA, t0, changed(found("s1", alice), func(f *session.Found) { f.NumOfConnections = 1 })))
	u.has("s1", "NumOfConnections", int64(1))
	u.has("s1-"+hostA, "NumOfConnections", int64(1))
	u.take(inventory(hostA, at(300)))
	u.has("s1", "Confirmation", "vanished")
	u.has("s1-"+hostA, "Confirmation", "vanished")
}

// Two inventories overlap: the host runs the older one late, so its answer is newer than
// the answer to the newer one.
func TestOlderInventoryThatRanLateStillLists(t *testing.T) {
	young := found("s1", alice)
	other := changed(young, func(f *session.Found) { f.CreationTime = "2026-11-23T19:01:40Z" })
	for name, tc := range map[string]struct {
		from  []session.Record
		shown []session.Found
		want  session.State
	}{
		"new":                     {nil, []session.Found{young}, session.Ready},
		"new incarnation":         {[]session.Record{seen(listedRecord)}, []session.Found{other}, session.Ready},
		"of no inventory, absent": {[]session.Record{listedRecord}, nil, session.Ready},
		"seen before":             {[]session.Record{seen(listedRecord)}, []session.Found{young}, session.Deleting},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, tc.from...)
			u.now = at(52)
			if _, err := u.reconciler().Apply(t.Context(), inventory(hostA, t0, tc.shown...)); err != nil {
				t.Fatal(err)
			}
			u.take(inventory(hostA, at(50)))
			u.has("s1", "State", string(tc.want))
			u.take(inventory(hostA, at(53))) // sent when it had been seen
			u.has("s1", "State", "DELETING", "Confirmation", "vanished")
		})
	}
}

// The index is behind: it does not show a record that is there, ...
func TestRecordThatTheIndexDoesNotShowYet(t *testing.T) {
	known := seen(listedRecord)
	for name, tc := range map[string]struct{ from, want session.Record }{
		"as found":                {known, known},
		"changed":                 {with(known, "Type", "console"), observedAt(known, t0)},
		"being deleted":           {seen(markedRecord), seen(markedRecord)},
		"listed by a newer one":   {with(known, "Type", "console", "ObservedAt", session.FormatTime(at(1))), with(known, "Type", "console", "ObservedAt", session.FormatTime(at(1)))},
		"deleted a moment before": {with(seen(deletedRecord), "DeletedAt", session.FormatTime(at(1))), with(seen(deletedRecord), "DeletedAt", session.FormatTime(at(1)))},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, tc.from)
			u.onHost = func() []session.Record { return nil }
			u.take(inventory(hostA, t0, found("s1", alice)))
			u.is("s1", tc.want)
			if n := len(u.table.All()); n != 1 {
				t.Errorf("%d records", n)
			}
		})
	}
}

// The first write's answer was lost, and the second try found its record.
func TestLostAnswerOfAListingIsNotACollision(t *testing.T) {
	u := newUpkeep(t)
	u.table.before = func(_ int, w session.Write) { u.tryWrite(w) }
	u.take(inventory(hostA, t0, found("s1", alice)))
	if all := u.table.All(); len(all) != 1 {
		t.Errorf("records %v", all)
	}
	u.is("s1", listedAt(listedRecord, t0))
}
