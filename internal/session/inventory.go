package session

import (
	"strings"
	"time"
	"unicode"
)

// An Inventory is a host's list of its sessions. Its time is when its command was sent,
// whenever it arrives.
type Inventory struct {
	ID       string // the command's, a UUID
	HostID   string // by the sender of the answer, not by its text
	Platform string
	SentAt   time.Time
	// Complete is false where the answer was cut: it then says what runs, but not what
	// does not. A session of which the host knows only the name is in Sessions without an
	// owner: it is neither listed nor ended.
	Complete bool
	Sessions []Found
	// Unnamed sessions run there, too, and have names that cannot be in the
	// table. They are no reason to end another, but the host is not empty.
	Unnamed int

	// readAt is when its answer is applied. The host may have run the command at
	// any time until then: what it shows was there by now, not when the command
	// was sent, and only an inventory sent later can miss it.
	readAt time.Time
}

// maxInventoryAge is how old an inventory may be to be applied.
const maxInventoryAge = time.Hour

// maxInventoryAhead is how far ahead of now an inventory may be dated: as far as the
// clocks of two functions may be apart. One that is further ahead would exclude all of
// its host's inventories until then.
const maxInventoryAhead = time.Minute

// Found is one session of an inventory, under its name on the host.
type Found struct {
	NameOnHost, Owner, Name, Type string
	CreationTime                  string
	NumOfConnections              int64
	LastDisconnectionTime         string
}

// listable tells whether the table's keys and the API allow the session.
func (f Found) listable() bool {
	return f.NameOnHost != "" && len(f.NameOnHost) <= 128 && f.Owner != "" && len(f.Owner) <= MaxIDBytes &&
		!strings.ContainsFunc(f.NameOnHost+f.Owner, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar })
}

// sameCreation compares incarnations as the hosts do: to the second, where one
// of the two has no decimals.
func sameCreation(a, b string) bool {
	if a == b {
		return true
	}
	ta, okA := parseCreation(a)
	tb, okB := parseCreation(b)
	if !okA || !okB {
		return false
	}
	whole := ta.Nanosecond()/1000 == 0 || tb.Nanosecond()/1000 == 0
	return ta.UnixMicro() == tb.UnixMicro() || whole && ta.Unix() == tb.Unix()
}

func parseCreation(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil
}
