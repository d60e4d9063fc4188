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

func TestDueDeletionIsTriedAgain(t *testing.T) {
	u := newUpkeep(t, failedRecord)
	u.clean(at(119.999))
	u.is("s1", failedRecord)

	u.clean(at(120))
	next := u.table.Get("s1").Session().NextAttemptAt
	if next.Before(at(240)) || !next.Before(at(270)) {
		t.Errorf("next attempt at %v", next)
	}
	u.is("s1", with(failedRecord, "AttemptId", "a1", "Attempts", int64(2), "AttemptedAt", session.FormatTime(at(120)),
		"NextAttemptAt", session.FormatTime(next), "AttemptFailedAt", nil))
	u.sent("a1: s1")
	// The bounds are those of the request, not of the attempt.
	sent := u.hosts.sent[0]
	want := session.Closing{
		Incarnation: session.Incarnation{SessionID: "s1", NameOnHost: "s1", HostID: hostA, CreationTime: "2026-11-23T08:30:00.262883Z", CreatedUntil: at(session.CreationTolerance.Seconds())},
		VoidAfter:   t0.Add(giveUp),
	}
	if sent.Closings[0] != want || !sent.At.Equal(u.now) {
		t.Errorf("sent %+v", sent)
	}
}

// The record of a deletion that is being tried says how its attempts ended.
func TestAttemptWithoutAnAnswerIsRecorded(t *testing.T) {
	for name, tc := range map[string]struct {
		from   session.Record
		reason string
	}{
		"no answer":                          {markedRecord, "Attempt 1 brought no answer."},
		"no answer after one that failed":    {with(markedRecord, "Attempts", int64(2), "StateReason", "dcv is broken"), "Attempt 2 brought no answer."},
		"a failure":                          {failedRecord, "dcv is broken"},
		"no answer to a close after a force": {toCloseRecord, "Removed by force. Attempt 1 brought no answer."},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, tc.from)
			u.clean(at(120))
			u.has("s1", "AttemptId", "a1", "StateReason", tc.reason)
			u.report(at(130), closed(hostA, "a1", "s1"))
			u.finish(at(140), u.table.Get("s1"))
			if reason := u.table.Get("s1").Session().StateReason; strings.Contains(reason, "no answer") {
				t.Errorf("ended with the reason %q", reason)
			}
		})
	}
}

// Two runs have read the same record; the second writes while the first is
// about to.
func TestOneOfTwoClaimersWins(t *testing.T) {
	for name, tc := range map[string]struct {
		from session.Record
		when float64
		sent int
	}{
		"claim":   {markedRecord, 120, 1},
		"give up": {markedRecord, 3600, 0},
		"wait":    {markedRecord, 3550, 0},
		"touch":   {confirmedRecord, 200, 0},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, tc.from)
			shown := u.table.All()
			u.due = func() []session.Record { return slices.Clone(shown) }
			other := newUpkeep(t)
			other.table.Table, other.due, other.now, other.attempts = u.table.Table, u.due, at(tc.when), 100
			u.table.before = func(int, session.Write) {
				u.table.before = nil
				other.clean(at(tc.when))
				shown = append(shown, u.table.Get("s1")) // the first run does not see this
			}
			u.clean(at(tc.when))
			if n := len(u.hosts.sent) + len(other.hosts.sent); n != tc.sent || len(u.hosts.sent) > 0 {
				t.Errorf("sent %q by the loser, %q by the winner", u.hosts.closings(), other.hosts.closings())
			}
			u.is("s1", shown[len(shown)-1])
		})
	}
}

// A claim landed, and its second try found it: the run recognises its own claim.
func TestLostAnswerOfAClaimIsRecognised(t *testing.T) {
	u := newUpkeep(t, markedRecord)
	u.table.before = func(_ int, w session.Write) { u.tryWrite(w) }
	u.clean(at(120))
	u.sent("a1: s1")
	u.has("s1", "AttemptId", "a1", "Attempts", int64(2))
}

// After an unclear claim the new lease, or the old one, decides when the deletion is
// tried again.
func TestUnclearClaimIsTriedByALaterRun(t *testing.T) {
	for _, what := range []fault{refused, lostBefore, lostAfter} {
		u := newUpkeep(t, markedRecord)
		u.table.fault = onWrite(1, what)
		u.clean(at(120))
		u.sent()
		u.clean(at(300))
		u.sent("a2: s1")
	}
}

func TestBackoffGrowsAndIsCapped(t *testing.T) {
	for attempts, minutes := range map[int64]float64{1: 2, 2: 4, 3: 8, 4: 10, 5: 10, 100: 10, 0: 2} {
		different := map[time.Time]bool{}
		for n := range 20 {
			id := fmt.Sprintf("s%d", n)
			u := newUpkeep(t, with(markedRecord, "SessionId", id, "Attempts", attempts))
			u.clean(at(120))
			u.has(id, "Attempts", attempts+1)
			next := u.table.Get(id).Session().NextAttemptAt
			different[next] = true
			if pause := next.Sub(at(120)).Minutes(); pause < minutes || pause >= minutes*1.25 {
				t.Errorf("after %d attempts a pause of %v minutes, not %v to %v", attempts, pause, minutes, minutes*1.25)
			}
		}
		if len(different) < 2 {
			t.Errorf("after %d attempts: all come back together", attempts)
		}
	}
}

// After an attempt that the host reports as failed the next one follows soon, but not in
// a hot loop; after one without an answer it waits for the end of the lease.
func TestNextAttemptAfterAFailure(t *testing.T) {
	leased := func(attempts int64, seconds float64) session.Record {
		return with(markedRecord, "Attempts", attempts, "NextAttemptAt", session.FormatTime(at(seconds)))
	}
	unanswered := failed(hostA, "r1", "s1", "x")
	unanswered.Outcome = session.OutcomeUnanswered
	for name, tc := range map[string]struct {
		from   session.Record
		report session.Report
		next   float64
	}{
		"the first":          {leased(1, 120), failed(hostA, "r1", "s1", "x"), 10 + 30},
		"the second":         {leased(2, 120), failed(hostA, "r1", "s1", "x"), 10 + 60},
		"the third":          {leased(3, 480), failed(hostA, "r1", "s1", "x"), 10 + 120},
		"the hundredth":      {leased(100, 700), failed(hostA, "r1", "s1", "x"), 10 + 600},
		"due earlier anyway": {leased(1, 39), failed(hostA, "r1", "s1", "x"), 39},
		"without an answer":  {leased(1, 120), unanswered, 120},
		"a second of a kind": {with(leased(1, 120), "AttemptFailedAt", "x"), failed(hostA, "r1", "s1", "x"), 120},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.from)
			w.report(at(10), tc.report)
			w.has("s1", "NextAttemptAt", session.FormatTime(at(tc.next)), "State", "DELETING")
		})
	}

	// A claim, or a confirmation, that comes in between is not undone.
	for _, now := range []session.Record{
		with(markedRecord, "AttemptId", "a1", "NextAttemptAt", session.FormatTime(at(500))), confirmedRecord,
	} {
		w := newWorld(t, markedRecord)
		w.table.before = func(n int, _ session.Write) {
			if n == 2 {
				w.table.Put(now)
			}
		}
		w.report(at(10), failed(hostA, "r1", "s1", "x"))
		w.is("s1", now)
	}
}

// Promise 2: given up at the give-up time, not when the last lease ends; and the
// last attempt is shortly before.
func TestNoLeaseGoesBeyondTheEnd(t *testing.T) {
	for when, next := range map[float64][]float64{
		3600 - 180: {3600 - 120, 3600}, 3600 - 150: {3600 - 120, 3600}, 3600 - 149: {3600}, 3600 - 61: {3600},
	} {
		u := newUpkeep(t, with(markedRecord, "Attempts", int64(9)))
		u.clean(at(when))
		for n, at := range next {
			u.has("s1", "AttemptId", fmt.Sprint("a", n+1), "NextAttemptAt", session.FormatTime(t0.Add(time.Duration(at)*time.Second)))
			u.clean(t0.Add(time.Duration(at) * time.Second))
		}
		u.has("s1", "State", "UNKNOWN")
	}
}

// Promise 8: each deletion of an attempt has its own end, in a run of cleanup and in a
// request.
func TestEachDeletionOfAnAttemptHasItsEnd(t *testing.T) {
	of := func(id string, minutes float64) session.Record {
		return with(failedRecord, "SessionId", id, "TryUntil", session.FormatTime(at(120+minutes*60)))
	}
	ends := func(sent []session.Attempt, want ...string) {
		t.Helper()
		var got []string
		for _, a := range sent {
			for _, c := range a.Closings {
				got = append(got, fmt.Sprint(c.SessionID, " ", c.VoidAfter.Sub(a.At)))
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("void after %q, want %q", got, want)
		}
	}
	u := newUpkeep(t, of("old", 2), of("half", 31), of("whole", 59))
	u.clean(at(120))
	ends(u.hosts.sent, "half 31m0s", "old 2m0s", "whole 59m0s")

	w := newWorld(t, of("old", 2), of("half", 31), ready("new", alice, hostA))
	w.expect(request("r2", at(120), entry("old", alice), entry("half", alice), entry("new", alice)), "", "", "")
	ends(w.hosts.sent, "half 31m0s", "new 1h0m0s", "old 2m0s")
}

// An older broker's mark does not remove the TryUntil of the deletion before it.
func TestTimeToTryOfTheDeletionBeforeDoesNotCount(t *testing.T) {
	u := newUpkeep(t, with(markedRecord, "TryUntil", session.FormatTime(t0.Add(-time.Minute))))
	u.clean(at(120))
	u.has("s1", "State", "DELETING", "AttemptId", "a1")
}

// A host that was fixed after 40 seconds gets another command, even if the give-up time
// is short.
func TestHostFixedShortlyBeforeTheEndGetsACommand(t *testing.T) {
	for _, minutes := range []float64{3, 4, 5, 10} {
		u := newUpkeep(t, listedRecord)
		d := u.deleter()
		d.GiveUp = time.Duration(minutes) * time.Minute
		if _, err := d.Delete(t.Context(), request("r1", t0, entry("s1", alice))); err != nil {
			t.Fatal(err)
		}
		attempt, closedAt := "r1", 0.0
		for when := 0.0; when < minutes*60; when += 5 {
			if s := u.table.Get("s1").Session(); s.Confirmation == "" && (s.AttemptID != attempt || when == 5) {
				attempt = s.AttemptID
				if when < 40 {
					u.report(at(when), session.Report{HostID: hostA, AttemptID: attempt, SessionID: "s1", Outcome: session.OutcomeFailed, Reason: "no"})
				} else {
					u.report(at(when), closed(hostA, attempt, "s1"))
					closedAt = when
				}
			}
			if int(when)%60 == 30 { // cleanup runs each minute
				u.clean(at(when))
			}
		}
		if closedAt == 0 {
			t.Errorf("%v minutes: never asked again: %v", minutes, u.table.Get("s1"))
		}
	}
}

// The stream's function failed for longer than its retries.
func TestConfirmedIsShownToTheStreamAgain(t *testing.T) {
	for _, record := range []session.Record{confirmedRecord, with(confirmedRecord, "State", "UNKNOWN", "GivenUpAt", "x"), with(forcedRecord, "AttemptFailedAt", "x")} {
		for _, when := range []float64{130, 9999} { // nothing confirmed is ever given up
			u := newUpkeep(t, record)
			feed := u.table.Feed()
			u.clean(at(when))
			u.is("s1", with(record, "NextAttemptAt", session.FormatTime(at(when+120))))
			u.sent()
			shown := feed.Ready()
			if len(shown) != 1 {
				t.Fatalf("the stream shows %d changes", len(shown))
			}
			u.finish(at(when+1), shown[0].New)
			u.has("s1", "State", "DELETED")
		}
	}
}

func TestLeaseOfNoOpenDeletionIsDropped(t *testing.T) {
	for _, record := range []session.Record{with(givenUpRecord, "NextAttemptAt", "2026-11-23T19:03:02.123Z", "DueLane", "1"),
		with(listedRecord, "NextAttemptAt", "2026-11-23T19:03:02.123Z", "DueLane", "1")} {
		u := newUpkeep(t, record)
		u.clean(at(130))
		u.is("s1", with(record, "NextAttemptAt", nil, "DueLane", nil))
		u.sent()
	}
}

func TestRunFailsIfTheIndexDoes(t *testing.T) {
	u := newUpkeep(t, markedRecord)
	u.indexFails = errors.New("throttled")
	if err := u.cleaner().ProcessDue(t.Context()); !errors.Is(err, u.indexFails) {
		t.Errorf("error %v", err)
	}
}

// No rule leaves a lease on a record that has ended; if one is there anyway, cleanup
// removes it.
func TestLeaseOfAnEndedRecordIsDropped(t *testing.T) {
	for name, r := range map[string]session.Record{
		"READY": seen(listedRecord), "UNKNOWN": givenUpRecord,
		"DELETED": deletedRecord, "DELETED, without a confirmation": with(deletedRecord, "Confirmation", nil),
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, with(r, "NextAttemptAt", session.FormatTime(t0), "DueLane", "1"))
			u.clean(at(1))
			u.is("s1", r)
			u.sent()
		})
	}
}
