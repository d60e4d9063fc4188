package fleet

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/local/agent"
	"dcv-session-broker/internal/template"
)

// command is one SendCommand.
type command struct {
	id         string
	document   template.Document
	parameters map[string]string // those given, and the others' defaults
	comment    string
	taken      types.Command // what SendCommand answered
	requested  time.Time
	deliverBy  time.Time // a host that has not been given the command by then never is
	expires    time.Time // whatever has no end by then ends as DeliveryTimedOut
	expiry     *time.Timer

	atOnce      int // MaxConcurrency
	maxErrors   int
	invocations []*invocation
	next        int // the first invocation not sent yet
	underWay    int
	errors      int
	done        bool
	ended       string // how it ended as a whole, before any host had it
}

// invocation is a command on one host.
type invocation struct {
	command *command
	host    *host
	status  status
	sent    bool         // counts as under way, until it ends
	results []stepResult // nil until the host has reported the end
	settled bool         // the results are there but the host could not report them yet
	// diedAt is when its host was turned off amid it, or its agent's worker was killed.
	diedAt time.Time
}

// status is a state in the life of an invocation, with the names that Systems Manager has for it.
//
//	Pending ─┬─▶ InProgress ─┬─▶ Success, Failed, ExecutionTimedOut
//	         │               ├─▶ Cancelled
//	         ├─▶ Delayed ────┴─▶ DeliveryTimedOut
//	         └─▶ Undeliverable, Terminated, Cancelled
type status struct {
	code    types.CommandInvocationStatus
	details string
	ended   bool
	isError bool // counts against MaxErrors
}

var (
	pending           = status{code: types.CommandInvocationStatusPending, details: "Pending"}
	delayed           = status{code: types.CommandInvocationStatusDelayed, details: "Delayed"}
	inProgress        = status{code: types.CommandInvocationStatusInProgress, details: "InProgress"}
	cancelling        = status{code: types.CommandInvocationStatusCancelling, details: "Cancelling"}
	success           = status{code: types.CommandInvocationStatusSuccess, details: "Success", ended: true}
	failed            = status{code: types.CommandInvocationStatusFailed, details: "Failed", ended: true, isError: true}
	executionTimedOut = status{code: types.CommandInvocationStatusTimedOut, details: "ExecutionTimedOut", ended: true, isError: true}
	deliveryTimedOut  = status{code: types.CommandInvocationStatusTimedOut, details: "DeliveryTimedOut", ended: true}
	undeliverable     = status{code: types.CommandInvocationStatusFailed, details: "Undeliverable", ended: true}
	terminated        = status{code: types.CommandInvocationStatusCancelled, details: "Terminated", ended: true}
	cancelled         = status{code: types.CommandInvocationStatusCancelled, details: "Cancelled", ended: true}
)

// begin starts a command's life.
func (f *Fleet) begin(c *command) {
	f.commands[c.id] = c
	f.sent = append(f.sent, c)
	f.forget()
	c.expiry = time.AfterFunc(c.expires.Sub(f.now()), func() {
		_ = f.change(func() error { f.expire(c); return nil }) // after Close there is nothing to expire
	})
	f.log.Info("command sent", "Command", c.id, "Document", c.document.LogicalID, "Hosts", len(c.invocations),
		"Comment", c.comment)
	f.commandChanged(c, "Pending")
	for _, i := range c.invocations {
		f.invocationChanged(i)
	}
	f.advance(c)
}

// forget drops the oldest finished commands. The real Systems Manager keeps them for 30 days.
func (f *Fleet) forget() {
	const kept = 1000
	for len(f.sent) > kept && f.sent[0].finished() {
		delete(f.commands, f.sent[0].id)
		f.sent = f.sent[1:]
	}
}

func (c *command) finished() bool {
	return !slices.ContainsFunc(c.invocations, func(i *invocation) bool { return !i.status.ended })
}

// advance sends the command to as many more hosts as may have it at once.
func (f *Fleet) advance(c *command) {
	for c.underWay < c.atOnce && c.next < len(c.invocations) {
		i := c.invocations[c.next]
		c.next++
		if i.status.ended {
			continue
		}
		if c.next == 1 {
			f.commandChanged(c, "InProgress")
		}
		c.underWay++
		i.sent = true
		f.deliver(i)
	}
	if c.finished() && !c.done {
		c.done = true
		c.expiry.Stop()
		f.commandChanged(c, c.result())
	}
}

// result is how the command as a whole ended.
func (c *command) result() string {
	is := func(s status) func(*invocation) bool {
		return func(i *invocation) bool { return i.status == s }
	}
	reached := func(i *invocation) bool { return i.status != undeliverable }
	switch {
	case c.ended == noInstancesInTag:
		return string(types.CommandStatusSuccess)
	case c.ended != "", slices.ContainsFunc(c.invocations, is(cancelled)):
		return string(types.CommandStatusCancelled)
	case c.errors > c.maxErrors, !slices.ContainsFunc(c.invocations, reached):
		return string(types.CommandStatusFailed)
	case slices.ContainsFunc(c.invocations, is(deliveryTimedOut)):
		return string(types.CommandStatusTimedOut)
	}
	return string(types.CommandStatusSuccess)
}

// deliver gives the host the command, if it can be reached in time. Having waited for its turn in this process does not
// count: f.ready is not part of the world that is simulated.
func (f *Fleet) deliver(i *invocation) {
	inTime := i.status == inProgress || !f.now().After(i.command.deliverBy)
	if i.host.reachable() && inTime {
		f.ready = append(f.ready, i)
		return
	}
	f.become(i, delayed)
	f.await(i)
}

// await leaves an invocation to its host, for when it can be reached again.
func (f *Fleet) await(i *invocation) {
	if f.now().Before(i.command.expires) {
		i.host.waiting = append(slices.DeleteFunc(i.host.waiting, func(w *invocation) bool { return w.status.ended }), i)
	} else {
		f.settle(i, deliveryTimedOut)
		f.advance(i.command)
	}
}

// goOn is for a host that can perhaps be reached again: its agent reports what it did, or that it was interrupted in it,
// and is given what waits.
func (f *Fleet) goOn(h *host) {
	if !h.reachable() {
		return
	}
	waiting := h.waiting
	h.waiting = nil
	for _, i := range waiting {
		switch {
		case i.status.ended:
		case i.settled:
			f.report(i)
		case i.status == cancelling:
			f.end(i, cancelled)
		case !i.diedAt.IsZero():
			f.reportDeath(i)
		default:
			f.deliver(i)
		}
	}
}

// report ends an invocation as its steps did. Where the reply is too long for the agent nobody hears of it any more, and
// the command expires.
func (f *Fleet) report(i *invocation) {
	var texts []string
	for _, r := range i.results {
		texts = append(texts, r.output, r.stdout, r.stderr)
	}
	if !agent.Drops(texts...) {
		f.end(i, outcome(i.results))
		return
	}
	i.results = nil
	if !f.now().Before(i.command.expires) {
		f.settle(i, deliveryTimedOut)
		f.advance(i.command)
	}
}

// reportDeath ends an invocation that its host or its worker died amid, when the agent has run long enough since to say so.
func (f *Fleet) reportDeath(i *invocation) {
	since := i.diedAt
	if i.host.StartedAt.After(since) {
		since = i.host.StartedAt
	}
	left := since.Add(agent.WorkerDiedAfter).Sub(f.now())
	if left <= 0 {
		i.results = workerDied(f.now())
		f.end(i, failed)
		return
	}
	f.await(i)
	time.AfterFunc(left, func() {
		_ = f.change(func() error { f.goOn(i.host); return nil }) // after Close nobody reports anything
	})
}

// run starts the scripts that there are slots for.
func (f *Fleet) run() {
	for f.slots > 0 && len(f.ready) > 0 && !f.closed {
		i := f.ready[0]
		f.ready = f.ready[1:]
		switch {
		case i.status.ended:
		case !i.host.reachable():
			f.deliver(i)
		case len(i.host.running) < agent.Workers:
			f.become(i, inProgress)
			f.start(i)
		case i.host.buffered() < agent.Buffer:
			f.become(i, inProgress)
			f.await(i)
		default: // CommandBufferFull
			f.become(i, delayed)
			f.await(i)
		}
	}
}

// patience is how long a script holds its slot.
const patience = 2 * time.Second

// start runs an invocation's steps on its host.
func (f *Fleet) start(i *invocation) {
	ctx, end := context.WithCancelCause(context.Background())
	s := script{end: end, ended: make(chan struct{})}
	i.host.running[i] = s
	f.slots--
	slot := true
	giveBack := func() { // with the lock
		if slot {
			slot = false
			f.slots++
		}
	}
	impatience := time.AfterFunc(patience, func() {
		_ = f.change(func() error { giveBack(); return nil })
	})
	job := f.jobOf(i)
	f.scripts.Go(func() {
		results, workerDiedAt := job.run(ctx)
		impatience.Stop()
		cause := context.Cause(ctx)
		end(nil)
		_ = f.change(func() error {
			giveBack()
			delete(i.host.running, i)
			f.ran(i, results, workerDiedAt, cause)
			f.goOn(i.host) // a worker of its agent's is free
			return nil
		})
		close(s.ended)
	})
}

// ran takes what a script left, or notes that it was ended from outside.
func (f *Fleet) ran(i *invocation, results []stepResult, workerDiedAt time.Time, cause error) {
	if i.status.ended {
		return
	}
	switch {
	case errors.Is(cause, errHostOff):
		i.diedAt = f.now()
	case cause == nil && !workerDiedAt.IsZero():
		i.diedAt = workerDiedAt
	case cause == nil:
		i.results, i.settled = results, true
	}
	switch {
	case !i.host.reachable():
		f.await(i)
	case i.settled:
		f.report(i)
	case !i.diedAt.IsZero():
		f.reportDeath(i)
	default:
		// Only a cancellation ends the script of a host that can be reached: one that stops is back only when its
		// scripts are gone.
		f.end(i, cancelled)
	}
}

func (f *Fleet) become(i *invocation, s status) {
	if i.status != s {
		i.status = s
		f.invocationChanged(i)
	}
}

// end ends an invocation. After too many errors those that no host has begun are not begun any more.
func (f *Fleet) end(i *invocation, s status) {
	c := i.command
	f.settle(i, s)
	if s.isError {
		if c.errors++; c.errors > c.maxErrors {
			for _, other := range c.invocations {
				if other.status == pending {
					f.settle(other, terminated)
				}
			}
		}
	}
	f.advance(c)
}

func (f *Fleet) settle(i *invocation, s status) {
	f.become(i, s)
	if i.sent {
		i.sent = false
		i.command.underWay--
	}
}

// ClockSet is called when the clock (Options.Now) was set on: what has had no answer in time by now ends, and what waits
// for its time goes on.
func (f *Fleet) ClockSet() {
	_ = f.change(func() error { // after Close there is nothing to expire
		for _, c := range f.sent {
			if !f.now().Before(c.expires) {
				f.expire(c)
			}
		}
		for _, h := range f.hosts {
			f.goOn(h)
		}
		return nil
	})
}

// expire ends what has had no answer in time: commands for hosts that could not be reached, and those of which nobody
// knows how they ended. What runs, or is about to, has an end soon.
func (f *Fleet) expire(c *command) {
	for _, i := range c.invocations {
		_, isRunning := i.host.running[i]
		if !i.status.ended && !isRunning && !slices.Contains(f.ready, i) {
			f.settle(i, deliveryTimedOut)
		}
	}
	f.advance(c)
}
