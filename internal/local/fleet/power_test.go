package fleet_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/local/fleet"
)

// instanceStates returns the states in EC2's events of a host.
func (f *testFleet) instanceStates(host string) []string {
	return f.details("EC2 Instance State-change Notification", host, "state")
}

func TestAHibernatedHostHasItsSessionsAgainAfterTheStart(t *testing.T) {
	dir := t.TempDir()
	f := newFleet(t, fleet.Options{Dir: dir})
	const host = "i-01234567"
	f.startSession(host, fleet.Session{ID: "console", Owner: "u", Type: "console", CreationTime: "2020-01-01T00:00:00Z"})
	f.startSession(host, fleet.Session{ID: "other", Owner: "u"})
	before := sessionsOf(t, f, host)
	f.do(f.Hibernate, host)
	f.do(f.Hibernate, host)
	f.do(f.Stop, host) // EC2 does not change a stopped instance
	hosts, err := f.Hosts()
	if err != nil || hosts[0].State != fleet.Stopped {
		t.Errorf("hosts %v, %v", hosts, err)
	}
	if err := f.EndSession(host, "other"); !errors.Is(err, fleet.ErrStopped) {
		t.Errorf("nobody can end a session there, but: %v", err)
	}
	if _, err := f.StartSession(host, fleet.Session{ID: "x", Owner: "u"}); !errors.Is(err, fleet.ErrStopped) {
		t.Errorf("nor start one, but: %v", err)
	}
	f.Close()
	if diff := cmp.Diff([]string{"pending", "running", "stopping", "stopped"}, f.instanceStates(host)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}

	again := newFleet(t, fleet.Options{Dir: dir}) // hibernation survives the process
	again.do(again.Start, host)
	if diff := cmp.Diff(before, sessionsOf(t, again, host)); diff != "" {
		t.Errorf("sessions (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"pending", "running"}, again.instanceStates(host)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	again.do(again.Stop, host) // an ordinary stop ends the hibernation
	again.do(again.Start, host)
	if got := sessionsOf(t, again, host); len(got) != 1 || got[0].CreationTime == "2020-01-01T00:00:00Z" {
		t.Errorf("after an ordinary stop there is %v, want a new console", got)
	}
}

func TestAHibernatedHostDoesNotGoOnWithItsWork(t *testing.T) {
	script, release := held(t, "dcv close-session session-1")
	var ahead atomic.Int64
	f := newFleet(t, fleet.Options{Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }}, linux(script))
	host := f.host(1)
	command := f.send(host)
	f.await(command, host, "InProgress")
	f.do(f.Hibernate, host)
	release()
	time.Sleep(50 * time.Millisecond)
	if got := sessionsOf(t, f, host); len(got) != 1 {
		t.Errorf("a script ran on a hibernated host: it has %v", got)
	}
	if _, err := f.SendCommand(t.Context(), &ssm.SendCommandInput{DocumentName: aws.String("Test"), InstanceIds: []string{host}}); code(err) != "InvalidInstanceId" {
		t.Errorf("a command for a hibernated host: %v", err)
	}
	f.do(f.Start, host)
	if got := f.status(command, host); got != "InProgress" {
		t.Errorf("before its agent can say so the command is %s", got)
	}
	ahead.Store(int64(61 * time.Second))
	f.ClockSet()
	f.await(command, host, "Failed")
	if got := sessionsOf(t, f, host); len(got) != 1 {
		t.Errorf("the script has gone on: it has %v", got)
	}
}

func TestATerminatedHostIsNotListed(t *testing.T) {
	script, _ := held(t, "")
	dir := t.TempDir()
	f := newFleet(t, fleet.Options{Dir: dir}, linux(script))
	ids := f.hosts(2)
	f.await(f.send(ids[0]), ids[0], "InProgress")
	f.do(f.Terminate, ids[0])
	gone := func(f *testFleet) {
		t.Helper()
		hosts, err := f.Hosts()
		if err != nil || len(hosts) != 1 || hosts[0].HostID != ids[1] {
			t.Errorf("hosts %v, %v", hosts, err)
		}
		if got := describe(t, f, ssm.DescribeInstanceInformationInput{}); len(got) != 1 {
			t.Errorf("Systems Manager knows %v", got)
		}
		_, err = f.SendCommand(t.Context(), &ssm.SendCommandInput{DocumentName: aws.String("Test"), InstanceIds: ids[:1]})
		if code(err) != "InvalidInstanceId" {
			t.Errorf("a command for it: %v", err)
		}
		if err := f.Start(ids[0]); !errors.Is(err, fleet.ErrUnknownHost) {
			t.Errorf("start: %v", err)
		}
		if _, err := f.StartSession(ids[0], fleet.Session{ID: "a", Owner: "u"}); !errors.Is(err, fleet.ErrInvalid) {
			t.Errorf("a session on it: %v", err)
		}
	}
	gone(f)
	want := []string{"pending", "running", "shutting-down", "terminated"}
	if diff := cmp.Diff(want, f.instanceStates(ids[0])); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	f.Close()
	gone(newFleet(t, fleet.Options{Dir: dir}, linux("exit 0")))
}
