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

// haveAnswered records answers of so many hosts, each a second before the previous one,
// with one session each or with none.
func (u *upkeep) haveAnswered(hosts int, withSession bool) {
	for n := range hosts {
		var runs []session.Found
		if withSession {
			runs = append(runs, found(fmt.Sprint("s", n), alice))
		}
		u.take(inventory(nthHost(n), at(float64(-n)), runs...))
	}
}

func TestMarkingIsBoundedLongestQuietFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpkeep(t)
		u.haveAnswered(250, false)
		ctx, cancel := context.WithTimeout(t.Context(), 21*time.Second)
		defer cancel()
		u.asking = func() { time.Sleep(1100 * time.Millisecond) } // then too little is left for another round
		if err := u.markWithin(ctx, at(2000)); err != nil {
			t.Error(err)
		}
		if len(u.asked) != 100 || !slices.Contains(u.asked, nthHost(249)) || slices.Contains(u.asked, nthHost(149)) {
			t.Errorf("%d hosts: %q", len(u.asked), u.asked)
		}
		u.asking = nil
		u.markUnresponsive(at(2001))
		if len(u.asked) != 250 {
			t.Errorf("%d hosts after two runs", len(u.asked))
		}
	})
}

// Hosts that stay quiet do not delay the marking of others.
func TestMarkingContinuesAfterHostsThatStayQuiet(t *testing.T) {
	u := newUpkeep(t)
	u.haveAnswered(250, true)
	asked := 0
	u.ec2Fails, u.asking = errors.New("throttled"), func() { asked++ }
	if err := u.markWithin(t.Context(), at(1000)); !errors.Is(err, u.ec2Fails) || asked != 1 {
		t.Errorf("EC2 was asked %d times, error %v", asked, err)
	}
	for n := range 250 {
		u.has(fmt.Sprint("s", n), "State", "UNKNOWN")
	}
	u.ec2Fails, u.asked = nil, nil
	u.markUnresponsive(at(1300))
	if len(u.asked) != 250 {
		t.Errorf("EC2 was then asked about %d hosts", len(u.asked))
	}
}

// A write that fails for one gone host does not prevent the check of the quiet hosts
// after it.
func TestOneGoneHostsErrorDoesNotStopOthers(t *testing.T) {
	u := newUpkeep(t)
	u.haveAnswered(250, true)
	first := nthHost(249)
	u.statuses[first] = session.Terminated
	u.table.fault = onSession("s249", refused)
	if err := u.markWithin(t.Context(), at(1000)); err == nil {
		t.Error("no error")
	}
	if len(u.asked) != 250 {
		t.Errorf("EC2 was asked about %d hosts", len(u.asked))
	}
	u.table.fault, u.asked = nil, nil
	u.markUnresponsive(at(1300))
	if !slices.Equal(u.asked, []string{first}) {
		t.Errorf("then asked about %q", u.asked)
	}
	u.has("s249", "Confirmation", "host-gone")
}

// Promise 11: one run has a bound, and logs that it reached it.
func TestOneRunMarksThousandHosts(t *testing.T) {
	u := newUpkeep(t)
	u.haveAnswered(1050, false)
	u.markUnresponsive(at(1000))
	if log := u.log.String(); len(u.asked) != 1000 || !strings.Contains(log, "one run's bound is reached") || strings.Contains(log, "time is up") {
		t.Errorf("EC2 was asked about %d hosts, log: %s", len(u.asked), log)
	}
}
