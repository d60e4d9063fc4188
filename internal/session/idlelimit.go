package session

import "time"

// An IdleLimit says when hosts close idle sessions, and whether their users are warned
// before. Idle closing is not a deletion: it has no mark, no CloseAt and no cancel. A
// user who uses the session again keeps it.
type IdleLimit struct {
	After time.Duration
	// GracePeriod is how long before connected users are told; 0 is not at all.
	GracePeriod time.Duration
	// Message is what they are shown next to the time.
	Message string
}

// IdleRunEvery is how often the schedule sends hosts the command that looks for idle sessions.
const IdleRunEvery = 5 * time.Minute

// WarnBefore is how long before the limit connected users are told. Within two runs
// one comes, so they are told before it; and whoever is away for less than half the
// limit is not bothered, whatever the rest says.
func (l IdleLimit) WarnBefore() time.Duration {
	if l.GracePeriod == 0 {
		return 0
	}
	return min(max(l.GracePeriod, 2*IdleRunEvery), l.After/2)
}
