package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

func (w *world) canceller(when time.Time) *session.Canceller {
	return &session.Canceller{
		Table: w.table, Getter: memtable.Reader{Table: w.table.Table}, Notifier: w.hosts, Now: func() time.Time { return when }, Log: w.logger(),
	}
}

func cancelOf(id string, entries ...session.CancelEntry) session.CancelRequest {
	return session.CancelRequest{ID: id, By: "somebody", Entries: entries}
}

// cancel cancels the deletion of s1, and compares the answer: a state, or a reason.
func (w *world) cancel(id string, when time.Time, want string) {
	w.t.Helper()
	answers, err := w.canceller(when).Cancel(context.Background(), cancelOf(id, session.CancelEntry{SessionID: "s1", Owner: alice}))
	if err != nil {
		w.t.Fatal(err)
	}
	if a := answers[0]; a.FailureReason != want && (a.FailureReason != "" || string(a.State) != want) {
		w.t.Errorf("%s is answered %+v, want %s", id, a, want)
	}
}

func TestCancelGivesTheStateBack(t *testing.T) {
	before := ready("s1", alice, hostA)
	w := newWorld(t, before)
	w.delete(request("r1", t0, withGrace("s1", 10*time.Minute)))
	w.cancel("c1", at(540), "READY")
	w.is("s1", with(before, "CancelledAt", session.FormatTime(at(540)), "CancelledBy", "c1", "NoticeAt", session.FormatTime(at(540))))
	w.told("notice-r1 "+session.FormatTime(at(600)), "notice-r1 ")
	if n := w.hosts.told[1]; n.Text != "This session will not be closed. You can go on working." || !n.VoidAfter.Equal(at(660)) || !n.At.Equal(at(540)) || !n.CreatedUntil.Equal(t0.Add(session.CreationTolerance)) {
		t.Errorf("%+v", n)
	}
	w.cancel("c2", at(541), "READY") // twice
	w.told("notice-r1 "+session.FormatTime(at(600)), "notice-r1 ")

	u := newUpkeep(t, with(waitingRecord, "StateBefore", "UNKNOWN"))
	u.cancel("c1", at(30), "UNKNOWN")
	u.has("s1", "State", "UNKNOWN", "ExpiresAt", at(30).Add(session.KeepUnknown).Unix(), "DeletionRequestId", nil, "CloseAt", nil)
	if u.table.Get("s1").Session().StateReason == "" {
		t.Error("UNKNOWN without a reason")
	}
}

// The notice of a write that lands late has that write's order: a newer order would
// remove the message of a deletion that begins in between.
func TestCancelWhoseFirstWriteLandsLateIsToldInItsOrder(t *testing.T) {
	for _, marked := range []bool{false, true} {
		w := newWorld(t, waitingRecord)
		now := at(60)
		var late session.Write
		w.table.before = func(n int, wr session.Write) {
			switch now = now.Add(10 * time.Second); n {
			case 1:
				late = wr
			case 2:
				w.table.Table.Write(t.Context(), []session.Write{late})
				if marked {
					r2 := request("r2", at(75), withGrace("s1", 10*time.Minute))
					w.table.Table.Write(t.Context(), []session.Write{session.Mark(r2.Entries[0], r2)})
					w.table.Put(with(w.table.Get("s1"), "NoticeId", "notice-r2", "NoticeAt", session.FormatTime(at(75))))
				}
			}
		}
		w.table.fault = onWrite(1, lostBefore)
		c := w.canceller(at(0))
		c.Now = func() time.Time { return now }
		answers, err := c.Cancel(t.Context(), cancelOf("c1", session.CancelEntry{SessionID: "s1", Owner: alice}))
		if err != nil || answers[0].FailureReason != "" {
			t.Fatalf("%+v, %v", answers, err)
		}
		switch {
		case marked && len(w.hosts.told) > 0:
			t.Errorf("told after a newer mark: %+v", w.hosts.told)
		case !marked && (len(w.hosts.told) != 1 || !w.hosts.told[0].At.Equal(at(60)) || !w.hosts.told[0].VoidAfter.Equal(at(180))):
			t.Errorf("told %+v", w.hosts.told)
		}
	}
}

func TestCancelThatComesTooLateOrIsNotMeant(t *testing.T) {
	closing := with(waitingRecord, "Attempts", int64(1), "AttemptId", "a1", "AttemptedAt", session.FormatTime(at(601)))
	for name, tc := range map[string]struct {
		from   session.Record
		entry  session.CancelEntry
		when   float64
		reason string
	}{
		"being closed":          {closing, session.CancelEntry{SessionID: "s1", Owner: alice}, 602, "Too late: the close command was sent at 2026-11-23T19:11:03Z."},
		"its close time":        {waitingRecord, session.CancelEntry{SessionID: "s1", Owner: alice}, 600, "Too late: its close time was 2026-11-23T19:11:02Z."},
		"without grace":         {markedRecord, session.CancelEntry{SessionID: "s1", Owner: alice}, 1, "Too late: the close command was sent at 2026-11-23T19:01:02Z."},
		"over":                  {confirmedRecord, session.CancelEntry{SessionID: "s1", Owner: alice}, 1, "Too late: the session is over."},
		"another request's":     {waitingRecord, session.CancelEntry{SessionID: "s1", Owner: alice, DeletionRequestID: "r9"}, 1, "The session's deletion belongs to another request (r1). Nothing was changed."},
		"a stranger":            {waitingRecord, session.CancelEntry{SessionID: "s1", Owner: mallory}, 1, session.NotFound},
		"a stranger, too late":  {closing, session.CancelEntry{SessionID: "s1", Owner: mallory}, 602, session.NotFound},
		"no such session":       {waitingRecord, session.CancelEntry{SessionID: "s2", Owner: alice}, 1, session.NotFound},
		"given up":              {with(waitingRecord, "State", "UNKNOWN", "GivenUpAt", session.FormatTime(at(4200)), "NextAttemptAt", nil, "DueLane", nil), session.CancelEntry{SessionID: "s1", Owner: alice}, 5000, "Too late: the close command was sent, and the broker gave up at 2026-11-23T20:11:02Z. The session may still end."},
		"DELETED":               {with(waitingRecord, "State", "DELETED", "Confirmation", "closed"), session.CancelEntry{SessionID: "s1", Owner: alice}, 5000, session.NotFound},
		"a stranger's, DELETED": {with(waitingRecord, "State", "DELETED"), session.CancelEntry{SessionID: "s1", Owner: mallory}, 1, session.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			for _, dry := range []bool{true, false} {
				w := newWorld(t, tc.from)
				call := w.canceller(at(tc.when)).Cancel
				if dry {
					call = w.canceller(at(tc.when)).DryRun
				}
				answers, err := call(t.Context(), cancelOf("c1", tc.entry))
				if err != nil || answers[0].FailureReason != tc.reason {
					t.Errorf("%+v, %v, want %s", answers, err, tc.reason)
				}
				w.is("s1", tc.from)
				w.told()
			}
		})
	}
}

func TestDryCancelChangesNothing(t *testing.T) {
	w := newWorld(t, waitingRecord)
	answers, err := w.canceller(at(1)).DryRun(t.Context(), cancelOf("c1", session.CancelEntry{SessionID: "s1", Owner: alice}))
	if err != nil || answers[0] != (session.CancelAnswer{SessionID: "s1", State: session.Ready}) {
		t.Errorf("%+v, %v", answers, err)
	}
	w.is("s1", waitingRecord)
	w.told()
}

// A cancel that finds no deletion cancels all earlier requests.
func TestNoWriteFromBeforeACancelLands(t *testing.T) {
	const since = "The deletion was cancelled after this request began. Nothing was changed."
	for name, tc := range map[string]struct {
		from  session.Record
		entry session.Entry
	}{
		"mark":            {ready("s1", alice, hostA), entry("s1", alice)},
		"mark with grace": {ready("s1", alice, hostA), withGrace("s1", time.Minute)},
		"force":           {ready("s1", alice, hostA), forced("s1", alice)},
		"earlier time":    {waitingRecord, withGrace("s1", time.Minute)},
		"no grace":        {waitingRecord, entry("s1", alice)},
		"force on open":   {waitingRecord, forced("s1", alice)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.from)
			w.cancel("c1", at(20), "READY")
			after := w.table.Get("s1")
			if answers := w.delete(request("r2", at(10), tc.entry)); answers[0].FailureReason != since {
				t.Errorf("%+v", answers)
			}
			w.is("s1", after)
			if answers := w.delete(request("r3", at(21), tc.entry)); answers[0].FailureReason != "" {
				t.Errorf("from after it: %+v", answers)
			}
		})
	}
}

// A mark whose answer was lost, and that lands after the cancel, changes nothing.
func TestMarkThatLandsAfterTheCancel(t *testing.T) {
	w := newWorld(t, ready("s1", alice, hostA))
	late := session.MarkWaiting(withGrace("s1", 10*time.Minute), request("r1", t0))
	w.cancel("c1", at(5), "READY")
	after := w.table.Get("s1")
	w.table.Table.Write(t.Context(), []session.Write{late})
	w.is("s1", after)
	// The cancel is kept when the session is listed again.
	u := newUpkeep(t, seen(after))
	u.take(inventory(hostA, at(60), session.Found{NameOnHost: "s1", Owner: alice, Type: "virtual", CreationTime: "2026-11-23T19:01:10Z"}))
	u.has("s1", "CreationTime", "2026-11-23T19:01:10Z", "CancelledAt", session.FormatTime(at(5)))
	u.tryWrite(late)
	u.has("s1", "State", "READY")
}

func TestCancelWhoseAnswerIsLost(t *testing.T) {
	for name, what := range map[string]fault{"it landed": lostAfter, "it did not": lostBefore} {
		w := newWorld(t, waitingRecord)
		w.table.fault = onWrite(1, what)
		w.cancel("c1", at(30), "READY")
		w.has("s1", "State", "READY", "CancelledBy", "c1")
		if len(w.hosts.told) != 1 {
			t.Errorf("%s: told %v", name, w.hosts.told)
		}
		if log := w.log.String(); !strings.Contains(log, "deletion cancelled") || !strings.Contains(log, "DeletionRequestId=r1") || !strings.Contains(log, "DeletionsCancelled") {
			t.Errorf("%s: log %s", name, log)
		}
	}
	// Nobody is told that nothing was changed while a write of the cancel may land.
	w := newWorld(t, waitingRecord)
	w.table.fault = onWrite(1, lostBefore)
	w.table.before = func(n int, _ session.Write) {
		if n == 1 {
			w.table.Put(with(waitingRecord, "Attempts", int64(1), "AttemptId", "a1"))
		}
	}
	w.cancel("c1", at(30), session.ReasonCancelUnclear)

	w = newWorld(t, waitingRecord)
	w.table.fault = func(int, session.Write) fault { return refused }
	if answers, err := w.canceller(at(1)).Cancel(t.Context(), cancelOf("c1", session.CancelEntry{SessionID: "s1", Owner: alice})); !errors.Is(err, session.ErrTableDown) {
		t.Errorf("%v, %v", answers, err)
	}
}

// Before a cancel whose answer was lost reads the record again, another request has begun a new deletion. With purge
// the session continues, and nobody else notifies its users.
func TestCancelWhoseAnswerIsLostBeforeANewDeletionIsTold(t *testing.T) {
	for name, tc := range map[string]struct {
		newer []any
		told  int
	}{
		"forced, not closed": {[]any{"Confirmation", "forced"}, 1},
		"forced, and ended":  {[]any{"State", "DELETED", "Confirmation", "forced"}, 1},
		"forced, and closed": {[]any{"Confirmation", "forced", "CloseUntil", session.FormatTime(at(3600))}, 0},
		"to be closed":       {[]any{"Attempts", int64(1)}, 0},
		"waits":              {[]any{"Attempts", int64(0), "NoticeId", "notice-r2"}, 0},
	} {
		w := newWorld(t, waitingRecord)
		w.table.fault = onWrite(1, lostAfter)
		c := w.canceller(at(30))
		c.Getter = laterReader{c.Getter, func() {
			if cancelled := w.table.Get("s1"); cancelled["CancelledBy"] == "c1" {
				w.table.Put(with(with(cancelled, "State", "DELETING", "DeletionRequestId", "r2"), tc.newer...))
			}
		}}
		answers, err := c.Cancel(t.Context(), cancelOf("c1", session.CancelEntry{SessionID: "s1", Owner: alice}))
		if err != nil || answers[0].FailureReason != "" || len(w.hosts.told) != tc.told {
			t.Errorf("%s: %+v, %v; told %v", name, answers, err, w.hosts.told)
		}
	}
}

// A laterReader calls a function before each read.
type laterReader struct {
	session.Getter
	before func()
}

func (r laterReader) Get(ctx context.Context, ids []string) ([]session.Record, error) {
	r.before()
	return r.Getter.Get(ctx, ids)
}

// An earlier time whose answer was lost may have been announced to users before a cancel:
// the answer does not say that nothing was changed.
func TestEarlierTimeBeforeACancelIsNotCertain(t *testing.T) {
	w := newWorld(t, waitingRecord)
	w.table.fault = onWrite(2, lostAfter)
	w.table.before = func(n int, _ session.Write) {
		if n == 3 { // it is written once more
			other := newWorld(t)
			other.table.Table = w.table.Table
			other.cancel("c1", at(20), "READY")
		}
	}
	w.expect(request("r2", at(10), session.Entry{SessionID: "s1", Owner: alice, GracePeriod: time.Minute}), session.ReasonUnclear)
	w.has("s1", "State", "READY", "CancelledBy", "c1")
}

// If a claim and a cancel have read the same record, only one of them lands.
func TestCancelAgainstTheFirstAttempt(t *testing.T) {
	u := newUpkeep(t, waitingRecord)
	u.table.before = func(n int, _ session.Write) {
		if n == 1 { // the cancel's write
			other := newUpkeep(t)
			other.table.Table = u.table.Table
			other.clean(at(600))
		}
	}
	u.cancel("c1", at(599.9), "Too late: the close command was sent at 2026-11-23T19:11:02Z.")
	u.has("s1", "State", "DELETING", "Attempts", int64(1))
}

func TestCancelAnswersEachEntryOnce(t *testing.T) {
	w := newWorld(t, waitingRecord, ready("s2", alice, hostA))
	e := session.CancelEntry{SessionID: "s1", Owner: alice}
	answers, err := w.canceller(at(1)).Cancel(t.Context(), cancelOf("c1", e, session.CancelEntry{SessionID: "s2", Owner: alice}, e, session.CancelEntry{SessionID: "s3", Owner: alice}))
	want := []session.CancelAnswer{{SessionID: "s1", State: "READY"}, {SessionID: "s2", State: "READY"}, {SessionID: "s1", State: "READY"}, {SessionID: "s3", FailureReason: session.NotFound}}
	if diff := cmp.Diff(want, answers); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	w.has("s2", "CancelledAt", session.FormatTime(at(1)), "CancelledBy", nil)
	if len(w.table.written) != 2 || len(w.hosts.told) != 1 {
		t.Errorf("%d writes, told %v", len(w.table.written), w.hosts.told)
	}
}

// Between a cancel's read and its write the session's host is silent, or answers again: the
// session has the state of then.
func TestCancelGivesTheStateOfItsWriteBack(t *testing.T) {
	for _, states := range [][2]string{{"READY", "UNKNOWN"}, {"UNKNOWN", "READY"}} {
		w := newWorld(t, with(waitingRecord, "StateBefore", states[0]))
		w.table.before = func(n int, _ session.Write) {
			if n == 1 {
				w.table.Put(with(waitingRecord, "StateBefore", states[1]))
			}
		}
		w.cancel("c1", at(30), states[1])
		w.has("s1", "State", states[1])
		w.told("notice-r1 ")
	}
}
