package session

import (
	"context"
	"time"
)

// SessionCloser is the fleet, as far as closing sessions goes.
type SessionCloser interface {
	// Close has the hosts close sessions, as one attempt. It answers each
	// closing in its place:
	//
	//   - nil: the command was accepted; a Report will follow, or nothing will.
	//   - a *Refusal: no command was sent to that host, and none will be.
	//   - any other error: unclear; the command may run or not.
	Close(ctx context.Context, attempt Attempt) []error
}

// An Attempt is one try to have hosts close sessions.
type Attempt struct {
	// ID travels with the command out of the hosts' reach, and comes back with
	// each Report.
	ID string
	// VoidAfter is when the deletions end by themselves; a host that gets the
	// command later does nothing.
	VoidAfter time.Time
	Closings  []Closing
	// OnSent, if it is there, is told of each closing, by its place, whose command
	// was taken: its ID, for the log. Several are told of side by side.
	OnSent func(closing int, commandID string)
}

// A Closing names a session on its host, in one incarnation.
type Closing struct {
	SessionID, NameOnHost, HostID string
	// CreationTime is the incarnation, as the host reported it. Where it is
	// empty or unreadable, only a session created no later than CreatedUntil
	// is closed.
	CreationTime string
	CreatedUntil time.Time
}

// add adds the closing of a session whose deletion was requested at that time,
// and is tried until end. The command is void as soon as one of its deletions
// would be given up.
func (a *Attempt) add(s Session, requestedAt, end time.Time) {
	a.Closings = append(a.Closings, Closing{
		SessionID:    s.ID,
		NameOnHost:   s.NameOnHost(),
		HostID:       s.HostID,
		CreationTime: s.CreationTime,
		CreatedUntil: requestedAt.Add(CreationTolerance),
	})
	if a.VoidAfter.IsZero() || end.Before(a.VoidAfter) {
		a.VoidAfter = end
	}
}

// A Refusal says that a host was not, and will not be, asked.
type Refusal struct {
	HostID string
	// Reason is for the caller of the API: a clause that begins with what the
	// host is or is not ("is not connected to Systems Manager").
	Reason string
	// Err is the cause, for the log.
	Err error
}

func (r *Refusal) Error() string {
	if r.Err == nil {
		return "host " + r.HostID + " " + r.Reason
	}
	return "host " + r.HostID + " " + r.Reason + ": " + r.Err.Error()
}

func (r *Refusal) Unwrap() error { return r.Err }

// report is the refusal as the outcome of an attempt.
func (r *Refusal) report(attemptID, hostID, sessionID string) Report {
	return Report{
		HostID: hostID, AttemptID: attemptID, SessionID: sessionID,
		Outcome: OutcomeUnanswered, Reason: "The host " + r.Reason + ".",
	}
}

// An Outcome is what a host says of one session it was to close.
type Outcome string

const (
	OutcomeClosed   Outcome = "closed"
	OutcomeAbsent   Outcome = "absent"
	OutcomeReplaced Outcome = "replaced"
	// OutcomeExpired: the command came after its VoidAfter; nothing was done.
	OutcomeExpired Outcome = "expired"
	OutcomeFailed  Outcome = "failed"
	// OutcomeUnanswered: the host said nothing; the command was refused, or
	// could not be delivered or run.
	OutcomeUnanswered Outcome = "unanswered"
	// OutcomeInUse: a session that was to be closed for being idle is in use.
	OutcomeInUse Outcome = "in-use"
)

// A Report is a host's word about one session of an attempt.
type Report struct {
	HostID    string // by the sender of the report, not by its text
	AttemptID string // by the command, not by the host
	SessionID string
	Outcome   Outcome
	Reason    string // why it failed; at most a line
	CommandID string // the command that it answers, for the log
}

// withReason fills in a default reason.
func (r Report) withReason() Report {
	switch {
	case r.Reason != "":
	case r.Outcome == OutcomeExpired:
		r.Reason = "The command was void when the host ran it: is its clock ahead?"
	default:
		r.Reason = string(r.Outcome)
	}
	return r
}
