package session

import (
	"context"
	"strings"
	"time"
)

// HostTable is the Hosts table: the inventories that were sent, and the hosts' answers.
type HostTable interface {
	// RecordInventorySent notes that an inventory was sent to all hosts; one that was sent
	// less than SentApart after the last counts as the same.
	RecordInventorySent(ctx context.Context, at time.Time) error
	// LastInventories is when the last three inventories were sent, the newest
	// first; fewer if there were not so many.
	LastInventories(ctx context.Context) ([]time.Time, error)
	// ForgetInventory removes one of them, as if it had not been sent.
	ForgetInventory(ctx context.Context, at time.Time) error
	// Newest is when the newest inventories were sent that were applied of
	// those hosts, which are distinct; hosts without one are absent.
	Newest(ctx context.Context, hostIDs []string) (map[string]time.Time, error)
	// RecordAnswer notes that a host answered an inventory. fresh is false if one that
	// was sent later is noted already, or this one is, and the host was marked
	// silent since. Then nothing is written, but that the host is not known to be
	// empty, if this answer does not say so: it may be the one that was run last.
	// With a fresh answer comes the host's tag, as it is kept then.
	RecordAnswer(ctx context.Context, a HostAnswer) (fresh bool, tag OwnerTag, err error)
	// AnsweredBefore lists hosts that last answered before that time and are not marked
	// silent yet, the longest silent first, at most limit of them.
	AnsweredBefore(ctx context.Context, before time.Time, limit int) (hostIDs []string, err error)
	// AddHost adds a host that is not known at all, as one that last answered
	// then.
	AddHost(ctx context.Context, hostID string, then time.Time) error
	// MarkSilent marks a host silent, unless it has answered since. marked tells
	// whether it is silent now. Unless it answers again, the table forgets it
	// after KeepUnknown, as it does its sessions.
	MarkSilent(ctx context.Context, hostID string, before time.Time) (marked bool, err error)
	// Silences has those of the hosts, which are distinct, that are known, as they
	// are now.
	Silences(ctx context.Context, hostIDs []string) (map[string]Silence, error)
	// RecordOwnerTag keeps the tag of a host, if it is known, and no tag is kept
	// that was read later.
	RecordOwnerTag(ctx context.Context, hostID string, tag OwnerTag) error
}

// The Hosts table has other items than hosts: one of the whole fleet, and a note for
// each refused host, with this before its ID. No host has such an ID.
const (
	FleetKey         = "fleet"
	RefusedKeyPrefix = "refused-"
)

// IsHostID tells whether a host can have that ID. The table refuses any other.
func IsHostID(id string) bool {
	return id != "" && id != FleetKey && !strings.HasPrefix(id, RefusedKeyPrefix)
}

// SentApart is the least time between two inventories.
const SentApart = time.Minute

// A HostAnswer is the fact that a host answered an inventory.
type HostAnswer struct {
	HostID, InventoryID string
	Platform            string
	// SentAt is when the inventory's command was sent, At when its answer was
	// read.
	SentAt, At time.Time
	// Sessions is how many it says run; without Complete, at least.
	Sessions int
	Complete bool
}

// A Silence is whether a host is marked silent, and since when: its last answer, and the
// last question to EC2 after that. OwnerTag is read from hosts that answer, too.
type Silence struct {
	Silent              bool
	AnsweredAt, AskedAt time.Time
	OwnerTag            OwnerTag
}

// HostNotes reads what the Hosts table has of inventories.
type HostNotes interface {
	// Notes has those of the hosts, which are distinct, that ever answered one.
	Notes(ctx context.Context, hostIDs []string) (map[string]HostNote, error)
}

// A HostNote is the state of a host by its inventories, with their sending times.
type HostNote struct {
	// SentAt is the newest, CompleteAt the newest that had all of its sessions.
	SentAt, CompleteAt time.Time
	// OccupiedAt is the newest with a session in it.
	OccupiedAt time.Time
	// EmptySince is the oldest of those, up to the newest, that were complete and
	// had none; zero if the newest is not one of them.
	EmptySince time.Time
}
