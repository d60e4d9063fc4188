package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dcv-session-broker/internal/session"
)

// ended returns the record of a session that evidence of its end has marked and confirmed
// at t0.
func ended(r session.Record, id, confirmation, reason string) session.Record {
	return with(r, "State", "DELETING", "StateReason", reason,
		"DeletionRequestedAt", session.FormatTime(t0), "DeletionRequestId", id, "DeletionRequestedBy", "dcv-session-broker",
		"Force", false, "AttemptId", id, "Attempts", int64(1), "AttemptedAt", session.FormatTime(t0),
		"NextAttemptAt", session.FormatTime(at(120)), "DueLane", "1",
		"Confirmation", confirmation, "ConfirmedAt", session.FormatTime(t0), "ExpiresAt", nil)
}

// confirmedAt returns the record of a deletion of s1 that is confirmed then. It keeps its
// lease, or gets one.
func confirmedAt(then time.Time, r session.Record, confirmation string) session.Record {
	if r["NextAttemptAt"] == nil {
		r = with(r, "NextAttemptAt", session.FormatTime(then.Add(session.Lease)), "DueLane", "1")
	}
	return with(r, "Confirmation", confirmation, "ConfirmedAt", session.FormatTime(then), "StateReason", nil, "AttemptFailedAt", nil)
}

// aMinuteOld is a deletion's record that was requested a minute before t0.
func aMinuteOld(r session.Record) session.Record {
	return with(r, "DeletionRequestedAt", session.FormatTime(at(-60)))
}

func TestRecordsOfAHostThatIsGone(t *testing.T) {
	session0 := seen(listedRecord)
	open := aMinuteOld(seen(failedRecord))
	confirmed := func(r session.Record) session.Record {
		return confirmedAt(t0, r, "host-gone")
	}
	const stopped, terminated = "Its host was stopped.", "Its host was terminated."
	gone := func(r session.Record, why string) session.Record { return ended(r, "a1", "host-gone", why) }
	unresponsive := with(session0, "State", "UNKNOWN", "StateReason", "x", "ExpiresAt", int64(1))
	givenUp := aMinuteOld(with(seen(givenUpRecord), "GivenUpAt", "x"))
	asked := session.FormatTime(t0)

	for name, tc := range map[string]struct {
		from                      session.Record
		stopped, kept, terminated session.Record // kept: stopped, but sessions are not to end; nil is: as it was
	}{
		"session":              {session0, gone(session0, stopped), nil, gone(session0, terminated)},
		"being created":        {with(session0, "State", "CREATING"), gone(session0, stopped), nil, gone(session0, terminated)},
		"UNKNOWN session":      {unresponsive, gone(session0, stopped), nil, gone(session0, terminated)},
		"first seen just then": {with(session0, "FirstSeenAt", asked), nil, nil, nil},
		"first seen later":     {with(session0, "FirstSeenAt", session.FormatTime(at(1))), nil, nil, nil},
		"never seen":           {listedRecord, gone(listedRecord, stopped), nil, gone(listedRecord, terminated)},

		"open deletion":             {open, confirmed(open), confirmed(open), confirmed(open)},
		"given up":                  {givenUp, confirmed(givenUp), confirmed(givenUp), confirmed(givenUp)},
		"requested just then":       {with(open, "DeletionRequestedAt", asked), nil, nil, nil},
		"requested later":           {with(open, "DeletionRequestedAt", session.FormatTime(at(1))), nil, nil, nil},
		"given up, requested later": {with(givenUp, "DeletionRequestedAt", session.FormatTime(at(1))), nil, nil, nil},
		"confirmed":                 {aMinuteOld(seen(confirmedRecord)), nil, nil, nil},
		"confirmed after its end":   {with(givenUp, "Confirmation", "closed"), nil, nil, nil},
		"forced":                    {aMinuteOld(seen(forcedRecord)), nil, nil, nil},
	} {
		for how, want := range map[string]session.Record{"stopped": tc.stopped, "kept": tc.kept, "terminated": tc.terminated, "terminated, kept": tc.terminated, "alive": nil, "leaving": nil} {
			t.Run(name+", "+how, func(t *testing.T) {
				other := with(seen(listedRecord), "SessionId", "s2", "HostId", hostB, "LiveHostId", hostB)
				u := newUpkeep(t, tc.from, other)
				u.endStopped = !strings.HasSuffix(how, "kept") // which is about stopped ones
				u.statuses[hostA] = map[string]session.HostStatus{
					"stopped": session.Stopped, "kept": session.Stopped, "terminated": session.Terminated, "terminated, kept": session.Terminated,
					"alive": session.Alive, "leaving": session.Stopping,
				}[how]
				// The question is asked within the millisecond that the records show.
				u.checkHosts(t0.Add(time.Millisecond-1), hostA, hostA, hostB)
				if want == nil {
					want = tc.from
				}
				u.is("s1", want)
				u.is("s2", other)
				if !slices.Equal(u.asked, []string{hostA, hostB}) {
					t.Errorf("EC2 was asked about %q", u.asked)
				}
				first := u.table.All()
				u.now = at(60) // the event comes twice
				if how != "alive" && how != "leaving" && want["Confirmation"] != nil {
					u.checkHosts(at(0.5), hostA)
					u.same(first)
				}
			})
		}
	}
}

// While EC2 is asked, the host is started again, and somebody deletes what is
// listed there.
func TestSessionThatStartsWhileEC2IsAskedIsKept(t *testing.T) {
	u := newUpkeep(t)
	u.statuses[hostA] = session.Terminated
	young := with(listedRecord, "FirstSeenAt", session.FormatTime(at(1)))
	open := with(markedRecord, "SessionId", "s2", "DeletionRequestedAt", session.FormatTime(at(1)))
	u.asking = func() {
		u.now = at(2)
		u.table.Put(young)
		u.table.Put(open)
	}
	u.checkHosts(t0, hostA)
	u.is("s1", young)
	u.is("s2", open)
}

func TestNoAnswerOfEC2EndsNothing(t *testing.T) {
	u := newUpkeep(t, seen(listedRecord))
	u.statuses, u.ec2Fails = map[string]session.HostStatus{hostA: session.Terminated}, errors.New("throttled")
	before := u.table.All()
	if _, err := u.reaper().Check(t.Context(), []string{hostA}); !errors.Is(err, u.ec2Fails) {
		t.Errorf("error %v", err)
	}
	u.same(before)

	u.ec2Fails = nil
	u.indexFails = errors.New("no index")
	if checks, err := u.reaper().Check(t.Context(), []string{hostA}); err != nil || !errors.Is(checks[hostA].Err, u.indexFails) {
		t.Errorf("%v, %v", checks, err)
	}
	u.checkHosts(t0) // about nobody
	if len(u.asked) != 2 {
		t.Errorf("asked about %q", u.asked)
	}
}

func TestFailedWriteIsAnErrorAndIsRepeated(t *testing.T) {
	for _, what := range []fault{refused, lostBefore, lostAfter} {
		u := newUpkeep(t, seen(listedRecord), with(seen(listedRecord), "SessionId", "s2"))
		u.statuses[hostA] = session.Stopped
		u.table.fault = onWrite(1, what)
		if checks, err := u.reaper().Check(t.Context(), []string{hostA}); err != nil || checks[hostA].Err == nil || !strings.Contains(checks[hostA].Err.Error(), "s1") {
			t.Errorf("%v, %v", checks, err)
		}
		u.has("s2", "Confirmation", "host-gone")
		u.checkHosts(at(10), hostA)
		u.has("s1", "Confirmation", "host-gone")
	}
}

// Cleanup asks EC2 about every host that has not confirmed, whatever the host answered:
// it may be gone since.
func TestCleanupAsksAboutHostsThatMayBeGone(t *testing.T) {
	for name, tc := range map[string]struct {
		from  session.Record
		when  float64
		asked bool
	}{
		"silent":                     {markedRecord, 120, true},
		"failing":                    {failedRecord, 120, true},
		"failing until it is over":   {failedRecord, 3600, true},
		"confirmed":                  {confirmedRecord, 200, false},
		"silent and too late to try": {markedRecord, 3500, true},
	} {
		for _, status := range []session.HostStatus{session.Alive, session.Stopped, session.Terminated} {
			u := newUpkeep(t, tc.from)
			u.statuses[hostA], u.endStopped = status, false
			u.clean(at(tc.when))
			if got := len(u.asked) > 0; got != tc.asked {
				t.Errorf("%s: asked %v", name, got)
			}
			if tc.asked && status != session.Alive {
				u.has("s1", "State", "DELETING", "Confirmation", "host-gone")
				u.sent()
			}
		}
	}
}

func TestRefusedHostOfADueDeletion(t *testing.T) {
	for _, status := range []session.HostStatus{session.Alive, session.Terminated} {
		u := newUpkeep(t, failedRecord, with(failedRecord, "SessionId", "s2", "HostId", hostB, "LiveHostId", hostB))
		u.hosts.refuses[hostA] = offline
		u.statuses[hostA] = status
		u.clean(at(120))
		asked := []string{hostA, hostB, hostA} // and again when it is refused
		if status == session.Terminated {
			asked = asked[:2] // a gone host gets no command
		}
		u.sent("a1: s2")
		if !slices.Equal(u.asked, asked) {
			t.Errorf("asked about %q", u.asked)
		}
		if status == session.Alive { // it keeps its lease, and says why
			u.has("s1", "State", "DELETING", "AttemptId", "a1", "StateReason", "The host "+offline+".", "AttemptFailedAt", session.FormatTime(at(120)))
		} else {
			u.has("s1", "Confirmation", "host-gone", "StateReason", nil)
		}
	}
}

// Promise 11: due deletions are claimed before EC2 is asked, so the hosts get their
// commands in time however long that takes.
func TestDueDeletionsAreSentHoweverSlowEC2Is(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpkeep(t, markedRecord)
		u.statuses[hostA] = session.Terminated
		for n := range 10 {
			gone := nthHost(n)
			u.statuses[gone] = session.Terminated
			u.table.Put(with(markedRecord, "SessionId", fmt.Sprint("gone", n), "HostId", gone, "LiveHostId", gone))
		}
		u.table.Put(with(markedRecord, "SessionId", "s2", "HostId", hostB, "LiveHostId", hostB))
		u.indexHangs = func(hostID string) bool { return hostID != hostB }
		ctx, cancel := context.WithTimeout(t.Context(), 55*time.Second)
		defer cancel()
		u.now = at(120)
		began := time.Now()
		var sentAfter time.Duration
		u.hosts.before = func() { sentAfter = time.Since(began) }
		if err := u.cleaner().ProcessDue(ctx); err != nil {
			t.Fatal(err)
		}
		u.sent("a1: s2")
		if sentAfter == 0 || sentAfter > 10*time.Second {
			t.Errorf("sent after %s", sentAfter)
		}
	})
}

// onlyHostAFails checks two hosts, for which there are 20 seconds: the error must be of the first only.
func (u *upkeep) onlyHostAFails() {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.t.Context(), 20*time.Second)
	defer cancel()
	checks, err := u.reaper().Check(ctx, []string{hostA, hostB})
	if err != nil || checks[hostA].Err == nil || checks[hostB].Err != nil {
		u.t.Errorf("%v, %v", checks, err)
	}
}

// Promise 8: a write that fails for one host is an error of that host only.
func TestEachHostHasItsOwnError(t *testing.T) {
	u := newUpkeep(t, seen(listedRecord), with(seen(listedRecord), "SessionId", "s2", "HostId", hostB, "LiveHostId", hostB))
	u.statuses[hostA], u.statuses[hostB] = session.Stopped, session.Stopped
	u.table.fault = onSession("s1", refused)
	u.onlyHostAFails()
	u.has("s2", "Confirmation", "host-gone")
}

// Promise 11: a host with more records than can be ended in its time does not take other
// hosts' time.
func TestOneHostsRecordsTakeNoOtherHostsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpkeep(t, seen(listedRecord), with(seen(listedRecord), "SessionId", "s2", "HostId", hostB, "LiveHostId", hostB))
		u.statuses[hostA], u.statuses[hostB] = session.Stopped, session.Stopped
		u.indexHangs = func(hostID string) bool { return hostID == hostA }
		u.onlyHostAFails()
		u.has("s2", "Confirmation", "host-gone")
	})
}

// The same for hosts that are alive and unknown.
func TestOneUnknownHostTakesNoOtherHostsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpkeep(t, seen(listedRecord), with(seen(listedRecord), "SessionId", "s2", "HostId", hostB, "LiveHostId", hostB))
		u.indexHangs = func(hostID string) bool { return hostID == hostA }
		u.onlyHostAFails()
		if quiet, err := u.hostTable.AnsweredBefore(t.Context(), at(1), 10); !slices.Equal(quiet, []string{hostB}) || err != nil {
			t.Errorf("added: %q, %v", quiet, err)
		}
	})
}

func TestCleanupGoesOnWithoutEC2(t *testing.T) {
	u := newUpkeep(t, markedRecord)
	u.ec2Fails = errors.New("throttled")
	u.clean(at(120))
	u.sent("a1: s1")
	if !strings.Contains(u.log.String(), "throttled") {
		t.Errorf("log: %s", &u.log)
	}
}
