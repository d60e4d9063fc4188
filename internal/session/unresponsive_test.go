package session_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"dcv-session-broker/internal/session"
)

const silentAfter = 15 * time.Minute

// markUnresponsive marks hosts after all inventories up to then were sent on schedule.
func (u *upkeep) markUnresponsive(when time.Time) {
	u.t.Helper()
	if err := u.markWithin(context.Background(), when); err != nil {
		u.t.Fatal(err)
	}
}

func (u *upkeep) markWithin(ctx context.Context, when time.Time) error {
	u.t.Helper()
	u.send(when.Add(-10*time.Minute), when.Add(-5*time.Minute), when)
	u.now = when
	return u.unresponsiveMarker().Mark(ctx, silentAfter, u.unanswered())
}

// unanswered is when the inventory two before the last was sent.
func (u *upkeep) unanswered() time.Time {
	u.t.Helper()
	sent, err := u.hostTable.LastInventories(context.Background())
	if err != nil {
		u.t.Fatal(err)
	}
	if len(sent) < 3 {
		return time.Time{}
	}
	return sent[2]
}

// send notes that inventories were sent then, and none before.
func (u *upkeep) send(when ...time.Time) {
	u.t.Helper()
	for _, at := range when {
		if err := u.hostTable.RecordInventorySent(context.Background(), at); err != nil {
			u.t.Fatal(err)
		}
	}
}

// A host that got no inventory is not silent: neither after a pause of cleanup, nor if
// inventories are further apart than the limit. Two must be unanswered, and the one that
// is sent now does not count.
func TestHostWithoutAnInventoryIsNotSilent(t *testing.T) {
	for name, tc := range map[string]struct {
		sent         []float64 // before now; the host answers the one at 0
		unresponsive bool
	}{
		"no inventory since":       {[]float64{0}, false},
		"one, long ago":            {[]float64{0, 300}, false},
		"one, just now":            {[]float64{0, 86000}, false},
		"after a pause":            {[]float64{-300, 0, 86000}, false},
		"two, hours apart":         {[]float64{0, 40000, 86000}, true},
		"two, just after a pause":  {[]float64{0, 85000, 86000}, true},
		"twice, in the same go":    {[]float64{0, 85990, 86000}, false},
		"none known":               {nil, false},
		"two, before its answer":   {[]float64{-600, -300}, false},
		"the last two of a steady": {[]float64{0, 300, 600, 900}, true},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t)
			u.take(inventory(hostA, t0, found("s1", alice)))
			for _, sent := range tc.sent {
				u.send(at(sent))
			}
			u.now = at(86100)
			u.send(u.now)
			if err := u.unresponsiveMarker().Mark(t.Context(), silentAfter, u.unanswered()); err != nil {
				t.Fatal(err)
			}
			want := map[bool]string{true: "UNKNOWN", false: "READY"}[tc.unresponsive]
			u.has("s1", "State", want)
		})
	}
}

func TestSessionsOfASilentHostAreUnknownUntilItAnswers(t *testing.T) {
	u := newUpkeep(t)
	u.take(inventory(hostA, t0, found("s1", alice))) // read at 10 s
	listed := listedAt(listedRecord, t0)
	u.markUnresponsive(at(10 + 900))
	u.is("s1", listed)

	u.markUnresponsive(at(10 + 901))
	unresponsive := with(listed, "State", "UNKNOWN", "StateReason", "Its host has not reported its sessions since 2026-11-23T19:01:13Z or longer. Is the host running, and do its agent and its DCV server work?",
		"ExpiresAt", at(911).Add(session.KeepUnknown).Unix())
	u.is("s1", unresponsive)
	u.table.written = nil
	u.markUnresponsive(at(1500)) // it is said once
	u.wrote()

	// An answer from before the silence does not make its sessions READY, however late it
	// comes.
	u.take(inventory(hostA, at(-1), found("s1", alice)))
	u.now = at(1600)
	if _, err := u.reconciler().Apply(t.Context(), inventory(hostA, t0, found("s1", alice))); err != nil {
		t.Fatal(err)
	}
	u.is("s1", unresponsive)

	u.take(inventory(hostA, at(1800), found("s1", alice)))
	u.is("s1", observedAt(listed, at(1800)))
	u.markUnresponsive(at(1811 + 900))
	u.has("s1", "State", "UNKNOWN")
}

// A deletion may wait for a day, and its host may fall silent meanwhile: then a cancel
// restores UNKNOWN until the host answers again.
func TestCancelOnASilentHostGivesUnknownBack(t *testing.T) {
	u := newUpkeep(t)
	u.take(inventory(hostA, t0, found("s1", alice)))
	u.delete(request("r1", at(800), withGrace("s1", 24*time.Hour)))
	u.markUnresponsive(at(911))
	u.has("s1", "State", "DELETING", "StateBefore", "READY") // its request may put it back yet
	u.markUnresponsive(at(1000))
	u.has("s1", "State", "DELETING", "StateBefore", "UNKNOWN")
	if silences, err := u.hostTable.Silences(t.Context(), []string{hostA}); err != nil || !silences[hostA].Silent {
		t.Errorf("the host is not marked: %v, %v", silences, err)
	}
	u.cancel("c1", at(1100), "UNKNOWN")
	u.take(inventory(hostA, at(1200), found("s1", alice)))
	u.has("s1", "State", "READY", "StateReason", nil, "ExpiresAt", nil)
}

// After an incomplete answer the host, and the sessions that it lists, are not silent.
func TestCutInventoryIsAnAnswer(t *testing.T) {
	u := newUpkeep(t)
	u.take(inventory(hostA, t0, found("s1", alice), found("s2", alice)))
	u.markUnresponsive(at(1000))
	cut := inventory(hostA, at(1100), found("s1", alice))
	cut.Complete = false
	u.take(cut)
	u.markUnresponsive(at(1200))
	u.has("s1", "State", "READY")
	u.has("s2", "State", "UNKNOWN") // nobody can tell
}

// Clients read UNKNOWN as gone.
func TestOnlyReadySessionsBecomeUnknown(t *testing.T) {
	for name, r := range map[string]session.Record{
		"open deletion": seen(markedRecord), "failed": seen(failedRecord), "confirmed": seen(confirmedRecord), "forced": seen(forcedRecord),
		"given up": seen(givenUpRecord), "DELETED": seen(deletedRecord), "being created": with(seen(listedRecord), "State", "CREATING"),
		"of another host": seen(with(listedRecord, "HostId", hostB, "LiveHostId", hostB)),
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t)
			u.take(inventory(hostA, t0))
			u.table.Put(r)
			u.markUnresponsive(at(1000))
			u.is("s1", r)
		})
	}
}

func TestDeletedWhileItBecomesUnknown(t *testing.T) {
	u := newUpkeep(t)
	u.take(inventory(hostA, t0, found("s1", alice)))
	open := listedAt(markedRecord, t0)
	u.table.before = func(int, session.Write) { u.table.Put(open) }
	u.markUnresponsive(at(1000))
	u.is("s1", open)
}

// A refused deletion is put back after its host became silent: the session that is READY
// again becomes UNKNOWN, too.
func TestPutBackOnASilentHostBecomesUnknown(t *testing.T) {
	for name, stale := range map[string]bool{"the index shows the mark": false, "the index shows READY still": true} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t)
			u.take(inventory(hostA, t0, found("s1", alice)))
			listed := u.table.Get("s1")
			u.hosts.refuses[hostA] = offline
			u.hosts.before = func() { // between mark and put-back
				if stale {
					u.onHost = func() []session.Record { return []session.Record{listed} }
				}
				u.markUnresponsive(at(1000))
				u.onHost = nil
			}
			u.expect(request("r1", at(1000), entry("s1", alice)), refusal(hostA))
			u.has("s1", "State", "READY")
			u.markUnresponsive(at(1300))
			u.has("s1", "State", "UNKNOWN")
			u.asked = nil
			u.markUnresponsive(at(1600))
			if len(u.asked) > 0 {
				t.Errorf("looked at again: %q", u.asked)
			}
		})
	}
}

func TestHostIsNotSilentBeforeAllIsWritten(t *testing.T) {
	for _, what := range []fault{refused, lostBefore} {
		u := newUpkeep(t)
		u.take(inventory(hostA, t0, found("s1", alice), found("s2", alice)))
		u.take(inventory(hostB, t0, found("s3", alice)))
		u.table.fault = onSession("s1", what)
		if err := u.markWithin(t.Context(), at(1000)); err == nil {
			t.Error("no error")
		}
		u.has("s1", "State", "READY")
		u.has("s2", "State", "UNKNOWN")
		u.has("s3", "State", "UNKNOWN") // the other host is not affected
		u.table.fault = nil
		u.markUnresponsive(at(1060))
		u.has("s1", "State", "UNKNOWN")
	}
}

// A host answers while EC2 is asked about it, and its answer changes no record.
func TestHostThatAnswersWhileEC2IsAskedIsNotSilent(t *testing.T) {
	u := newUpkeep(t)
	u.take(inventory(hostA, t0, found("s1", alice)))
	u.asking = func() {
		u.asking = nil
		u.take(inventory(hostA, at(1000), found("s1", alice)))
	}
	u.markUnresponsive(at(1000))
	u.has("s1", "State", "READY")
}

// Quiet hosts may be gone: then their sessions end, and do not become UNKNOWN.
func TestSessionsOfQuietHostsThatAreGoneEnd(t *testing.T) {
	u := newUpkeep(t)
	u.take(inventory(hostA, t0, found("s1", alice)))
	u.take(inventory(hostB, t0, found("s2", alice)))
	u.statuses[hostA] = session.Terminated
	u.markUnresponsive(at(1000))
	u.has("s1", "State", "DELETING", "Confirmation", "host-gone")
	u.has("s2", "State", "UNKNOWN")
	u.asked = nil
	u.markUnresponsive(at(1300))
	if len(u.asked) > 0 {
		t.Errorf("EC2 is asked again about %q", u.asked)
	}
}

func TestMarkingGoesOnWithoutEC2(t *testing.T) {
	u := newUpkeep(t)
	u.take(inventory(hostA, t0, found("s1", alice)))
	u.ec2Fails = errors.New("throttled")
	if err := u.markWithin(t.Context(), at(1000)); !errors.Is(err, u.ec2Fails) {
		t.Errorf("error %v", err)
	}
	u.has("s1", "State", "UNKNOWN")
}

// Each call of EC2 has its own time limit: time is left for the work that follows without
// an answer.
func TestEC2ThatHangsKeepsNoHostFromBeingMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpkeep(t)
		u.take(inventory(hostA, t0, found("s1", alice)))
		u.ec2Hangs = true
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
		defer cancel()
		if err := u.markWithin(ctx, at(1000)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		u.has("s1", "State", "UNKNOWN")
	})
}

// EC2 does not show it as stopped yet when the host falls silent.
func TestLeavingHostIsAskedAboutAgain(t *testing.T) {
	u := newUpkeep(t)
	u.take(inventory(hostA, t0, found("s1", alice)))
	u.statuses[hostA] = session.Stopping
	u.markUnresponsive(at(1000))
	u.has("s1", "State", "UNKNOWN")
	u.statuses[hostA] = session.Stopped
	u.markUnresponsive(at(1300))
	u.has("s1", "Confirmation", "host-gone")
}

// A host without an item has never answered, or the table was made again. It is
// known once it is asked about: then its silence is noticed.
func TestUnknownHostBecomesSilent(t *testing.T) {
	u := newUpkeep(t, seen(listedRecord), with(failedRecord, "SessionId", "s2"))
	u.clean(at(120)) // the deletion is due, and EC2 asked about its host
	u.report(at(130), session.Report{HostID: hostA, AttemptID: "a1", SessionID: "s2", Outcome: session.OutcomeClosed})
	u.markUnresponsive(at(1000))
	u.has("s1", "State", "READY")
	u.markUnresponsive(at(1900))
	u.has("s1", "State", "UNKNOWN")
}

// EC2 fails once when the host falls silent: it is asked again.
func TestGoneHostIsAskedAboutAgain(t *testing.T) {
	u := newUpkeep(t)
	u.take(inventory(hostA, t0, found("s1", alice)))
	u.statuses[hostA] = session.Terminated
	u.ec2Fails = errors.New("throttled")
	if err := u.markWithin(t.Context(), at(1000)); err == nil {
		t.Error("no error")
	}
	u.ec2Fails = nil
	for _, when := range []float64{1300, 1600, 100000} {
		u.markUnresponsive(at(when))
	}
	u.has("s1", "Confirmation", "host-gone")
}
