package fleet_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/local/fleet"
)

func sessionsOf(t *testing.T, f *testFleet, hostID string) []fleet.Session {
	t.Helper()
	hosts, err := f.Hosts()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts {
		if h.HostID == hostID {
			return h.Sessions
		}
	}
	t.Fatalf("host %s is not listed", hostID)
	return nil
}

func TestHostsAreListedAsTheControlAPIShowsThem(t *testing.T) {
	f := newFleet(t, fleet.Options{})
	f.startSession("i-0123456789abcdef0", fleet.Session{ID: "b", Owner: "user1", Type: "virtual", CreationTime: "2026-11-23T19:01:02Z"})
	f.startSession("i-0123456789abcdef0", fleet.Session{ID: "a", Owner: "user2", Type: "console", CreationTime: "2026-11-23T19:01:02.123456Z"})
	f.startSession("i-01234567", fleet.Session{ID: "c", Owner: "user1"})
	f.do(f.Stop, "i-01234567")
	hosts, err := f.Hosts()
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(hosts)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"HostId":"i-01234567","State":"stopped","Sessions":[]},` +
		`{"HostId":"i-0123456789abcdef0","State":"running","Sessions":[` +
		`{"Id":"a","Owner":"user2","Type":"console","CreationTime":"2026-11-23T19:01:02.123456Z"},` +
		`{"Id":"b","Owner":"user1","Type":"virtual","CreationTime":"2026-11-23T19:01:02Z"}]}]`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTheStandInDcvListsTheSessionsAsStarted(t *testing.T) {
	f := newFleet(t, fleet.Options{})
	long := strings.Repeat("x", 128)
	hostile := "a\"b\\c $(reboot) é\n*"
	for _, id := range []string{"plain", long, hostile} {
		f.startSession("i-01234567", fleet.Session{ID: id, Owner: "user"})
	}
	command := exec.CommandContext(t.Context(), "sh", "dcv.sh", "list-sessions", "-j")
	command.Env = append(os.Environ(), "DCV_STATE="+f.StateDir("i-01234567"))
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var listed []struct{ ID string }
	if err := json.Unmarshal(out, &listed); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ids := map[string]bool{}
	for _, s := range listed {
		ids[s.ID] = true
	}
	if len(listed) != 3 || !ids["plain"] || !ids[long] || !ids[hostile] {
		t.Errorf("listed %v", listed)
	}
	f.do(func(host string) error { return f.EndSession(host, hostile) }, "i-01234567")
	if got := len(sessionsOf(t, f, "i-01234567")); got != 2 {
		t.Errorf("%d sessions after one was ended, want 2", got)
	}
}

func TestASessionIsCreatedNowByTheClockOfItsHost(t *testing.T) {
	at := time.Date(2026, 11, 23, 19, 1, 2, 123456789, time.UTC)
	f := newFleet(t, fleet.Options{Now: func() time.Time { return at }})
	if got := f.startSession("i-01234567", fleet.Session{ID: "a", Owner: "u"}).CreationTime; got != "2026-11-23T19:01:02.123456Z" {
		t.Errorf("created at %s", got)
	}
	f.do(func(host string) error { return f.SetClockOffset(host, -30*time.Second) }, "i-01234567")
	if got := f.startSession("i-01234567", fleet.Session{ID: "b", Owner: "u"}).CreationTime; got != "2026-11-23T19:00:32.123456Z" {
		t.Errorf("created at %s on a host that is 30 s late", got)
	}
}

func TestAStopEndsTheSessionsAndAStartBringsOnlyTheAutomaticConsole(t *testing.T) {
	f := newFleet(t, fleet.Options{})
	old := f.startSession("i-01234567", fleet.Session{ID: "console", Owner: "user1", Type: "console", CreationTime: "2020-01-01T00:00:00Z"})
	f.startSession("i-01234567", fleet.Session{ID: "other", Owner: "user2"})
	f.startSession("i-01234568", fleet.Session{ID: "other", Owner: "user2"})
	for _, host := range []string{"i-01234567", "i-01234568"} {
		f.do(f.Stop, host)
		f.do(f.Stop, host)
		if got := sessionsOf(t, f, host); len(got) != 0 {
			t.Errorf("a stopped host has %v", got)
		}
		if _, err := f.StartSession(host, fleet.Session{ID: "x", Owner: "u"}); !errors.Is(err, fleet.ErrStopped) {
			t.Errorf("a session on a stopped host: %v", err)
		}
		f.do(f.Start, host)
		f.do(f.Start, host)
	}
	got := sessionsOf(t, f, "i-01234567")
	if len(got) != 1 || got[0].ID != "console" || got[0].Owner != "user1" || got[0].CreationTime == old.CreationTime {
		t.Errorf("after the start there is %v, want a new console of user1", got)
	}
	if got := sessionsOf(t, f, "i-01234568"); len(got) != 0 {
		t.Errorf("after the start there is %v, want nothing", got)
	}
}

func TestStopAndStartHaveTheEventsOfEC2(t *testing.T) {
	f := newFleet(t, fleet.Options{})
	f.startSession("i-01234567", fleet.Session{ID: "a", Owner: "u"})
	f.startSession("mi-01234567890abcdef", fleet.Session{ID: "a", Owner: "u"})
	for _, host := range []string{"i-01234567", "mi-01234567890abcdef"} {
		f.do(f.Stop, host)
		f.do(f.Start, host)
	}
	var states []string
	for _, e := range f.events {
		if e.Source != "aws.ec2" || e.DetailType != "EC2 Instance State-change Notification" ||
			e.Account != "000000000000" || e.Region != "us-east-1" || e.ID == "" || e.Time.IsZero() ||
			!cmp.Equal(e.Resources, []string{"arn:aws:ec2:us-east-1:000000000000:instance/i-01234567"}) ||
			e.Detail["instance-id"] != "i-01234567" {
			t.Errorf("event %+v", e)
		}
		states = append(states, e.Detail["state"])
	}
	want := []string{"pending", "running", "stopping", "stopped", "pending", "running"}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

func TestNothingOfAStoppedHostLivesOn(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux(`while :; do echo '{"id": "ghost"}' >"$DCV_STATE/00.json"; done`))
	host := f.host(1)
	for range 10 {
		command := f.send(host)
		f.await(command, host, "InProgress")
		f.do(f.Stop, host)
		if got := sessionsOf(t, f, host); len(got) > 0 {
			t.Fatalf("a stopped host has %v", got)
		}
		// Otherwise the agent would begin again.
		if _, err := f.CancelCommand(t.Context(), &ssm.CancelCommandInput{CommandId: &command}); err != nil {
			t.Fatal(err)
		}
		f.do(f.Start, host)
		f.await(command, host, "Cancelled")
	}
}

func TestWhoeverGetsAnEventMayCallTheFleet(t *testing.T) {
	var f *fleet.Fleet
	var states []string
	inside := false
	f, err := fleet.New(fleet.Options{Dir: t.TempDir(), Emit: func(raw json.RawMessage) {
		if inside {
			t.Error("an event came while another was being taken")
		}
		inside = true
		defer func() { inside = false }()
		var e event
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Error(err)
		}
		if states = append(states, e.Detail["state"]); len(states) == 1 {
			if err := f.Stop("i-01234567"); err != nil {
				t.Error(err)
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.StartSession("i-01234567", fleet.Session{ID: "a", Owner: "u"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"pending", "running", "stopping", "stopped"}, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

func TestHostsOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	f := newFleet(t, fleet.Options{Dir: dir})
	f.startSession("i-01234567", fleet.Session{ID: "console", Owner: "u", Type: "console"})
	f.startSession("i-01234568", fleet.Session{ID: "a", Owner: "u"})
	f.do(f.Disconnect, "i-01234567")
	f.do(f.Stop, "i-01234568")
	before, err := f.Hosts()
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	// A kill while a host is created leaves a part of it.
	if err := os.MkdirAll(filepath.Join(dir, "hosts", "i-01234569", "dcv"), 0o755); err != nil {
		t.Fatal(err)
	}
	again := newFleet(t, fleet.Options{Dir: dir})
	after, err := again.Hosts()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	again.do(again.Stop, "i-01234567")
	again.do(again.Start, "i-01234567")
	if got := sessionsOf(t, again, "i-01234567"); len(got) != 1 {
		t.Errorf("the automatic console is forgotten: %v", got)
	}
}

func TestRepairUndoesFaultsOfADcvServer(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux("dcv list-sessions"))
	host := f.host(1)
	f.do(f.Break, host)
	if err := os.WriteFile(filepath.Join(f.StateDir(host), "garbage"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	command := f.send(host)
	f.await(command, host, "Failed")
	if got := *f.step(command, host, "linux").StandardErrorContent; !strings.Contains(got, "Could not connect") {
		t.Errorf("stderr of a broken server: %q", got)
	}
	f.do(f.Repair, host)
	f.await(f.send(host), host, "Success")
}

func TestCallsAboutWhatDoesNotExistAreRefused(t *testing.T) {
	f := newFleet(t, fleet.Options{})
	host := f.host(1)
	for what, err := range map[string]error{
		"stop":        f.Stop("i-99999999"),
		"start":       f.Start("i-99999999"),
		"disconnect":  f.Disconnect("i-99999999"),
		"break":       f.Break("i-99999999"),
		"end session": f.EndSession("i-99999999", "a"),
	} {
		if !errors.Is(err, fleet.ErrUnknownHost) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := f.EndSession(host, "other"); !errors.Is(err, fleet.ErrUnknownSession) {
		t.Errorf("end an unknown session: %v", err)
	}
	for _, s := range []fleet.Session{
		{ID: "", Owner: "u"}, {ID: "a", Owner: ""}, {ID: "a\x00", Owner: "u"}, {ID: strings.Repeat("x", 129), Owner: "u"},
		{ID: "a", Owner: "u", Type: "other"}, {ID: "a", Owner: "u", CreationTime: "yesterday"},
	} {
		if _, err := f.StartSession(host, s); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, id := range []string{"", "host", "../../i-01234567", "i-0123456", "mi-01234567"} {
		if _, err := f.StartSession(id, fleet.Session{ID: "a", Owner: "u"}); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("host %q: %v", id, err)
		}
	}
}
