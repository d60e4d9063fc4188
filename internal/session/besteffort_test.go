package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/session"
)

// The records of a session that was removed by force, and that its host still has to
// close.
var (
	toCloseRecord = with(forcedRecord, "CloseUntil", "2026-11-23T20:01:02.123Z")

	closingRecord = with(toCloseRecord, "State", "DELETED", "DeletedAt", "2026-11-23T19:01:22.123Z",
		"ExpiresAt", t0.Unix()+20+48*3600)

	closedRecord = with(closingRecord, "CloseUntil", nil, "DeletedAt", "2026-11-23T19:01:32.123Z", "StateReason", "Removed by force. Its host says: closed.",
		"ExpiresAt", t0.Unix()+30+48*3600, // two days after it ended
		"NextAttemptAt", nil, "DueLane", nil, "LiveHostId", nil)
)

func (w *world) bestEffort(req session.Request) {
	w.t.Helper()
	d := w.deleter()
	d.ForceMode = session.BestEffort
	answers, err := d.Delete(context.Background(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, a := range answers {
		if a.FailureReason != "" {
			w.t.Errorf("%s: %s", a.SessionID, a.FailureReason)
		}
	}
}

// Promise 6: DELETED immediately, and closed by the host.
func TestBestEffort(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.bestEffort(request("r1", t0, forced("s1", alice)))
	w.is("s1", toCloseRecord)
	w.sent("r1: s1")
	if c := w.hosts.sent[0]; !c.Closings[0].VoidAfter.Equal(at(3600)) || !c.Closings[0].CreatedUntil.Equal(at(5)) {
		t.Errorf("sent %+v", c)
	}
	w.finish(at(20), w.table.Get("s1"))
	w.is("s1", closingRecord)
	w.report(at(30), closed(hostA, "r1", "s1"))
	w.is("s1", closedRecord)
}

// The host may be faster than the stream.
func TestClosedBeforeItIsDeleted(t *testing.T) {
	w := newWorld(t, toCloseRecord)
	w.report(at(10), closed(hostA, "r1", "s1"))
	w.finish(at(20), toCloseRecord) // an outdated stream record
	w.has("s1", "State", "DELETING", "CloseUntil", nil, "Confirmation", "forced")
	w.finish(at(20), w.table.Get("s1"))
	w.is("s1", with(closedRecord, "DeletedAt", session.FormatTime(at(20)), "ExpiresAt", at(20).Add(session.KeepDeleted).Unix()))
}

// The record ends between the two writes of a report.
func TestClosedWhileItIsDeleted(t *testing.T) {
	w := newWorld(t, toCloseRecord)
	w.table.before = func(n int, _ session.Write) {
		if n == 2 {
			w.table.Put(closingRecord)
		}
	}
	w.report(at(30), closed(hostA, "r1", "s1"))
	w.is("s1", closedRecord)
}

func TestForceTakesOverAnOpenDeletionAndClosesIt(t *testing.T) {
	w := newWorld(t, with(failedRecord, "DeletionRequestId", "r0", "AttemptId", "r0", "CreationTime", "",
		"DeletionRequestedAt", session.FormatTime(at(-60))))
	w.bestEffort(request("r1", t0, forced("s1", alice)))
	w.is("s1", with(toCloseRecord, "CreationTime", ""))
	w.sent("r1: s1")
	// It is a request of its own, whichever attempt carries it out.
	if c := w.hosts.sent[0]; !c.Closings[0].CreatedUntil.Equal(at(5)) || !c.Closings[0].VoidAfter.Equal(at(3600)) {
		t.Errorf("sent %+v", c)
	}
	u := newUpkeep(t, w.table.Get("s1"))
	u.clean(at(120))
	if c := u.hosts.sent[0]; !c.Closings[0].CreatedUntil.Equal(at(5)) || !c.Closings[0].VoidAfter.Equal(at(3600)) {
		t.Errorf("sent again %+v", c)
	}
}

// The session is removed whether or not its host can be commanded; its record says what
// failed.
func TestBestEffortOnAHostThatCannotBeAsked(t *testing.T) {
	for name, tc := range map[string]struct {
		how  func(*world)
		want session.Record
	}{
		"refused": {func(w *world) { w.hosts.refuses[hostA] = offline },
			with(toCloseRecord, "StateReason", "Removed by force. The host "+offline+".", "AttemptFailedAt", session.FormatTime(t0))},
		"unclear": {func(w *world) { w.hosts.unclear[hostA] = true }, toCloseRecord},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, listedRecord)
			tc.how(w)
			w.bestEffort(request("r1", t0, forced("s1", alice)))
			w.is("s1", tc.want)
		})
	}
}

func TestLostAnswerOfABestEffortMark(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.table.fault = onWrite(1, lostAfter)
	w.bestEffort(request("r1", t0, forced("s1", alice)))
	w.is("s1", toCloseRecord)
	w.sent("r1: s1")
}

func TestOnlyForcedEntriesOfABestEffortBrokerAreForced(t *testing.T) {
	w := newWorld(t, listedRecord, with(listedRecord, "SessionId", "s2"))
	w.bestEffort(request("r1", t0, entry("s1", alice), forced("s2", alice)))
	w.is("s1", markedRecord)
	w.has("s2", "Confirmation", "forced", "CloseUntil", session.FormatTime(at(3600)))
	w.sent("r1: s1", "r1: s2")
}

func TestReportsOnForcedSessions(t *testing.T) {
	said := func(outcome session.Outcome, reason string) session.Report {
		return session.Report{HostID: hostA, AttemptID: "r1", SessionID: "s1", Outcome: outcome, Reason: reason}
	}
	failedAt := session.FormatTime(at(30))
	for name, tc := range map[string]struct {
		from   session.Record
		report session.Report
		want   session.Record
	}{
		"absent":   {closingRecord, said("absent", ""), with(closedRecord, "StateReason", "Removed by force. Its host says: absent.")},
		"replaced": {closingRecord, said("replaced", ""), with(closedRecord, "StateReason", "Removed by force. Its host says: replaced.")},
		"failed": {closingRecord, said("failed", "dcv is broken"), with(closingRecord, // and is tried again soon
			"StateReason", "Removed by force. dcv is broken", "AttemptFailedAt", failedAt, "NextAttemptAt", session.FormatTime(at(60)))},
		"expired":               {closingRecord, said("expired", ""), with(closingRecord, "StateReason", "Removed by force. The command had expired when the host ran it. Is the host's clock ahead?", "AttemptFailedAt", failedAt)},
		"failed, for once more": {with(closingRecord, "AttemptFailedAt", "x"), said("failed", "y"), with(closingRecord, "AttemptFailedAt", "x")},
		"another host":          {closingRecord, closed(hostB, "r1", "s1"), closingRecord},
		"an earlier attempt":    {with(closingRecord, "AttemptId", "a1"), closed(hostA, "r1", "s1"), with(closingRecord, "AttemptId", "a1")},
		"nothing is to be closed": {with(deletedRecord, "Confirmation", "forced"), closed(hostA, "r1", "s1"),
			with(deletedRecord, "Confirmation", "forced")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.from)
			w.report(at(30), tc.report)
			w.is("s1", tc.want)
		})
	}
}

// The report that a host did not answer applies to sessions that were removed by force,
// too.
func TestUnansweredCloseOfAForcedSession(t *testing.T) {
	u := newUpkeep(t, closingRecord)
	c := session.Confirmer{Table: u.table, Index: u, Now: u.clock, Log: u.logger()}
	reports, err := c.Failed(t.Context(), hostA, "r1", "It is silent.")
	if err != nil {
		t.Fatal(err)
	}
	u.report(at(30), reports...)
	u.is("s1", with(closingRecord, "StateReason", "Removed by force. It is silent.", "AttemptFailedAt", session.FormatTime(at(30))))
}

// The process was killed before the command, or the host cannot be reached: the close is
// tried until the host answers or the give-up time.
func TestClosingIsTriedUntilTheEnd(t *testing.T) {
	for name, from := range map[string]session.Record{"ended": closingRecord, "not even ended": toCloseRecord} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, from)
			u.clean(at(119))
			u.sent()
			u.clean(at(120))
			u.sent("a1: s1")
			u.has("s1", "AttemptId", "a1", "Attempts", int64(2), "CloseUntil", session.FormatTime(at(3600)), "State", from["State"])
			if void := u.hosts.sent[0].Closings[0].VoidAfter; !void.Equal(at(3600)) {
				t.Errorf("void after %v", void)
			}
			u.clean(at(3541)) // too late for another
			u.has("s1", "NextAttemptAt", session.FormatTime(at(3600)))
			u.clean(at(3600))
			u.sent("a1: s1")
			u.has("s1", "CloseUntil", nil, "Confirmation", "forced",
				"StateReason", "Removed by force. The host did not confirm within 1h0m0s that the session is closed (2 attempts). Last: Attempt 2 brought no answer.")
			if from["State"] == "DELETED" {
				u.has("s1", "NextAttemptAt", nil, "DueLane", nil, "LiveHostId", nil)
			} else {
				u.clean(at(3601)) // it still has to end
				u.has("s1", "NextAttemptAt", session.FormatTime(at(3601+120)), "State", "DELETING")
				u.finish(at(3602), u.table.Get("s1"))
				u.has("s1", "State", "DELETED", "NextAttemptAt", nil, "LiveHostId", nil)
			}
		})
	}
}

func TestReasonOfAClosingThatIsGivenUp(t *testing.T) {
	u := newUpkeep(t, with(closingRecord, "StateReason", "Removed by force. dcv is broken", "AttemptFailedAt", "x"))
	u.clean(at(3600))
	u.has("s1", "StateReason",
		"Removed by force. The host did not confirm within 1h0m0s that the session is closed (1 attempts). Last: dcv is broken")
	if !strings.Contains(u.log.String(), "may still run") {
		t.Errorf("log: %s", &u.log)
	}
}

// With every attempt cleanup shows an unfinished record to the stream, and asks EC2 about
// its host.
func TestClosingOnAHostThatIsGone(t *testing.T) {
	for name, from := range map[string]session.Record{"ended": aMinuteOld(closingRecord), "not even ended": aMinuteOld(toCloseRecord)} {
		for _, status := range []session.HostStatus{session.Stopped, session.Terminated} {
			t.Run(name, func(t *testing.T) {
				u := newUpkeep(t, from)
				u.statuses[hostA], u.endStopped = status, false
				u.clean(at(120))
				u.sent()
				u.has("s1", "State", from["State"], "CloseUntil", nil, "Confirmation", "forced")
			})
		}
	}
	u := newUpkeep(t, closingRecord) // requested at the very time of the question
	u.statuses[hostA] = session.Terminated
	u.checkHosts(t0, hostA)
	u.is("s1", closingRecord)
}

// A repeated request of any kind is answered by what the record says.
func TestDeletedAgainWhileItIsBeingClosed(t *testing.T) {
	for _, e := range []session.Entry{entry("s1", alice), forced("s1", alice), forced("s1", mallory)} {
		w := newWorld(t, closingRecord)
		w.expect(request("r2", at(40), e), session.NotFound)
		w.is("s1", closingRecord)
	}
	for _, e := range []session.Entry{entry("s1", alice), forced("s1", alice)} {
		w := newWorld(t, toCloseRecord)
		w.bestEffort(request("r2", at(1), e))
		w.is("s1", toCloseRecord)
		w.sent()
	}
}

// The answer to a best-effort mark is lost, the stream ends the record, and then the mark
// is written once more.
func TestLostBestEffortMarkThatEndedMeanwhile(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.table.fault = onWrite(1, lostAfter)
	w.table.before = func(n int, _ session.Write) {
		if n == 2 {
			w.table.Put(closingRecord)
		}
	}
	w.bestEffort(request("r1", t0, forced("s1", alice)))
	w.sent("r1: s1")
	w.is("s1", closingRecord)
}

// A report on a session removed by force that could not be recorded is repeated.
func TestReportsAfterForceComeAgain(t *testing.T) {
	for n := 1; n <= 2; n++ {
		for _, what := range []fault{refused, lostBefore, lostAfter} {
			w := newWorld(t, closingRecord)
			w.table.fault = onWrite(n, what)
			c := session.Confirmer{Table: w.table, Now: func() time.Time { return at(30) }, Log: w.logger()}
			if errs := c.Apply(t.Context(), []session.Report{closed(hostA, "r1", "s1")}); errs[0] == nil || errors.Is(errs[0], session.ErrCondition) {
				t.Errorf("fault %v of write %d: %v", what, n, errs[0])
			}
			w.table.fault = nil
			w.report(at(30), closed(hostA, "r1", "s1"))
			w.is("s1", closedRecord)
		}
	}
}
