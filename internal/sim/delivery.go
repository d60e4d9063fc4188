package sim

import (
	"slices"
	"strings"
	"time"

	"dcv-session-broker/internal/local/agent"
)

// deliver brings a command to its host, if the host can be reached.
func (w *world) deliver(on *onHost) {
	m := on.machine
	switch {
	case on.over:
	case m.state == terminated:
		w.finish(on, "Failed", "Undeliverable", "")
	case w.now().After(on.command.deliverBy):
		w.finish(on, "TimedOut", "DeliveryTimedOut", "")
	case !m.reachable():
		on.status, on.details = "Delayed", "Delayed"
		w.after(w.dice.between(time.Second, 20*time.Second), func() { w.deliver(on) })
	case !w.hand(on):
		on.status, on.details = "Delayed", "Delayed"
		w.after(w.dice.between(5*time.Second, 60*time.Second), func() { w.deliver(on) })
	}
}

// begin starts a command on a host.
func (w *world) begin(on *onHost) {
	m := on.machine
	w.say(m.id, "begins %s of %s", on.command.document, on.command.id)
	begin := w.documents[on.command.document].begin
	if (on.command.document == closeDocument || on.command.document == notifyDocument) && w.meets(agentStalls) {
		w.say(m.id, "FAULT: %s", agentStalls)
		d := w.dice.between(time.Minute, 2*time.Hour)
		if on.command.document == notifyDocument { // it expires soon
			d = w.dice.between(5*time.Second, 150*time.Second)
		}
		if until := w.now().Add(d); until.After(w.stalledUntil) {
			w.stalledUntil = until
		}
		w.after(d, func() {
			if m.reachable() && !on.over {
				begin(on)
			} else {
				w.timesOut(on, "")
			}
		})
		return
	}
	begin(on)
}

// scriptTimeout is the documents' timeoutSeconds.
const scriptTimeout = 60 * time.Second

// prints ends a command after some time with the script's output of that moment, unless
// the host or the agent's worker has died meanwhile.
func (w *world) prints(on *onHost, in time.Duration, output func() string) {
	since := on.machine.since
	w.after(in, func() {
		on.workerFree()
		m := on.machine
		switch {
		case m.state != running || !m.since.Equal(since):
			w.seen.faults[hostMidway]++
			w.say(m.id, "FAULT: %s: %s", hostMidway, on.command.id)
			w.answerLost(on)
		case m.workersDie || w.meets(workerDies):
			w.say(m.id, "FAULT: %s: %s", workerDies, on.command.id)
			w.answerLost(on)
		default:
			if m.noisy {
				on.stderr = "Killed\n"
			}
			text, status := w.spoilt(on, output()), "Success"
			if on.code != 0 {
				status = "Failed"
			}
			w.report(on, func() { w.finish(on, status, status, text) })
		}
	})
}

// answerLost loses a script's output; the script may have done its work. A minute later,
// or a minute after the host's next start, its agent reports a failure.
func (w *world) answerLost(on *onHost) {
	on.workerFree()
	on.said, on.lists, on.closed, on.complete = map[string]string{}, nil, nil, false
	began := w.now()
	var report func()
	report = func() {
		since := on.machine.since
		if since.Before(began) {
			since = began
		}
		if at := since.Add(agent.WorkerDiedAfter); w.now().Before(at) {
			w.at(at, func() { w.report(on, report) })
			return
		}
		on.code, on.died = 1, true
		w.finish(on, "Failed", "Failed", "")
	}
	w.report(on, report)
}

// report lets an agent report as soon as it can: it keeps a report that it could not
// send, also over the next start. The service stops waiting after some time.
func (w *world) report(on *onHost, report func()) {
	expires := w.expires(on)
	switch m := on.machine; {
	case on.over:
	case m.reachable() && w.now().Before(expires):
		report()
	case m.state != terminated && w.now().Before(expires):
		w.after(w.dice.between(time.Second, 20*time.Second), func() { w.report(on, report) })
	default:
		w.expire(on)
	}
}

// expires returns when the service stops waiting for a command's end.
func (w *world) expires(on *onHost) time.Time {
	return on.command.deliverBy.Add(time.Duration(len(w.documents[on.command.document].steps)) * scriptTimeout)
}

// expire ends such a command.
func (w *world) expire(on *onHost) {
	w.at(w.expires(on), func() {
		on.said, on.lists, on.closed, on.complete, on.code = map[string]string{}, nil, nil, false, -1
		w.finish(on, "TimedOut", "DeliveryTimedOut", "")
	})
}

// timesOut ends a command that took longer than it may.
func (w *world) timesOut(on *onHost, output string) {
	on.code = agent.StoppedPreemptively
	w.finish(on, "TimedOut", "ExecutionTimedOut", output)
}

// spoilt returns an output as it arrives: it may be cut.
func (w *world) spoilt(on *onHost, output string) string {
	if len(output) > 0 && w.meets(outputCut) {
		left := w.dice.below(len(output))
		on.complete = on.complete && left == len(output)-1 // a lost line end does not matter
		return output[:left]
	}
	if lines := strings.SplitAfter(output, "\n"); len(lines) > 2 && !w.calm && w.dice.chance(5*percent) {
		w.seen.faults[dcvGarbage]++
		on.complete = false
		return strings.Join(slices.Insert(lines, 1+w.dice.below(len(lines)-2), "}{ garbage\n"), "")
	}
	return output
}

func (w *world) finish(on *onHost, status, details, output string) {
	if on.over {
		return
	}
	on.workerFree()
	if agent.Drops(agent.Listed(output, on.stderr), agent.Stdout(output), agent.Stderr(on.stderr)) {
		w.say(on.machine.id, "its agent drops its reply to %s: it is too long", on.command.id)
		on.stderr = ""
		w.expire(on)
		return
	}
	on.status, on.details, on.output, on.over, on.finishedAt = status, details, output, true, w.now()
	w.say(on.machine.id, "%s: %s: %q", on.command.id, details, output)
	w.emitInvocation(on)
}
