package runcommand

import (
	"strings"
	"time"

	"dcv-session-broker/internal/session"
)

// A command's comment says what it is and what it belongs to:
//
//	close ATTEMPT-ID
//	inventory ID SENDING-TIME
//	idle ID SENDING-TIME
//
// It comes back with each invocation, no host can write it, and at 100
// characters at most it is all that a command carries of its sender.
const (
	closeKind     = "close"
	inventoryKind = "inventory"
	idleKind      = "idle"
)

type comment struct {
	kind, id string
	sentAt   time.Time // not of closeKind
}

func (c comment) String() string {
	if c.kind == closeKind {
		return c.kind + " " + c.id
	}
	return c.kind + " " + c.id + " " + session.FormatTime(c.sentAt)
}

func parseComment(text string) (comment, error) {
	fields := strings.Fields(text)
	switch {
	case len(fields) == 2 && fields[0] == closeKind:
		return comment{kind: closeKind, id: fields[1]}, nil
	case len(fields) == 3 && (fields[0] == inventoryKind || fields[0] == idleKind):
		sentAt, err := time.Parse(session.TimeFormat, fields[2])
		if err != nil {
			return comment{}, ErrNotOurs
		}
		return comment{kind: fields[0], id: fields[1], sentAt: sentAt}, nil
	}
	return comment{}, ErrNotOurs
}
