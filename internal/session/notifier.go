package session

import (
	"context"
	"time"
)

// Notifier sends notices to the fleet's hosts.
type Notifier interface {
	// Notify sends the notices. The results are in their order, like those of
	// SessionCloser: nil, a *Refusal, or any other error for an unclear result. If a
	// notice was accepted, a Warning may follow.
	Notify(ctx context.Context, notices []Notice) []error
}

// A Notice tells the users of one session its close time, or that it stays.
type Notice struct {
	Incarnation
	// ID is part of the command where hosts cannot change it, and comes back with the
	// Warning. It is the attempt of the write that the notice follows.
	ID string
	// At is NoticeAt of that write: a host refuses a notice that is older than its newest
	// one.
	At time.Time
	// CloseAt is when closing begins. In the notice of a cancel it is zero: such a
	// notice removes the message from the screen, shows Text if there was a message,
	// and is not answered.
	CloseAt time.Time
	// Text is what is shown: lines of plain text.
	Text string
	// VoidAfter is the last time at which it may be shown.
	VoidAfter time.Time
}

// notices returns the notices that follow the writes of these sessions.
func notices(waiting []Session, now time.Time) []Notice {
	all := make([]Notice, len(waiting))
	for i, s := range waiting {
		all[i] = notice(s, now)
	}
	return all
}

// A Warning is a host's answer to one notice.
type Warning struct {
	HostID    string // by the sender, not by its text
	NoticeID  string // by the command, not by the host
	SessionID string
	// CloseAt is the close time in the notice, and At the time of the write that it
	// follows. Both are from the command.
	CloseAt, At time.Time
	Outcome     WarningOutcome
	Reason      string // why it failed, or which program shows it; at most a line
	CommandID   string // the command that it answers, for the log
}

// A WarningOutcome is the result of a notice.
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
