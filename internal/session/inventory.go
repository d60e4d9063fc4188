package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
)

// An Inventory is what a host says runs on it. It is as old as the moment its
// command was sent, whenever it arrives.
type Inventory struct {
	ID       string // the command's, a UUID
	HostID   string // by the sender of the answer, not by its text
	Platform string
	SentAt   time.Time
	// Complete is false where the answer was cut: it then says what runs, but
	// not what does not.
	Complete bool
	Sessions []Found

	// readAt is when its answer is applied. The host may have run the command at
	// any time until then: what it shows was there by now, not when the command
	// was sent, and only an inventory sent later can miss it.
	readAt time.Time
}

// Found is one session of an inventory, under its name on the host.
type Found struct {
	NameOnHost, Owner, Name, Type string
	CreationTime                  string
	NumOfConnections              int64
	LastDisconnectionTime         string
}

// maxInventoryAge is how old an inventory may be to be believed at all.
const maxInventoryAge = time.Hour

// An InventoryReconciler brings the table to what hosts say runs on them. A host
// speaks for itself only: whatever it says, no other host's session is hidden,
// taken over or ended by it.
type InventoryReconciler struct {
	Table     Table
	Index     Index
	HostTable HostTable
	Reaper    *HostReaper
	Now       func() time.Time
	Log       *slog.Logger
}

// Apply brings the table to what the inventory says: it lists new sessions,
// updates what changed, ends what has vanished, and lists again what was
// removed by force but still runs. One older than the host's newest, or than an
// hour, changes nothing. An open deletion is only ever confirmed by it. It may
// be applied again at any time.
func (ir *InventoryReconciler) Apply(ctx context.Context, inv Inventory) error {
	log := ir.Log.With("HostId", inv.HostID, "InventoryId", inv.ID)
	now := ir.Now()
	inv.readAt = now
	if age := now.Sub(inv.SentAt); age > maxInventoryAge {
		log.Warn("inventory dropped: too old", "AgeSeconds", age.Seconds())
		return nil
	}
	fresh, err := ir.HostTable.RecordAnswer(ctx, HostAnswer{
		HostID: inv.HostID, InventoryID: inv.ID, Platform: inv.Platform, SentAt: inv.SentAt, At: now,
		Sessions: len(inv.Sessions), Complete: inv.Complete,
	})
	if err != nil {
		return fmt.Errorf("host %s: note its inventory: %w", inv.HostID, err)
	}
	if !fresh {
		log.Info("inventory dropped: a newer one was applied")
		return nil
	}
	lag := now.Sub(inv.SentAt).Seconds()
	log.Debug("inventory taken: the table is brought to it", "Sessions", len(inv.Sessions), "Complete", inv.Complete, "AgeSeconds", lag,
		"Metric", Measure(InventorySessions, float64(len(inv.Sessions))), "Metric", Measure(InventoryLagSeconds, lag))
	known, err := ir.Index.OnHost(ctx, inv.HostID)
	if err != nil {
		return fmt.Errorf("host %s: read its sessions: %w", inv.HostID, err)
	}
	gone := evidence{
		id:           inv.ID,
		confirmation: Vanished,
		reason:       "Its host no longer runs it.",
		before:       inv.SentAt,
		now:          now,
	}
	writes, unknown := ir.compare(inv, known, gone)
	if len(writes)+len(unknown) == 0 {
		return nil
	}
	// Two inventories may be applied at once: the older must not bring back
	// what the newer has ended.
	newest, err := ir.HostTable.Newest(ctx, []string{inv.HostID})
	if err != nil {
		return fmt.Errorf("host %s: read its newest inventory: %w", inv.HostID, err)
	}
	if newest[inv.HostID].After(inv.SentAt) {
		log.Info("inventory dropped: a newer one has come meanwhile")
		return nil
	}
	err = gone.write(ctx, ir.Table, writes, ir.Log)
	return errors.Join(err, ir.list(ctx, inv, unknown, gone))
}

// compare tells what the inventory means for the records of its host, and which
// of its sessions have none.
func (ir *InventoryReconciler) compare(inv Inventory, known []Record, gone evidence) (writes []Write, unknown []Found) {
	runs := make(map[string]Found, len(inv.Sessions))
	for _, f := range inv.Sessions {
		runs[f.NameOnHost] = f
	}
	isKnown := map[string]bool{}
	for _, r := range known {
		name := r.Session().NameOnHost()
		f, ok := runs[name]
		isKnown[name] = true
		var w Write
		switch {
		case ok:
			w, ok = observe(r, f, inv, gone)
		case inv.Complete:
			if w, ok = gone.endAny(r); !ok {
				w, ok = firstSeen(r, inv)
			}
		}
		if ok {
			writes = append(writes, w)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(runs)) {
		f := runs[name]
		switch {
		case !f.listable():
			ir.Log.Warn("session not listed: its host names it, or its owner, in a way that cannot be listed", "HostId", inv.HostID)
		case !isKnown[name]:
			unknown = append(unknown, f)
		}
	}
	return writes, unknown
}

// firstSeen lets a record that no inventory has made (somebody put it there)
// count as seen, so that the next inventory without its session ends it.
func firstSeen(r Record, inv Inventory) (Write, bool) {
	s := r.Session()
	if !s.State.lives() || s.DeletionRequestID != "" || !s.FirstSeenAt.IsZero() {
		return Write{}, false
	}
	w := Write{SessionID: s.ID, If: unchanged(r), Set: Record{}}
	set(&w, AttrFirstSeenAt, inv.readAt)
	return w, true
}

// listable: what the table's keys and the API take.
func (f Found) listable() bool {
	return f.NameOnHost != "" && len(f.NameOnHost) <= 128 && f.Owner != "" && len(f.Owner) <= MaxIDBytes &&
		!strings.ContainsFunc(f.NameOnHost+f.Owner, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar })
}

// observe is what a session that was found means for its record: nothing, most
// of the time. What a newer inventory has written meanwhile stays.
func observe(r Record, f Found, inv Inventory, gone evidence) (Write, bool) {
	s := r.Session()
	sameIncarnation := sameCreation(s.CreationTime, f.CreationTime)
	switch {
	case !f.listable(), s.ObservedAt.After(inv.SentAt):
		return Write{}, false
	case s.DeletionRequestID != "" && s.State != Deleted && (s.State == Deleting || !s.GivenUpAt.IsZero()):
		if !sameIncarnation && !mayBeMeant(s, f) {
			if !inv.Complete {
				return Write{}, false
			}
			gone.confirmation = Replaced
			return gone.confirmDeletion(r)
		}
		if s.State == Unknown && s.Confirmation == "" && s.GivenUpAt.Before(inv.SentAt) {
			return relist(r, f, inv, inv.HostID, s.ID), true // it was given up, and still runs
		}
		return Write{}, false
	case s.State == Deleted:
		meant := s.CloseUntil.After(inv.SentAt) && (sameIncarnation || mayBeMeant(s, f)) // its host was still to close it
		if meant || !s.DeletedAt.Before(inv.SentAt) {
			return Write{}, false // it ended after the inventory was sent: the next one knows better
		}
		return relist(r, f, inv, inv.HostID, s.ID), true
	case !s.State.lives():
		return Write{}, false
	}
	listed := listing(f, inv, inv.HostID, s.ID)
	if !sameIncarnation {
		return relist(r, f, inv, inv.HostID, s.ID), true
	}
	w := Write{SessionID: s.ID, If: unchanged(r), Set: Record{}}
	for attr, v := range listed {
		if r[attr] != v && attr != AttrFirstSeenAt && attr != AttrObservedAt {
			w.Set[attr] = v
		}
	}
	if s.FirstSeenAt.IsZero() {
		set(&w, AttrFirstSeenAt, inv.readAt)
	}
	if s.Name != "" && f.Name == "" {
		w.Remove = append(w.Remove, AttrName)
	}
	if len(w.Set)+len(w.Remove) == 0 {
		return Write{}, false
	}
	set(&w, AttrObservedAt, inv.SentAt)
	if s.State == Unknown {
		w.Remove = append(w.Remove, AttrStateReason, AttrExpiresAt)
	}
	return w, true
}

// mayBeMeant tells whether a session, not of the same incarnation as far as can
// be read, may be the one that a deletion means all the same.
func mayBeMeant(s Session, f Found) bool {
	created, ok := parseCreation(f.CreationTime)
	if _, recorded := parseCreation(s.CreationTime); ok && recorded {
		return false
	}
	return !ok || !created.After(s.DeletionRequestedAt.Add(CreationTolerance))
}

// sameCreation compares incarnations as the hosts do: to the second, where one
// of the two has no decimals.
func sameCreation(a, b string) bool {
	if a == b {
		return true
	}
	ta, okA := parseCreation(a)
	tb, okB := parseCreation(b)
	if !okA || !okB {
		return false
	}
	whole := ta.Nanosecond()/1000 == 0 || tb.Nanosecond()/1000 == 0
	return ta.UnixMicro() == tb.UnixMicro() || whole && ta.Unix() == tb.Unix()
}

func parseCreation(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil
}

// list brings sessions into the table that its index does not show for this
// host. A record may be there all the same: ended, of another host, or too new
// for the index.
func (ir *InventoryReconciler) list(ctx context.Context, inv Inventory, found []Found, gone evidence) error {
	type pending struct {
		Found
		id string
	}
	var open []pending
	for _, f := range found {
		open = append(open, pending{f, listedID(f.NameOnHost, inv.HostID)})
	}
	var errs []error
	for range 3 { // under its name, under its name and host, over what was there
		var (
			writes []Write
			next   []pending
			over   []Write
		)
		for _, p := range open {
			writes = append(writes, Write{SessionID: p.id, New: true, Set: listing(p.Found, inv, inv.HostID, p.id)})
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
			case there.HostID == inv.HostID && there.NameOnHost() == p.NameOnHost,
				there.State == Deleted && !there.CloseUntil.After(inv.SentAt):
				if w, ok := observe(res.Old, p.Found, inv, gone); ok {
					over = append(over, w)
				}
			case p.id == p.NameOnHost:
				next = append(next, pending{p.Found, p.NameOnHost + "-" + inv.HostID})
			default:
				ir.Log.Error("session not listed: even its own name is taken", "SessionId", p.id, "HostId", inv.HostID)
			}
		}
		errs = append(errs, gone.write(ctx, ir.Table, over, ir.Log))
		open = next
	}
	return errors.Join(errs...)
}

// listedID is the ID under which a host's session is listed at first: its name,
// but for names that are not one session's own. The automatic console is called
// "console" on every host, and a name that ends like a host's ID could be taken
// for a session of that host.
func listedID(nameOnHost, hostID string) string {
	if nameOnHost == "console" || endsLikeAHost(nameOnHost) {
		return nameOnHost + "-" + hostID
	}
	return nameOnHost
}

func endsLikeAHost(name string) bool {
	for _, kind := range []string{"-i-", "-mi-"} {
		if i := strings.LastIndex(name, kind); i >= 0 {
			if n := len(name) - i - len(kind); n == 8 || n == 17 {
				return true
			}
		}
	}
	return false
}

// listing is the record of a found session.
func listing(f Found, inv Inventory, hostID, id string) Record {
	r := Listed(Session{
		ID: id, DCVID: f.NameOnHost, Owner: f.Owner, HostID: hostID, Name: f.Name, Type: f.Type,
		CreationTime: f.CreationTime, NumOfConnections: f.NumOfConnections, LastDisconnectionTime: f.LastDisconnectionTime,
	})
	delete(r, AttrSessionID) // the key: a write names it by itself
	r[AttrFirstSeenAt] = FormatTime(inv.readAt)
	r[AttrObservedAt] = FormatTime(inv.SentAt)
	return r
}

// relist makes a record that is there into that of a found session, and removes
// every trace of what it was.
func relist(there Record, f Found, inv Inventory, hostID, id string) Write {
	w := Write{SessionID: id, If: unchanged(there), Set: listing(f, inv, hostID, id)}
	for attr := range there {
		if _, stays := w.Set[attr]; !stays && attr != AttrSessionID {
			w.Remove = append(w.Remove, attr)
		}
	}
	return w
}

// unchanged is the condition that a record is still what was decided upon.
func unchanged(r Record) []Condition {
	var conditions []Condition
	for _, attr := range []string{
		AttrState, AttrHostID, AttrCreationTime, AttrDeletionRequestID, AttrAttemptID,
		AttrConfirmation, AttrDeletedAt, AttrGivenUpAt, AttrObservedAt,
	} {
		conditions = append(conditions, same(r, attr))
	}
	return conditions
}
