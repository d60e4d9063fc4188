package session_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// walk looks at hosts at that time.
func (u *upkeep) walk(when time.Time) {
	u.t.Helper()
	u.now = when
	if err := u.walker().Walk(u.t.Context()); err != nil {
		u.t.Fatal(err)
	}
}

func (u *upkeep) walker() *session.HostWalker {
	return &session.HostWalker{HostLister: u.table.Table, HostTable: u.hostTable, Reaper: u.reaper(), Unresponsive: u.unresponsiveMarker(), Now: u.clock, Log: u.logger()}
}

// silent marks a host silent that last answered at t0.
func (u *upkeep) silent(hostID string) {
	u.t.Helper()
	u.take(inventory(hostID, t0.Add(-10*time.Second), found("s1", alice)))
	if marked, err := u.hostTable.MarkSilent(u.t.Context(), hostID, at(1)); !marked || err != nil {
		u.t.Fatal(marked, err)
	}
}

// A host was terminated after it fell silent, without an event.
func TestSilentHostThatIsGoneIsFound(t *testing.T) {
	u := newUpkeep(t)
	u.silent(hostA)
	u.walk(at(1800))
	u.has("s1", "Confirmation", nil)
	u.statuses[hostA] = session.Terminated
	u.walk(at(3600))
	u.has("s1", "Confirmation", "host-gone")
}

// The Sessions table was restored to a time before the hosts fell silent.
func TestRestoredSessionOfASilentHostIsUnknownAgain(t *testing.T) {
	const machine = "mi-0123456789abcdef0"
	for _, hostID := range []string{hostA, machine} {
		u := newUpkeep(t)
		u.silent(hostID)
		u.walk(at(600))
		u.has("s1", "State", "UNKNOWN")
		u.table.Put(seen(ready("s1", alice, hostID)))
		u.walk(at(600 + 6*3600))
		u.has("s1", "State", "UNKNOWN")
	}
}

// EC2 is asked at growing intervals, and every six hours at least.
func TestSilentHostsAreAskedAboutAtGrowingIntervals(t *testing.T) {
	const machine = "mi-0123456789abcdef0"
	u := newUpkeep(t, seen(ready("s2", alice, machine)))
	u.silent(hostA)
	u.take(inventory(machine, t0.Add(-10*time.Second), found("s2", alice)))
	if _, err := u.hostTable.MarkSilent(t.Context(), machine, at(1)); err != nil {
		t.Fatal(err)
	}
	var asked []int
	for minute := 5; minute <= 24*60; minute += 5 {
		u.asked = nil
		u.walk(at(float64(60 * minute)))
		if slices.Contains(u.asked, machine) {
			t.Fatal("EC2 does not know machines outside of EC2")
		}
		if len(u.asked) > 0 {
			asked = append(asked, minute)
		}
	}
	if want := []int{5, 10, 20, 40, 80, 160, 320, 640, 1000, 1360}; !slices.Equal(asked, want) {
		t.Errorf("asked after %v minutes, want %v", asked, want)
	}
	u.take(inventory(hostA, at(24*3600), found("s1", alice)))
	if err := u.hostTable.RecordOwnerTag(t.Context(), hostA, session.OwnerTag{ReadAt: at(48*3600 - 1)}); err != nil { // else it is read
		t.Fatal(err)
	}
	u.asked = nil
	u.walk(at(48 * 3600))
	if len(u.asked) > 0 {
		t.Errorf("asked about %q, which is not silent", u.asked)
	}
}

// The Hosts table was made again, or the Sessions table restored.
func TestUnknownHostIsAddedAndExpectedToAnswer(t *testing.T) {
	u := newUpkeep(t, seen(ready("s1", alice, hostA)))
	u.walk(t0)
	if quiet, err := u.hostTable.AnsweredBefore(t.Context(), at(1), 10); !slices.Equal(quiet, []string{hostA}) || err != nil {
		t.Errorf("quiet: %q, %v", quiet, err)
	}
	if quiet, _ := u.hostTable.AnsweredBefore(t.Context(), t0, 10); len(quiet) > 0 {
		t.Error("it counts as silent before it could answer")
	}
}

// slowHosts is a Hosts table in which a host takes long to be added.
type slowHosts struct{ *memtable.Hosts }

func (h slowHosts) AddHost(ctx context.Context, hostID string, then time.Time) error {
	select {
	case <-time.After(100 * time.Millisecond):
		return h.Hosts.AddHost(ctx, hostID, then)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Promise 11: a walk ends in time, and the next one goes on from there.
func TestWalkEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const hosts = 100
		var records []session.Record
		for n := range hosts {
			records = append(records, ready(fmt.Sprint("s", n), alice, nthHost(n)))
		}
		u := newUpkeep(t, records...)
		w := session.HostWalker{HostLister: u.table.Table, HostTable: slowHosts{u.hostTable}, Reaper: u.reaper(), Now: u.clock, Log: u.logger()}
		for run, want := range []int{50, hosts} {
			ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
			defer cancel()
			if err := w.Walk(ctx); err != nil || ctx.Err() != nil {
				t.Fatalf("run %d: %v", run, err)
			}
			known, _ := u.hostTable.AnsweredBefore(t.Context(), at(1), 10_000)
			if run == 0 && (len(known) < want-5 || len(known) > want) || run == 1 && len(known) != want {
				t.Errorf("run %d: %d hosts are known", run, len(known))
			}
		}
	})
}

// Promise 11: no bound is reached in silence.
func TestWalkThatHasNoTimeForSilentHostsSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpkeep(t)
		u.silent(hostA)
		u.asking = func() { time.Sleep(6 * time.Second) }
		if err := u.walkFor(at(1800), 8*time.Second); err != nil || !strings.Contains(u.log.String(), "time is up") {
			t.Errorf("%v, log: %s", err, &u.log)
		}
	})
}

// Every host is reached, however many sessions one host lists, and each run has its
// bound.
func TestWalkGoesOnWhereItStopped(t *testing.T) {
	var records []session.Record
	for n := range 1500 {
		records = append(records, ready(fmt.Sprintf("a%d", n), alice, "i-00000000000000000"))
	}
	for n := range 1200 {
		records = append(records, ready(fmt.Sprintf("b%d", n), alice, nthHost(n+1)))
	}
	u := newUpkeep(t, records...)
	known := func() int {
		quiet, err := u.hostTable.AnsweredBefore(t.Context(), at(1000), 10_000)
		if err != nil {
			t.Fatal(err)
		}
		return len(quiet)
	}
	for run, want := range []int{951, 1201, 1201} {
		u.walk(at(float64(run)))
		if got := known(); got != want {
			t.Errorf("%d hosts are known after run %d, want %d", got, run, want)
		}
	}
}
