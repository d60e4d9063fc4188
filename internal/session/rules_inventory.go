package session

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// A comparison compares an inventory with the records of its host, a part of them at a
// time.
type comparison struct {
	inv  Inventory
	tag  OwnerTag
	gone evidence
	runs map[string]Found // by name
	seen map[string]bool  // names in runs that have a record
	// living is how many records were compared: each lives, or has not ended yet.
	living int
}

func newComparison(inv Inventory, tag OwnerTag, gone evidence) *comparison {
	c := &comparison{inv: inv, tag: tag, gone: gone, runs: make(map[string]Found, len(inv.Sessions)), seen: map[string]bool{}}
	for _, f := range inv.Sessions {
		c.runs[f.NameOnHost] = f
	}
	return c
}

// compare returns the writes for some of the records.
func (c *comparison) compare(records []Record) (writes []Write) {
	c.living += len(records)
	for _, r := range records {
		name := r.Session().NameOnHost()
		f, ok := c.runs[name]
		var w Write
		switch {
		case ok && !c.tag.allows(f.Owner):
			w, ok = c.tag.observeOther(r, f, c.inv, c.gone)
		case ok:
			c.seen[name] = true
			w, ok = observe(r, f, c.inv, c.gone)
		case c.inv.Complete:
			if w, ok = c.gone.endAny(r); !ok {
				w, ok = firstSeen(r, c.inv)
			}
		}
		if ok {
			writes = append(writes, w)
		}
	}
	return writes
}

// unknown returns, by name, the sessions of the inventory that have no record, after
// all records were compared; and how many cannot be listed.
func (c *comparison) unknown() (unknown []Found, unlistable int) {
	for _, name := range slices.Sorted(maps.Keys(c.runs)) {
		f := c.runs[name]
		switch {
		case !f.listable():
			unlistable++
		case c.tag.allows(f.Owner) && !c.seen[name]:
			unknown = append(unknown, f)
		}
	}
	return unknown, unlistable
}

// observe returns the write for the record of a found session, if it needs one. It does
// not replace what a newer inventory has written.
func observe(r Record, f Found, inv Inventory, gone evidence) (Write, bool) {
	s := r.Session()
	sameIncarnation := sameCreation(s.CreationTime, f.CreationTime)
	switch {
	case s.ObservedAt.After(inv.SentAt):
		return Write{}, false
	case !f.listable():
		return stillRuns(r, inv)
	case s.DeletionRequestID != "" && s.State != Deleted && (s.State == Deleting || !s.GivenUpAt.IsZero()):
		if !sameIncarnation && !mayBeMeant(s, f) {
			if !inv.Complete {
				return Write{}, false
			}
			gone.confirmation = Replaced
			return gone.confirmDeletion(r)
		}
		if s.State == Unknown && s.Confirmation == "" && s.GivenUpAt.Before(inv.SentAt) {
			return relist(r, f, inv), true // it was given up, and still runs
		}
		if s.Waits() && sameIncarnation {
			return update(r, f, inv)
		}
		return Write{}, false
	case s.State == Deleted:
		meant := s.CloseUntil.After(inv.SentAt) && (sameIncarnation || mayBeMeant(s, f)) // its host was still to close it
		if meant || !s.DeletedAt.Before(inv.SentAt) {
			return Write{}, false // it ended after the inventory was sent: the next one knows better
		}
		return relist(r, f, inv), true
	case !s.State.lives():
		return Write{}, false
	}
	if !sameIncarnation {
		return relist(r, f, inv), true
	}
	return update(r, f, inv)
}

// update returns the write for a session that was found as the same incarnation:
// usually none. If its deletion waits, a cancel must restore READY.
func update(r Record, f Found, inv Inventory) (Write, bool) {
	s := r.Session()
	w := Write{SessionID: s.ID, If: unchanged(r), Set: Record{}}
	listed := listing(f, inv, s.ID)
	if s.State == Deleting {
		delete(listed, AttrState)
		listed[AttrStateBefore] = string(Ready)
	}
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

// stillRuns returns the write for a session of which the host reports only the name: it
// is no longer UNKNOWN because of silence.
func stillRuns(r Record, inv Inventory) (Write, bool) {
	s := r.Session()
	w := Write{SessionID: s.ID, If: unchanged(r), Set: Record{}}
	switch {
	case s.State == Unknown && s.DeletionRequestID == "":
		w.Remove = []string{AttrStateReason, AttrExpiresAt}
		set(&w, AttrState, Ready)
	case s.Waits() && s.StateBefore == Unknown:
		set(&w, AttrStateBefore, Ready)
	default:
		return Write{}, false
	}
	set(&w, AttrObservedAt, inv.SentAt)
	return w, true
}

// mayBeMeant tells whether a deletion may mean a session, although it is not known that
// the incarnations are the same.
func mayBeMeant(s Session, f Found) bool {
	created, ok := parseCreation(f.CreationTime)
	if _, recorded := parseCreation(s.CreationTime); ok && recorded {
		return false
	}
	return !ok || !created.After(s.createdUntil())
}

// firstSeen makes a record that no inventory has made (somebody put it there) count as
// seen, so that the next inventory without its session ends it.
func firstSeen(r Record, inv Inventory) (Write, bool) {
	s := r.Session()
	if !s.State.lives() || s.DeletionRequestID != "" || !s.FirstSeenAt.IsZero() {
		return Write{}, false
	}
	w := Write{SessionID: s.ID, If: unchanged(r), Set: Record{}}
	set(&w, AttrFirstSeenAt, inv.readAt)
	return w, true
}

// markUnresponsive returns the write for a record of a silent host: UNKNOWN, or UNKNOWN
// after a cancel of its deletion.
func markUnresponsive(r Record, before, now time.Time) Write {
	w := Write{SessionID: r.text(AttrSessionID), If: unchanged(r), Set: Record{}}
	if r.Session().Waits() {
		set(&w, AttrStateBefore, Unknown)
		return w
	}
	set(&w, AttrState, Unknown)
	set(&w, AttrStateReason, fmt.Sprintf(reasonSilent, before.UTC().Format(time.RFC3339)))
	set(&w, AttrExpiresAt, now.Add(KeepUnknown).Unix())
	return w
}

// listNew makes the record of a found session that has none.
func listNew(f Found, inv Inventory, id string) Write {
	return Write{SessionID: id, New: true, Set: listing(f, inv, id)}
}

// relist replaces an existing record by that of a found session. It removes all old
// attributes except those of cancels and of the order of notices.
func relist(there Record, f Found, inv Inventory) Write {
	id := there.text(AttrSessionID)
	w := Write{SessionID: id, If: unchanged(there), Set: listing(f, inv, id)}
	for attr := range there {
		if _, stays := w.Set[attr]; !stays && attr != AttrSessionID && !slices.Contains(cancelAttrs, attr) {
			w.Remove = append(w.Remove, attr)
		}
	}
	return w
}

// listing is the record of a found session under that ID.
func listing(f Found, inv Inventory, id string) Record {
	r := Listed(Session{
		ID: id, DCVID: f.NameOnHost, Owner: f.Owner, HostID: inv.HostID, Name: f.Name, Type: f.Type,
		CreationTime: f.CreationTime, NumOfConnections: f.NumOfConnections, LastDisconnectionTime: f.LastDisconnectionTime,
	})
	delete(r, AttrSessionID) // the key: a write names it by itself
	r[AttrFirstSeenAt] = FormatTime(inv.readAt)
	r[AttrObservedAt] = FormatTime(inv.SentAt)
	return r
}

// unchanged is the condition that a record has not changed since it was read. If it is
// READY, it has no attributes of a deletion, which the index does not show.
func unchanged(r Record) []Condition {
	attrs := []string{AttrState, AttrHostID, AttrCreationTime, AttrObservedAt}
	if State(r.text(AttrState)) != Ready {
		attrs = append(attrs, AttrDeletionRequestID, AttrAttemptID, AttrConfirmation, AttrDeletedAt, AttrGivenUpAt)
	}
	var conditions []Condition
	for _, attr := range attrs {
		conditions = append(conditions, same(r, attr))
	}
	return conditions
}
