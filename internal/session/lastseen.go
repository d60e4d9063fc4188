package session

import (
	"context"
	"maps"
	"slices"
	"time"
)

// lastSeen returns by ID when the newest inventory was sent that is known to have had
// the session; zero if none is known. A record has only the inventories that first saw
// it and last changed it. But a READY session ends if a complete inventory does not
// have it. So the newest complete inventory of its host had it, too.
func lastSeen(ctx context.Context, notes HostNotes, sessions []Session) (map[string]time.Time, error) {
	hostIDs := map[string]bool{}
	for _, s := range sessions {
		hostIDs[s.HostID] = true
	}
	if len(hostIDs) == 0 {
		return nil, nil
	}
	noted, err := notes.Notes(ctx, slices.Sorted(maps.Keys(hostIDs)))
	if err != nil {
		return nil, err
	}
	seen := map[string]time.Time{}
	for _, s := range sessions {
		last := s.FirstSeenAt
		if s.ObservedAt.After(last) {
			last = s.ObservedAt
		}
		if at := noted[s.HostID].CompleteAt; s.State == Ready && !last.IsZero() && at.After(last) {
			last = at // it would have vanished
		}
		seen[s.ID] = last
	}
	return seen, nil
}
