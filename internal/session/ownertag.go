package session

import (
	"context"
	"slices"
	"time"
)

// OwnerTagKey is the key of the tag that restricts an instance to one owner: sessions of
// other owners in its inventories do not count. Root on a host can report false owners, but
// only people who may tag the instance decide whose sessions it can have. Owners are
// compared exactly.
const OwnerTagKey = "DcvOwner"

// An OwnerTag is the tag DcvOwner of a host, from EC2's last answer.
type OwnerTag struct {
	// Owner is empty if the host has no such tag, or one without a value.
	Owner string
	// ReadAt is when EC2 was asked. It is zero if EC2 was never asked.
	ReadAt time.Time
}

const (
	// rereadTag is the age at which EC2 is asked about a tag again. rereadRefusing is
	// that age for a host that reports sessions of other owners than the tag allows:
	// the tag may have changed.
	rereadTag      = time.Hour
	rereadRefusing = 10 * time.Minute
	// maxTags is how many tags one walk asks EC2 about: as many as one call takes.
	maxTags = 200
)

func (t OwnerTag) olderThan(age time.Duration, now time.Time) bool {
	return !now.Before(t.ReadAt.Add(age))
}

// allows tells whether the host may have sessions of that owner.
func (t OwnerTag) allows(owner string) bool { return t.Owner == "" || t.Owner == owner }

// keepOwnerTags stores the tags that EC2 has reported, of hosts that the table has. It
// writes changed tags, and those that were read rereadRefusing ago or earlier. If a
// write fails, the tag is read again later: nothing else depends on it.
func (hr *HostReaper) keepOwnerTags(ctx context.Context, hostIDs []string, owners map[string]string, known map[string]Silence, asked time.Time) {
	for _, hostID := range hostIDs {
		owner, told := owners[hostID]
		silence, ok := known[hostID]
		if !told || !ok || ctx.Err() != nil || owner == silence.OwnerTag.Owner && !silence.OwnerTag.olderThan(rereadRefusing, asked) {
			continue
		}
		log := hr.Log.With("HostId", hostID, "Owner", owner)
		if err := hr.HostTable.RecordOwnerTag(ctx, hostID, OwnerTag{owner, asked}); err != nil {
			log.Warn("host's tag "+OwnerTagKey+" could not be stored: it is read again", "Cause", err)
		} else if owner != silence.OwnerTag.Owner {
			log.Info("host's tag " + OwnerTagKey + " has changed: it applies from the host's next inventory")
		}
	}
}

// readOwnerTags reads the old tags of hosts that answer, the longest unread first,
// maxTags at most. It ends nothing: a host that answers is not gone because one of many
// answers of EC2 lacks it.
func (hr *HostReaper) readOwnerTags(ctx context.Context, hostIDs []string, known map[string]Silence, now time.Time) {
	hostIDs, left := tagsToRead(hostIDs, known, now)
	if len(hostIDs) == 0 {
		return
	}
	if left > 0 {
		hr.Log.Warn("one run's bound is reached: later runs read the tags DcvOwner of more hosts", "Hosts", len(hostIDs), "HostsLeft", left)
	}
	asked := hr.Now()
	_, owners, err := hr.statuses(ctx, hostIDs)
	if err != nil {
		hr.Log.Warn("tags "+OwnerTagKey+" could not be read: a later run reads them again", "Hosts", len(hostIDs), "Cause", err)
		return
	}
	hr.keepOwnerTags(ctx, hostIDs, owners, known, asked)
}

// tagsToRead are the hosts whose tags are to be read again, the longest unread first, at most
// maxTags of them; left is how many others there are.
func tagsToRead(hostIDs []string, silences map[string]Silence, now time.Time) (read []string, left int) {
	for _, hostID := range hostIDs {
		if s, known := silences[hostID]; known && !s.Silent && knownToEC2(hostID) && s.OwnerTag.olderThan(rereadTag, now) {
			read = append(read, hostID)
		}
	}
	slices.SortStableFunc(read, func(a, b string) int {
		return silences[a].OwnerTag.ReadAt.Compare(silences[b].OwnerTag.ReadAt)
	})
	most := min(len(read), maxTags)
	return read[:most], len(read) - most
}

// refused is how many sessions of the inventory the tag does not allow.
func (t OwnerTag) refused(inv Inventory) (n int) {
	for _, f := range inv.Sessions {
		if !t.allows(f.Owner) && f.Owner != "" {
			n++
		}
	}
	return n
}
