package session

import (
	"slices"
	"time"
)

// A Rule ends the sessions that it selects.
type Rule struct {
	// Name is for people: "rule NAME" is who requested the deletions.
	Name   string
	Select Selection
	// Reason is why the sessions are ended, for people and the audit trail.
	Reason string
	// GracePeriod and Message are as an Entry's.
	GracePeriod time.Duration
	Message     string
	// DryRun tells what would be done, and changes nothing.
	DryRun bool
	// Limit is the most sessions that one run marks, 1 to MaxRuleLimit.
	Limit int
}

const (
	// DefaultRuleLimit is the limit of a rule without one.
	DefaultRuleLimit = 100
	// MaxRuleLimit bounds the records of one run that are in memory at one time, and
	// the commands that it sends: internal/bench/FIGURES.md has what more of them would take.
	MaxRuleLimit = 1000
	// KeepCancelled is how long rules leave a session alone whose deletion a caller
	// cancelled.
	KeepCancelled = 24 * time.Hour
)

// closeAt returns when closing begins of a session that is marked now. It is zero
// without a grace period.
func (r Rule) closeAt(now time.Time) time.Time {
	if r.GracePeriod == 0 {
		return time.Time{}
	}
	return now.Add(r.GracePeriod)
}

// requestedByRule stands before the rule's name in DeletionRequestedBy.
const requestedByRule = "rule "

// A Selection selects the sessions that meet all of its fields; the zero one all
// sessions.
type Selection struct {
	// Owners and HostIDs, if there are any, are the only ones selected.
	Owners, HostIDs []string
	// Type, if not empty, is the only one selected, as hosts report it.
	Type string
	// OlderThan is the least age, 0 for any. The age counts from the creation that the
	// host reported, or from the inventory that first saw the session, whichever is
	// later. So a host whose clock is behind makes no session old.
	OlderThan time.Duration
	// CreatedBefore is the latest creation time, as the host reported it; zero for any.
	// If the host reported none, the inventory that first saw the session counts.
	CreatedBefore time.Time
}

// meets tells whether a rule that runs at that time selects the session. It does not
// select a session that begins later, or whose time is needed and not known.
func (sel Selection) meets(s Session, now time.Time) bool {
	created, named := parseCreation(s.CreationTime)
	if !named {
		created = s.FirstSeenAt
	}
	began := created
	if s.FirstSeenAt.After(began) {
		began = s.FirstSeenAt
	}
	return s.State == Ready && s.Confirmation == "" && !created.After(now) &&
		(len(sel.Owners) == 0 || slices.Contains(sel.Owners, s.Owner)) &&
		(len(sel.HostIDs) == 0 || slices.Contains(sel.HostIDs, s.HostID)) &&
		(sel.Type == "" || s.Type == sel.Type) &&
		(sel.OlderThan == 0 || !began.IsZero() && now.Sub(began) >= sel.OlderThan) &&
		(sel.CreatedBefore.IsZero() || !created.IsZero() && created.Before(sel.CreatedBefore))
}

// keptByCancel tells whether a caller cancelled a deletion of this incarnation
// recently.
func keptByCancel(s Session, now time.Time) bool {
	created, named := parseCreation(s.CreationTime)
	return now.Sub(s.CancelledAt) < KeepCancelled && !(named && s.CancelledAt.Before(created) && s.CancelledAt.Before(s.FirstSeenAt))
}

// markByRule begins the deletion of a session that a rule selected, if it has not
// changed since it was read: it is on that host, in that incarnation, READY, and not
// cancelled since.
func markByRule(read Record, req Request, rule Rule, tryUntil time.Time) Write {
	s := read.Session()
	del := deletion{Entry: Entry{SessionID: s.ID, Owner: s.Owner, GracePeriod: rule.GracePeriod, Message: rule.Message, Reason: rule.Reason}, seen: s}
	w := mark(del, req, tryUntil)
	if rule.GracePeriod > 0 {
		w = markWaiting(del, req)
	}
	w.If = slices.DeleteFunc(w.If, func(c Condition) bool { return c.Attr == AttrState || c.Attr == AttrCancelledAt })
	w.If = append(w.If, is(AttrState, Ready))
	for _, attr := range []string{AttrHostID, AttrCreationTime, AttrFirstSeenAt, AttrCancelledAt} {
		w.If = append(w.If, same(read, attr))
	}
	return w
}
