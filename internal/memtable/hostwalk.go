package memtable

import (
	"context"
	"maps"
	"slices"
	"time"

	"dcv-session-broker/internal/session"
)

// HostsAfter implements session.HostLister: in the order of the hosts' IDs.
func (t *Table) HostsAfter(ctx context.Context, hostID string, limit int) (hostIDs []string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	hosts := t.indexes[session.AttrLiveHostID]
	for _, id := range slices.Sorted(maps.Keys(hosts)) {
		if id <= hostID {
			continue
		}
		if limit <= 0 {
			break
		}
		limit -= len(hosts[id])
		hostIDs = append(hostIDs, id)
	}
	return hostIDs, ctx.Err()
}

// WalkedTo implements session.HostWalk.
func (t *Hosts) WalkedTo(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.walkedTo, ctx.Err()
}

// RecordWalkedTo implements session.HostWalk.
func (t *Hosts) RecordWalkedTo(ctx context.Context, hostID string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.walkedTo = hostID
	return ctx.Err()
}

// Silences implements session.HostWalk.
func (t *Hosts) Silences(ctx context.Context, hostIDs []string) (map[string]session.Silence, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	silences := map[string]session.Silence{}
	for _, id := range hostIDs {
		if h := t.hosts[id]; h != nil {
			silences[id] = session.Silence{Silent: h.silent, AnsweredAt: h.At, AskedAt: h.askedAt, OwnerTag: h.ownerTag}
		}
	}
	return silences, ctx.Err()
}

// RecordAsked implements session.HostWalk.
func (t *Hosts) RecordAsked(ctx context.Context, hostID string, at time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := checkHost(hostID); err != nil {
		return err
	}
	if h := t.hosts[hostID]; h != nil && h.silent {
		h.askedAt = kept(at)
	}
	return ctx.Err()
}
