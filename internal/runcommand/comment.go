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
//	notify NOTICE-ID CLOSE-AT
//	cancelled NOTICE-ID
//
// It comes back with each invocation, no host can write it, and at 100
// characters at most it is all that a command carries of its sender.
const (
	closeKind     = "close"
	inventoryKind = "inventory"
	idleKind      = "idle"
	notifyKind    = "notify"
	cancelledKind = "cancelled" // the notice of a cancel
)

type comment struct {
	kind, id string
	at       time.Time // of the kinds that have one
}

// kinds are those of our comments, and whether they have a time.
var kinds = map[string]bool{closeKind: false, inventoryKind: true, idleKind: true, notifyKind: true, cancelledKind: false}

func (c comment) String() string {
	text := c.kind + " " + c.id
	if kinds[c.kind] {
		text += " " + session.FormatTime(c.at)
	}
	return text
}

func parseComment(text string) (comment, error) {
	fields := strings.Fields(text)
	if len(fields) < 2 {
		return comment{}, ErrNotOurs
	}
	c := comment{kind: fields[0], id: fields[1]}
	hasTime, ours := kinds[c.kind]
	switch {
	case ours && !hasTime && len(fields) == 2:
		return c, nil
	case hasTime && len(fields) == 3:
		var err error
		if c.at, err = time.Parse(session.TimeFormat, fields[2]); err == nil {
			return c, nil
		}
	}
	return comment{}, ErrNotOurs
}
