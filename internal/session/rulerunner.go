package session

import (
	"context"
	"fmt"
	"hash/fnv"
	"iter"
	"log/slog"
	"slices"
	"time"
)

// A RuleRunner runs rules: it reads sessions, marks those that the rule selects, as a
// request would, and sends close commands, or notices if there is a grace period.
// Several runs at the same time, of one rule or of many, delete each session once.
type RuleRunner struct {
	Table    Table
	Reader   Reader
	Closer   SessionCloser
	Notifier Notifier
	// GiveUp is how long after its request a new deletion is tried.
	GiveUp time.Duration
	Now    func() time.Time
	// NewID makes the IDs of runs: UUIDs.
	NewID func() string
	Log   *slog.Logger
}

const (
	// maxRuleRecords is how many records one run looks at.
	maxRuleRecords = 10_000
	// rulePage is how many of them are read together.
	rulePage = 250
)

// A RuleRun is the result of one run.
type RuleRun struct {
	// RequestID names the run, as a request's ID does.
	RequestID string
	// Looked is how many records it looked at. LeftAlone is how many selected sessions
	// it left alone because a caller had cancelled their deletion.
	Looked, LeftAlone int
	// Bound is the bound at which it stopped: the rule may select more sessions. It is
	// "" if the run looked at all of them.
	Bound RuleBound
	// Sessions are those that the rule selected.
	Sessions []RuleOutcome
}

// A RuleBound bounds a run.
type RuleBound string

const (
	BoundLimit   RuleBound = "limit"   // the rule's own
	BoundRecords RuleBound = "records" // maxRuleRecords
	BoundTime    RuleBound = "time"    // the function's
)

// A RuleOutcome is what a run did with a session.
type RuleOutcome struct {
	Session Session // as it was read
	Did     RuleDeed
	// CloseAt is when closing begins, or would, if there is a grace period.
	CloseAt time.Time

	marked Session // as the mark left it, if a command is to be sent
}

// A RuleDeed is a run's result for a session, for people.
type RuleDeed string

const (
	WouldDelete RuleDeed = "would delete" // in a dry run
	RuleMarked  RuleDeed = "deleting"
	RuleMoved   RuleDeed = "left alone: it has changed since it was read"
	RuleFailed  RuleDeed = "not recorded"
	RuleUnclear RuleDeed = "not certain that it was recorded"
)

// Run applies the rule to as many sessions as the limit; the next run continues with
// the rest. A marked session is in the table with a lease, so its deletion goes on
// whatever happens next. Run fails if the table cannot be read, or accepted none of the
// marks.
func (rr *RuleRunner) Run(ctx context.Context, rule Rule) (*RuleRun, error) {
	run := &RuleRun{RequestID: rr.NewID()}
	req := Request{ID: run.RequestID, By: requestedByRule + rule.Name, At: rr.Now()}
	log := rr.Log.With("RequestId", req.ID, "RequestedBy", req.By)
	if rule.Reason != "" {
		log = log.With("DeletionReason", rule.Reason)
	}
	found, err := rr.find(ctx, rule, req.At, run)
	if err != nil {
		return run, fmt.Errorf("find the sessions of rule %q: %w", rule.Name, err)
	}
	for _, r := range found {
		run.Sessions = append(run.Sessions, RuleOutcome{Session: r.Session(), Did: WouldDelete, CloseAt: rule.closeAt(req.At)})
	}
	if rule.DryRun {
		for _, o := range run.Sessions {
			log.Info("rule would delete the session: a dry run changes nothing", "SessionId", o.Session.ID, "HostId", o.Session.HostID, "Owner", o.Session.Owner)
		}
	} else {
		err = rr.mark(ctx, rule, req, found, run, log)
		rr.send(ctx, req, run, log)
	}
	log = log.With("DryRun", rule.DryRun, "Looked", run.Looked, "Sessions", len(run.Sessions), "Marked", run.count(RuleMarked), "LeftAlone", run.LeftAlone)
	if run.Bound != "" {
		log.Warn("rule stopped at a bound: the next run goes on", "Bound", string(run.Bound), "Metric", Count(RuleRunsAtBound, 1))
	} else {
		log.Info("rule done: it has read all sessions")
	}
	return run, err
}

func (run *RuleRun) count(did RuleDeed) (n int) {
	for _, o := range run.Sessions {
		if o.Did == did {
			n++
		}
	}
	return n
}

// find reads records until it has one more than the rule may mark.
func (rr *RuleRunner) find(ctx context.Context, rule Rule, now time.Time, run *RuleRun) (found []Record, err error) {
	page := func() int { return min(rulePage, maxRuleRecords-run.Looked) }
	for _, list := range rr.pagers(rule.Select, run.RequestID) {
		for records, err := range around(ctx, list, run.RequestID, page) {
			switch {
			case err != nil:
				return nil, err
			case !timeFor(ctx, roundTime):
				run.Bound = BoundTime
				return found, nil
			}
			run.Looked += len(records)
			selected, err := rr.selected(ctx, rule, records, now)
			if err != nil {
				return nil, err
			}
			for _, r := range selected {
				switch {
				case keptByCancel(r.Session(), now):
					run.LeftAlone++
				case len(found) == rule.Limit:
					run.Bound = BoundLimit
					return found, nil
				default:
					found = append(found, r)
				}
			}
			if run.Looked == maxRuleRecords {
				run.Bound = BoundRecords
				return found, nil
			}
		}
	}
	return found, nil
}

// A pager lists records as Reader does, all or those of an index's collection.
type pager func(ctx context.Context, after string, limit int) (records []Record, more bool, err error)

// pagers returns the lists to read for the selection. They begin elsewhere each time.
func (rr *RuleRunner) pagers(sel Selection, runID string) (all []pager) {
	for _, hostID := range distinct(sel.HostIDs) {
		all = append(all, func(ctx context.Context, after string, limit int) ([]Record, bool, error) {
			return rr.Reader.OnHost(ctx, hostID, after, limit)
		})
	}
	if len(all) == 0 {
		for _, owner := range distinct(sel.Owners) {
			all = append(all, func(ctx context.Context, after string, limit int) ([]Record, bool, error) {
				return rr.Reader.Owned(ctx, owner, after, limit)
			})
		}
	}
	if len(all) == 0 {
		return []pager{rr.Reader.All}
	}
	h := fnv.New32a()
	h.Write([]byte(runID))
	first := int(h.Sum32() % uint32(len(all)))
	return slices.Concat(all[first:], all[:first])
}

// around lists all records of a pager, page by page: from the one after start to the
// end, and then from the beginning to the first record that was already listed. It
// compares with that record since only the table knows the order.
func around(ctx context.Context, list pager, start string, page func() int) iter.Seq2[[]Record, error] {
	return func(yield func([]Record, error) bool) {
		shown := map[string]bool{}
		isShown := func(r Record) bool { return shown[r.text(AttrSessionID)] }
		for after, begun := start, false; ; {
			records, more, err := list(ctx, after, page())
			if err != nil {
				yield(nil, err)
				return
			}
			if len(records) > 0 {
				after = records[len(records)-1].text(AttrSessionID)
			}
			again := slices.IndexFunc(records, isShown)
			if again >= 0 {
				records = records[:again]
			}
			for _, r := range records {
				shown[r.text(AttrSessionID)] = true
			}
			if len(records) > 0 && !yield(records, nil) || again >= 0 || !more && begun {
				return
			}
			if !more {
				after, begun = "", true
			}
		}
	}
}

// selected returns the records that the rule selects. The index by-owner lacks
// attributes, so records that may be selected are read from the table.
func (rr *RuleRunner) selected(ctx context.Context, rule Rule, records []Record, now time.Time) (selected []Record, err error) {
	sel := rule.Select
	if len(sel.Owners) > 0 && len(sel.HostIDs) == 0 {
		var ids []string
		for _, r := range records {
			if r.Session().State == Ready {
				ids = append(ids, r.text(AttrSessionID))
			}
		}
		if len(ids) == 0 {
			return nil, nil
		}
		if records, err = rr.Reader.Get(ctx, ids); err != nil {
			return nil, err
		}
	}
	for _, r := range records {
		if sel.meets(r.Session(), now) {
			selected = append(selected, r)
		}
	}
	return selected, nil
}
