package sim

import (
	"time"

	"dcv-session-broker/internal/session"
)

// What the stack's parameters are set to.
var (
	giveUpTimes      = []time.Duration{5 * time.Minute, 6 * time.Minute, 10 * time.Minute, 60 * time.Minute}
	silentTimes      = []time.Duration{5 * time.Minute, 15 * time.Minute}
	inventoryPeriods = []time.Duration{2 * time.Minute, 5 * time.Minute}
	idleTimes        = []time.Duration{3 * time.Minute, 10 * time.Minute, 10 * time.Minute, 30 * time.Minute}
	emptyTimes       = []time.Duration{2 * time.Minute, 5 * time.Minute}
	graceTimes       = []time.Duration{0, 0, 0, 2 * time.Minute, 10 * time.Minute}
)

// changeSettings updates the stack's parameters. Each function gets them at its own time,
// and works with the old ones until then. Schedules get them immediately.
func (w *world) changeSettings() {
	w.seen.faults[settingsChange]++
	s := &w.setup
	was := *s
	s.change++
	s.giveUp = oneOf(w.dice, giveUpTimes)
	s.forceMode = oneOf(w.dice, []session.ForceMode{session.Purge, session.BestEffort})
	s.longestGiveUp = max(s.longestGiveUp, s.giveUp)
	if s.changesAll {
		w.changeOthers(s)
	}
	s.read = s.settings()
	now := *s
	w.say("deploy", "from now on give up after %s, %s, silent after %s, inventory every %s, idle %s, empty %s, stopped hosts end their sessions: %t, %d sessions a host",
		now.giveUp, now.forceMode, now.silentAfter, now.inventoryEvery, now.closeIdle, now.stopEmpty, now.endStopped, now.maxSessions)
	for _, function := range []string{"delete-sessions", "cancel-deletions", "cleanup", "host-events", "session-stream", "describe-sessions", "ended-sessions"} {
		w.after(w.dice.between(0, 2*time.Minute), func() {
			if w.setupOf(function).change > now.change {
				return // it already has newer ones
			}
			if function == "host-events" {
				w.boundChanges(w.setupOf(function).maxSessions)
			}
			w.setups[function] = now
		})
	}
	w.replan(was)
}

// changeOthers changes other settings of the functions, and how often they run. What must
// hold across each change:
//
//   - EndSessionsOfStoppedHosts: who ends the sessions of a stopped host may do so
//     (confirmedRightly).
//   - SilentAfterMinutes, InventoryMinutes: no session is UNKNOWN before its host
//     has been silent for as long as is set, and has left two inventories
//     unanswered, however far apart (silentRightly).
//   - MaxSessionsPerHost: what is listed stays; nothing new is listed above the
//     bound (hostIsBounded).
//   - CloseIdleAfterMinutes: the command says what was set (idleAsSet).
//   - StopEmptyAfterMinutes: a host has been empty for as long as is set (stopsHost).
//   - GracePeriodSeconds: what was marked keeps its close time (closeTimeHolds); the
//     idle command says what was set (idleAsSet).
//
// FleetTagValue does not change: its hosts get their new tag one by one, and until then
// are hosts without the tag, which each run has. Nor does MaxBatchSize, whose
// only effect is a 400.
func (w *world) changeOthers(s *setup) {
	d := w.other
	changes := func() bool { return d.chance(40 * percent) }
	if changes() {
		s.endStopped = !s.endStopped
	}
	if changes() {
		s.silentAfter = oneOf(d, silentTimes)
	}
	if changes() {
		s.inventoryEvery = oneOf(d, inventoryPeriods)
	}
	if changes() && s.flood { // elsewhere no host comes near it
		s.maxSessions = oneOf(d, []int{floodedAt - 3, floodedAt, floodedAt + 6})
	}
	if changes() {
		s.closeIdle = oneOf(d, append([]time.Duration{0}, idleTimes...))
	}
	if changes() && s.graceEntries > 0 {
		s.grace = oneOf(d, graceTimes)
	}
	if changes() {
		s.stopEmpty = oneOf(d, append([]time.Duration{0}, emptyTimes...))
	}
}

// setupOf returns the settings of a function that starts now.
func (w *world) setupOf(function string) setup {
	if s, changed := w.setups[function]; changed {
		return s
	}
	return w.firstSetup
}

// A formerBound is the bound on a host's sessions for functions that started before it
// was lowered, and until when it holds.
type formerBound struct {
	most  int
	until time.Time
}

func (w *world) boundChanges(was int) {
	w.bound = formerBound{w.mostSessions(was), w.now().Add(deployment().timeouts["host-events"] + staleAtMost)}
}

// mostSessions returns the largest bound on a host's sessions, of a function that started
// with this one and of those that run at the same time.
func (w *world) mostSessions(bound int) int {
	if w.now().Before(w.bound.until) {
		return max(bound, w.bound.most)
	}
	return bound
}
