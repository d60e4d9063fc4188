package fleet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/local/fleet"
)

// held returns a document whose script begins, and then waits until release is called.
func held(t *testing.T, more string) (script string, release func()) {
	t.Helper()
	gate := filepath.Join(t.TempDir(), "gate")
	script = fmt.Sprintf("echo x >>%[1]s.$AWS_SSM_INSTANCE_ID\nwhile [ ! -e %[1]s ]; do sleep 0.01; done\n%[2]s\n", gate, more)
	return script, func() {
		if err := os.WriteFile(gate, nil, 0o600); err != nil {
			t.Error(err)
		}
	}
}

func TestEveryChangeOfAnInvocationIsAnEvent(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux("exit 0"))
	host := f.host(1)
	command := f.send(host)
	f.await(command, host, "Success")
	f.Close()
	var statuses []string
	ids := map[string]bool{}
	for _, e := range f.events {
		if e.DetailType != "EC2 Command Invocation Status-change Notification" {
			continue
		}
		if e.Source != "aws.ssm" || e.Detail["command-id"] != command || e.Detail["document-name"] != "Test" ||
			e.Detail["instance-id"] != host || ids[e.ID] ||
			!cmp.Equal(e.Resources, []string{"arn:aws:ec2:us-east-1:000000000000:instance/" + host}) {
			t.Errorf("event %+v", e)
		}
		if _, err := time.Parse("2006-01-02T15:04:05.000Z", e.Detail["requested-date-time"]); err != nil {
			t.Error(err)
		}
		ids[e.ID] = true
		statuses = append(statuses, e.Detail["status"])
	}
	if diff := cmp.Diff([]string{"Pending", "InProgress", "Success"}, statuses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The event of the whole command differs from that of an invocation by one word of its detail-type.
func TestACommandAsAWholeHasEventsToo(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux(`[ "$AWS_SSM_INSTANCE_ID" != i-00000000000000001 ]`))
	ids := f.hosts(2)
	command := f.sendInput(&ssm.SendCommandInput{InstanceIds: ids, MaxErrors: aws.String("100%")})
	f.await(command, ids[0], "Success")
	f.await(command, ids[1], "Failed")
	f.Close()
	var statuses []string
	for _, e := range f.events {
		if e.DetailType == "EC2 Command Status-change Notification" {
			statuses = append(statuses, e.Detail["status"])
		}
	}
	if diff := cmp.Diff([]string{"Pending", "InProgress", "Success"}, statuses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestByDefaultTheFirstErrorEndsTheRestUnrun(t *testing.T) {
	ran := filepath.Join(t.TempDir(), "ran")
	f := newFleet(t, fleet.Options{}, linux("echo x >>"+ran+"; exit 1"))
	ids := f.hosts(10)
	command := f.sendInput(&ssm.SendCommandInput{InstanceIds: ids, MaxConcurrency: aws.String("1")})
	f.await(command, ids[0], "Failed")
	for _, id := range ids[1:] {
		i := f.invocation(command, id)
		if i.Status != "Cancelled" || *i.StatusDetails != "Terminated" {
			t.Errorf("host %s: %s, %s", id, i.Status, *i.StatusDetails)
		}
	}
	if got, _ := os.ReadFile(ran); string(got) != "x\n" {
		t.Errorf("ran %q, want once", got)
	}
}

func TestMaxErrorsLetsTheOthersRun(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux("exit 1"))
	ids := f.hosts(10)
	for maxErrors, want := range map[string]int{"100%": 10, "20%": 3, "4": 5, "0": 1} {
		command := f.sendInput(&ssm.SendCommandInput{InstanceIds: ids, MaxErrors: &maxErrors, MaxConcurrency: aws.String("1")})
		for _, id := range ids[:want] {
			f.await(command, id, "Failed")
		}
		for _, id := range ids[want:] {
			f.await(command, id, "Terminated")
		}
	}
}

func TestMaxConcurrencyBoundsHowManyHostsHaveTheCommand(t *testing.T) {
	script, release := held(t, "exit 0")
	f := newFleet(t, fleet.Options{Parallel: 10}, linux(script))
	ids := f.hosts(10)
	command := f.sendInput(&ssm.SendCommandInput{InstanceIds: ids, MaxConcurrency: aws.String("30%")})
	for _, id := range ids[:3] {
		f.await(command, id, "InProgress")
	}
	time.Sleep(50 * time.Millisecond)
	for _, id := range ids[3:] {
		if got := f.status(command, id); got != "Pending" {
			t.Errorf("host %s: %s", id, got)
		}
	}
	release()
	for _, id := range ids {
		f.await(command, id, "Success")
	}
}

func TestAHangingScriptHoldsUpNobodyElse(t *testing.T) {
	script, release := held(t, "exit 0")
	f := newFleet(t, fleet.Options{Parallel: 1}, linux("if [ $AWS_SSM_INSTANCE_ID = i-00000000000000000 ]; then\n"+script+"fi"))
	ids := f.hosts(2)
	command := f.send(ids...)
	f.await(command, ids[1], "Success")
	if got := f.status(command, ids[0]); got != "InProgress" {
		t.Errorf("the first host is %s", got)
	}
	release()
	f.await(command, ids[0], "Success")
}

func TestAnInvocationCannotBeReadForAMomentAfterSendCommand(t *testing.T) {
	at := time.Date(2026, 11, 23, 19, 0, 0, 0, time.UTC)
	now := at
	f := newFleet(t, fleet.Options{InvocationDelay: time.Second, Now: func() time.Time { return now }}, linux("sleep 0.5"))
	host := f.host(1)
	command := f.send(host)
	in := &ssm.GetCommandInvocationInput{CommandId: &command, InstanceId: &host}
	if _, err := f.GetCommandInvocation(t.Context(), in); code(err) != "InvocationDoesNotExist" {
		t.Errorf("immediately: %v", err)
	}
	listed, err := f.ListCommandInvocations(t.Context(), &ssm.ListCommandInvocationsInput{CommandId: &command})
	if err != nil || len(listed.CommandInvocations) != 0 {
		t.Errorf("listed immediately: %v, %v", listed, err)
	}
	f.Close() // no other goroutine reads the clock
	now = at.Add(time.Second)
	if _, err := f.GetCommandInvocation(t.Context(), in); err != nil {
		t.Errorf("a second later: %v", err)
	}
}

func TestWhatAHostDidMeanwhileIsKnownOnceItIsBack(t *testing.T) {
	type action func(*testFleet, string) error
	for what, c := range map[string]struct{ away, back action }{
		"disconnected": {(*testFleet).Disconnect, (*testFleet).Reconnect},
		"silent":       {(*testFleet).Silence, (*testFleet).Speak},
	} {
		t.Run(what, func(t *testing.T) {
			script, release := held(t, "dcv close-session session-1")
			f := newFleet(t, fleet.Options{}, linux(script))
			host := f.host(1)
			command := f.send(host)
			f.await(command, host, "InProgress")
			f.do(func(host string) error { return c.away(f, host) }, host)
			release()
			eventually(t, func() error {
				if got := sessionsOf(t, f, host); len(got) > 0 {
					return fmt.Errorf("there is still %v", got)
				}
				return nil
			})
			time.Sleep(100 * time.Millisecond)
			if got := f.status(command, host); got != "InProgress" {
				t.Errorf("its command is %s", got)
			}
			f.do(func(host string) error { return c.back(f, host) }, host)
			f.await(command, host, "Success")
		})
	}
}

func TestACommandThatCannotBeDeliveredInTimeNeverRuns(t *testing.T) {
	for _, c := range []struct {
		what  string
		after time.Duration // until the host is back
		want  string
	}{
		{"in time", 29 * time.Second, "Success"},
		{"too late to be delivered", 31 * time.Second, "DeliveryTimedOut"},
		{"after the end", 2 * time.Minute, "DeliveryTimedOut"},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := t.TempDir()
			script, release := held(t, "exit 0")
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t, fleet.Options{Dir: dir, Parallel: 1}, linux(script))
				defer f.Close()
				ids := f.hosts(2)
				// The second host receives the command after the first has finished.
				command := f.sendInput(&ssm.SendCommandInput{
					InstanceIds: ids, MaxConcurrency: aws.String("1"), TimeoutSeconds: aws.Int32(30),
				})
				f.do(f.Disconnect, ids[1])
				release()
				for f.status(command, ids[1]) != "Delayed" {
					time.Sleep(time.Millisecond)
				}
				time.Sleep(c.after)
				f.do(f.Reconnect, ids[1])
				time.Sleep(2 * time.Minute)
				if got := f.status(command, ids[1]); got != c.want {
					t.Errorf("the command is %s, want %s", got, c.want)
				}
				if got := f.status(command, ids[0]); got != "Success" {
					t.Errorf("on the other host it is %s", got)
				}
			})
		})
	}
}

// A command for a host that never reports times out after the delivery and the execution time together.
func TestAHostThatNeverAnswersAgainTimesOut(t *testing.T) {
	dir := t.TempDir()
	script, release := held(t, "exit 0")
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t, fleet.Options{Dir: dir}, linux(script))
		defer f.Close()
		host := f.host(1)
		command := f.sendInput(&ssm.SendCommandInput{InstanceIds: []string{host}, TimeoutSeconds: aws.Int32(60)})
		f.do(f.Disconnect, host)
		release()
		time.Sleep(119 * time.Second)
		if got := f.status(command, host); got != "InProgress" {
			t.Errorf("after 119 s the command is %s", got)
		}
		time.Sleep(2 * time.Second)
		i := f.invocation(command, host)
		if i.Status != "TimedOut" || *i.StatusDetails != "DeliveryTimedOut" || *i.CommandPlugins[0].Output != "" {
			t.Errorf("after 121 s the command is %s, %s", i.Status, *i.StatusDetails)
		}
		f.do(f.Reconnect, host)
		time.Sleep(time.Minute)
		if got := f.status(command, host); got != "DeliveryTimedOut" {
			t.Errorf("a late answer made it %s", got)
		}
		if diff := cmp.Diff([]string{"Pending", "InProgress", "TimedOut"}, f.statuses(host)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestACommandCanBeCancelled(t *testing.T) {
	script, _ := held(t, "exit 0")
	f := newFleet(t, fleet.Options{}, linux(script))
	ids := f.hosts(3)
	command := f.sendInput(&ssm.SendCommandInput{InstanceIds: ids, MaxConcurrency: aws.String("1")})
	f.await(command, ids[0], "InProgress")
	if _, err := f.CancelCommand(t.Context(), &ssm.CancelCommandInput{CommandId: &command, InstanceIds: ids[1:2]}); err != nil {
		t.Fatal(err)
	}
	f.await(command, ids[1], "Cancelled")
	if got := f.status(command, ids[2]); got != "Pending" {
		t.Errorf("the host that was not named is %s", got)
	}
	if _, err := f.CancelCommand(t.Context(), &ssm.CancelCommandInput{CommandId: &command}); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		f.await(command, id, "Cancelled")
	}
	eventually(t, func() error { // the event follows the status
		if diff := cmp.Diff([]string{"Pending", "InProgress", "Cancelling", "Cancelled"}, f.statuses(ids[0])); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	})
	for what, in := range map[string]*ssm.CancelCommandInput{
		"ValidationException": {CommandId: aws.String("x")},
		"InvalidCommandId":    {CommandId: aws.String("00000000-0000-0000-0000-000000000000")},
		"InvalidInstanceId":   {CommandId: &command, InstanceIds: []string{"i-99999999"}},
	} {
		if _, err := f.CancelCommand(t.Context(), in); code(err) != what {
			t.Errorf("got %v, want %s", err, what)
		}
	}
}

func TestCloseEndsEverythingThatRuns(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	d := linux("timeout 3600 sh -c '" + ticks(mark) + "'")
	d.Steps[0].Timeout = time.Hour
	f := newFleet(t, fleet.Options{}, d)
	host := f.host(1)
	f.send(host)
	eventually(t, func() error {
		_, err := os.Stat(mark)
		return err
	})
	closed := make(chan struct{})
	go func() { defer close(closed); f.Close() }()
	select {
	case <-closed:
	case <-time.After(5 * time.Minute): // the step has an hour
		t.Fatal("Close waits for the script")
	}
	wantEnded(t, mark)
	if _, err := f.SendCommand(t.Context(), &ssm.SendCommandInput{DocumentName: aws.String("Test"), InstanceIds: []string{host}}); err == nil {
		t.Error("a command was taken after Close")
	}
}
