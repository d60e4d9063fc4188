package cleanup

import (
	"context"
	"errors"
	"strings"
	"time"

	"dcv-session-broker/internal/session"
)

// A RuleAnswer is the function's answer to a rule's run, for people who invoke it by
// hand. A schedule does not read it; the log has the same.
type RuleAnswer struct {
	RequestID string `json:"requestId"`
	Rule      string `json:"rule"`
	DryRun    bool   `json:"dryRun"`
	// Looked is how many records the run read.
	Looked int `json:"looked"`
	// StoppedAt is the bound at which the run stopped, its limit, 10,000 records, or the
	// function's time; null if it read all sessions.
	StoppedAt *session.RuleBound `json:"stoppedAt"`
	// LeftAlone is how many sessions it left out because a caller cancelled their deletion.
	LeftAlone int           `json:"leftAlone"`
	Sessions  []RuleSession `json:"sessions"`
}

// A RuleSession is a session that the rule selected.
type RuleSession struct {
	SessionID    string `json:"sessionId"`
	Owner        string `json:"owner"`
	HostID       string `json:"hostId"`
	CreationTime string `json:"creationTime,omitempty"`
	Connections  int64  `json:"connections"`
	// CloseAt is when closing begins, if there is a grace period.
	CloseAt *time.Time `json:"closeAt,omitempty"`
	// Result is the result for the session.
	Result session.RuleDeed `json:"result"`
}

func (c *Handler) closeByRule(ctx context.Context, event Event) (*RuleAnswer, error) {
	rule, faults := parseRule(event.whole, c.RuleDefaults)
	if len(faults) > 0 {
		return nil, errors.New("the event is not understood, and nothing was done: " + strings.Join(faults, "; "))
	}
	run, err := c.RuleRunner.Run(ctx, rule)
	if err != nil {
		return nil, err
	}
	answer := &RuleAnswer{
		RequestID: run.RequestID, Rule: rule.Name, DryRun: rule.DryRun, Looked: run.Looked, LeftAlone: run.LeftAlone, Sessions: []RuleSession{},
	}
	if run.Bound != "" {
		answer.StoppedAt = &run.Bound
	}
	for _, o := range run.Sessions {
		s := RuleSession{
			SessionID: o.Session.ID, Owner: o.Session.Owner, HostID: o.Session.HostID, CreationTime: o.Session.CreationTime,
			Connections: o.Session.NumOfConnections, Result: o.Did,
		}
		if !o.CloseAt.IsZero() {
			s.CloseAt = &o.CloseAt
		}
		answer.Sessions = append(answer.Sessions, s)
	}
	return answer, nil
}
