package runcommand_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/template"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func hostIDs(hosts ...int) []string {
	var ids []string
	for _, n := range hosts {
		ids = append(ids, hostID(n))
	}
	return ids
}

// Promise 8: hosts at fault are refused, and nobody else.
func TestBadHostsFailAlone(t *testing.T) {
	for _, tc := range []struct {
		name         string
		hosts        int
		disconnected []int
		untagged     []int
		stopped      []int
		silent       []int // Systems Manager has lost them, and takes commands for them
		unknown      int   // hosts that there are not, behind the others
		extraCalls   int   // at most
	}{
		{name: "none", hosts: 50},
		{name: "one disconnected of 50", hosts: 50, disconnected: []int{17}, extraCalls: 3},
		{name: "one untagged of 50", hosts: 50, untagged: []int{17}, extraCalls: 3},
		{name: "one stopped of 50", hosts: 50, stopped: []int{17}, extraCalls: 3},
		{name: "one terminated of 50", hosts: 49, unknown: 1, extraCalls: 3},
		{name: "the first and the last", hosts: 50, disconnected: []int{0, 49}, extraCalls: 3},
		{name: "disconnected and untagged together", hosts: 50, disconnected: []int{3, 4}, untagged: []int{4, 5}, extraCalls: 5},
		{name: "silent ones are not at fault", hosts: 50, disconnected: []int{17}, silent: []int{18, 19}, extraCalls: 2},
		{name: "every host disconnected", hosts: 50, disconnected: upTo(50), extraCalls: 1},
		{name: "every host untagged", hosts: 50, untagged: upTo(50), extraCalls: 2},
		{name: "every host but one", hosts: 50, disconnected: upTo(49), extraCalls: 3},
		{name: "the only host", hosts: 1, disconnected: []int{0}, extraCalls: 0},
		{name: "one in each of two commands", hosts: 100, disconnected: []int{1, 99}, extraCalls: 6},
		{name: "one untagged in a fleet of 120", hosts: 120, untagged: []int{119}, extraCalls: 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sm := newSystemsManager(t, "exit 0\n", tc.hosts)
			sm.do(sm.Disconnect, tc.disconnected...)
			sm.do(sm.Untag, tc.untagged...)
			sm.do(sm.Stop, tc.stopped...)
			sm.do(sm.Silence, tc.silent...)
			a := attempt(tc.hosts + tc.unknown)
			refused, unclear := sm.outcome(a, sm.sender().Close(t.Context(), a))

			bad := slices.Concat(hostIDs(tc.disconnected...), hostIDs(tc.untagged...), hostIDs(tc.stopped...))
			for n := range tc.unknown {
				bad = append(bad, hostID(tc.hosts+n))
			}
			slices.Sort(bad)
			if got := slices.Sorted(maps.Keys(refused)); !slices.Equal(got, slices.Compact(bad)) || len(unclear) > 0 {
				t.Errorf("refused %v, unclear %v; want refused %v", got, unclear, bad)
			}
			for host, reason := range refused {
				want := "is not connected to Systems Manager"
				if slices.Contains(hostIDs(tc.untagged...), host) && !slices.Contains(hostIDs(tc.disconnected...), host) {
					want = "lacks the tag DcvFleet"
				}
				if !strings.Contains(reason, want) {
					t.Errorf("host %s %s; want: %s", host, reason, want)
				}
			}
			if extra := len(sm.calls) - (len(a.Closings)+49)/50; extra > tc.extraCalls {
				t.Errorf("%d extra calls, at most %d: %v", extra, tc.extraCalls, sm.calls)
			}
		})
	}
}

func upTo(n int) []int {
	var all []int
	for i := range n {
		all = append(all, i)
	}
	return all
}

func TestRefusedHostsWorkAgainOnceTheyAreBack(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 3)
	sm.do(sm.Disconnect, 1)
	a := attempt(3)
	sm.sender().Close(t.Context(), a)
	sm.do(sm.Reconnect, 1)
	if errs := sm.sender().Close(t.Context(), a); errors.Join(errs...) != nil {
		t.Error(errors.Join(errs...))
	}
}

// All sessions of a host have its result.
func TestEverySessionOfABadHostIsRefused(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 3)
	sm.do(sm.Disconnect, 1)
	a := attempt(3)
	for n := range 300 { // more than one command's worth
		c := a.Closings[1]
		c.SessionID = fmt.Sprint("more", n)
		a.Closings = append(a.Closings, c)
	}
	errs := sm.sender().Close(t.Context(), a)
	if refused, unclear := sm.outcome(a, errs); len(refused) != 1 || len(unclear) > 0 {
		t.Errorf("refused %v, unclear %v", refused, unclear)
	}
	if errs[0] != nil || errs[1] == nil || errs[2] != nil || slices.Contains(errs[3:], nil) {
		t.Errorf("answers: %v", errs)
	}
}

// Sections, for what nobody can be asked about.
func TestWrongPlatformFailsAlone(t *testing.T) {
	linuxOnly := document("exit 0\n")
	linuxOnly.Steps = linuxOnly.Steps[:1]
	sm := systemsManagerWith(t, fleet.Options{Documents: []template.Document{linuxOnly}}, 50)
	if err := sm.SetPlatform(hostID(33), "Windows"); err != nil {
		t.Fatal(err)
	}
	a := attempt(50)
	refused, unclear := sm.outcome(a, sm.sender().Close(t.Context(), a))
	if len(refused) != 1 || !strings.Contains(refused[hostID(33)], "platform") || len(unclear) > 0 {
		t.Errorf("refused %v, unclear %v", refused, unclear)
	}
}

func TestBadHostsFailAloneWhenNobodyCanBeAsked(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 50)
	sm.do(sm.Disconnect, 17)
	sm.fault = func(operation string, _ int) error {
		if operation == "DescribeInstanceInformation" {
			return &smithy.GenericAPIError{Code: "ThrottlingException"}
		}
		return nil
	}
	a := attempt(50)
	refused, unclear := sm.outcome(a, sm.sender().Close(t.Context(), a))
	if len(refused) != 1 || refused[hostID(17)] == "" || len(unclear) > 0 {
		t.Errorf("refused %v, unclear %v", refused, unclear)
	}
}

// One that has lost its connection may be refused, too: then it is at fault if
// no other is.
func TestHostsThatLostTheirConnectionAreAtFaultWhenNoOtherIs(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 5)
	sm.do(sm.Disconnect, 1)
	sm.do(sm.Silence, 2)
	sm.fault = func(_ string, n int) error {
		if n == 3 { // SendCommand, DescribeInstanceInformation, and now SendCommand without the first
			return &types.InvalidInstanceId{}
		}
		return nil
	}
	a := attempt(5)
	refused, unclear := sm.outcome(a, sm.sender().Close(t.Context(), a))
	if len(refused) != 2 || refused[hostID(1)] == "" || refused[hostID(2)] == "" || len(unclear) > 0 || len(sm.calls) != 4 {
		t.Errorf("refused %v, unclear %v, calls %q", refused, unclear, sm.calls)
	}
}

// A host goes after Systems Manager was asked: the call is refused again, and
// the host is found by smaller ones.
func TestBadHostsFailAloneWhenTheAnswerIsOutOfDate(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 20)
	sm.do(sm.Disconnect, 7)
	sm.fault = func(_ string, n int) error {
		if n == 3 { // SendCommand, DescribeInstanceInformation, and now SendCommand again
			sm.do(sm.Disconnect, 8)
		}
		return nil
	}
	a := attempt(20)
	refused, unclear := sm.outcome(a, sm.sender().Close(t.Context(), a))
	if len(refused) != 2 || refused[hostID(7)] == "" || refused[hostID(8)] == "" || len(unclear) > 0 {
		t.Errorf("refused %v, unclear %v", refused, unclear)
	}
}

// Half of the hosts are at fault, and nobody can be asked which: they are found
// all the same, in a stated number of calls.
func TestIsolationIsBoundedAndBlamesNobody(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 50)
	var odd []int
	for n := 1; n < 50; n += 2 {
		odd = append(odd, n)
	}
	sm.do(sm.Disconnect, odd...)
	sm.fault = func(operation string, _ int) error {
		if operation == "DescribeInstanceInformation" {
			return errors.New("no route to host")
		}
		return nil
	}
	a := attempt(50)
	refused, unclear := sm.outcome(a, sm.sender().Close(t.Context(), a))
	for host := range refused {
		if !slices.Contains(hostIDs(odd...), host) {
			t.Errorf("host %s is refused, and is well", host)
		}
	}
	if len(refused) != len(odd) || len(unclear) > 0 || len(sm.calls) > 1+maxExtraCalls {
		t.Errorf("%d calls, %d refused, %d unclear", len(sm.calls), len(refused), len(unclear))
	}
}

func TestMissingPermissionMakesNoStorm(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 50)
	sm.fault = func(operation string, _ int) error {
		if operation == "SendCommand" {
			return &smithy.GenericAPIError{Code: "AccessDeniedException"}
		}
		return nil
	}
	a := attempt(50)
	sm.sender().Close(t.Context(), a)
	if len(sm.calls) > 1+maxExtraCalls {
		t.Errorf("%d calls", len(sm.calls))
	}
}

func TestFaultOfTheDocumentMakesNoStorm(t *testing.T) {
	for _, cause := range []error{nil, &types.InvalidDocumentVersion{}, &types.InvalidParameters{}} {
		sm := newSystemsManager(t, "exit 0\n", 100)
		sm.fault = func(string, int) error { return cause }
		c := sm.sender()
		if cause == nil {
			c.CloseDocument = "AnotherDocument"
		}
		a := attempt(100)
		refused, unclear := sm.outcome(a, c.Close(t.Context(), a))
		if len(refused) != 100 || len(unclear) > 0 || len(sm.calls) != 2 {
			t.Errorf("%v: %d calls, %d refused, unclear %v", cause, len(sm.calls), len(refused), unclear)
		}
	}
}
