package memtable

import (
	"cmp"
	"context"
	"slices"
	"time"

	"dcv-session-broker/internal/session"
)

// RecordRefused implements session.RefusedHostNotes.
func (t *Hosts) RecordRefused(ctx context.Context, hostIDs []string, at time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range hostIDs {
		if checkHost(id) == nil && len(session.RefusedKeyPrefix+id) <= maxKeyBytes { // as the key of an item
			t.refused[id] = kept(at)
		}
	}
	return ctx.Err()
}

// RefusedHosts implements session.RefusedHosts.
func (t *Hosts) RefusedHosts(ctx context.Context, limit int) (hosts []session.RefusedHost, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, at := range t.refused {
		hosts = append(hosts, session.RefusedHost{HostID: id, At: at})
	}
	slices.SortFunc(hosts, func(a, b session.RefusedHost) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.HostID, b.HostID))
	})
	return hosts[:min(len(hosts), limit)], ctx.Err()
}

// ForgetRefused implements session.RefusedHosts.
func (t *Hosts) ForgetRefused(ctx context.Context, noted session.RefusedHost) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, ok := t.refused[noted.HostID]; ok && at.Equal(kept(noted.At)) {
		delete(t.refused, noted.HostID)
	}
	return ctx.Err()
}
