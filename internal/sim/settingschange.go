package sim

import (
	"time"

	"dcv-session-broker/internal/session"
)

var giveUpTimes = []time.Duration{5 * time.Minute, 6 * time.Minute, 10 * time.Minute, 60 * time.Minute}

// changeSettings updates the stack's parameters. Each function has them at a time
// of its own, and until then works with the old ones.
func (w *world) changeSettings() {
	w.seen.faults[settingsChange]++
	s := &w.setup
	s.giveUp = oneOf(w.dice, giveUpTimes)
	s.forceMode = oneOf(w.dice, []session.ForceMode{session.Purge, session.BestEffort})
	s.longestGiveUp = max(s.longestGiveUp, s.giveUp)
	s.read = s.settings()
	now := *s
	w.say("deploy", "from now on give up after %s, %s", now.giveUp, now.forceMode)
	for _, function := range []string{"delete-sessions", "cleanup", "host-events", "session-stream", "describe-sessions", "ended-sessions"} {
		w.after(w.dice.between(0, 2*time.Minute), func() { w.setups[function] = now })
	}
}

// setupOf is what a function works with that starts now.
func (w *world) setupOf(function string) setup {
	if s, changed := w.setups[function]; changed {
		return s
	}
	return w.firstSetup
}
