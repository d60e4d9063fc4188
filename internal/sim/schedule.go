package sim

import (
	"context"
	"slices"
	"time"

	"dcv-session-broker/internal/session"
)

// plan sets the schedules going.
func (w *world) plan() {
	for _, t := range deployment().tasks {
		switch t.name {
		case "inventory":
			w.every(w.setup.inventoryEvery, t.name)
		case "idle":
			if w.setup.closeIdle > 0 {
				w.every(t.every, t.name)
			}
		case "stop":
			if w.setup.stopEmpty > 0 {
				w.every(t.every, t.name)
			}
		default:
			w.every(t.every, t.name)
		}
	}
	w.hourBegins = w.began
	if w.meets(hourMissing) {
		w.hourBegins = w.began.Add(w.dice.between(0, time.Hour))
	}
}

// every runs a task again and again, now and then not, or twice at once.
func (w *world) every(period time.Duration, task string) {
	w.after(w.dice.between(0, period), func() { w.tick(period, task) })
}

func (w *world) tick(period time.Duration, task string) {
	w.after(period, func() { w.tick(period, task) })
	now := w.now()
	switch {
	case !w.calm && now.After(w.hourBegins) && now.Before(w.hourBegins.Add(time.Hour)) && w.hourBegins != w.began:
		w.aside("scheduler", "no runs in this hour: %s", task)
		return
	case (task == "idle" || task == "stop") && w.noIdle:
		return
	case task == "inventory" && w.calm && !w.lastLook && !w.dice.chance(25*percent):
		return // what it would find does not matter yet
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
