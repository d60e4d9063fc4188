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

// checkRefused asks EC2 about refused hosts at that time.
func (u *upkeep) checkRefused(ctx context.Context, when time.Time) error {
	u.t.Helper()
	u.now, u.asked = when, nil
	c := session.RefusedHostChecker{RefusedHosts: u.refused, Reaper: u.reaper(), Log: u.logger()}
	return c.Check(ctx)
}

// noted returns the hosts about which EC2 will be asked.
func (u *upkeep) noted() (hostIDs []string) {
	u.t.Helper()
	hosts, err := u.refused.RefusedHosts(u.t.Context(), 10000)
	if err != nil {
		u.t.Fatal(err)
	}
	for _, h := range hosts {
		hostIDs = append(hostIDs, h.HostID)
	}
	return hostIDs
}

// The host fell silent and was terminated without an event: the first caller is refused,
// the next is answered that the session does not exist.
func TestRepeatOfARefusedDeleteIsAnsweredTruly(t *testing.T) {
	u := newUpkeep(t, with(seen(ready("s1", alice, hostA)), "State", "UNKNOWN"))
	u.hosts.refuses[hostA] = offline
	u.statuses[hostA] = session.Terminated
	reason := "The session's host " + hostA + " is not connected to Systems Manager. Nothing was changed. Repeat the call when the host is back, or set Force to true to remove the session without its host."
	u.expect(request("r1", at(0), entry("s1", alice)), reason)
	if err := u.checkRefused(t.Context(), at(60)); err != nil {
		t.Fatal(err)
	}
	u.finishAll()
	u.expect(request("r2", at(120), entry("s1", alice)), session.NotFound)
	if err := u.checkRefused(t.Context(), at(180)); err != nil || len(u.asked) > 0 {
		t.Errorf("asked again about %q, %v", u.asked, err)
	}
}

// Only EC2's own hosts are noted, each once; those whose deletions were accepted
// are not.
func TestHostsOfRefusedDeletesAreNoted(t *testing.T) {
	const machine = "mi-0123456789abcdef0"
	u := newUpkeep(t, ready("s1", alice, hostA), ready("s2", alice, hostA), ready("s3", alice, hostB), ready("s4", alice, machine), ready("s5", alice, ""))
	for _, id := range []string{hostA, machine, ""} {
		u.hosts.refuses[id] = offline
	}
	u.delete(request("r1", at(0), entry("s1", alice), entry("s2", alice), entry("s3", alice), entry("s4", alice), entry("s5", alice)))
	if got := u.noted(); !slices.Equal(got, []string{hostA}) {
		t.Errorf("noted: %q", got)
	}
}

// brokenNotes is a table that cannot be written, or not in time.
type brokenNotes struct{ hangs bool }

func (b brokenNotes) RecordRefused(ctx context.Context, _ []string, _ time.Time) error {
	if b.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return errors.New("no such table")
}

// The answer is the same, and in time, whether or not the note is written.
func TestAnswerDoesNotDependOnNotes(t *testing.T) {
	for _, notes := range []brokenNotes{{}, {hangs: true}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, ready("s1", alice, hostA))
			w.hosts.refuses[hostA] = offline
			before := w.table.Get("s1")
			d := w.deleter()
			d.RefusedHosts = notes
			began := time.Now()
			answers, err := d.Delete(t.Context(), request("r1", at(0), entry("s1", alice)))
			if err != nil || !strings.Contains(answers[0].FailureReason, offline) {
				t.Errorf("%+v, %v", answers, err)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("the answer took %v", took)
			}
			if fmt.Sprint(w.table.Get("s1")) != fmt.Sprint(before) || !strings.Contains(w.log.String(), "failed to note refused hosts") {
				t.Errorf("%v\n%s", w.table.Get("s1"), &w.log)
			}
		})
	}
}

// A host stays noted until its state is known.
func TestRefusedHostsStayNotedUntilTheyAreDealtWith(t *testing.T) {
	u := newUpkeep(t, seen(ready("s1", alice, hostA)))
	note := func(when time.Time) {
		if err := u.refused.RecordRefused(t.Context(), []string{hostA}, when); err != nil {
			t.Fatal(err)
		}
	}
	noted := func(want bool) {
		t.Helper()
		if got := u.noted(); len(got) > 0 != want {
			t.Errorf("noted: %q", got)
		}
	}
	note(at(0))
	u.ec2Fails = errors.New("throttled")
	if err := u.checkRefused(t.Context(), at(60)); err == nil {
		t.Error("no error, though EC2 did not answer")
	}
	noted(true)
	u.ec2Fails = nil
	u.statuses[hostA] = session.Stopping
	if err := u.checkRefused(t.Context(), at(120)); err != nil {
		t.Error(err)
	}
	noted(true)
	u.statuses[hostA] = session.Terminated
	u.indexFails = errors.New("throttled")
	if err := u.checkRefused(t.Context(), at(180)); err != nil {
		t.Error(err)
	}
	noted(true)
	u.indexFails = nil
	u.asking = func() { note(at(241)) } // it is refused while EC2 is asked
	if err := u.checkRefused(t.Context(), at(240)); err != nil {
		t.Error(err)
	}
	noted(true)
	u.asking = nil
	if err := u.checkRefused(t.Context(), at(300)); err != nil {
		t.Error(err)
	}
	noted(false)
	u.has("s1", "Confirmation", "host-gone")
}

// The index still shows the mark of a delete that was refused, and put back.
func TestRefusedHostThatTheIndexShowsAsItWasIsDealtWith(t *testing.T) {
	u := newUpkeep(t, seen(ready("s1", alice, hostA)))
	u.hosts.refuses[hostA] = offline
	u.statuses[hostA] = session.Terminated
	var marked session.Record
	u.hosts.before = func() { marked = u.table.Get("s1") }
	u.delete(request("r1", at(0), entry("s1", alice)))
	u.has("s1", "State", "READY")
	u.onHost = func() []session.Record { return []session.Record{marked} }
	if err := u.checkRefused(t.Context(), at(60)); err != nil || len(u.noted()) > 0 {
		t.Errorf("noted: %q, %v", u.noted(), err)
	}
	u.has("s1", "Confirmation", "host-gone")
}

// Promise 11: however long it takes to end the sessions of refused hosts that are gone,
// EC2 is asked about the hosts after them in the same run.
func TestRefusedHostsDoNotDelayOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpkeep(t)
		var hostIDs []string
		for n := range 101 {
			hostID := nthHost(n)
			hostIDs, u.statuses[hostID] = append(hostIDs, hostID), session.Terminated
		}
		if err := u.refused.RecordRefused(t.Context(), hostIDs, t0); err != nil {
			t.Fatal(err)
		}
		u.indexHangs = func(string) bool { return true }
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
		defer stop()
		if err := u.checkRefused(ctx, at(60)); err != nil || len(u.asked) != len(hostIDs) || len(u.noted()) != len(hostIDs) {
			t.Errorf("asked about %d, %d still noted, %v", len(u.asked), len(u.noted()), err)
		}
	})
}

// However many hosts were refused to callers, a run has its bound and ends in time.
func TestRefusedHostsAreAskedAboutWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpkeep(t)
		var hostIDs []string
		for n := range 1200 {
			hostIDs = append(hostIDs, nthHost(n))
		}
		if err := u.refused.RecordRefused(t.Context(), hostIDs, t0); err != nil {
			t.Fatal(err)
		}
		short, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		if err := u.checkRefused(short, at(60)); err != nil || len(u.asked) > 0 || !strings.Contains(u.log.String(), "StillRefused=1000") {
			t.Errorf("asked about %d, %v\n%s", len(u.asked), err, &u.log)
		}
		for _, want := range []int{1000, 200, 0} {
			u.log.Reset()
			if err := u.checkRefused(t.Context(), at(60)); err != nil || len(u.asked) != want {
				t.Errorf("asked about %d, want %d, %v", len(u.asked), want, err)
			}
			if told := strings.Contains(u.log.String(), "one run's bound is reached"); told != (want == 1000) {
				t.Errorf("%d hosts, and the bound told of: %t", want, told)
			}
		}
	})
}
