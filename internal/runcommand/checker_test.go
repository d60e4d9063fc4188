package runcommand_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

func (sm *systemsManager) checker() *runcommand.Checker {
	return &runcommand.Checker{API: sm, FleetTag: "test"}
}

// What a check foretells of each host, a command right after it meets.
func TestCheckForetellsRefusals(t *testing.T) {
	for _, tc := range []struct {
		name                            string
		hosts, unknown                  int
		disconnected, untagged, stopped []int
		silent                          []int
		calls                           int // at most
	}{
		{name: "none", hosts: 50, calls: 2},
		{name: "one of each", hosts: 50, disconnected: []int{3}, untagged: []int{4}, stopped: []int{5}, calls: 2},
		{name: "untagged and disconnected", hosts: 3, disconnected: []int{1}, untagged: []int{1}, calls: 2},
		{name: "silent", hosts: 3, disconnected: []int{1}, silent: []int{2}, calls: 2},
		{name: "all", hosts: 2, disconnected: []int{0, 1}, calls: 2},
		{name: "one that there is not", hosts: 2, unknown: 1, calls: 2},
		{name: "only one that there is not", unknown: 1, calls: 1},
		{name: "of a large fleet", hosts: 120, untagged: []int{119}, calls: 6},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sm := newSystemsManager(t, "exit 0\n", tc.hosts)
			sm.do(sm.Disconnect, tc.disconnected...)
			sm.do(sm.Untag, tc.untagged...)
			sm.do(sm.Stop, tc.stopped...)
			sm.do(sm.Silence, tc.silent...)
			a := attempt(tc.hosts + tc.unknown)
			a.Closings = append(a.Closings, session.Closing{Incarnation: session.Incarnation{SessionID: "x", NameOnHost: "x", HostID: ""}}, session.Closing{Incarnation: session.Incarnation{SessionID: "y", NameOnHost: "y", HostID: "my-laptop"}})
			var ids []string
			for _, c := range a.Closings {
				ids = append(ids, c.HostID)
			}
			refusals, err := sm.checker().Check(t.Context(), ids)
			if err != nil {
				t.Fatal(err)
			}
			if len(sm.calls) > tc.calls || slices.Contains(sm.calls, "SendCommand") {
				t.Errorf("calls %q, at most %d", sm.calls, tc.calls)
			}
			for i, err := range sm.sender().Close(t.Context(), a) {
				real, foretold := (*session.Refusal)(nil), refusals[a.Closings[i].HostID]
				errors.As(err, &real)
				if (real == nil) != (foretold == nil) || real != nil && (real.Reason != foretold.Reason || real.HostID != foretold.HostID) {
					t.Errorf("host %q: foretold %v, but %v", a.Closings[i].HostID, foretold, real)
				}
			}
		})
	}
}

func TestCheckWithoutAnAnswerIsAnError(t *testing.T) {
	for n := 1; n <= 2; n++ {
		sm := newSystemsManager(t, "exit 0\n", 2)
		down := errors.New("throttled")
		sm.fault = func(_ string, call int) error {
			if call == n {
				return down
			}
			return nil
		}
		if refusals, err := sm.checker().Check(t.Context(), hostIDs(0, 1)); !errors.Is(err, down) || refusals != nil {
			t.Errorf("call %d fails: %v, %v", n, refusals, err)
		}
	}
	sm := newSystemsManager(t, "exit 0\n", 0)
	if refusals, err := sm.checker().Check(t.Context(), nil); err != nil || len(refusals) > 0 || len(sm.calls) > 0 {
		t.Errorf("%v, %v, calls %s", refusals, err, strings.Join(sm.calls, " "))
	}
}
