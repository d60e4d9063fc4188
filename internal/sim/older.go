package sim

import (
	"maps"
	"time"

	"dcv-session-broker/internal/session"
)

// While a stack is updated, functions of two versions are at work.

// isOlder tells whether a function that starts now is of the version before: until
// its turn comes in an update that takes a while.
func (w *world) isOlder(function string) bool {
	if w.calm || function != "delete-sessions" || w.now().After(w.began.Add(w.setup.olderFor)) {
		return false
	}
	w.seen.faults[functionOlder]++
	return true
}

// withoutNew is what an older function writes: a deletion's TryUntil it does not
// know.
func withoutNew(writes []session.Write) []session.Write {
	old := make([]session.Write, len(writes))
	for i, write := range writes {
		write.Set = maps.Clone(write.Set)
		delete(write.Set, session.AttrTryUntil)
		old[i] = write
	}
	return old
}

// timeToTry is until when a deletion is to be tried that the invocation marks; zero
// where its version does not record it.
func (inv *invocation) timeToTry(s session.Session) (until time.Time) {
	if !inv.older {
		until = s.DeletionRequestedAt.Add(inv.setup.giveUp)
	}
	return until
}
