package sim

import (
	"context"
	"slices"
	"time"

	"dcv-session-broker/internal/session"
)

// plan starts the schedules.
func (w *world) plan() {
	for _, t := range deployment().tasks {
		w.every(w.setup.period(t), t.name)
	}
	w.planRules()
	w.hourBegins = w.began
	if w.meets(hourMissing) {
		w.hourBegins = w.began.Add(w.dice.between(0, time.Hour))
	}
}

// replan updates the schedules after a change of settings.
func (w *world) replan(was setup) {
	for _, t := range deployment().tasks {
		if period := w.setup.period(t); period != was.period(t) {
			w.every(period, t.name)
		}
	}
}

// period returns the time between runs of a task; 0: it never runs.
func (s setup) period(t task) time.Duration {
	switch {
	case t.name == "inventory":
		return s.inventoryEvery
	case t.name == "idle" && s.closeIdle == 0, t.name == "stop" && s.stopEmpty == 0:
		return 0
	}
	return t.every
}

// every runs a task periodically until it is planned again; sometimes a run is missing, or
// there are two at the same time.
func (w *world) every(period time.Duration, task string) {
	w.plans[task]++
	if plan := w.plans[task]; period > 0 {
		w.after(w.dice.between(0, period), func() { w.tick(period, task, plan) })
	}
}

func (w *world) tick(period time.Duration, task string, plan int) {
	if plan != w.plans[task] {
		return
	}
	w.after(period, func() { w.tick(period, task, plan) })
	now := w.now()
	switch {
	case !w.calm && now.After(w.hourBegins) && now.Before(w.hourBegins.Add(time.Hour)) && w.hourBegins != w.began:
		w.aside("scheduler", "no runs in this hour: %s", task)
		return
	case (task == "idle" || task == "stop") && w.noIdle:
		return
	case task == "inventory" && w.calm && !w.lastLook && !w.dice.chance(w.calmInventories()):
		return // its results do not matter yet
	case w.meets(runMissing):
		w.say("scheduler", "FAULT: %s: %s", runMissing, task)
		return
	case task == "deletions" && !w.anythingDue() && !w.dice.chance(5*percent):
		return // it would find nothing
	case task == "stop" && !w.anyEmpty() && !w.dice.chance(15*percent):
		return // it would stop nothing
	}
	w.runTask(task)
	if w.meets(runsOverlap) {
		w.say("scheduler", "FAULT: %s: %s", runsOverlap, task)
		w.runTask(task)
	}
}

// calmInventories is the number of inventories whose results do not matter: few if each
// is answered by hundreds of hosts.
func (w *world) calmInventories() int {
	if w.setup.large() {
		return 5 * percent
	}
	return 25 * percent
}

func (w *world) anythingDue() bool {
	now := session.FormatTime(w.now())
	if refused, _ := w.hostTable.RefusedHosts(context.Background(), 1); len(refused) > 0 {
		return true
	}
	for _, r := range w.records() {
		if next, leased := r[session.AttrNextAttemptAt].(string); leased && next <= now {
			return true
		}
	}
	return false
}

func (w *world) anyEmpty() bool {
	return slices.ContainsFunc(w.machines, func(m *machine) bool {
		return m.stopWhenEmpty && m.state == running && len(m.sessions) == 0
	})
}
