package session

import "fmt"

// confirmDeletion confirms a deletion that is open or was given up, and that was
// requested before. A session that was removed by force then need not be closed any
// more.
func (e evidence) confirmDeletion(r Record) (Write, bool) {
	s := r.Session()
	if !s.CloseUntil.IsZero() && s.DeletionRequestedAt.Before(e.before) {
		return finishClosing(r, e.reason, e.now), true
	}
	open := (s.State == Deleting || s.State == Unknown && s.DeletionRequestID != "") && s.Confirmation == ""
	if !open || !s.DeletionRequestedAt.Before(e.before) {
		return Write{}, false
	}
	report := Report{HostID: s.HostID, AttemptID: s.AttemptID, SessionID: s.ID}
	w := confirmWithLease(report, e.confirmation, e.now)
	if keepsLease(s) {
		w = confirm(report, e.confirmation, e.now)
	}
	w.If = append(w.If, same(r, AttrDeletionRequestID))
	return w, true
}

// endSession ends a session that lives, was seen before, and has no deletion: mark and
// confirmation are one write. A session that no inventory has seen yet ends only with
// its host.
func (e evidence) endSession(r Record) (Write, bool) {
	s := r.Session()
	seen := s.FirstSeenAt.Before(e.before) && (!s.FirstSeenAt.IsZero() || e.confirmation == HostGone)
	if !s.State.lives() || s.DeletionRequestID != "" || !seen {
		return Write{}, false
	}
	w := Write{
		SessionID: s.ID,
		If: []Condition{
			is(AttrState, Ready, Creating, Unknown), // it may become UNKNOWN meanwhile
			same(r, AttrHostID),
			same(r, AttrCreationTime),
			same(r, AttrFirstSeenAt),
			missing(AttrDeletionRequestID),
		},
		Set: Record{},
	}
	set(&w, AttrConfirmation, e.confirmation)
	set(&w, AttrConfirmedAt, e.now)
	set(&w, AttrStateReason, e.reason)
	begin(&w, deletion{Entry: Entry{SessionID: s.ID}}, Request{ID: e.id, By: requestedByBroker, At: e.now})
	return w, true
}

// onGoneHost returns the writes that end what a gone host's records have: deletions,
// and sessions if those are to end, too.
func (e evidence) onGoneHost(records []Record, hostID string, sessionsToo bool) (writes []Write) {
	end := e.confirmDeletion
	if sessionsToo {
		end = e.endAny
	}
	for _, r := range records {
		if w, ok := end(r); ok && r.text(AttrHostID) == hostID {
			writes = append(writes, w)
		}
	}
	return writes
}

// endAny ends the deletion or the session of the record, whichever can be ended.
func (e evidence) endAny(r Record) (Write, bool) {
	if w, ok := e.confirmDeletion(r); ok {
		return w, true
	}
	return e.endSession(r)
}

// closedIdle ends those of the records whose sessions were closed, by name.
func (e evidence) closedIdle(records []Record, closed map[string]IdleSession) (writes []Write) {
	for _, r := range records {
		seen := r.Session()
		s, ok := closed[seen.NameOnHost()]
		// Without its incarnation it may be a later session of that name: the next
		// inventory decides.
		if _, named := parseCreation(s.CreationTime); !ok || !named || !sameCreation(seen.CreationTime, s.CreationTime) {
			continue
		}
		e.reason = fmt.Sprintf(reasonClosedIdle, s.IdleMinutes)
		if w, ok := e.endAny(r); ok {
			writes = append(writes, w)
		}
	}
	return writes
}
