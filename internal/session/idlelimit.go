package session

import "time"

// An IdleLimit says when hosts close idle sessions, and whether their users are warned
// before. Idle closing is not a deletion: it has no mark, no CloseAt and no cancel. A
// user who uses the session again keeps it.
type IdleLimit struct {
	After time.Duration
	// GracePeriod is how long before the close connected users are told. 0 means that
	// they are not.
	GracePeriod time.Duration
	// Message is what they are shown next to the time.
	Message string
}

// IdleRunEvery is how often the schedule sends hosts the command that looks for idle sessions.
const IdleRunEvery = 5 * time.Minute

// WarnBefore is how long before the limit connected users are told. It is at least two
// runs, so that one run comes in this time. It is at most half of the limit, so that
// users who are away for less than half of the limit are not told.
func (l IdleLimit) WarnBefore() time.Duration {
	if l.GracePeriod == 0 {
		return 0
	}
	return min(max(l.GracePeriod, 2*IdleRunEvery), l.After/2)
}
