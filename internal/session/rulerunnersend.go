package session

import (
	"context"
	"errors"
	"log/slog"
)

// mark marks the found sessions. It repeats a write without an answer once. The run's
// ID shows whose write landed.
func (rr *RuleRunner) mark(ctx context.Context, rule Rule, req Request, found []Record, run *RuleRun, log *slog.Logger) error {
	writes := make([]Write, len(found))
	for i, r := range found {
		writes[i] = markByRule(r, req, rule, req.At.Add(rr.GiveUp))
	}
	results := rr.Table.Write(ctx, writes)
	var unclear []int
	for i, res := range results {
		if errors.Is(res.Err, ErrUnclear) {
			unclear = append(unclear, i)
		}
	}
	again := make([]Write, len(unclear))
	for n, i := range unclear {
		again[n] = writes[i]
	}
	for n, res := range rr.Table.Write(ctx, again) {
		res.MayLand = true
		results[unclear[n]] = res
	}
	failed := 0
	for i, res := range results {
		o := &run.Sessions[i]
		log := log.With("SessionId", o.Session.ID, "HostId", o.Session.HostID, "Owner", o.Session.Owner)
		switch now := res.Old.Session(); {
		case res.Err == nil:
			o.Did, o.marked = RuleMarked, writes[i].after(res.Old).Session()
		case errors.Is(res.Err, ErrCondition) && now.DeletionRequestID == req.ID:
			o.Did = RuleMarked
			if now.Confirmation == "" && now.sendable(req.ID, rule.GracePeriod) {
				o.marked = now
			} else {
				log.Info("rule deletes the session: the deletion has already continued")
			}
		case errors.Is(res.Err, ErrCondition) && !res.MayLand:
			o.Did = RuleMoved
			log.Info("rule does not delete the session: it has changed since the rule read it")
		default:
			o.Did = RuleFailed
			if res.mayLand() {
				o.Did = RuleUnclear
			}
			if !errors.Is(res.Err, ErrCondition) {
				failed++
			}
			log.Warn("session may not be marked: the next run of the rule looks at it again", "Cause", res.Err)
		}
	}
	if failed > 0 && failed == len(found) {
		return ErrTableDown
	}
	return nil
}

// send sends close commands, or notices, for the marked sessions. Refused and unclear
// ones keep their lease: cleanup tries again. No client could repeat the call, so
// nothing is put back.
func (rr *RuleRunner) send(ctx context.Context, req Request, run *RuleRun, log *slog.Logger) {
	var closing, waiting []Session
	for _, o := range run.Sessions {
		switch {
		case o.marked.ID == "":
		case o.marked.Waits():
			waiting = append(waiting, o.marked)
		default:
			closing = append(closing, o.marked)
		}
	}
	if len(closing) > 0 {
		rr.close(ctx, req, closing, log)
	}
	if len(waiting) > 0 {
		rr.notify(ctx, req, waiting, log)
	}
}

func (rr *RuleRunner) close(ctx context.Context, req Request, closing []Session, log *slog.Logger) {
	commandIDs := make([]string, len(closing))
	attempt := Attempt{ID: req.ID, At: req.At, OnSent: func(i int, commandID string) { commandIDs[i] = commandID }}
	for _, s := range closing {
		attempt.add(s, rr.GiveUp)
	}
	var reports []Report
	for i, err := range rr.Closer.Close(ctx, attempt) {
		s := closing[i]
		log := log.With("SessionId", s.ID, "HostId", s.HostID, "Owner", s.Owner)
		accepted := Count(DeletionsAccepted, 1)
		switch refusal := (*Refusal)(nil); {
		case err == nil:
			log.Info("rule deletes the session: waiting for the host's answer", "CommandId", commandIDs[i], "Metric", accepted)
		case errors.As(err, &refusal):
			log.Warn("rule deletes the session, but its host was refused: cleanup tries again when the lease ends", "Cause", err,
				"Metric", accepted, "Metric", Count(AttemptsFailed, 1), "Metric", Count(HostsUnreachable, 1))
			reports = append(reports, refusal.report(req.ID, s.HostID, s.ID))
		default:
			log.Warn("rule deletes the session, but its command was not accepted: cleanup sends it again when the lease ends", "Cause", err,
				"Metric", accepted, "Metric", Count(AttemptsFailed, 1))
		}
	}
	recordRefusals(ctx, rr.Table, reports, rr.Now(), log)
}

func (rr *RuleRunner) notify(ctx context.Context, req Request, waiting []Session, log *slog.Logger) {
	var warnings []Warning
	for i, err := range rr.Notifier.Notify(ctx, notices(waiting, req.At)) {
		s := waiting[i]
		log := log.With("SessionId", s.ID, "HostId", s.HostID, "Owner", s.Owner, "CloseAt", s.CloseAt)
		accepted := Count(DeletionsAccepted, 1)
		switch refusal := (*Refusal)(nil); {
		case err == nil:
			log.Info("rule deletes the session at its close time: its host is asked to warn the user", "Metric", accepted)
		case errors.As(err, &refusal):
			log.Warn("rule deletes the session at its close time, but its host was refused: cleanup asks it again when the lease ends", "Cause", err,
				"Metric", accepted, "Metric", Count(HostsUnreachable, 1))
			warnings = append(warnings, refusal.warning(s))
		default:
			log.Warn("rule deletes the session at its close time, but the notice was not accepted: cleanup asks the host again when the lease ends", "Cause", err,
				"Metric", accepted)
		}
	}
	recordRefusedNotices(ctx, rr.Table, warnings, rr.Now(), log)
}
