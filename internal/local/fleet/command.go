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

// command is the result of one SendCommand.
type command struct {
	id         string
	document   template.Document
	parameters map[string]string // the given ones, and defaults
	comment    string
	taken      types.Command // SendCommand's answer
	requested  time.Time
	deliverBy  time.Time // after it the command is delivered to no further host
	expires    time.Time // then invocations without an end end as DeliveryTimedOut
	expiry     *time.Timer

	concurrency int // MaxConcurrency
	maxErrors   int
	invocations []*invocation
	next        int // the first invocation that is not sent
	underWay    int
	errors      int
	done        bool
	ended       string // how it ended as a whole, before any host received it
}

// invocation is a command on one host.
type invocation struct {
	command *command
	host    *host
	status  status
	sent    bool         // it is under way until it ends
	results []stepResult // nil until the host has reported the end
	settled bool         // there are results that the host could not report yet
	// diedAt is when its host was turned off while it ran, or the agent's worker was killed.
	diedAt time.Time
}

// status is a state of an invocation, with Systems Manager's names for it.
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

// begin starts a command.
func (f *Fleet) begin(c *command) {
	f.commands[c.id] = c
	f.sent = append(f.sent, c)
	f.forget()
	c.expiry = time.AfterFunc(c.expires.Sub(f.now()), func() {
		_ = f.change(func() error { f.expire(c); return nil }) // after Close nothing expires
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

// advance sends the command to further hosts, up to its concurrency.
func (f *Fleet) advance(c *command) {
	for c.underWay < c.concurrency && c.next < len(c.invocations) {
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

// result returns how the command as a whole ended.
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

// deliver gives the command to the host, if it can be reached in time. The wait in f.ready does not count: that queue
// is not part of the simulated system.
func (f *Fleet) deliver(i *invocation) {
	inTime := i.status == inProgress || !f.now().After(i.command.deliverBy)
	if i.host.reachable() && inTime {
		f.ready = append(f.ready, i)
		return
	}
	f.become(i, delayed)
	f.await(i)
}

// await adds an invocation to those that wait until the host can be reached.
func (f *Fleet) await(i *invocation) {
	if f.now().Before(i.command.expires) {
		i.host.waiting = append(slices.DeleteFunc(i.host.waiting, func(w *invocation) bool { return w.status.ended }), i)
	} else {
		f.settle(i, deliveryTimedOut)
		f.advance(i.command)
	}
}

// resume is called when a host may be reachable again: its agent reports what it did, or that it was interrupted, and
// gets the waiting invocations.
func (f *Fleet) resume(h *host) {
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

// report ends an invocation with the results of its steps. If the reply is too long for the agent, it is lost, and the
// command expires.
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

// reportDeath ends an invocation whose host or worker died, after the time that the agent takes to report that.
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
		_ = f.change(func() error { f.resume(i.host); return nil }) // after Close nobody reports anything
	})
}

// run starts scripts while there are free slots.
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

// slotTime is how long a script holds its slot.
const slotTime = 2 * time.Second

// start runs an invocation's steps on its host.
func (f *Fleet) start(i *invocation) {
	ctx, end := context.WithCancelCause(context.Background())
	s := script{end: end, ended: make(chan struct{})}
	i.host.running[i] = s
	f.slots--
	slot := true
	releaseSlot := func() { // with the lock
		if slot {
			slot = false
			f.slots++
		}
	}
	slotTimer := time.AfterFunc(slotTime, func() {
		_ = f.change(func() error { releaseSlot(); return nil })
	})
	job := f.jobOf(i)
	f.scripts.Go(func() {
		results, workerDiedAt := job.run(ctx)
		slotTimer.Stop()
		cause := context.Cause(ctx)
		end(nil)
		_ = f.change(func() error {
			releaseSlot()
			delete(i.host.running, i)
			f.ran(i, results, workerDiedAt, cause)
			f.resume(i.host) // the agent has a free worker
			return nil
		})
		close(s.ended)
	})
}

// ran takes a script's results, or notes that it was interrupted.
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
		// Only a cancel interrupts the script of a reachable host: a host that stops is reachable again only
		// after its scripts have ended.
		f.end(i, cancelled)
	}
}

func (f *Fleet) become(i *invocation, s status) {
	if i.status != s {
		i.status = s
		f.invocationChanged(i)
	}
}

// end ends an invocation. After too many errors it also ends those that no host has begun.
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

// ClockSet must be called after the clock (Options.Now) was set forward: invocations without an answer in time end, and
// those that wait for a time go on.
func (f *Fleet) ClockSet() {
	_ = f.change(func() error { // after Close nothing expires
		for _, c := range f.sent {
			if !f.now().Before(c.expires) {
				f.expire(c)
			}
		}
		for _, h := range f.hosts {
			f.resume(h)
		}
		return nil
	})
}

// expire ends the invocations without an answer in time: those of unreachable hosts, and those whose end is not
// known. Invocations that run, or are about to, end by themselves.
func (f *Fleet) expire(c *command) {
	for _, i := range c.invocations {
		_, isRunning := i.host.running[i]
		if !i.status.ended && !isRunning && !slices.Contains(f.ready, i) {
			f.settle(i, deliveryTimedOut)
		}
	}
	f.advance(c)
}
