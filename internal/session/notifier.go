package session

import (
	"context"
	"time"
)

// Notifier is the fleet, as far as telling users goes.
type Notifier interface {
	// Notify has the hosts tell users. It answers each notice in its place, as
	// SessionCloser answers closings: nil, a *Refusal, or any other error for what
	// is unclear. Warnings follow for accepted ones, or nothing will.
	Notify(ctx context.Context, notices []Notice) []error
}

// A Notice tells the users of one session when it is closed, or that it is not.
type Notice struct {
	Incarnation
	// ID travels with the command out of the hosts' reach, and comes back with
	// the Warning: the attempt's whose write the notice follows.
	ID string
	// At is NoticeAt of that write: a host takes no notice that is older than the
	// newest it took.
	At time.Time
	// CloseAt is when closing begins. In the notice of a cancel it is zero: such a
	// notice takes the message away that is shown, shows Text where there was one,
	// and is not answered.
	CloseAt time.Time
	// Text is what is shown: lines of plain text.
	Text string
	// VoidAfter is the last time at which it may be shown.
	VoidAfter time.Time
}

// notices are those that follow the writes which left the sessions so.
func notices(waiting []Session, now time.Time) []Notice {
	all := make([]Notice, len(waiting))
	for i, s := range waiting {
		all[i] = notice(s, now)
	}
	return all
}

// A Warning is a host's word about one notice.
type Warning struct {
	HostID    string // by the sender, not by its text
	NoticeID  string // by the command, not by the host
	SessionID string
	// CloseAt is what the notice said, and At the time of the write that it follows,
	// by the command.
	CloseAt, At time.Time
	Outcome     WarningOutcome
	Reason      string // why it failed, or which program shows it; at most a line
	CommandID   string // the command that it answers, for the log
}

// A WarningOutcome is what became of a notice.
type WarningOutcome string

const (
	// Warned: the message is on the session's screen, and somebody is connected.
	Warned WarningOutcome = "warned"
	// Nobody: nobody is connected, so nothing is shown.
	Nobody WarningOutcome = "nobody"
	// NotWarned: the message could not be shown, or the notice was void or older
	// than another.
	NotWarned WarningOutcome = "failed"
)
