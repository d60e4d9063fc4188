package session

// observeOther returns the write for the record, if there is one, of a session that the
// host reports for another owner, or without an owner. It does not change the recorded
// owner. It does not end an open deletion, unless another incarnation runs. A record of
// another owner, from before the tag was read, becomes UNKNOWN until the tag allows it
// or it expires. It can be deleted like any other. A record of the tag's own owner does
// not change.
func (t OwnerTag) observeOther(r Record, f Found, inv Inventory, gone evidence) (Write, bool) {
	s := r.Session()
	_, recorded := parseCreation(s.CreationTime)
	_, said := parseCreation(f.CreationTime)
	switch {
	case s.ObservedAt.After(inv.SentAt):
		return Write{}, false
	case recorded && said && !sameCreation(s.CreationTime, f.CreationTime):
		if gone.confirmation = Replaced; inv.Complete {
			return gone.endAny(r)
		}
		return Write{}, false
	case t.allows(s.Owner):
		return stillRuns(r, inv)
	}
	w := Write{SessionID: s.ID, If: unchanged(r), Set: Record{}}
	switch {
	case s.Waits() && s.StateBefore != Unknown:
		set(&w, AttrStateBefore, Unknown)
	case s.DeletionRequestID == "" && s.State.lives() && s.StateReason != reasonOtherOwner:
		set(&w, AttrState, Unknown)
		set(&w, AttrStateReason, reasonOtherOwner)
		set(&w, AttrExpiresAt, inv.readAt.Add(KeepUnknown).Unix())
	default:
		return Write{}, false
	}
	set(&w, AttrObservedAt, inv.SentAt)
	return w, true
}
