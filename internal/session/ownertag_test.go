package session_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/session"
)

const bob = "bob"

// heldTo records the host's owner tag as read then.
func (u *upkeep) heldTo(hostID, owner string, readAt time.Time) {
	u.t.Helper()
	if err := u.hostTable.AddHost(u.t.Context(), hostID, readAt); err != nil {
		u.t.Fatal(err)
	}
	if err := u.hostTable.RecordOwnerTag(u.t.Context(), hostID, session.OwnerTag{Owner: owner, ReadAt: readAt}); err != nil {
		u.t.Fatal(err)
	}
}

// The effect of a host's tag on existing records and on new ones.
func TestHostWithAnOwnerTagReportsOnlyThatOwnersSessions(t *testing.T) {
	const reason = "The tag DcvOwner of its host names another owner: what the host reports of this session is ignored."
	hers := seen(listedRecord) // alice's s1
	his := with(hers, "Owner", bob)
	ofAlice, ofBob, nameless := found("s1", alice), found("s1", bob), session.Found{NameOnHost: "s1"}
	later := ofBob
	later.CreationTime = "2026-11-23T09:00:00.262883Z"
	expires := t0.Add(10 * time.Second).Add(session.KeepUnknown).Unix()
	unbelieved := with(his, "State", "UNKNOWN", "StateReason", reason, "ExpiresAt", expires, "ObservedAt", session.FormatTime(t0))
	silent := with(his, "State", "UNKNOWN", "StateReason", "x", "ExpiresAt", int64(1))
	waiting := with(his, "State", "DELETING", "DeletionRequestId", "r0", "AttemptId", "r0", "Attempts", int64(0), "StateBefore", "READY",
		"CloseAt", session.FormatTime(at(600)), "DeletionRequestedAt", session.FormatTime(at(-60)), "NextAttemptAt", session.FormatTime(at(600)), "DueLane", "wait-1")
	open := with(aMinuteOld(seen(failedRecord)), "Owner", bob)
	for name, tc := range map[string]struct {
		tag       string
		from      session.Record // nil: none
		says      session.Found
		want      session.Record // nil: as it was
		confirmed string
	}{
		"not listed":                              {tag: alice, says: ofBob},
		"case-sensitive":                          {tag: "Alice", says: ofAlice},
		"record of another owner":                 {tag: alice, from: his, says: ofBob, want: unbelieved},
		"the same, named without an owner":        {tag: alice, from: his, says: nameless, want: unbelieved},
		"already UNKNOWN":                         {tag: alice, from: with(unbelieved, "ObservedAt", session.FormatTime(at(-60))), says: ofBob},
		"not UNKNOWN because of the owner before": {tag: alice, from: silent, says: ofBob, want: unbelieved},
		"somebody put it there":                   {tag: alice, from: with(his, "State", "CREATING"), says: ofBob, want: unbelieved},
		"ended, and its index shows it yet":       {tag: alice, from: with(his, "State", "DELETED", "Confirmation", "vanished"), says: ofBob},
		"incarnation not recorded":                {tag: alice, from: with(his, "CreationTime", nil), says: later, want: with(unbelieved, "CreationTime", nil)},
		"a newer inventory was quicker":           {tag: alice, from: with(his, "ObservedAt", session.FormatTime(at(60))), says: ofBob},
		"owner's record, the host was silent":     {tag: alice, from: with(silent, "Owner", alice), says: ofBob, want: with(hers, "ObservedAt", session.FormatTime(t0))},
		"tag removed":                             {from: with(unbelieved, "ObservedAt", session.FormatTime(at(-60))), says: ofBob, want: with(his, "ObservedAt", session.FormatTime(t0))},
		"owner's record, the host disowns it":     {tag: alice, from: hers, says: ofBob},
		"owner's record, another incarnation":     {tag: alice, from: hers, says: later, confirmed: "replaced"},
		"his record, another incarnation":         {tag: alice, from: his, says: later, confirmed: "replaced"},
		"open deletion":                           {tag: alice, from: open, says: ofBob},
		"open deletion, another incarnation":      {tag: alice, from: open, says: later, confirmed: "replaced"},
		"deletion that waits":                     {tag: alice, from: waiting, says: ofBob, want: with(waiting, "StateBefore", "UNKNOWN", "ObservedAt", session.FormatTime(t0))},
		"the same, UNKNOWN":                       {tag: alice, from: with(waiting, "StateBefore", "UNKNOWN"), says: ofBob},
		"deletion that was given up":              {tag: alice, from: with(open, "State", "UNKNOWN", "StateReason", "x", "GivenUpAt", session.FormatTime(at(-30))), says: ofBob},
		"forced before":                           {tag: alice, from: with(his, "State", "DELETED", "Confirmation", "forced", "LiveHostId", nil, "DeletedAt", session.FormatTime(at(-60)), "ExpiresAt", at(1e6).Unix()), says: ofBob},
		"the host's word where there is no tag":   {from: hers, says: ofBob, want: with(his, "ObservedAt", session.FormatTime(t0))},
	} {
		t.Run(name, func(t *testing.T) {
			var records []session.Record
			if tc.from != nil {
				records = append(records, tc.from)
			}
			u := newUpkeep(t, records...)
			u.heldTo(hostA, tc.tag, at(-60))
			before := u.table.All()
			u.take(inventory(hostA, t0, tc.says))
			switch {
			case tc.confirmed != "":
				u.has("s1", "Confirmation", tc.confirmed)
			case tc.want != nil:
				u.is("s1", tc.want)
			default:
				u.same(before)
			}
			if told := strings.Contains(u.log.String(), "sessions of owners that its tag"); told != (tc.tag != "" && tc.says.Owner != "") {
				t.Errorf("told: %t:\n%s", told, u.log.String())
			}
		})
	}
}

// The index may be behind: a newer session is not changed.
func TestRecordThatChangedStaysReady(t *testing.T) {
	his := with(seen(listedRecord), "Owner", bob)
	u := newUpkeep(t, with(aMinuteOld(seen(failedRecord)), "Owner", bob))
	u.heldTo(hostA, alice, at(-60))
	u.onHost = func() []session.Record { return []session.Record{his} }
	before := u.table.All()
	u.take(inventory(hostA, t0, found("s1", bob)))
	u.same(before)
}

// A cut answer does not show which incarnation runs.
func TestCutAnswerOfAHostWithAnOwnerTagEndsNothing(t *testing.T) {
	u := newUpkeep(t, seen(listedRecord))
	u.heldTo(hostA, alice, at(-60))
	later := found("s1", bob)
	later.CreationTime = "2026-11-23T09:00:00.262883Z"
	inv := inventory(hostA, t0, later)
	inv.Complete = false
	u.take(inv)
	u.is("s1", seen(listedRecord))
}

// A tag that may have changed since is read again, not at each inventory.
func TestTagIsReadAgainWhereItRefusesSessions(t *testing.T) {
	for _, tc := range []struct {
		tag  string
		read float64
		want bool
	}{{alice, -1, false}, {alice, -600, true}, {bob, -600, false}, {"", -600, false}} {
		u := newUpkeep(t)
		u.heldTo(hostA, tc.tag, at(tc.read))
		u.now = at(1)
		if ask, err := u.reconciler().Apply(t.Context(), inventory(hostA, t0, found("s1", bob))); ask != tc.want || err != nil {
			t.Errorf("held to %q, read at %v: ask %t, %v", tc.tag, tc.read, ask, err)
		}
	}
}

// A host that continues to list others' sessions does not cause a call of EC2 for each
// inventory.
func TestTagThatStillRefusesIsReadAtIntervals(t *testing.T) {
	u := newUpkeep(t)
	u.heldTo(hostA, alice, t0)
	u.owners = map[string]string{hostA: alice}
	for minute := range 30 {
		when := at(float64(60 * minute))
		u.now = when
		ask, err := u.reconciler().Apply(t.Context(), inventory(hostA, when, found("s1", bob)))
		if ask != (minute == 10 || minute == 20) || err != nil {
			t.Errorf("minute %d: ask %t, %v", minute, ask, err)
		}
		if ask {
			u.checkHosts(when, hostA)
		}
	}
}

// Tags in any answer of EC2 are recorded for known hosts, and written only if they are
// new or the last write is ten minutes old.
func TestTagsInAnyAnswerOfEC2AreRecorded(t *testing.T) {
	u := newUpkeep(t)
	u.statuses[hostB] = session.Terminated
	u.heldTo(hostA, "", time.Time{})
	u.owners = map[string]string{hostA: alice, hostB: bob, nthHost(7): bob}
	u.asking = func() { u.now = u.now.Add(time.Second) } // what EC2 says is as old as the question
	tag := func(when float64, want session.OwnerTag) {
		t.Helper()
		u.checkHosts(at(when), hostA, hostB, nthHost(7))
		known, err := u.hostTable.Silences(t.Context(), []string{hostA, hostB, nthHost(7)})
		if got := known[hostA].OwnerTag; len(known) != 1 || !got.ReadAt.Equal(want.ReadAt) || got.Owner != want.Owner || err != nil {
			t.Errorf("at %v: %v, %v, want %v", when, known, err, want)
		}
	}
	tag(0, session.OwnerTag{Owner: alice, ReadAt: t0})
	tag(599, session.OwnerTag{Owner: alice, ReadAt: t0})
	tag(600, session.OwnerTag{Owner: alice, ReadAt: at(600)})
	u.owners[hostA] = ""
	tag(1801, session.OwnerTag{ReadAt: at(1801)})
	delete(u.owners, hostA) // EC2 does not know it
	tag(9000, session.OwnerTag{ReadAt: at(1801)})
}

// A walk asks EC2 about healthy hosts, too: each once an hour, as many in one run as one call
// takes, the longest unread first. Machines outside of EC2 have no such tag.
func TestWalkReadsTagsOfHealthyHosts(t *testing.T) {
	const machine = "mi-0123456789abcdef0"
	u := newUpkeep(t, seen(ready("m", alice, machine)))
	u.take(inventory(machine, t0, found("m", alice)))
	for n := range 201 {
		u.table.Put(seen(ready(fmt.Sprint("s", n), alice, nthHost(n))))
		u.heldTo(nthHost(n), "", at(float64(200-n)))
	}
	u.table.Put(seen(ready("s201", alice, nthHost(201)))) // it is silent
	u.heldTo(nthHost(201), "", t0)
	_, marked := u.hostTable.MarkSilent(t.Context(), nthHost(201), at(1))
	if err := errors.Join(marked, u.hostTable.RecordAsked(t.Context(), nthHost(201), at(8000))); err != nil {
		t.Fatal(err)
	}
	u.owners = map[string]string{}
	for n := range 201 {
		u.owners[nthHost(n)] = alice
	}
	asked := func(when float64, want int, last string) {
		t.Helper()
		u.asked = nil
		u.walk(at(when))
		if len(u.asked) != want || want > 0 && u.asked[want-1] != last {
			t.Errorf("at %v: asked about %d hosts: %q", when, len(u.asked), u.asked)
		}
	}
	asked(3599, 0, "")
	u.asking = func() { u.now = u.now.Add(time.Minute) } // what EC2 says is as old as the question
	asked(3600, 1, nthHost(200))
	asked(3900, 200, nthHost(0))
	asked(3901, 0, "")
	asked(7199, 0, "")
	asked(7200, 1, nthHost(200))
	asked(10800, 200, nthHost(199)) // the last was read after the others
	if !strings.Contains(u.log.String(), "HostsLeft=1") || slices.Contains(u.asked, nthHost(200)) {
		t.Errorf("one is left for the next run, and the run says so:\n%s", u.log.String())
	}
	u.ec2Fails = errors.New("throttled")
	u.walk(at(10801)) // nothing else depends on it
	if !strings.Contains(u.log.String(), "tags DcvOwner could not be read") {
		t.Error("nobody is told that EC2 did not answer")
	}
}

// EC2 is asked about all hosts so often that an answer will sometimes lack one. The host's
// sessions live as long as it answers inventories.
func TestReadingTagsEndsNothing(t *testing.T) {
	u := newUpkeep(t, seen(listedRecord))
	u.heldTo(hostA, "", time.Time{})
	u.statuses[hostA] = session.Terminated
	u.walk(t0)
	if len(u.asked) != 1 {
		t.Fatalf("asked about %q", u.asked)
	}
	u.is("s1", seen(listedRecord))
}
