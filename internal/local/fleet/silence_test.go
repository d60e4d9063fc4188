package fleet_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/local/fleet"
)

// The time of the last ping shows an operator since when the host is not heard.
func TestASilentHostDoesNotPing(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, fleet.Options{Dir: dir}, linux("true"))
		defer f.Close()
		pinged := func() time.Duration {
			t.Helper()
			out, err := f.DescribeInstanceInformation(t.Context(), &ssm.DescribeInstanceInformationInput{})
			if err != nil || len(out.InstanceInformationList) != 1 {
				t.Fatalf("%v, %v", out, err)
			}
			return time.Since(*out.InstanceInformationList[0].LastPingDateTime)
		}
		host := f.host(1)
		f.do(f.Silence, host)
		time.Sleep(2 * time.Minute)
		f.do(f.Silence, host)
		time.Sleep(time.Minute)
		if ago := pinged(); ago != 3*time.Minute {
			t.Errorf("a silent host pinged %v ago", ago)
		}
		f.do(f.Speak, host)
		if ago := pinged(); ago != 0 {
			t.Errorf("a host that is heard again pinged %v ago", ago)
		}
	})
}

func TestACommandForASilentHostWaitsAsLongAsItIsValid(t *testing.T) {
	for _, c := range []struct {
		what         string
		after        time.Duration // the time until Speak
		want         string
		sessionsLeft int
	}{
		{"in time", 59 * time.Second, "Success", 0},
		{"too late to be delivered", 61 * time.Second, "DeliveryTimedOut", 1},
		{"after the end", 3 * time.Minute, "DeliveryTimedOut", 1},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, fleet.Options{Dir: dir}, linux("dcv close-session session-1"))
				defer f.Close()
				host := f.host(1)
				f.do(f.Silence, host)
				command := f.sendInput(&ssm.SendCommandInput{InstanceIds: []string{host}, TimeoutSeconds: aws.Int32(60)})
				time.Sleep(c.after)
				f.do(f.Speak, host)
				time.Sleep(2 * time.Minute)
				if got := f.status(command, host); got != c.want {
					t.Errorf("the command is %s, want %s", got, c.want)
				}
				if got := sessionsOf(t, f, host); len(got) != c.sessionsLeft {
					t.Errorf("sessions left: %v", got)
				}
				if got := f.statuses(host)[1]; got != "Delayed" {
					t.Errorf("it was %s while the host was silent", got)
				}
			})
		})
	}
}

func TestASilentHostLooksUnreachableButAcceptsCommands(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux("exit 0"))
	host := f.host(1)
	f.do(f.Silence, host)
	hosts, err := f.Hosts()
	if err != nil || hosts[0].State != fleet.Unreachable || len(hosts[0].Sessions) != 1 {
		t.Errorf("hosts %v, %v", hosts, err)
	}
	if got := describe(t, f, ssm.DescribeInstanceInformationInput{}); got[host] != types.PingStatusConnectionLost {
		t.Errorf("Systems Manager sees %v", got)
	}
	byTag := []types.Target{{Key: aws.String("tag:DcvFleet"), Values: []string{"test"}}}
	for _, in := range []*ssm.SendCommandInput{{InstanceIds: []string{host}}, {Targets: byTag}} {
		if got := f.status(f.sendInput(in), host); got != "Delayed" {
			t.Errorf("a command for it is %s", got)
		}
	}
	f.do(f.Speak, host)
	f.await(f.send(host), host, "Success")
}

func TestNobodyNoticesThatASilentHostStopped(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux("exit 0"))
	host := f.host(1)
	f.do(f.Silence, host)
	f.do(f.Stop, host)
	command := f.send(host)
	f.do(f.Speak, host)
	if got := f.status(command, host); got != "Delayed" {
		t.Errorf("a command for a host that is stopped is %s", got)
	}
	f.do(f.Start, host)
	f.await(command, host, "Success")
}

func TestLostEventsTellNobodyHowACommandEnded(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux("exit 0"))
	ids := f.hosts(2)
	f.do(f.LoseEvents, ids[0])
	command := f.send(ids...)
	for _, id := range ids {
		f.await(command, id, "Success") // a call still shows it
	}
	f.do(f.DeliverEvents, ids[0])
	f.await(f.send(ids[0]), ids[0], "Success")
	f.Close()
	want := []string{"Pending", "InProgress", "Pending", "InProgress", "Success"}
	if diff := cmp.Diff(want, f.statuses(ids[0])); diff != "" {
		t.Errorf("of the host that loses them (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[2:], f.statuses(ids[1])); diff != "" {
		t.Errorf("of the other (-want +got):\n%s", diff)
	}
}

func TestSilenceAndLostEventsOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	f := newFleet(t, fleet.Options{Dir: dir})
	ids := f.hosts(2)
	f.do(f.Silence, ids[0])
	f.do(f.LoseEvents, ids[1])
	f.Close()
	again := newFleet(t, fleet.Options{Dir: dir}, linux("exit 0"))
	command := again.sendInput(&ssm.SendCommandInput{InstanceIds: ids, MaxConcurrency: aws.String("100%")})
	again.await(command, ids[0], "Delayed")
	again.await(command, ids[1], "Success")
	again.Close()
	if got := again.statuses(ids[1]); got[len(got)-1] == "Success" {
		t.Error("the event was not lost")
	}
}

// Systems Manager does not know a host whose agent never registered: it does not list it, and refuses commands for it.
func TestUnmanagedHostIsUnknown(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux("exit 0"))
	ids := f.hosts(2)
	f.do(f.Unmanage, ids[1])
	listed, err := f.DescribeInstanceInformation(t.Context(), &ssm.DescribeInstanceInformationInput{})
	if err != nil || len(listed.InstanceInformationList) != 1 || *listed.InstanceInformationList[0].InstanceId != ids[0] {
		t.Errorf("%v, listed %+v", err, listed)
	}
	_, err = f.SendCommand(t.Context(), &ssm.SendCommandInput{DocumentName: aws.String("Test"), InstanceIds: ids})
	expect[*types.InvalidInstanceId](t, err)
	sent, err := f.SendCommand(t.Context(), &ssm.SendCommandInput{
		DocumentName: aws.String("Test"), Targets: []types.Target{{Key: aws.String("tag:DcvFleet"), Values: []string{"test"}}},
	})
	if err != nil || len(sent.Command.InstanceIds) != 1 {
		t.Errorf("%v, sent %+v", err, sent)
	}
	f.do(f.Manage, ids[1])
	if _, err := f.SendCommand(t.Context(), &ssm.SendCommandInput{DocumentName: aws.String("Test"), InstanceIds: ids}); err != nil {
		t.Errorf("managed again: %v", err)
	}
}
