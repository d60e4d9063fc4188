package memtable

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"dcv-session-broker/internal/session"
)

// Hosts is the Hosts table in memory. Like dynamo.Hosts, it keeps times to the
// millisecond.
type Hosts struct {
	mu    sync.Mutex
	hosts map[string]*host
	sent  [3]time.Time // the last inventories, the newest first

	walkedTo string
	refused  map[string]time.Time // by host
}

type host struct {
	session.HostAnswer
	silent                           bool
	askedAt                          time.Time
	ownerTag                         session.OwnerTag
	completeAt, occupied, emptySince time.Time
}

// kept returns a time with the table's precision.
func kept(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// checkHost refuses a text that cannot be a host's key.
func checkHost(id string) error {
	if len(id) > maxKeyBytes || !session.IsHostID(id) {
		return fmt.Errorf("no host can have the ID %.50q", id)
	}
	return nil
}

// NewHosts returns an empty table.
func NewHosts() *Hosts { return &Hosts{hosts: map[string]*host{}, refused: map[string]time.Time{}} }

// RecordInventorySent implements session.HostTable.
func (t *Hosts) RecordInventorySent(ctx context.Context, at time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at = kept(at); !at.Before(t.sent[0].Add(session.SentApart)) {
		t.sent = [3]time.Time{at, t.sent[0], t.sent[1]}
	}
	return ctx.Err()
}

// LastInventories implements session.HostTable.
func (t *Hosts) LastInventories(ctx context.Context) (sent []time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, at := range t.sent {
		if !at.IsZero() {
			sent = append(sent, at)
		}
	}
	return sent, ctx.Err()
}

// ForgetInventory implements session.HostTable.
func (t *Hosts) ForgetInventory(ctx context.Context, at time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := slices.IndexFunc(t.sent[:], kept(at).Equal); n >= 0 && !at.IsZero() {
		copy(t.sent[n:], t.sent[n+1:])
		t.sent[2] = time.Time{}
	}
	return ctx.Err()
}

// Newest implements session.HostTable.
func (t *Hosts) Newest(ctx context.Context, hostIDs []string) (map[string]time.Time, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	newest := map[string]time.Time{}
	for _, id := range hostIDs {
		if h := t.hosts[id]; h != nil && !h.SentAt.IsZero() {
			newest[id] = h.SentAt
		}
	}
	return newest, ctx.Err()
}

// RecordAnswer implements session.HostTable.
func (t *Hosts) RecordAnswer(ctx context.Context, a session.HostAnswer) (fresh bool, tag session.OwnerTag, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := checkHost(a.HostID); err != nil {
		return false, tag, err
	}
	a.SentAt, a.At = kept(a.SentAt), kept(a.At)
	known := t.hosts[a.HostID]
	if known != nil && (known.SentAt.After(a.SentAt) || known.silent && known.SentAt.Equal(a.SentAt)) {
		// The host may have run it after a newer one that found it empty.
		if a.Sessions > 0 || !a.Complete {
			known.emptySince = time.Time{}
		}
		return false, tag, ctx.Err()
	}
	now := &host{HostAnswer: a}
	if known != nil {
		now.askedAt, now.completeAt, now.occupied, now.emptySince = known.askedAt, known.completeAt, known.occupied, known.emptySince
		now.ownerTag = known.ownerTag
	}
	if a.Complete {
		now.completeAt = a.SentAt
	}
	switch {
	case a.Sessions > 0:
		now.occupied, now.emptySince = a.SentAt, time.Time{}
	case !a.Complete:
		now.emptySince = time.Time{}
	case now.emptySince.IsZero():
		now.emptySince = a.SentAt
	}
	t.hosts[a.HostID] = now
	return true, now.ownerTag, ctx.Err()
}

// RecordOwnerTag implements session.HostTable.
func (t *Hosts) RecordOwnerTag(ctx context.Context, hostID string, tag session.OwnerTag) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := checkHost(hostID); err != nil {
		return err
	}
	tag.ReadAt = kept(tag.ReadAt)
	if h := t.hosts[hostID]; h != nil && !tag.ReadAt.Before(h.ownerTag.ReadAt) {
		h.ownerTag = tag
	}
	return ctx.Err()
}

// Notes implements session.HostNotes.
func (t *Hosts) Notes(ctx context.Context, hostIDs []string) (map[string]session.HostNote, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	notes := map[string]session.HostNote{}
	for _, id := range hostIDs {
		if h := t.hosts[id]; h != nil {
			notes[id] = session.HostNote{SentAt: h.SentAt, CompleteAt: h.completeAt, OccupiedAt: h.occupied, EmptySince: h.emptySince}
		}
	}
	return notes, ctx.Err()
}

// AnsweredBefore implements session.HostTable.
func (t *Hosts) AnsweredBefore(ctx context.Context, before time.Time, limit int) ([]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var quiet []*host
	for _, h := range t.hosts {
		if !h.silent && h.At.Before(kept(before)) {
			quiet = append(quiet, h)
		}
	}
	slices.SortFunc(quiet, func(a, b *host) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.HostID, b.HostID))
	})
	var ids []string
	for _, h := range quiet[:min(len(quiet), limit)] {
		ids = append(ids, h.HostID)
	}
	return ids, ctx.Err()
}

// AddHost implements session.HostTable.
func (t *Hosts) AddHost(ctx context.Context, hostID string, then time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := checkHost(hostID); err != nil {
		return err
	}
	if t.hosts[hostID] == nil {
		t.hosts[hostID] = &host{HostAnswer: session.HostAnswer{HostID: hostID, At: kept(then)}}
	}
	return ctx.Err()
}

// MarkSilent implements session.HostTable.
func (t *Hosts) MarkSilent(ctx context.Context, hostID string, before time.Time) (marked bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := checkHost(hostID); err != nil {
		return false, err
	}
	if h := t.hosts[hostID]; h != nil && h.At.Before(kept(before)) {
		h.silent = true
		return true, ctx.Err()
	}
	return false, ctx.Err()
}
