package session_test

import (
	"testing"

	"dcv-session-broker/internal/session"
)

// An index shows a record late: the record may change before its end is written.

func TestHostGoneEndsRecordsAsTheyAreOnly(t *testing.T) {
	old := seen(listedRecord)
	open := aMinuteOld(seen(markedRecord))
	for name, tc := range map[string]struct{ shown, now session.Record }{
		"deleted meanwhile":              {old, with(seen(markedRecord), "DeletionRequestedAt", session.FormatTime(at(1)))},
		"another incarnation":            {old, with(old, "CreationTime", "2026-11-23T19:00:00Z", "FirstSeenAt", session.FormatTime(at(1)))},
		"listed again":                   {old, with(old, "FirstSeenAt", session.FormatTime(at(1)))},
		"taken over by another host":     {old, with(old, "HostId", hostB)},
		"DELETED":                        {old, with(old, "State", "DELETED")},
		"deletion ended and begun again": {open, with(open, "DeletionRequestId", "r2", "DeletionRequestedAt", session.FormatTime(at(1)))},
		"deletion confirmed":             {open, with(open, "Confirmation", "closed")},
		"deletion of another host":       {open, with(open, "HostId", hostB)},
		"not there any more":             {with(old, "SessionId", "s0"), old},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, tc.now)
			u.statuses[hostA] = session.Terminated
			u.onHost = func() []session.Record { return []session.Record{tc.shown} }
			before := u.table.All()
			u.checkHosts(t0, hostA)
			u.same(before)
		})
	}
}

// The index still shows a due deletion as it was before its claim, which is the
// attempt that the host's end answers.
func TestDeletionClaimedJustBeforeEndsWithItsHost(t *testing.T) {
	for name, shown := range map[string]session.Record{"unclaimed": markedRecord, "unmarked": seen(listedRecord)} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, markedRecord)
			u.statuses[hostA] = session.Terminated
			u.onHost = func() []session.Record { return []session.Record{shown} }
			u.clean(at(120))
			u.sent()
			u.has("s1", "AttemptId", "a1", "Confirmation", "host-gone")
		})
	}
}

// The index shows an outdated record: the same rule decides on the current one.
func TestChangedRecordEndsWithItsHost(t *testing.T) {
	old := seen(listedRecord)
	marked := aMinuteOld(seen(markedRecord))
	for name, tc := range map[string]struct {
		shown, now session.Record
		stopped    bool // and sessions of stopped hosts are not to end
		ends       bool
	}{
		"mark put back":                {marked, old, false, true},
		"mark put back, host stopped":  {marked, old, true, false},
		"mark put back, UNKNOWN since": {marked, with(old, "State", "UNKNOWN", "StateReason", "x", "ExpiresAt", int64(1)), false, true},
		"another incarnation":          {with(old, "CreationTime", "2026-11-23T07:00:00Z"), old, false, true},
		"marked":                       {old, marked, false, true},
		"marked, host stopped":         {with(marked, "AttemptId", "a0"), marked, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, tc.now)
			u.statuses[hostA] = session.Terminated
			if tc.stopped {
				u.statuses[hostA], u.endStopped = session.Stopped, false
			}
			u.onHost = func() []session.Record { return []session.Record{tc.shown} }
			checks, err := u.reaper().Check(t.Context(), []string{hostA})
			if err != nil || checks[hostA].Err != nil {
				t.Errorf("%v, %v", checks, err)
			}
			if !tc.ends {
				u.is("s1", tc.now)
				return
			}
			u.has("s1", "State", "DELETING", "Confirmation", "host-gone")
		})
	}
}

// A record that keeps changing is an error of its host: EC2 is asked about the host
// again.
func TestHostWhoseRecordKeepsMovingOnIsAskedAboutAgain(t *testing.T) {
	old := seen(listedRecord)
	for name, states := range map[string][]session.Record{
		"it needs an end still": {aMinuteOld(seen(markedRecord)), old},
		"it has ended":          {aMinuteOld(seen(markedRecord)), with(seen(deletedRecord), "HostId", hostA)},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, old)
			u.statuses[hostA] = session.Terminated
			u.table.before = func(n int, _ session.Write) { u.table.Put(states[n-1]) }
			checks, err := u.reaper().Check(t.Context(), []string{hostA})
			if failed, want := checks[hostA].Err != nil, name == "it needs an end still"; err != nil || failed != want {
				t.Fatalf("%v, %v", checks, err)
			}
			u.table.before = nil
			u.checkHosts(at(1), hostA)
			if name == "it needs an end still" {
				u.has("s1", "Confirmation", "host-gone")
			}
		})
	}
}

// Of two runs of cleanup that overlap one makes a session UNKNOWN while the other ends it
// with its host: it ends. Otherwise no run would check that host again.
func TestSessionThatBecameUnknownMeanwhileEndsWithItsHost(t *testing.T) {
	old := seen(listedRecord)
	u := newUpkeep(t, with(old, "State", "UNKNOWN", "StateReason", "Its host has not answered.", "ExpiresAt", int64(1)))
	u.statuses[hostA] = session.Stopped
	u.onHost = func() []session.Record { return []session.Record{old} }
	b := u.reaper()
	b.EndStopped = true
	if _, err := b.Check(t.Context(), []string{hostA}); err != nil {
		t.Fatal(err)
	}
	u.has("s1", "State", "DELETING", "Confirmation", "host-gone", "ExpiresAt", nil)
}
