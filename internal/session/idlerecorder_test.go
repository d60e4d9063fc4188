package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/session"
)

func idleSession(name string, outcome session.Outcome) session.IdleSession {
	return session.IdleSession{
		NameOnHost: name, CreationTime: found(name, alice).CreationTime, Outcome: outcome, IdleMinutes: 61, NumOfConnections: 0,
	}
}

// idle applies a host's report, sent at t0, ten minutes later.
func (u *upkeep) idle(hostID string, sessions ...session.IdleSession) error {
	k := session.IdleRecorder{Table: u.table, Index: u, Now: func() time.Time { return at(600) }, Log: u.logger()}
	return k.Apply(context.Background(), session.IdleReport{ID: "idle1", HostID: hostID, Sessions: sessions})
}

func TestIdleReportAndRecord(t *testing.T) {
	known := seen(listedRecord)
	closed := idleSession("s1", session.OutcomeClosed)
	when := session.FormatTime(at(600))
	over := with(ended(known, "idle1", "closed", "Closed by its host: nobody had used it for 61 minutes."),
		"DeletionRequestedAt", when, "AttemptedAt", when, "ConfirmedAt", when, "NextAttemptAt", session.FormatTime(at(720)))
	confirmed := func(r session.Record) session.Record {
		return confirmedAt(at(600), r, "closed")
	}
	of := func(created string) session.IdleSession {
		s := closed
		s.CreationTime = created
		return s
	}
	for name, tc := range map[string]struct {
		from session.Record
		said session.IdleSession
		want session.Record // nil: nothing is written
	}{
		"closed":                    {known, closed, over},
		"closed, to the second":     {known, of("2026-11-23T08:30:00Z"), with(over)},
		"closed while UNKNOWN":      {with(known, "State", "UNKNOWN", "StateReason", "x", "ExpiresAt", int64(1)), closed, over},
		"in use":                    {known, idleSession("s1", session.OutcomeInUse), nil},
		"warned":                    {known, idleSession("s1", session.OutcomeWarned), nil},
		"warned, being deleted":     {seen(waitingRecord), idleSession("s1", session.OutcomeWarned), nil},
		"failed":                    {known, idleSession("s1", session.OutcomeFailed), nil},
		"in no known way":           {known, idleSession("s1", "gone"), nil},
		"another session":           {known, idleSession("s2", session.OutcomeClosed), nil},
		"another incarnation":       {known, of("2026-11-23T08:30:01.262883Z"), nil},
		"of no incarnation":         {with(known, "CreationTime", ""), of(""), nil},
		"of an unreadable one":      {with(known, "CreationTime", "noon"), of("noon"), nil},
		"of another host":           {with(known, "HostId", hostB, "LiveHostId", hostB), closed, nil},
		"of one being deleted":      {seen(failedRecord), closed, confirmed(seen(failedRecord))},
		"of one given up":           {seen(givenUpRecord), closed, confirmed(seen(givenUpRecord))},
		"of one that was confirmed": {seen(confirmedRecord), closed, nil},
		"of one that is DELETED":    {seen(deletedRecord), closed, nil},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, tc.from)
			want := tc.want
			if want == nil {
				want = tc.from
			}
			for range 2 { // it comes twice
				if err := u.idle(hostA, tc.said); err != nil {
					t.Fatal(err)
				}
				u.is("s1", want)
			}
			if tc.want != nil {
				u.finish(at(700), u.table.Get("s1"))
				u.has("s1", "State", "DELETED", "StateReason", tc.want["StateReason"])
			}
		})
	}
}

// The user's new session, by the same name, after the report's first delivery.
func TestLateIdleReportLeavesTheNextSession(t *testing.T) {
	u := newUpkeep(t, seen(listedRecord))
	closed := idleSession("s1", session.OutcomeClosed)
	if err := u.idle(hostA, closed); err != nil {
		t.Fatal(err)
	}
	next := with(seen(listedRecord), "CreationTime", "2026-11-23T19:09:00.5Z")
	u.table.Put(next)
	if err := u.idle(hostA, closed); err != nil {
		t.Fatal(err)
	}
	u.is("s1", next)
}

func TestIdleConsoleIsKnownByItsNameOnTheHost(t *testing.T) {
	id := "console-" + hostA
	u := newUpkeep(t, with(seen(ready(id, alice, hostA)), "DcvSessionId", "console"))
	if err := u.idle(hostA, idleSession("console", session.OutcomeClosed)); err != nil {
		t.Fatal(err)
	}
	u.has(id, "Confirmation", "closed")
}

func TestEachDecisionOfAHostIsLogged(t *testing.T) {
	u := newUpkeep(t)
	inUse := idleSession("s2", session.OutcomeInUse)
	inUse.IdleMinutes, inUse.NumOfConnections = 33, 2
	if err := u.idle(hostA, idleSession("s1", session.OutcomeClosed), inUse); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"NameOnHost=s1 Outcome=closed IdleMinutes=61 Connections=0", "NameOnHost=s2 Outcome=in-use IdleMinutes=33 Connections=2"} {
		if !strings.Contains(u.log.String(), want) {
			t.Errorf("no %q in the log:\n%s", want, &u.log)
		}
	}
}

func TestIdleReportThatCouldNotBeRecordedComesAgain(t *testing.T) {
	u := newUpkeep(t, seen(listedRecord))
	u.table.fault = onWrite(1, refused)
	if err := u.idle(hostA, idleSession("s1", session.OutcomeClosed)); !errors.Is(err, session.ErrNotWritten) {
		t.Errorf("error %v", err)
	}
	u.indexFails = errors.New("throttled")
	if err := u.idle(hostA, idleSession("s1", session.OutcomeClosed)); !errors.Is(err, u.indexFails) {
		t.Errorf("error %v", err)
	}
	if err := u.idle(hostA, idleSession("s1", session.OutcomeInUse)); err != nil {
		t.Errorf("nothing to record, but %v", err)
	}
}
