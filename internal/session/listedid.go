package session

import (
	"strings"
	"time"
)

// ListedID is the ID under which a host's session is listed, if there is what
// the table has under the session's name (the zero Session if nothing): its name,
// or its name and host where that name is another session's.
func ListedID(nameOnHost, hostID string, there Session, at time.Time) string {
	if there.ID != "" && !there.canBeListedAs(nameOnHost, hostID, at) {
		return nameOnHost + "-" + hostID
	}
	return firstListedID(nameOnHost, hostID)
}

// firstListedID is the ID that is tried first: the session's name, except names
// that are not one session's own. The automatic console is called "console" on
// every host, and a name that ends like a host's ID could be taken for a session
// of that host.
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

// runsApart is more than two runs of a function can be apart that are under way at
// the same time, by their clocks: each has half a minute.
const runsApart = 5 * time.Minute

// isAboutToExpire tells whether an ended record will soon be free for another host's
// session of that name. Until then that session is not listed. Else two records of it
// could be made, at the same time or out of order: one run finds the name taken, and
// lists the session under its name and host; another, which does not see that record
// yet, finds the name free. With a pause between the two, whoever finds the name free
// has looked for the other record long after it was written.
func (s Session) isAboutToExpire(at time.Time) bool {
	return s.State == Deleted && s.expired(at.Add(runsApart))
}
