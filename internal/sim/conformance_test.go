package sim

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/runcommand/ssmtest"
	"dcv-session-broker/internal/template"
)

func TestSystemsManagerConforms(t *testing.T) {
	ssmtest.Run(t, func(t *testing.T, test func(*testing.T, ssmtest.Factory)) {
		synctest.Test(t, func(t *testing.T) { test(t, newConforming) })
	})
}

// conforming is a world without random faults, in which only the test runs.
type conforming struct {
	w              *world
	inv            *invocation
	stdout, stderr string
	exit           int
	runs           int
}

func newConforming(_ *testing.T, opts ssmtest.Options) ssmtest.System {
	w := newWorld(1)
	w.calm, w.hiddenFor = true, opts.InvocationDelay
	w.sends.perSecond, w.reads.perSecond = opts.SendsPerSecond, opts.ReadsPerSecond
	c := &conforming{w: w, inv: &invocation{function: "test", asked: map[string]hostStatus{}, tagsTold: map[string]string{}}}
	linux, windows := step{"linux", "linux"}, step{"windows", "windows"}
	w.declared = map[string]template.Document{ssmtest.Asking: {LogicalID: ssmtest.Asking, Parameters: ssmtest.Asked()}}
	w.documents = map[string]document{
		ssmtest.Both:    {[]step{linux, windows}, c.script},
		ssmtest.OneStep: {[]step{linux}, c.script},
		ssmtest.Asking:  {[]step{linux}, c.script},
		ssmtest.Hanging: {[]step{linux}, func(on *onHost) {
			c.runs++
			stdout, stderr, since := c.stdout, c.stderr, on.machine.since
			w.after(scriptTimeout, func() {
				if !on.machine.since.Equal(since) {
					w.answerLost(on)
					return
				}
				on.stderr = stderr
				w.timesOut(on, stdout)
			})
		}},
	}
	return c
}

// script is a script that prints, and exits, as it was told.
func (c *conforming) script(on *onHost) {
	c.runs++
	stdout, stderr, exit := c.stdout, c.stderr, c.exit
	c.w.prints(on, 50*time.Millisecond, func() string {
		on.stderr, on.code = stderr, int32(exit)
		return stdout
	})
}

func (c *conforming) Runs() int { return c.runs }

func (c *conforming) AddHost(id string) {
	c.w.machines = append(c.w.machines, &machine{
		id: id, platform: "linux", tagged: true, since: c.w.now(), changed: c.w.now(), newest: map[string]time.Time{},
	})
}

func (c *conforming) Change(id string, what ssmtest.Change) {
	m := c.w.machine(id)
	switch what {
	case ssmtest.Stop:
		c.w.turnOff(m, stopped)
	case ssmtest.Hibernate:
		c.w.turnOff(m, hibernated)
	case ssmtest.Terminate:
		c.w.turnOff(m, terminated)
	case ssmtest.Start:
		c.w.turnOn(m)
	case ssmtest.Disconnect, ssmtest.Reconnect:
		m.offline = what == ssmtest.Disconnect
	case ssmtest.Silence, ssmtest.Speak:
		m.silent = what == ssmtest.Silence
	case ssmtest.Untag, ssmtest.Tag:
		m.tagged = what == ssmtest.Tag
	case ssmtest.KillWorker, ssmtest.RepairAgent:
		m.workersDie = what == ssmtest.KillWorker
	case ssmtest.NotLinux:
		m.platform = "windows"
	}
}

func (c *conforming) Prints(stdout, stderr string, exit int) {
	c.stdout, c.stderr, c.exit = stdout, stderr, exit
}

func (c *conforming) EndBroadcasts(details string) { c.w.endBroadcasts = details }

func (c *conforming) Await(condition func() bool) bool {
	for end := c.w.now().Add(30 * time.Second); c.w.now().Before(end); c.Pass(100 * time.Millisecond) {
		if condition() {
			return true
		}
	}
	return condition()
}

func (c *conforming) Pass(d time.Duration) {
	end := c.w.now().Add(d)
	for {
		next := end
		for _, h := range c.w.agenda {
			if h.at.Before(next) {
				next = h.at
			}
		}
		c.w.pass(max(0, next.Sub(c.w.now())))
		for len(c.w.due()) > 0 {
			c.w.happen(c.w.due()[0])
		}
		if !c.w.now().Before(end) {
			return
		}
	}
}

func (c *conforming) Events() (events []json.RawMessage) {
	for _, m := range c.w.queue {
		events = append(events, json.RawMessage(strings.TrimSpace(m.body)))
	}
	return events
}

// land makes a call, which waits at the boundary, and lets it land.
func land[Out any](c *conforming, call func() (Out, error)) (out Out, err error) {
	done := false
	go func() {
		out, err = call()
		done = true
	}()
	for synctest.Wait(); !done; synctest.Wait() {
		c.w.landOne(c.w.parked[0])
	}
	return out, err
}

func (c *conforming) ssm() systemsManagerOf { return systemsManagerOf{c.w, c.inv} }

func (c *conforming) SendCommand(ctx context.Context, in *ssm.SendCommandInput, _ ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	return land(c, func() (*ssm.SendCommandOutput, error) { return c.ssm().SendCommand(ctx, in) })
}

func (c *conforming) ListCommandInvocations(ctx context.Context, in *ssm.ListCommandInvocationsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	return land(c, func() (*ssm.ListCommandInvocationsOutput, error) { return c.ssm().ListCommandInvocations(ctx, in) })
}

func (c *conforming) ListCommands(ctx context.Context, in *ssm.ListCommandsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	return land(c, func() (*ssm.ListCommandsOutput, error) { return c.ssm().ListCommands(ctx, in) })
}

func (c *conforming) GetCommandInvocation(ctx context.Context, in *ssm.GetCommandInvocationInput, _ ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	return land(c, func() (*ssm.GetCommandInvocationOutput, error) { return c.ssm().GetCommandInvocation(ctx, in) })
}

func (c *conforming) DescribeInstanceInformation(ctx context.Context, in *ssm.DescribeInstanceInformationInput, _ ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error) {
	return land(c, func() (*ssm.DescribeInstanceInformationOutput, error) {
		return c.ssm().DescribeInstanceInformation(ctx, in)
	})
}

func (c *conforming) DescribeInstances(ctx context.Context, in *ec2.DescribeInstancesInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	return land(c, func() (*ec2.DescribeInstancesOutput, error) { return ec2Of{c.w, c.inv}.DescribeInstances(ctx, in) })
}
