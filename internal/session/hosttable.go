package session

import (
	"context"
	"strings"
	"time"
)

// HostTable is the Hosts table: the inventories that were sent, and the hosts' answers.
type HostTable interface {
	// RecordInventorySent notes that an inventory was sent to all hosts. One that was
	// sent less than SentApart after the last one counts as the same.
	RecordInventorySent(ctx context.Context, at time.Time) error
	// LastInventories returns when the last three inventories were sent, the newest
	// first. There may be fewer.
	LastInventories(ctx context.Context) ([]time.Time, error)
	// ForgetInventory removes one of them, as if it had not been sent.
	ForgetInventory(ctx context.Context, at time.Time) error
	// Newest returns, for each of these distinct hosts, when the newest applied
	// inventory was sent. Hosts without one are absent.
	Newest(ctx context.Context, hostIDs []string) (map[string]time.Time, error)
	// RecordAnswer notes that a host answered an inventory. fresh is false if an answer
	// to a later inventory is noted already. It is also false if this answer is noted
	// already and the host was marked silent since. Then one thing may still be
	// written: if this answer does not say that the host is empty, the host no longer
	// counts as empty, since this inventory may be the one that ran last. A fresh
	// answer returns the tag that is stored for the host.
	RecordAnswer(ctx context.Context, a HostAnswer) (fresh bool, tag OwnerTag, err error)
	// AnsweredBefore lists hosts that last answered before that time and are not marked
	// silent yet, the longest silent first, at most limit of them.
	AnsweredBefore(ctx context.Context, before time.Time, limit int) (hostIDs []string, err error)
	// AddHost adds a host that the table lacks, as one that last answered then.
	AddHost(ctx context.Context, hostID string, then time.Time) error
	// MarkSilent marks a host silent, unless it has answered since. marked tells
	// whether it is silent now. If it does not answer again, the table removes it after
	// KeepUnknown, like its sessions.
	MarkSilent(ctx context.Context, hostID string, before time.Time) (marked bool, err error)
	// Silences returns the current state of those of the distinct hosts that the table
	// has.
	Silences(ctx context.Context, hostIDs []string) (map[string]Silence, error)
	// RecordOwnerTag stores the tag of a host that the table has, unless a tag that was
	// read later is stored.
	RecordOwnerTag(ctx context.Context, hostID string, tag OwnerTag) error
}

// The Hosts table has other items than hosts: one for the whole fleet, and a note for
// each refused host. The key of a note is this prefix and the host's ID. No host has
// such an ID.
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
	// Sessions is how many sessions it reports. Without Complete there may be more.
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

// HostNotes reads what the Hosts table knows from inventories.
type HostNotes interface {
	// Notes returns the notes of those of the distinct hosts that have ever answered an
	// inventory.
	Notes(ctx context.Context, hostIDs []string) (map[string]HostNote, error)
}

// A HostNote is the state of a host by its inventories. The times are when these were
// sent.
type HostNote struct {
	// SentAt is the time of the newest inventory, CompleteAt of the newest one that had
	// all sessions of the host.
	SentAt, CompleteAt time.Time
	// OccupiedAt is the time of the newest inventory that had a session.
	OccupiedAt time.Time
	// EmptySince is the time of the first of the complete inventories without sessions,
	// up to the newest. It is zero if the newest inventory had a session or was not
	// complete.
	EmptySince time.Time
}
