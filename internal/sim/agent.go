package sim

import (
	"time"

	"github.com/aws/smithy-go"

	"dcv-session-broker/internal/local/agent"
)

// The limits of the agent and of Systems Manager.

// busy gives a host's agent commands of others (patches, for example) for some time.
func (w *world) busy(m *machine) {
	if m.others > 0 {
		return
	}
	w.ill(m, hostBusy, func() { m.others = 4 + w.dice.below(8) }, false)
	w.after(w.dice.between(time.Minute, 20*time.Minute), func() {
		if m.others > 0 {
			w.ill(m, hostBusy, func() { m.others = 0 }, true)
		}
	})
}

// hand gives a host's agent a command, and returns whether the agent accepts it.
func (w *world) hand(on *onHost) bool {
	m := on.machine
	if m.waiting+max(0, m.others-agent.Workers) >= agent.Buffer {
		w.seen.faults[bufferFull]++
		w.say(m.id, "FAULT: %s: %s", bufferFull, on.command.id)
		return false
	}
	on.status, on.details = "InProgress", "InProgress"
	m.waiting++
	w.takeUp(on)
	return true
}

// takeUp starts a command when a worker is free.
func (w *world) takeUp(on *onHost) {
	m := on.machine
	if m.working+m.others >= agent.Workers {
		w.after(w.dice.between(time.Second, 5*time.Second), func() {
			if on.over {
				m.waiting--
				return
			}
			w.takeUp(on)
		})
		return
	}
	m.waiting--
	w.report(on, func() {
		m.working++
		on.begun, on.works, on.code = true, true, 0
		w.begin(on)
	})
}

// workerFree frees the worker that ran the command.
func (on *onHost) workerFree() {
	if on.works {
		on.works = false
		on.machine.working--
	}
}

// A rate is the number of calls a second that are accepted; more are throttled. AWS
// publishes no numbers for these; each seed has its own, or none.
type rate struct {
	perSecond int // 0: no limit
	left      time.Duration
	at        time.Time
}

// exceeded tells whether a call exceeds the rate. A burst may have the calls of two
// seconds.
func (w *world) exceeded(r *rate) bool {
	if r.perSecond == 0 {
		return false
	}
	each, now := time.Second/time.Duration(r.perSecond), w.now()
	if r.at.IsZero() {
		r.left = 2 * time.Second
	} else {
		r.left = min(2*time.Second, r.left+now.Sub(r.at))
	}
	r.at = now
	if r.left < each {
		w.seen.faults[rateExceeded]++
		return true
	}
	r.left -= each
	return false
}

var errThrottled = &smithy.GenericAPIError{Code: "ThrottlingException", Message: "Rate exceeded", Fault: smithy.FaultClient}
