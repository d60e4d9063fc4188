package session

import "time"

// An IdleLimit is when hosts close sessions that nobody uses, and whether their users
// are told before. Closing them marks nothing: it is no deletion, has no CloseAt, and
// no cancel; whoever uses the session again has it for another such time.
type IdleLimit struct {
	After time.Duration
	// GracePeriod is how long before connected users are told; 0 is not at all.
	GracePeriod time.Duration
	// Message is what they are shown next to the time.
	Message string
}

// IdleRunEvery is how often the schedule has hosts look for idle sessions.
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
