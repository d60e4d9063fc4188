package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dcv-session-broker/internal/session"
)

// hangingNotifier: Systems Manager throttles notices; each call lasts as long as it may.
type hangingNotifier struct{ *hosts }

func (h hangingNotifier) Notify(ctx context.Context, notices []session.Notice) []error {
	<-ctx.Done()
	errs := make([]error, len(notices))
	for i := range errs {
		errs[i] = errors.New("throttled")
	}
	return errs
}

// Callers decide how much time notices take: deletions that are due are closed
// nevertheless.
func TestNoticesDoNotKeepDeletionsFromTheirEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := with(markedRecord, "SessionId", "late", "NextAttemptAt", session.FormatTime(at(3600)), "TryUntil", session.FormatTime(at(3600)), "AttemptId", "r0", "HostId", hostB, "LiveHostId", hostB)
		waiting := with(waitingRecord, "CloseAt", session.FormatTime(at(7200)), "NextAttemptAt", session.FormatTime(at(3601)))
		u := newUpkeep(t, late, waiting)
		u.now = at(3660)
		c := u.cleaner()
		c.Notifier = hangingNotifier{u.hosts}
		c.Table = ctxTable{u.table}
		ctx, stop := context.WithTimeout(t.Context(), 55*time.Second)
		defer stop()
		if err := c.ProcessDue(ctx); err != nil {
			t.Error(err)
		}
		u.has("late", "State", "UNKNOWN")
	})
}

// ctxTable refuses calls after the deadline, as DynamoDB's client does.
type ctxTable struct{ session.Table }

func (c ctxTable) Write(ctx context.Context, writes []session.Write) []session.Result {
	if ctx.Err() != nil {
		res := make([]session.Result, len(writes))
		for i := range res {
			res[i].Err = session.ErrNotWritten
		}
		return res
	}
	return c.Table.Write(ctx, writes)
}

// After the close was sent users are not told that the session stays open.
func TestForceDuringTheCloseShowsNothing(t *testing.T) {
	for name, from := range map[string]session.Record{
		"closing":   with(waitingRecord, "Attempts", int64(1), "AttemptId", "a1", "AttemptedAt", session.FormatTime(at(601)), "TryUntil", session.FormatTime(at(4200))),
		"confirmed": with(waitingRecord, "Attempts", int64(1), "AttemptId", "a1", "AttemptedAt", session.FormatTime(at(601)), "TryUntil", session.FormatTime(at(4200)), "Confirmation", "closed"),
	} {
		w := newWorld(t, from)
		d := w.deleter()
		d.ForceMode = session.Purge
		if _, err := d.Delete(t.Context(), request("r2", at(602), forced("s1", alice))); err != nil {
			t.Fatal(err)
		}
		for _, n := range w.hosts.told {
			t.Errorf("%s: %s", name, n.Text)
		}
	}
}

func TestForceAfterACloseNowShowsNothing(t *testing.T) {
	w := newWorld(t, waitingRecord)
	w.delete(request("r2", at(10), entry("s1", alice)))
	w.sent("r2: s1")
	w.delete(request("r3", at(11), forced("s1", alice)))
	for _, n := range w.hosts.told {
		t.Errorf("after the close command of r2 was sent, the user reads: %s", n.Text)
	}
}

// The cancelling function's clock is behind: a copy of the mark lands after the cancel.
func TestCancelByAClockThatIsBehind(t *testing.T) {
	w := newWorld(t, ready("s1", alice, hostA))
	w.delete(request("r0", at(0), withGrace("s1", 10*time.Minute)))
	late := session.Mark(entry("s1", alice), request("r0", at(0)))
	w.cancel("c1", at(-0.05), "READY")
	w.table.Table.Write(t.Context(), []session.Write{late})
	w.has("s1", "State", "READY")
	late = session.MarkForced(forced("s1", alice), request("r0", at(0)))
	w.table.Table.Write(t.Context(), []session.Write{late})
	w.has("s1", "State", "READY")

	// A copy of another request's repeat lands after the cancel, as a mark.
	w = newWorld(t, waitingRecord)
	w.delete(request("r2", at(60), withGrace("s1", time.Minute)))
	w.cancel("c1", at(59.9), "READY")
	w.table.Table.Write(t.Context(), []session.Write{session.Mark(entry("s1", alice), request("r2", at(60)))})
	w.has("s1", "State", "READY")

	// A cancel by a clock that is further behind does not make earlier requests valid again.
	w.cancel("c2", at(30), "READY")
	w.has("s1", "CancelledAt", session.FormatTime(at(60)))
}

// The host's clock is ahead by ten minutes: the cancel is of this incarnation all the same.
func TestRuleLeavesACancelAloneWhereTheHostsClockIsAhead(t *testing.T) {
	r := with(ready("s1", alice, hostA), "CreationTime", session.FormatTime(at(600)), "FirstSeenAt", session.FormatTime(at(0)))
	w := newWorld(t, r)
	w.cancel("c1", at(300), "READY")
	run := w.run(at(900), nil)
	if len(run.Sessions) != 0 {
		t.Errorf("%+v: cancelled ten minutes ago, in this incarnation (first seen before the cancel)", did(run))
	}
}

// Clocks have nanoseconds, records milliseconds.
func TestTenMinutesAreTen(t *testing.T) {
	w := newWorld(t, ready("s1", alice, hostA))
	clock := session.Clock(func() time.Time { return t0.Add(456789 * time.Nanosecond) })
	w.delete(request("r1", clock(), withGrace("s1", 10*time.Minute)))
	if n := w.hosts.told[0]; !strings.HasSuffix(n.Text, "in 10 minutes.") {
		t.Error(n.Text)
	}
}

func TestAnswerOfALaterTimeDoesNotCountAfterACloseNow(t *testing.T) {
	w := newWorld(t, waitingRecord)
	w.delete(request("r2", at(10), entry("s1", alice)))
	w.warn(at(12), warning("notice-r1", at(600), t0, session.Nobody))
	w.has("s1", "Warning", nil)
}

func TestReasonIsOfTheRequestThatHolds(t *testing.T) {
	w := newWorld(t, waitingRecord)
	w.delete(request("r2", at(10), session.Entry{SessionID: "s1", Owner: alice, GracePeriod: time.Minute}))
	w.has("s1", "DeletionReason", nil, "DeletionRequestId", "r2")
}

// The answer of the cancel is lost, and a deletion without grace begins before it is read again.
func TestCancelBeforeANewDeletionShowsNothing(t *testing.T) {
	w := newWorld(t, waitingRecord)
	w.table.fault = onWrite(1, lostAfter)
	n := 0
	c := w.canceller(at(60))
	c.Now = func() time.Time {
		if n++; n == 2 {
			return at(61)
		}
		return at(60)
	}
	c.Getter = getterThen{c.Getter, &n, func() {
		w.table.Table.Write(t.Context(), []session.Write{session.Mark(entry("s1", alice), request("r2", at(60.5), entry("s1", alice)))})
	}}
	answers, err := c.Cancel(t.Context(), cancelOf("c1", session.CancelEntry{SessionID: "s1", Owner: alice}))
	if err != nil || answers[0].FailureReason != "" {
		t.Errorf("%+v, %v", answers, err)
	}
	for _, n := range w.hosts.told {
		t.Errorf("being closed by r2, and told: %s", n.Text)
	}
}

type getterThen struct {
	session.Getter
	n    *int
	then func()
}

func (g getterThen) Get(ctx context.Context, ids []string) ([]session.Record, error) {
	if *g.n == 1 {
		g.then()
	}
	return g.Getter.Get(ctx, ids)
}

// The log has the reason of each deletion that has one, whichever way it goes.
func TestLogHasTheReason(t *testing.T) {
	for name, grace := range map[string]time.Duration{"waits": time.Minute, "now": 0} {
		w := newWorld(t, ready("s1", alice, hostA))
		e := entry("s1", alice)
		e.GracePeriod, e.Reason = grace, "maintenance"
		w.delete(request("r1", t0, e))
		w.delete(request("r2", at(1), e)) // a repeat
		if n := strings.Count(w.log.String(), "DeletionReason=maintenance"); n != 2 {
			t.Errorf("%s: %d lines have the reason:\n%s", name, n, w.log.String())
		}
		w = newWorld(t, ready("s1", alice, hostA))
		w.run(t0, func(r *session.Rule) { r.Reason, r.GracePeriod = "maintenance", grace })
		if n := strings.Count(w.log.String(), "DeletionReason=maintenance"); n != 2 {
			t.Errorf("%s: %d lines of a rule have the reason:\n%s", name, n, w.log.String())
		}
	}
}
