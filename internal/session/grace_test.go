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

// Notify records the notices that hosts get, as Close records attempts.
func (h *hosts) Notify(_ context.Context, notices []session.Notice) []error {
	errs := make([]error, len(notices))
	for i, n := range notices {
		if reason, refuses := h.refuses[n.HostID]; refuses {
			errs[i] = &session.Refusal{HostID: n.HostID, Reason: reason}
			continue
		}
		if h.unclear[n.HostID] {
			errs[i] = errors.New("send: throttled")
		}
		h.told = append(h.told, n)
	}
	return errs
}

func withGrace(id string, grace time.Duration) session.Entry {
	return session.Entry{SessionID: id, Owner: alice, GracePeriod: grace, Message: "Save your work.", Reason: "maintenance", AsksCloseAt: true}
}

// waitingRecord is what a mark with ten minutes of grace leaves.
var waitingRecord = with(ready("s1", alice, hostA),
	"State", "DELETING", "StateBefore", "READY", "DeletionRequestedAt", session.FormatTime(t0), "DeletionRequestId", "r1",
	"DeletionRequestedBy", "arn:aws:iam::123456789012:user/r1", "Force", false, "AttemptId", "notice-r1", "Attempts", int64(0),
	"CloseAt", session.FormatTime(at(600)), "Message", "Save your work.", "DeletionReason", "maintenance",
	"NoticeId", "notice-r1", "NoticeAt", session.FormatTime(t0), "NextAttemptAt", session.FormatTime(at(150)), "DueLane", "wait-1")

func warning(noticeID string, closeAt, written time.Time, outcome session.WarningOutcome) session.Warning {
	return session.Warning{HostID: hostA, NoticeID: noticeID, SessionID: "s1", CloseAt: closeAt, At: written, Outcome: outcome}
}

func (w *world) warn(when time.Time, warnings ...session.Warning) {
	w.t.Helper()
	r := session.WarningRecorder{Table: w.table, Now: func() time.Time { return when }, Log: w.logger()}
	for i, err := range r.Apply(context.Background(), warnings) {
		if err != nil {
			w.t.Errorf("warning %d: %v", i, err)
		}
	}
}

// closeTimes are the CloseAt of the notices that hosts got; "" takes one back.
func (w *world) closeTimes() (all []string) {
	for _, n := range w.hosts.told {
		text := ""
		if !n.CloseAt.IsZero() {
			text = session.FormatTime(n.CloseAt)
		}
		all = append(all, n.ID+" "+text)
	}
	return all
}

func (w *world) told(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.closeTimes()); diff != "" {
		w.t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestGracePeriodWaitsAndTellsTheUser(t *testing.T) {
	w := newWorld(t, ready("s1", alice, hostA))
	answers := w.delete(request("r1", t0, withGrace("s1", 10*time.Minute)))
	if diff := cmp.Diff([]session.Answer{{SessionID: "s1", CloseAt: at(600)}}, answers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.is("s1", waitingRecord)
	w.sent()
	want := session.Notice{
		Incarnation: session.Incarnation{SessionID: "s1", NameOnHost: "s1", HostID: hostA, CreationTime: "2026-11-23T08:30:00.262883Z", CreatedUntil: t0.Add(session.CreationTolerance)},
		ID:          "notice-r1", At: t0, CloseAt: at(600),
		Text:      "Save your work.\n\nThis session will be closed at 2026-11-23 19:11 UTC, in 10 minutes.",
		VoidAfter: at(120),
	}
	if diff := cmp.Diff([]session.Notice{want}, w.hosts.told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMarkGivesBackTheStateThatWasThere(t *testing.T) {
	w := newWorld(t, with(ready("s1", alice, hostA), "State", "UNKNOWN", "StateReason", "silent", "ExpiresAt", int64(1),
		"NoticeAt", session.FormatTime(at(5))))
	w.delete(request("r1", t0, withGrace("s1", time.Minute)))
	w.has("s1", "State", "DELETING", "StateBefore", "UNKNOWN", "ExpiresAt", nil, "StateReason", nil, "NoticeAt", session.FormatTime(at(5.001)))
	if n := w.hosts.told[0]; !n.At.Equal(at(5.001)) || !n.VoidAfter.Equal(at(60)) {
		t.Errorf("%+v", n)
	}
}

func TestRefusedNoticePutsTheMarkBack(t *testing.T) {
	w := newWorld(t, ready("s1", alice, hostA))
	w.hosts.refuses[hostA] = offline
	w.expect(request("r1", t0, withGrace("s1", 10*time.Minute)), refusal(hostA))
	w.is("s1", with(ready("s1", alice, hostA), "NoticeAt", session.FormatTime(t0))) // the order of notices stays
}

func TestRepeatsOfADeletionThatWaits(t *testing.T) {
	earlier, later, now := withGrace("s1", 2*time.Minute), withGrace("s1", 20*time.Minute), entry("s1", alice)
	earlier.Message = ""
	warned := with(waitingRecord, "WarnedAt", session.FormatTime(at(3)), "Warning", "warned (zenity)")
	for name, tc := range map[string]struct {
		entry session.Entry
		want  session.Record
		told  []string
		sent  []string
	}{
		"later": {later, with(warned, "RepeatedAt", session.FormatTime(at(60))), nil, nil},
		"earlier": {earlier, with(warned, "RepeatedAt", session.FormatTime(at(60)), "CloseAt", session.FormatTime(at(180)), "Message", nil,
			"DeletionRequestId", "r2", "DeletionRequestedBy", "arn:aws:iam::123456789012:user/r2", "AttemptId", "notice-r2", "NoticeId", "notice-r2",
			"NoticeAt", session.FormatTime(at(60)), "NextAttemptAt", session.FormatTime(at(180)), "WarnedAt", nil, "Warning", nil),
			[]string{"notice-r2 " + session.FormatTime(at(180))}, nil},
		"now": {now, with(warned, "RepeatedAt", session.FormatTime(at(60)), "CloseAt", session.FormatTime(at(60)), "Attempts", int64(1), "DeletionReason", nil,
			"DeletionRequestId", "r2", "DeletionRequestedBy", "arn:aws:iam::123456789012:user/r2", "AttemptId", "r2", "AttemptedAt", session.FormatTime(at(60)),
			"ClosingSince", session.FormatTime(at(60)), "TryUntil", session.FormatTime(at(3660)), "NextAttemptAt", session.FormatTime(at(180)), "WarnedAt", nil, "Warning", nil), nil, []string{"r2: s1"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, warned)
			answers := w.delete(request("r2", at(60), tc.entry))
			if answers[0].FailureReason != "" || tc.entry.AsksCloseAt != !answers[0].CloseAt.IsZero() {
				t.Errorf("%+v", answers)
			}
			w.is("s1", tc.want)
			w.told(tc.told...)
			w.sent(tc.sent...)
		})
	}
}

// An earlier time is not put back if its host refuses the command: the deletion belongs
// to another request.
func TestRefusedEarlierTimeStays(t *testing.T) {
	for name, e := range map[string]session.Entry{"earlier": withGrace("s1", 2*time.Minute), "now": entry("s1", alice)} {
		w := newWorld(t, waitingRecord)
		w.hosts.refuses[hostA] = offline
		if answers := w.delete(request("r2", at(60), e)); answers[0].FailureReason != "" {
			t.Errorf("%s: %+v", name, answers)
		}
		w.has("s1", "State", "DELETING", "DeletionRequestId", "r2")
		if r := w.table.Get("s1"); (r["AttemptFailedAt"] == nil) != (name == "earlier") || (r["Warning"] == nil) != (name == "now") {
			t.Errorf("%s: %v", name, r)
		}
	}
}

func TestForceEndsADeletionThatWaits(t *testing.T) {
	w := newWorld(t, waitingRecord)
	w.expect(request("r2", at(60), forced("s1", alice)), "")
	w.has("s1", "State", "DELETING", "Confirmation", "forced", "CloseAt", nil, "StateBefore", nil, "DueLane", "1", "Attempts", int64(1))
	w.told("notice-r1 ")
	if at := w.hosts.told[0].At; !at.After(t0) {
		t.Errorf("ordered by %v", at)
	}

	// The clock of the function that wrote the last notice is ahead.
	w = newWorld(t, with(waitingRecord, "NoticeAt", session.FormatTime(at(60.5))))
	w.expect(request("r2", at(60), forced("s1", alice)), "")
	if told := w.hosts.told[0].At; !told.Equal(at(60.501)) {
		t.Errorf("ordered by %v", told)
	}
}

// Cleanup notifies users between the read and the write of a request for an earlier close
// time: the notice of that request is the newer one.
func TestEarlierTimeIsToldAfterANoticeOfCleanup(t *testing.T) {
	w := newWorld(t, waitingRecord)
	w.table.before = func(n int, _ session.Write) {
		if n == 2 { // the first try was a mark
			w.table.Put(with(w.table.Get("s1"), "AttemptId", "notice-a1", "NoticeId", "notice-a1", "NoticeAt", session.FormatTime(at(151))))
		}
	}
	w.delete(request("r2", at(150), withGrace("s1", time.Minute)))
	w.has("s1", "NoticeId", "notice-r2", "NoticeAt", session.FormatTime(at(151.001)))
}

func TestPreconditions(t *testing.T) {
	other := func(change func(e *session.Entry)) session.Entry {
		e := entry("s1", alice)
		change(&e)
		return e
	}
	const noFraction = "2026-11-23T08:30:00Z"
	for name, tc := range map[string]struct {
		entry  session.Entry
		reason string
	}{
		"its host":             {other(func(e *session.Entry) { e.HostID = hostA }), ""},
		"another host":         {other(func(e *session.Entry) { e.HostID = hostB }), "The session is on host " + hostA + ", not on " + hostB + ". Nothing was changed."},
		"its creation":         {other(func(e *session.Entry) { e.CreationTime = "2026-11-23T08:30:00.262883Z" }), ""},
		"as hosts compare":     {other(func(e *session.Entry) { e.CreationTime = noFraction }), ""},
		"another creation":     {other(func(e *session.Entry) { e.CreationTime = "2026-11-23T08:30:01Z" }), "The session was created at 2026-11-23T08:30:00.262883Z, not at 2026-11-23T08:30:01Z. Nothing was changed."},
		"forced, another host": {other(func(e *session.Entry) { e.HostID, e.Force = hostB, true }), "The session is on host " + hostA + ", not on " + hostB + ". Nothing was changed."},
		"a stranger's":         {session.Entry{SessionID: "s1", Owner: mallory, HostID: hostB}, session.NotFound},
		"grace, another host": {other(func(e *session.Entry) { e.HostID, e.GracePeriod = hostB, time.Minute }),
			"The session is on host " + hostA + ", not on " + hostB + ". Nothing was changed."},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, ready("s1", alice, hostA))
			w.expect(request("r1", t0, tc.entry), tc.reason)
			if tc.reason == "" {
				w.sent("r1: s1")
			} else {
				w.is("s1", ready("s1", alice, hostA))
			}
			if tc.reason != "" && tc.reason != session.NotFound {
				w = newWorld(t, with(markedRecord, "DeletionRequestId", "r0", "AttemptId", "r0"))
				w.expect(request("r1", t0, tc.entry), tc.reason) // a repeat, too
				w.is("s1", with(markedRecord, "DeletionRequestId", "r0", "AttemptId", "r0"))
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	waiting := func(more ...any) session.Record { return with(waitingRecord, more...) }
	for name, tc := range map[string]struct {
		from  session.Record
		say   session.Warning
		wants any
	}{
		"warned":                                 {waiting(), warning("notice-r1", at(600), t0, session.Warned), "warned"},
		"nobody":                                 {waiting(), warning("notice-r1", at(600), t0, session.Nobody), "nobody: no user was connected"},
		"warned by an older notice":              {waiting("NoticeId", "notice-a1"), warning("notice-r1", at(600), t0, session.Warned), "warned"},
		"warned after nobody":                    {waiting("Warning", "nobody: no user was connected"), warning("notice-r1", at(600), t0, session.Warned), "warned"},
		"nobody, by an older notice":             {waiting("NoticeId", "notice-a1"), warning("notice-r1", at(600), t0, session.Nobody), nil},
		"warned of another time":                 {waiting(), warning("notice-r1", at(900), t0, session.Warned), nil},
		"warned of a deletion from before":       {waiting(), warning("notice-r0", at(600), at(-300), session.Warned), nil},
		"not over warned":                        {waiting("WarnedAt", session.FormatTime(at(2)), "Warning", "warned"), warning("notice-r1", at(600), t0, session.Nobody), "warned"},
		"warned, when closing has begun":         {waiting("Attempts", int64(1), "AttemptId", "a1", "Warning", "failed: no notice was answered"), warning("notice-r1", at(600), t0, session.Warned), "warned"},
		"of a deletion that is over":             {waiting("State", "DELETED"), warning("notice-r1", at(600), t0, session.Warned), nil},
		"another host's word":                    {with(waiting(), "HostId", hostB), warning("notice-r1", at(600), t0, session.Warned), nil},
		"of a session whose deletion is no more": {ready("s1", alice, hostA), warning("notice-r1", at(600), t0, session.Warned), nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.from)
			w.warn(at(10), tc.say)
			want := tc.from
			if got := w.table.Get("s1")["Warning"]; got != tc.wants {
				t.Errorf("Warning is %v, want %v", got, tc.wants)
			}
			// It moves no lease, confirms nothing and fails no attempt.
			for _, attr := range []string{"NextAttemptAt", "Confirmation", "AttemptFailedAt", "AttemptId", "State"} {
				if got := w.table.Get("s1")[attr]; got != want[attr] {
					t.Errorf("%s is %v, was %v", attr, got, want[attr])
				}
			}
		})
	}
	w := newWorld(t, waitingRecord)
	say := warning("notice-r1", at(600), t0, session.NotWarned)
	say.Reason = "no display"
	w.warn(at(10), say)
	w.has("s1", "Warning", "failed: no display", "WarnedAt", nil)
}

func TestCleanupTellsAgainAndClosesAtCloseAt(t *testing.T) {
	u := newUpkeep(t, waitingRecord)
	u.clean(at(149.999))
	u.is("s1", waitingRecord)
	for _, when := range []float64{150, 270, 390} { // the last two minutes apart
		u.clean(at(when))
	}
	u.told("notice-a1 "+session.FormatTime(at(600)), "notice-a2 "+session.FormatTime(at(600)), "notice-a3 "+session.FormatTime(at(600)))
	if n := u.hosts.told[2]; !n.CreatedUntil.Equal(at(session.CreationTolerance.Seconds())) { // not of this notice
		t.Errorf("%+v", n)
	}
	u.sent()
	u.has("s1", "State", "DELETING", "Attempts", int64(0), "CloseAt", session.FormatTime(at(600)))
	u.clean(at(599.999))
	u.sent()
	u.clean(at(600))
	if len(u.hosts.sent) != 1 {
		t.Fatalf("sent %v", u.hosts.sent)
	}
	r := u.table.Get("s1")
	u.has("s1", "Attempts", int64(1), "TryUntil", session.FormatTime(at(4200)), "DueLane", "wait-1", "Warning", "failed: no notice was answered")
	if c := u.hosts.sent[0].Closings[0]; !c.VoidAfter.Equal(at(4200)) || !c.CreatedUntil.Equal(at(session.CreationTolerance.Seconds())) {
		t.Errorf("%+v", c)
	}
	if log := u.log.String(); strings.Count(log, "session is closed without a warning to its user") != 1 || !strings.Contains(log, "UsersNotWarned") {
		t.Errorf("log: %s", log)
	}
	// From here on it is as any deletion.
	u.report(at(610), closed(hostA, r.Session().AttemptID, "s1"))
	u.has("s1", "Confirmation", "closed", "DueLane", "1")
	u.finish(at(611), u.table.Get("s1"))
	u.has("s1", "State", "DELETED")
}

// After an outage of cleanup the first run closes, however long it was.
func TestCleanupThatWasDownClosesAtItsFirstRun(t *testing.T) {
	u := newUpkeep(t, with(waitingRecord, "WarnedAt", session.FormatTime(at(3)), "Warning", "warned"))
	u.clean(at(100_000))
	u.has("s1", "State", "DELETING", "Attempts", int64(1), "TryUntil", session.FormatTime(at(103_600)), "Warning", "warned")
	if log := u.log.String(); strings.Contains(log, "without a warning") {
		t.Errorf("log: %s", log)
	}
	if len(u.hosts.sent) != 1 {
		t.Errorf("sent %v", u.hosts.sent)
	}
	u.clean(at(103_600)) // nor does the outage count as tried
	u.has("s1", "State", "UNKNOWN", "StateReason", "The host did not confirm within 1h0m0s that the session is closed (1 attempts). Last: Attempt 1 brought no answer.")
}

// A user who was warned is told once more, five minutes before.
func TestWarnedUserIsToldOnceMore(t *testing.T) {
	u := newUpkeep(t, with(waitingRecord, "WarnedAt", session.FormatTime(at(3)), "Warning", "warned"))
	u.clean(at(150))
	u.told()
	u.has("s1", "NextAttemptAt", session.FormatTime(at(300)), "AttemptId", "notice-r1")
	u.clean(at(300))
	u.told("notice-a2 " + session.FormatTime(at(600)))
	u.has("s1", "NextAttemptAt", session.FormatTime(at(600)), "Attempts", int64(0))
	u.clean(at(599))
	u.told("notice-a2 " + session.FormatTime(at(600)))
}

// A close command of the same run that gets no answer does not fail a deletion that
// waits.
func TestUnansweredCloseFailsNothingThatWaits(t *testing.T) {
	w := newWorld(t, with(waitingRecord, "AttemptId", "notice-a1", "NoticeId", "notice-a1"))
	w.report(at(10), session.Report{HostID: hostA, AttemptID: "a1", SessionID: "s1", Outcome: session.OutcomeUnanswered, Reason: "no"}, closed(hostA, "a1", "s1"))
	w.is("s1", with(waitingRecord, "AttemptId", "notice-a1", "NoticeId", "notice-a1"))
}

func TestInventoriesUpdateWhatWaits(t *testing.T) {
	u := newUpkeep(t, seen(with(waitingRecord, "StateBefore", "UNKNOWN")))
	f := found("s1", alice)
	f.NumOfConnections = 2
	u.take(inventory(hostA, at(20), f))
	u.has("s1", "State", "DELETING", "StateBefore", "READY", "NumOfConnections", int64(2), "AttemptId", "notice-r1", "CloseAt", session.FormatTime(at(600)))
	f.NumOfConnections = 3
	u.take(inventory(hostA, at(30), f))
	u.has("s1", "State", "DELETING", "StateBefore", "READY", "NumOfConnections", int64(3))
	u.take(inventory(hostA, at(40))) // without it: it has ended by itself
	u.has("s1", "State", "DELETING", "Confirmation", "vanished", "DueLane", "1")
	u.finish(at(300), u.table.Get("s1"))
	if log := u.log.String(); !strings.Contains(log, "AfterSeconds=0 ") {
		t.Errorf("that it waited is counted: %s", log)
	}
}

// A session that its host lists without an owner counts as running, too.
func TestStateBeforeIsReadyOnceTheHostListsTheSession(t *testing.T) {
	u := newUpkeep(t, seen(with(waitingRecord, "StateBefore", "UNKNOWN")))
	u.take(inventory(hostA, at(20), found("s1", "")))
	u.has("s1", "State", "DELETING", "StateBefore", "READY", "Owner", alice, "CloseAt", session.FormatTime(at(600)))
}

func TestDescribedAsUsableUntilCloseAt(t *testing.T) {
	for name, tc := range map[string]struct {
		from   session.Record
		when   float64
		state  session.State
		reason string
	}{
		"before":                     {waitingRecord, 599, session.Ready, "It will be closed at 2026-11-23T19:11:02Z. Reason: maintenance"},
		"before, UNKNOWN until then": {with(waitingRecord, "StateBefore", "UNKNOWN", "DeletionReason", nil), 1, session.Unknown, "It will be closed at 2026-11-23T19:11:02Z."},
		"from then on":               {waitingRecord, 600, session.Deleting, ""},
		"once it is over":            {with(waitingRecord, "Confirmation", "vanished"), 10, session.Deleting, ""},
	} {
		for _, q := range []session.Query{{Limit: 10}, {Limit: 10, Owner: alice}, {Limit: 10, IDs: []string{"s1"}}, {Limit: 10, HostID: hostA}} {
			t.Run(name, func(t *testing.T) {
				table := memtable.New()
				table.Put(tc.from)
				d := session.Describer{Reader: memtable.Reader{Table: table}, Now: func() time.Time { return at(tc.when) }}
				page, err := d.Describe(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				if len(page.Sessions) != 1 || page.Sessions[0].State != tc.state || page.Sessions[0].StateReason != tc.reason {
					t.Errorf("%+v: %+v", q, page.Sessions)
				}
			})
		}
	}
}

func TestNoticeNamesNoLaterTime(t *testing.T) {
	for left, want := range map[float64]string{600: "in 10 minutes.", 599: "in 9 minutes.", 119: "in 1 minute.", 59: "in less than a minute."} {
		u := newUpkeep(t, with(waitingRecord, "NextAttemptAt", session.FormatTime(t0), "Message", nil))
		u.clean(at(600 - left))
		if len(u.hosts.told) != 1 || u.hosts.told[0].Text != "This session will be closed at 2026-11-23 19:11 UTC, "+want {
			t.Errorf("%v s before: %+v", left, u.hosts.told)
		}
		if strings.Contains(want, "less") && !u.hosts.told[0].VoidAfter.Equal(at(600)) {
			t.Errorf("void after %v", u.hosts.told[0].VoidAfter)
		}
	}
}
