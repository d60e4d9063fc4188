// Package records reads what is known of sessions and hosts beside the API: their records, what functions have logged, and
// what Systems Manager says of commands; of a stack, or of the system on one machine. What is made of it is its callers'
// business.
package records

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"dcv-session-broker/internal/session"
)

// A System is a stack, or the system on one machine.
type System interface {
	session.Getter
	// Open has the records that are in the index of leases: deletions that are open or wait for their close time, and
	// sessions that were removed by force and are still to be closed. all is false if there are more.
	Open(ctx context.Context) (records []session.Record, all bool, err error)
	// Host has what the Hosts table knows of the host; known is false if that is nothing.
	Host(ctx context.Context, hostID string) (h Host, known bool, err error)
	// HostIDs are hosts that have answered an inventory, some hundreds at most.
	HostIDs(ctx context.Context) ([]string, error)
	// Lines has what functions have logged, the oldest first, and in plain words what could not be looked at.
	Lines(ctx context.Context, about Search) (lines []Line, missing []string)
	// Commands has the newest command for that host of each of the attempts, by their IDs, as far as Systems Manager shows
	// one that was sent since then.
	Commands(ctx context.Context, hostID string, attemptIDs []string, since time.Time) (map[string]Command, error)
	// Node is what Systems Manager says of a host; nil if it does not manage it.
	Node(ctx context.Context, hostID string) (*Node, error)
	// Clock has the system's clock.
	Clock(ctx context.Context) (now func() time.Time, err error)
	// GiveUpAfter is how long deletions of older releases, whose records have no TryUntil, are tried.
	GiveUpAfter() time.Duration
}

// A Host is what the Hosts table has of one.
type Host struct {
	session.HostNote
	session.Silence
}

// A Search says which lines are meant: those of the session, and those of the requests that are of no single session, from
// a time on.
type Search struct {
	SessionID  string
	RequestIDs []string
	From, To   time.Time
}

// A Line is one that a function has logged.
type Line struct {
	At       time.Time
	Function string
	Level    string
	Message  string
	// Attributes are the others, by their names.
	Attributes map[string]any
}

// A Command is a host's part of one, as Systems Manager shows it.
type Command struct {
	ID     string
	SentAt time.Time
	// Status is Systems Manager's word for how far it is, and Ended whether it goes on.
	Status string
	Ended  bool
}

// A Node is a host as Systems Manager sees it.
type Node struct {
	// Ping is Online, ConnectionLost or Inactive, and PingAt when its agent was last heard of.
	Ping   string
	PingAt time.Time
}

// Online tells whether Systems Manager reaches it.
func (n Node) Online() bool { return n.Ping == "Online" }

// Denied tells whether AWS refused a call for want of a permission.
func Denied(err error) bool {
	var refusal smithy.APIError
	return errors.As(err, &refusal) && (strings.HasPrefix(refusal.ErrorCode(), "AccessDenied") || refusal.ErrorCode() == "UnauthorizedOperation")
}

var (
	_ System = Stack{}
	_ System = Local{}
)
