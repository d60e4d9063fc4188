package runcommand_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"dcv-session-broker/internal/session"
)

// maxExtraCalls is what one command may cost more in which hosts are at fault:
// what Systems Manager is asked about them, smaller commands, and one a host.
const maxExtraCalls = 68

// maxPages is how many of these questions list nodes, 50 each, and no more.
const maxPages = 6

// Promise 8: in a fleet too large to be listed, no healthy host waits because of
// others, whatever is wrong with them and wherever they stand in the command.
func TestNoHealthyHostWaitsForOthers(t *testing.T) {
	const fleetSize, asked = 330, 50
	spread := func(bad int) (hosts []int) {
		for n := range bad {
			hosts = append(hosts, fleetSize-asked+n*asked/bad)
		}
		return hosts
	}
	lastOnes := func(bad int) (hosts []int) {
		for n := range bad {
			hosts = append(hosts, fleetSize-bad+n)
		}
		return hosts
	}
	sm := newSystemsManager(t, "exit 0\n", fleetSize)
	for name, bad := range map[string][]int{
		"10 of 50": spread(10), "10 in a row": lastOnes(10), "one": lastOnes(1), "25": spread(25), "all but one": lastOnes(49), "all": lastOnes(50),
	} {
		t.Run(name+" untagged", func(t *testing.T) {
			sm.do(sm.Untag, bad...)
			defer sm.do(sm.Tag, bad...)
			sm.calls, sm.taken = nil, nil
			a := attempt(fleetSize)
			a.Closings = a.Closings[fleetSize-asked:]
			refused, unclear := sm.outcome(a, sm.sender().Close(t.Context(), a))
			slices.Sort(bad)
			if got := slices.Sorted(maps.Keys(refused)); !slices.Equal(got, hostIDs(bad...)) || len(unclear) > 0 {
				t.Errorf("refused %v, unclear %v; want refused %v", got, unclear, hostIDs(bad...))
			}
			if len(sm.calls) > 1+maxExtraCalls {
				t.Errorf("%d calls", len(sm.calls))
			}
			pages := 0
			for _, operation := range sm.calls {
				if operation == "DescribeInstanceInformation" {
					pages++
				}
			}
			if pages > maxPages+1 { // one more asks about the hosts that were not listed
				t.Errorf("%d pages of nodes were listed", pages)
			}
		})
	}
}

// Who answered the last inventory, which went by the tag, comes first: then the
// bad ones stand together, and cost fewer calls.
func TestHostsThatAnsweredComeFirst(t *testing.T) {
	const fleetSize, asked = 330, 50
	sm := newSystemsManager(t, "exit 0\n", fleetSize)
	answered := map[string]time.Time{}
	for n := range asked {
		id := hostID(fleetSize - asked + n)
		if n%5 == 0 {
			sm.do(sm.Untag, fleetSize-asked+n)
			answered[id] = time.Now().Add(-time.Hour)
		} else {
			answered[id] = time.Now()
		}
	}
	a := attempt(fleetSize)
	a.Closings = a.Closings[fleetSize-asked:]
	for name, tc := range map[string]struct {
		known func(context.Context, []string) (map[string]time.Time, error)
		calls int
	}{
		"known":     {func(context.Context, []string) (map[string]time.Time, error) { return answered, nil }, 9 + 7 + 10},
		"not known": {nil, 1 + maxExtraCalls},
		"not to be found out": {
			func(context.Context, []string) (map[string]time.Time, error) { return nil, fmt.Errorf("no answer") }, 1 + maxExtraCalls,
		},
	} {
		sm.calls, sm.taken = nil, nil
		c := sm.sender()
		c.Answered = tc.known
		refused, unclear := sm.outcome(a, c.Close(t.Context(), a))
		if len(refused) != 10 || len(unclear) > 0 || len(sm.calls) > tc.calls {
			t.Errorf("%s: %d refused, %d unclear, %d calls", name, len(refused), len(unclear), len(sm.calls))
		}
	}
}

// Time that runs out is spent on the healthy ones first.
func TestTimeIsSpentOnHealthyHostsFirst(t *testing.T) {
	const hosts = 50
	sm := newSystemsManager(t, "exit 0\n", hosts)
	answered := map[string]time.Time{}
	for n := range hosts {
		if n < 10 {
			sm.do(sm.Untag, n)
		} else {
			answered[hostID(n)] = time.Now()
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	sm.fault = func(operation string, n int) error {
		if operation == "DescribeInstanceInformation" {
			return fmt.Errorf("no answer")
		}
		if n == 2+6 { // the first, one question, and six smaller commands
			cancel()
		}
		return nil
	}
	a := attempt(hosts)
	c := sm.sender()
	c.Answered = func(context.Context, []string) (map[string]time.Time, error) { return answered, nil }
	var waiting []session.Closing
	for i, err := range c.Close(ctx, a) {
		if err != nil {
			waiting = append(waiting, a.Closings[i])
		}
	}
	for _, w := range waiting {
		if !answered[w.HostID].IsZero() {
			t.Errorf("%s is healthy, and waits", w.HostID)
		}
	}
	if len(waiting) != 10 {
		t.Errorf("%d wait", len(waiting))
	}
}

// Where nobody knows which hosts are at fault, one refused section holds up no
// other: hosts are sent to by themselves when every section has had its command.
func TestNoHealthyHostWaitsForARefusedSection(t *testing.T) {
	const hosts, section = 50, 8
	sm := newSystemsManager(t, "exit 0\n", hosts)
	for n := range section {
		sm.do(sm.Untag, n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	sm.fault = func(operation string, n int) error {
		if operation == "DescribeInstanceInformation" {
			return fmt.Errorf("no answer")
		}
		if n == 2+7+1 { // the first, one question, seven sections, and the first host by itself
			cancel()
		}
		return nil
	}
	a := attempt(hosts)
	for i, err := range sm.sender().Close(ctx, a) {
		if at := a.Closings[i].HostID; err != nil && !slices.Contains(hostIDs(upTo(section)...), at) {
			t.Errorf("%s is healthy, and waits: %v", at, err)
		}
	}
}
