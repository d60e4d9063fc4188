package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dcv-session-broker/internal/session"
)

// silentMany marks hosts silent that last answered at t0, each with a session s0, s1
// and so on, and has a table with them for a walk.
func (u *upkeep) silentMany(n int) (hostIDs []string) {
	u.t.Helper()
	for i := range n {
		hostID := nthHost(i)
		u.take(inventory(hostID, t0.Add(-10*time.Second), found(fmt.Sprint("s", i), alice)))
		if marked, err := u.hostTable.MarkSilent(u.t.Context(), hostID, at(1)); !marked || err != nil {
			u.t.Fatal(marked, err)
		}
		hostIDs = append(hostIDs, hostID)
	}
	return hostIDs
}

// walkFor is a walk that has that much time, and its error.
func (u *upkeep) walkFor(when time.Time, d time.Duration) error {
	u.t.Helper()
	u.now, u.asked = when, nil
	ctx, cancel := context.WithTimeout(u.t.Context(), d)
	defer cancel()
	return u.walker().Walk(ctx)
}

// askedOf are those of the hosts about which EC2 was asked; about others it was for their tags.
func (u *upkeep) askedOf(hostIDs []string) []string {
	return slices.DeleteFunc(slices.Clone(u.asked), func(id string) bool { return !slices.Contains(hostIDs, id) })
}

// The next run continues with the silent hosts for which there was no time, before all
// others. A host that takes all the time of a run delays the others by one run only.
func TestWalkGoesBackToSilentHostsThatItHadNoTimeFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var others []session.Record
		for n := range 1200 {
			others = append(others, ready(fmt.Sprint("o", n), alice, fmt.Sprintf("i-1%016d", n)))
		}
		u := newUpkeep(t, others...)
		hostIDs := u.silentMany(3)
		reading := map[string]time.Duration{}
		u.indexHangs = func(hostID string) bool { time.Sleep(reading[hostID]); return false }
		place := func(want string) {
			t.Helper()
			if got, err := u.hostTable.WalkedTo(t.Context()); got != want || err != nil {
				t.Errorf("the next run begins after %q, want %q, %v", got, want, err)
			}
		}
		walk := func(when float64) {
			t.Helper()
			if err := u.walkFor(at(when), 8*time.Second); err != nil {
				t.Error(err)
			}
		}
		far := fmt.Sprintf("i-1%016d", 996)

		reading[hostIDs[1]] = 5500 * time.Millisecond
		walk(1800)
		place(hostIDs[1]) // there was no time for the third
		reading[hostIDs[1]], reading[hostIDs[2]] = 0, 5500*time.Millisecond
		walk(1801)
		if asked := u.askedOf(hostIDs); !slices.Equal(asked, hostIDs[2:]) {
			t.Errorf("asked about %q", asked)
		}

		// The first host of a run, or the question about it, takes all the time.
		if err := u.hostTable.RecordWalkedTo(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		u.asking = func() { time.Sleep(6 * time.Second) }
		walk(1e5)
		place(far)
	})
}

// However long it takes to end the sessions of silent hosts that are gone, there is time
// to record the walk's place.
func TestWalkHasTimeToGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpkeep(t, ready("o1", alice, "i-00"))
		if err := u.hostTable.AddHost(t.Context(), "i-00", at(1700)); err != nil {
			t.Fatal(err)
		}
		for _, hostID := range u.silentMany(4) {
			u.statuses[hostID] = session.Terminated
		}
		u.indexHangs = func(string) bool { return true }
		if err := u.walkFor(at(1800), 10*time.Second); err != nil {
			t.Error(err)
		}
		if got, err := u.hostTable.WalkedTo(t.Context()); got != "i-00" || err != nil {
			t.Errorf("the next run begins after %q, %v", got, err)
		}
	})
}

// EC2 answers no question of a run: the next run asks again, and continues if there is no
// answer either.
func TestWalkGoesBackToHostsThatEC2DidNotTellOf(t *testing.T) {
	u := newUpkeep(t, ready("o1", alice, "i-00"), ready("o2", alice, "i-2"))
	hostIDs := u.silentMany(2)
	machine := "mi-0123456789abcdef0"
	u.table.Put(seen(ready("m", alice, machine)))
	u.take(inventory(machine, t0.Add(-10*time.Second), found("m", alice)))
	if _, err := u.hostTable.MarkSilent(t.Context(), machine, at(1)); err != nil {
		t.Fatal(err)
	}
	if err := u.hostTable.AddHost(t.Context(), "i-00", at(1700)); err != nil {
		t.Fatal(err)
	}
	u.ec2Fails = errors.New("throttled")
	for run, want := range []string{"i-00", "", "i-00"} {
		if err := u.walkFor(at(1800+float64(run)), time.Minute); !errors.Is(err, u.ec2Fails) {
			t.Errorf("run %d: %v", run, err)
		}
		if got, err := u.hostTable.WalkedTo(t.Context()); got != want || err != nil {
			t.Errorf("after run %d the next one begins after %q, want %q, %v", run, got, want, err)
		}
	}
	u.has("m", "State", "UNKNOWN") // nobody needs EC2 for that
	u.ec2Fails = nil
	if err := u.walkFor(at(1804), time.Minute); err != nil || !slices.Equal(u.askedOf(hostIDs), hostIDs) {
		t.Errorf("asked about %q, %v", u.asked, err)
	}
}

// A host answers while EC2 is asked about it: its answer counts until the host is silent
// again.
func TestHostThatAnswersDuringAWalkIsNotSilent(t *testing.T) {
	for name, record := range map[string]session.Record{
		"its answer changes the record":         nil,
		"its answer finds the record unchanged": seen(ready("s1", alice, hostA)), // from a backup
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t)
			u.silent(hostA)
			if record != nil {
				u.table.Put(record)
			}
			u.asking = func() {
				u.asking = nil
				u.take(inventory(hostA, at(1795), found("s1", alice)))
			}
			u.walk(at(1800))
			u.has("s1", "State", "READY")
		})
	}
}

// An open deletion on a silent host may be put back, and then the session is READY again:
// the host is checked again soon.
func TestSilentHostWithAnOpenDeletionIsLookedAtAgain(t *testing.T) {
	u := newUpkeep(t)
	u.silent(hostA)
	before := with(seen(ready("s1", alice, hostA)), "StateReason", nil) // from a backup
	u.table.Put(aMinuteOld(seen(markedRecord)))
	u.walk(at(1800))
	u.table.Put(before)
	u.walk(at(1801))
	u.has("s1", "State", "UNKNOWN")
	u.asked = nil
	u.walk(at(1802))
	if len(u.asked) > 0 {
		t.Errorf("asked again about %q, with which all is done", u.asked)
	}
}

// EC2 is asked about a silent host again soon if its answer was not clear, or could not
// be written.
func TestSilentHostIsAskedAboutUntilItIsDealtWith(t *testing.T) {
	u := newUpkeep(t)
	u.silent(hostA)
	u.statuses[hostA] = session.Stopping // EC2 is about to say more
	u.walk(at(1800))
	u.statuses[hostA] = session.Terminated
	u.table.fault = func(int, session.Write) fault { return refused }
	if err := u.walkFor(at(1801), time.Minute); err == nil {
		t.Error("no error")
	}
	u.table.fault = nil
	u.walk(at(1802))
	u.has("s1", "Confirmation", "host-gone")
}

// Promise 11: one silent host's records do not take the time of other hosts.
func TestOneSilentHostsRecordsTakeNoOtherHostsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpkeep(t)
		hostIDs := u.silentMany(2)
		u.table.Put(seen(ready("s1", alice, hostIDs[1]))) // from a backup
		u.indexHangs = func(hostID string) bool { return hostID == hostIDs[0] }
		if err := u.walkFor(at(1800), 20*time.Second); err == nil {
			t.Error("no error")
		}
		u.has("s1", "State", "UNKNOWN")
	})
}
