package sim

import (
	"encoding/json"
	"slices"
	"time"

	"dcv-session-broker/internal/events/cleanup"
	"dcv-session-broker/internal/session"
)

// A ruleRun is what the model knows of a run of a rule.
type ruleRun struct {
	event  ruleEvent
	grace  time.Duration
	at     time.Time
	read   map[string][]session.Session // each version that the run has read: an index may show an older one later
	marked map[string]bool
}

// A ruleEvent is the event of a schedule.
type ruleEvent struct {
	Task        string         `json:"task"`
	Name        string         `json:"name"`
	Select      map[string]any `json:"select"`
	GracePeriod *int           `json:"gracePeriodSeconds,omitempty"`
	Limit       int            `json:"limit"`
	DryRun      bool           `json:"dryRun"`
}

// reads notes what a run has read: it may mark only that.
func (r *ruleRun) reads(records []session.Record) {
	if r == nil {
		return
	}
	for _, record := range records {
		s := record.Session()
		r.read[s.ID] = append(r.read[s.ID], s)
	}
}

// planRules runs rules from time to time, if the setup has them, sometimes two runs at
// the same time.
func (w *world) planRules() {
	d := w.ruleDice
	if w.setup.hosts <= 10 && w.setup.sessionsAHost <= 2 && d.chance(25*percent) {
		w.setup.ruleEvery = oneOf(d, []time.Duration{time.Minute, 3 * time.Minute, 10 * time.Minute})
		w.after(d.between(0, w.setup.ruleEvery), w.ruleTick)
	}
}

func (w *world) ruleTick() {
	if !w.calmFrom.IsZero() {
		return
	}
	w.after(w.setup.ruleEvery, w.ruleTick)
	event := w.anyRule()
	w.runRule(event)
	if w.ruleDice.chance(25 * percent) {
		w.runRule(event)
	}
}

func (w *world) anyRule() ruleEvent {
	d := w.ruleDice
	e := ruleEvent{Task: "close", Name: "nightly", Select: map[string]any{}, Limit: oneOf(d, []int{1, 2, 100}), DryRun: d.chance(10 * percent)}
	if d.chance(25 * percent) {
		e.Select["owners"] = []string{oneOf(d, owners)}
	}
	if d.chance(25 * percent) {
		e.Select["hosts"] = []string{oneOf(d, w.machines).id}
	}
	if d.chance(40 * percent) {
		e.Select["olderThanHours"] = oneOf(d, []float64{0.1, 0.5, 2})
	}
	if len(e.Select) == 0 {
		e.Select["all"] = true
	}
	if grace := oneOf(d, []int{-1, 0, 60, 60, 300}); grace >= 0 {
		e.GracePeriod = &grace
	}
	return e
}

// runRule invokes cleanup with a rule. An older cleanup knows no rules.
func (w *world) runRule(event ruleEvent) {
	raw, err := json.Marshal(event)
	if err != nil {
		panic(err)
	}
	var read cleanup.Event
	if err := json.Unmarshal(raw, &read); err != nil {
		panic(err)
	}
	run := &ruleRun{event: event, at: w.now(), read: map[string][]session.Session{}, marked: map[string]bool{}}
	var answer any
	w.start("cleanup", func(inv *invocation) {
		inv.task, inv.rule = "close", run
		if run.grace = inv.setup.grace; event.GracePeriod != nil {
			run.grace = time.Duration(*event.GracePeriod) * time.Second
		}
		if inv.older {
			return
		}
		w.aside(inv, "carries out the rule %s", raw)
		answer, _ = w.cleanup(inv).Handle(inv.ctx, read)
	}, func(inv *invocation) {
		w.taskDone(inv)
		w.ruleAnswered(inv, answer)
	}, func(*invocation) {})
}

// ruledRightly checks the writes of a rule's run: it marks only sessions that it selects,
// in the incarnation that it has read (5), at most its limit (11), and none whose
// deletion a caller has cancelled recently (2).
func (w *world) ruledRightly(c change) {
	r, was, is := c.by.rule, c.was, c.is
	if !c.begins {
		return // the result of a command
	}
	w.seen.effects[ruleMarks]++
	r.marked[is.ID] = true
	known := slices.ContainsFunc(r.read[is.ID], func(read session.Session) bool {
		return read.Owner == was.Owner && read.HostID == was.HostID && read.CreationTime == was.CreationTime && read.FirstSeenAt.Equal(was.FirstSeenAt)
	})
	switch {
	case r.event.DryRun:
		w.breaks(7, "%s is to change nothing, and marks %s", c.by, is.ID)
	case was.State != session.Ready || was.Confirmation != "":
		w.breaks(5, "%s marks %s, which is %s", c.by, is.ID, was.State)
	case !known:
		w.breaks(5, "%s marks %s of %s on %s of %s, and has not read that", c.by, is.ID, was.Owner, was.HostID, was.CreationTime)
	case len(r.marked) > r.event.Limit:
		w.breaks(11, "%s marks more than %d sessions", c.by, r.event.Limit)
	case is.DeletionRequestedBy != "rule nightly":
		w.breaks(4, "%s marks %s for %q", c.by, is.ID, is.DeletionRequestedBy)
	case is.CloseAt.IsZero() != (r.grace == 0):
		w.breaks(12, "%s has %s closed at %v, and is to wait for %s", c.by, is.ID, c.new[session.AttrCloseAt], r.grace)
	case !r.selects(was):
		w.breaks(5, "%s marks %s, which it does not select", c.by, is.ID)
	}
	created, err := time.Parse(time.RFC3339Nano, was.CreationTime)
	from, cancelled := w.model.cancelFrom[is.ID]
	if cancelled && w.now().Sub(from) < 24*time.Hour && !(err == nil && from.Before(created)) && w.loss.at.IsZero() {
		w.breaks(2, "%s deletes %s, whose deletion a caller has cancelled at %s", c.by, is.ID, from.Format(time.TimeOnly))
	}
}

// selects tells whether the rule selects the session as it was read.
func (r *ruleRun) selects(s session.Session) bool {
	if all, named := r.event.Select["owners"].([]string); named && !slices.Contains(all, s.Owner) {
		return false
	}
	if all, named := r.event.Select["hosts"].([]string); named && !slices.Contains(all, s.HostID) {
		return false
	}
	created, err := time.Parse(time.RFC3339Nano, s.CreationTime)
	if hours, named := r.event.Select["olderThanHours"].(float64); named {
		least := time.Duration(hours * float64(time.Hour))
		return (err == nil || !s.FirstSeenAt.IsZero()) && r.at.Sub(later(created, s.FirstSeenAt)) >= least
	}
	return err != nil || !created.After(r.at)
}

// ruleAnswered checks the answer of a run (promise 7): it names the sessions that were
// marked, and only those, unless a write had no answer.
func (w *world) ruleAnswered(inv *invocation, answer any) {
	a, ok := answer.(*cleanup.RuleAnswer)
	if !ok {
		if !inv.faulty && !inv.older {
			w.breaks(7, "%s fails, though no call did", inv)
		}
		return
	}
	if a.LeftAlone > 0 {
		w.seen.effects[ruleLeavesAlone]++
	}
	if a.StoppedAt != nil && *a.StoppedAt == session.BoundLimit {
		w.seen.effects[ruleStops]++
	}
	told := map[string]session.RuleDeed{}
	for _, s := range a.Sessions {
		told[s.SessionID] = s.Result
		switch marked := inv.rule.marked[s.SessionID]; {
		case s.Result == session.RuleMarked && !marked, marked && (s.Result == session.RuleMoved || s.Result == session.RuleFailed || s.Result == session.WouldDelete):
			w.breaks(7, "%s answers of %s: %q, and has marked it: %t", inv, s.SessionID, s.Result, marked)
		case s.Result == session.RuleMoved:
			w.seen.effects[ruleOvertaken]++
		case s.Result == session.RuleUnclear && !inv.faulty:
			w.breaks(7, "%s is not certain of %s, though no write failed", inv, s.SessionID)
		}
	}
	for id := range inv.rule.marked {
		if told[id] == "" {
			w.breaks(7, "%s does not tell that it has marked %s", inv, id)
		}
	}
}
