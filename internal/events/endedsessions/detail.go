package endedsessions

import "dcv-session-broker/internal/session"

// The detail-types of the events.
const (
	// Ended: the session is DELETED.
	Ended = "DCV Session Ended"
	// Scheduled: a deletion with a grace period has begun.
	Scheduled = "DCV Session Deletion Scheduled"
	// Rescheduled: its close time is earlier now.
	Rescheduled = "DCV Session Deletion Rescheduled"
	// Cancelled: it does not close the session.
	Cancelled = "DCV Session Deletion Cancelled"
)

// logged is the log message for each.
var logged = map[string]string{
	Ended:       "session's end goes to the event bus",
	Scheduled:   "deletion with a grace period goes to the event bus",
	Rescheduled: "deletion's earlier close time goes to the event bus",
	Cancelled:   "deletion's cancel goes to the event bus",
}

// A Detail is the detail of an announcement. It leaves out values that are unknown or
// do not apply. Times have the table's form: RFC 3339, UTC, with milliseconds.
type Detail struct {
	// ID is the ID of the stream's record: the same in each announcement of the same
	// write.
	ID string `json:"Id"`
	// DetailType is the event's detail-type, which the pipe takes from here.
	DetailType string
	Stack      string
	SessionID  string `json:"SessionId"`
	// DCVSessionID is the session's ID on its host, where that differs.
	DCVSessionID string `json:"DcvSessionId,omitempty"`
	Owner        string
	HostID       string `json:"HostId,omitempty"`
	Name         string `json:",omitempty"`
	Type         string `json:",omitempty"`
	// CreationTime is the time that the host reported; with the ID it names the
	// incarnation.
	CreationTime string `json:",omitempty"`

	Confirmation session.Confirmation `json:",omitempty"`
	StateReason  string               `json:",omitempty"`
	RequestID    string               `json:"RequestId,omitempty"`
	// RequestedBy is the subject of the request's token; dcv-session-broker if there was
	// no request.
	RequestedBy string `json:",omitempty"`
	// Reason is the request's reason.
	Reason string `json:",omitempty"`
	Force  bool

	// RequestedAt is when the deletion began. Later requests do not change it.
	RequestedAt string `json:",omitempty"`

	// The grace period: when closing begins, when it would have begun before a
	// request for an earlier time, and when that request was. WarnedAt and Warning are
	// as the table has them.
	CloseAt       string `json:",omitempty"`
	CloseAtBefore string `json:",omitempty"`
	RescheduledAt string `json:",omitempty"`
	WarnedAt      string `json:",omitempty"`
	Warning       string `json:",omitempty"`

	// CancelledBy is the request that cancelled the deletion. It is empty if the broker
	// put the record back (PutBack), since the host could not be told.
	CancelledAt string `json:",omitempty"`
	CancelledBy string `json:",omitempty"`
	PutBack     bool   `json:",omitempty"`

	GivenUpAt   string `json:",omitempty"`
	ConfirmedAt string `json:",omitempty"`
	DeletedAt   string `json:",omitempty"`

	// HostEmpty tells whether the table then had no living session and no open deletion on
	// the host; nil if that could not be read. Only ends have it.
	HostEmpty *bool `json:",omitempty"`
}

// detailType returns the kind of a write; "" if it is not announced. Each kind of write
// changes the attributes by which it is recognised, so that no later write is taken for
// it.
func detailType(old, now session.Session) string {
	open := now.State == session.Deleting && now.Confirmation == ""
	switch {
	case now.State == session.Deleted && old.State != session.Deleted:
		return Ended
	case old.State != session.Deleting && now.Waits():
		return Scheduled
	case old.Waits() && open && now.CloseAt.Before(old.CloseAt):
		return Rescheduled // a close time of now also has the first attempt
	case old.Waits() && now.State != session.Deleting && now.State != session.Deleted:
		return Cancelled
	}
	return ""
}

// detailOf makes the detail from the record after the write; for a cancelled deletion,
// from the record before it.
func detailOf(id, stack string, old, now session.Session) Detail {
	kind, s := detailType(old, now), now
	if kind == Cancelled {
		s = old
	}
	d := Detail{
		ID: id, DetailType: kind, Stack: stack,
		SessionID: s.ID, DCVSessionID: s.DCVID, Owner: s.Owner, HostID: s.HostID, Name: s.Name, Type: s.Type, CreationTime: s.CreationTime,
		Confirmation: s.Confirmation, StateReason: s.StateReason,
		RequestID: s.DeletionRequestID, RequestedBy: s.DeletionRequestedBy, Reason: s.DeletionReason, Force: s.Force,
		RequestedAt: session.TimeText(s.DeletionRequestedAt), CloseAt: session.TimeText(s.CloseAt), WarnedAt: session.TimeText(s.WarnedAt), Warning: s.Warning,
		GivenUpAt: session.TimeText(s.GivenUpAt), ConfirmedAt: session.TimeText(s.ConfirmedAt), DeletedAt: session.TimeText(s.DeletedAt),
	}
	switch kind {
	case Rescheduled:
		d.CloseAtBefore, d.RescheduledAt = session.TimeText(old.CloseAt), session.TimeText(now.RepeatedAt)
	case Cancelled:
		if d.PutBack = now.CancelledBy == old.CancelledBy; !d.PutBack {
			d.CancelledAt, d.CancelledBy = session.TimeText(now.CancelledAt), now.CancelledBy
		}
	}
	return d
}
