package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// An InventoryReconciler updates the table from inventories. An inventory affects only
// its own host's sessions: it cannot hide, take over or end another host's.
type InventoryReconciler struct {
	Table     Table
	Index     Index
	Getter    Getter
	HostTable HostTable
	// MaxSessions bounds the living sessions of one host in the table. Listed ones
	// stay, and no new one is listed until one ends. One answer may exceed it, since
	// the index does not show immediately what was just listed.
	MaxSessions int
	Now         func() time.Time
	Log         *slog.Logger
}

// Apply updates the table from the inventory: it lists new sessions, updates changed ones, ends missing ones, and
// lists again those that were removed by force but still run. One older than the host's newest, or than an hour,
// or dated more than a minute ahead, changes nothing. An open deletion is only ever confirmed by it. It may be
// applied again at any time.
//
// If a host's tag restricts it to one owner, sessions of others in its inventory are not
// listed. askEC2 is true if the tag must be read again because of that: it may have
// changed.
func (ir *InventoryReconciler) Apply(ctx context.Context, inv Inventory) (askEC2 bool, err error) {
	log := ir.Log.With("HostId", inv.HostID, "InventoryId", inv.ID)
	now := ir.Now()
	inv.readAt = now
	if age := now.Sub(inv.SentAt); age > maxInventoryAge {
		log.Warn("inventory dropped: too old", "AgeSeconds", age.Seconds())
		return false, nil
	} else if age < -maxInventoryAhead {
		log.Warn("inventory dropped: its time is in the future", "AgeSeconds", age.Seconds())
		return false, nil
	}
	fresh, tag, err := ir.HostTable.RecordAnswer(ctx, HostAnswer{
		HostID: inv.HostID, InventoryID: inv.ID, Platform: inv.Platform, SentAt: inv.SentAt, At: now,
		Sessions: len(inv.Sessions) + inv.Unnamed, Complete: inv.Complete,
	})
	if err != nil {
		return false, fmt.Errorf("host %s: note its inventory: %w", inv.HostID, err)
	}
	if !fresh {
		log.Info("inventory dropped: a newer one was applied")
		return false, nil
	}
	if n := tag.refused(inv); n > 0 {
		askEC2 = tag.olderThan(rereadRefusing, now)
		log.Warn("host reports sessions of owners that its tag "+OwnerTagKey+" does not name: they are not listed",
			"Owner", tag.Owner, "TagReadAt", FormatTime(tag.ReadAt), "Sessions", n, "Metric", Count(SessionsOfOtherOwners, n))
	}
	return askEC2, ir.apply(ctx, inv, tag, log)
}

func (ir *InventoryReconciler) apply(ctx context.Context, inv Inventory, tag OwnerTag, log *slog.Logger) error {
	now := inv.readAt
	lag := now.Sub(inv.SentAt).Seconds()
	log.Debug("inventory accepted: the table is updated from it", "Sessions", len(inv.Sessions), "Complete", inv.Complete, "AgeSeconds", lag,
		"Metric", Measure(InventorySessions, float64(len(inv.Sessions))), "Metric", Measure(InventoryLagSeconds, lag))
	gone := evidence{
		id:           inv.ID,
		confirmation: Vanished,
		reason:       reasonVanished,
		before:       inv.SentAt,
		now:          now,
	}
	c := newComparison(inv, tag, gone)
	var errs []error
	for records, err := range onHost(ctx, ir.Index, inv.HostID) {
		if err != nil { // what is new is not known
			return errors.Join(append(errs, fmt.Errorf("host %s: read its sessions: %w", inv.HostID, err))...)
		}
		writes := c.compare(records)
		if len(writes) == 0 {
			continue
		}
		if superseded, err := ir.superseded(ctx, inv); superseded || err != nil {
			return errors.Join(append(errs, err)...)
		}
		errs = append(errs, gone.write(ctx, ir.Table, writes, ir.Log))
	}
	unknown, unlistable := c.unknown()
	if room := max(ir.MaxSessions-c.living, 0); len(unknown) > room {
		log.Warn("host has reached its bound: its other sessions are not listed until some end", "MaxSessions", ir.MaxSessions,
			"Sessions", len(unknown)-room, "Metric", Count(SessionsNotListed, len(unknown)-room))
		unknown = unknown[:room] // by name, so that each inventory lists the same ones
	}
	if unlistable > 0 {
		log.Warn("sessions not listed: their names or owners are empty, too long or have control characters", "Sessions", unlistable)
	}
	if len(unknown) == 0 {
		return errors.Join(errs...)
	}
	if superseded, err := ir.superseded(ctx, inv); superseded || err != nil {
		return errors.Join(append(errs, err)...)
	}
	return errors.Join(append(errs, ir.list(ctx, inv, unknown, gone))...)
}

// superseded tells whether a newer inventory was recorded after this one. Two may be
// applied at the same time: the older must not list again what the newer has ended.
func (ir *InventoryReconciler) superseded(ctx context.Context, inv Inventory) (bool, error) {
	newest, err := ir.HostTable.Newest(ctx, []string{inv.HostID})
	if err != nil {
		return false, fmt.Errorf("host %s: read its newest inventory: %w", inv.HostID, err)
	}
	if newest[inv.HostID].After(inv.SentAt) {
		ir.Log.Info("inventory dropped: a newer one has arrived", "HostId", inv.HostID, "InventoryId", inv.ID)
		return true, nil
	}
	return false, nil
}

// list lists sessions that the index does not show for this host. There may still be a
// record: an ended one, another host's, or one that is too new for the index.
func (ir *InventoryReconciler) list(ctx context.Context, inv Inventory, found []Found, gone evidence) error {
	type unlisted struct {
		Found
		id string
	}
	own, err := ir.ownRecords(ctx, inv.HostID, found)
	if err != nil {
		return err
	}
	var (
		open    []unlisted
		updates []Write
	)
	for _, f := range found {
		id := firstListedID(f.NameOnHost, inv.HostID)
		if r, lives := own[f.NameOnHost]; !lives {
			open = append(open, unlisted{f, id})
		} else if w, ok := observe(r, f, inv, gone); ok {
			updates = append(updates, w)
		}
	}
	errs := []error{gone.write(ctx, ir.Table, updates, ir.Log)}
	for range 3 { // under its name, under its name and host, over what was there
		var (
			writes []Write
			next   []unlisted
			over   []Write
		)
		for _, p := range open {
			writes = append(writes, listNew(p.Found, inv, p.id))
		}
		if len(writes) == 0 {
			break
		}
		for i, res := range ir.Table.Write(ctx, writes) {
			p := open[i]
			there := res.Old.Session()
			switch {
			case res.Err == nil:
				ir.Log.Info("session listed", "SessionId", p.id, "HostId", inv.HostID, "Owner", p.Owner)
			case !errors.Is(res.Err, ErrCondition):
				errs = append(errs, fmt.Errorf("session %s: list it: %w", p.id, res.Err))
			case there.canBeListedAs(p.NameOnHost, inv.HostID, inv.readAt):
				if w, ok := observe(res.Old, p.Found, inv, gone); ok {
					over = append(over, w)
				}
			case there.isAboutToExpire(inv.readAt):
				ir.Log.Info("session not listed yet: another record has its ID, and expires in some minutes", "SessionId", p.id, "HostId", inv.HostID)
			case p.id == p.NameOnHost:
				next = append(next, unlisted{p.Found, ListedID(p.NameOnHost, inv.HostID, there, inv.readAt)})
			default:
				ir.Log.Error("session not listed: another record has its ID", "SessionId", p.id, "HostId", inv.HostID)
			}
		}
		errs = append(errs, gone.write(ctx, ir.Table, over, ir.Log))
		open = next
	}
	return errors.Join(errs...)
}

// ownRecords returns the living records under a session's name and host, by the name.
// The index may be behind, and the name itself free now: without this read the session
// would get a second record.
func (ir *InventoryReconciler) ownRecords(ctx context.Context, hostID string, found []Found) (map[string]Record, error) {
	var ids []string
	for _, f := range found {
		if firstListedID(f.NameOnHost, hostID) == f.NameOnHost {
			ids = append(ids, f.NameOnHost+"-"+hostID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	records, err := ir.Getter.Get(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("host %s: look up sessions under its ID: %w", hostID, err)
	}
	own := map[string]Record{}
	for _, r := range records {
		if r.text(AttrLiveHostID) == hostID {
			own[r.Session().NameOnHost()] = r
		}
	}
	return own, nil
}
