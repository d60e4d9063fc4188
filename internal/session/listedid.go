package session

import (
	"strings"
	"time"
)

// ListedID returns the ID under which a host's session is listed: the session's name,
// or its name and host if the name belongs to another session. there is what the table
// has under the name (the zero Session if nothing).
func ListedID(nameOnHost, hostID string, there Session, at time.Time) string {
	if there.ID != "" && !there.canBeListedAs(nameOnHost, hostID, at) {
		return nameOnHost + "-" + hostID
	}
	return firstListedID(nameOnHost, hostID)
}

// firstListedID returns the ID that is tried first: the session's name, unless several
// sessions can have it. The automatic console is called "console" on every host, and a
// name that ends like a host's ID could be taken for a session of that host.
func firstListedID(nameOnHost, hostID string) string {
	if nameOnHost == "console" || endsLikeAHost(nameOnHost) {
		return nameOnHost + "-" + hostID
	}
	return nameOnHost
}

func endsLikeAHost(name string) bool {
	for _, kind := range []string{"-i-", "-mi-"} {
		if i := strings.LastIndex(name, kind); i >= 0 {
			if n := len(name) - i - len(kind); n == 8 || n == 17 {
				return true
			}
		}
	}
	return false
}

// canBeListedAs tells whether the record is free for a session that a host shows: it is
// that session's own, or it has ended and expired. An ended record that is kept
// reserves the ID for its host: a repeated request must not reach the session of
// another host.
func (s Session) canBeListedAs(nameOnHost, hostID string, at time.Time) bool {
	own := s.HostID == hostID && s.NameOnHost() == nameOnHost
	return own || s.State == Deleted && s.expired(at)
}

// runsApart is more than the clocks of two runs that are under way at the same time can
// differ: each has half a minute.
const runsApart = 5 * time.Minute

// isAboutToExpire tells whether an ended record will soon expire, so that its ID is
// free for another host's session of that name. Until then that session is not listed.
// Otherwise two runs at the same time, or out of order, could make two records of it:
// one run finds the name taken, and lists the session under its name and host; another
// does not see that record yet, and finds the name free. With this pause a run that
// finds the name free looks for the other record long after it was written.
func (s Session) isAboutToExpire(at time.Time) bool {
	return s.State == Deleted && s.expired(at.Add(runsApart))
}
