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
	// Complete is false if the answer was cut: then it does not say what does not run.
	// If the host knows only the name of a session, that session is in Sessions without
	// an owner, and is neither listed nor ended.
	Complete bool
	Sessions []Found
	// Unnamed is how many more sessions run there, whose names the table cannot have.
	// They end no other session, but the host is not empty.
	Unnamed int

	// readAt is when its answer is applied. The host may have run the command at any
	// time until then. So what the inventory shows was there at readAt at the latest,
	// and only an inventory sent after readAt can miss it.
	readAt time.Time
}

// maxInventoryAge is how old an inventory may be to be applied.
const maxInventoryAge = time.Hour

// maxInventoryAhead is how far ahead of now an inventory may be dated: as much as the
// clocks of two functions may differ. One that is further ahead would make all later
// inventories of its host too old.
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

// sameCreation compares incarnations as the hosts do: to the second, if one of the two
// has no decimals.
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
