// Package records reads what the API does not show of sessions and hosts: their records, the functions' logs, and the
// state of commands in Systems Manager, of a stack or of the system on one machine.
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
	// Open returns the records in the index of leases: deletions that are open or wait for their close time, and
	// sessions that were removed by force and still have to be closed. all is false if there are more.
	Open(ctx context.Context) (records []session.Record, all bool, err error)
	// Host returns the host's record; known is false if the Hosts table has none.
	Host(ctx context.Context, hostID string) (h Host, known bool, err error)
	// HostIDs returns hosts that have answered an inventory, some hundreds at most.
	HostIDs(ctx context.Context) ([]string, error)
	// Lines returns what functions have logged, the oldest first. missing says what could not be read.
	Lines(ctx context.Context, about Search) (lines []Line, missing []string)
	// Commands returns, by attempt ID, the newest command for that host of each of the attempts, if Systems Manager shows
	// one that was sent since then.
	Commands(ctx context.Context, hostID string, attemptIDs []string, since time.Time) (map[string]Command, error)
	// Node returns the state of a host in Systems Manager, or nil if that does not manage it.
	Node(ctx context.Context, hostID string) (*Node, error)
	// Clock returns the system's clock.
	Clock(ctx context.Context) (now func() time.Time, err error)
	// GiveUpAfter returns how long deletions of older releases, whose records have no TryUntil, are tried.
	GiveUpAfter() time.Duration
}

// A Host is a host's record in the Hosts table.
type Host struct {
	session.HostNote
	session.Silence
}

// A Search selects lines from a time on: those with the session's ID, and those of the requests that name no session.
type Search struct {
	SessionID  string
	RequestIDs []string
	From, To   time.Time
}

// A Line is a line that a function has logged.
type Line struct {
	At       time.Time
	Function string
	Level    string
	Message  string
	// Attributes are the other attributes, by name.
	Attributes map[string]any
}

// A Command is a host's invocation of a command, as Systems Manager shows it.
type Command struct {
	ID     string
	SentAt time.Time
	// Status is Systems Manager's status of it. Ended is true for a final status.
	Status string
	Ended  bool
}

// A Node is a host as Systems Manager sees it.
type Node struct {
	// Ping is Online, ConnectionLost or Inactive. PingAt is when the agent last reported.
	Ping   string
	PingAt time.Time
}

// Online tells whether Systems Manager can reach the node.
func (n Node) Online() bool { return n.Ping == "Online" }

// Denied tells whether AWS refused a call because a permission is missing.
func Denied(err error) bool {
	var refusal smithy.APIError
	return errors.As(err, &refusal) && (strings.HasPrefix(refusal.ErrorCode(), "AccessDenied") || refusal.ErrorCode() == "UnauthorizedOperation")
}

var (
	_ System = Stack{}
	_ System = Local{}
)
