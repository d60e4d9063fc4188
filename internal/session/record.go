package session

import (
	"fmt"
	"time"
)

// The attributes of the Sessions table, as README.md here describes them.
const (
	AttrSessionID             = "SessionId"
	AttrDCVSessionID          = "DcvSessionId"
	AttrOwner                 = "Owner"
	AttrHostID                = "HostId"
	AttrName                  = "Name"
	AttrType                  = "Type"
	AttrCreationTime          = "CreationTime"
	AttrNumOfConnections      = "NumOfConnections"
	AttrLastDisconnectionTime = "LastDisconnectionTime"
	AttrState                 = "State"
	AttrStateReason           = "StateReason"
	AttrDeletionRequestedAt   = "DeletionRequestedAt"
	AttrDeletionRequestID     = "DeletionRequestId"
	AttrDeletionRequestedBy   = "DeletionRequestedBy"
	AttrForce                 = "Force"
	AttrRepeatedAt            = "RepeatedAt"
	AttrAttemptID             = "AttemptId"
	AttrAttempts              = "Attempts"
	AttrAttemptedAt           = "AttemptedAt"
	AttrAttemptFailedAt       = "AttemptFailedAt"
	AttrNextAttemptAt         = "NextAttemptAt"
	AttrDueShard              = "DueLane"
	AttrTryUntil              = "TryUntil"
	AttrConfirmation          = "Confirmation"
	AttrConfirmedAt           = "ConfirmedAt"
	AttrCloseUntil            = "CloseUntil"
	AttrGivenUpAt             = "GivenUpAt"
	AttrDeletionReason        = "DeletionReason"
	AttrCloseAt               = "CloseAt"
	AttrClosingSince          = "ClosingSince"
	AttrStateBefore           = "StateBefore"
	AttrMessage               = "Message"
	AttrNoticeID              = "NoticeId"
	AttrNoticeAt              = "NoticeAt"
	AttrWarnedAt              = "WarnedAt"
	AttrWarning               = "Warning"
	AttrCancelledAt           = "CancelledAt"
	AttrCancelledBy           = "CancelledBy"
	AttrFirstSeenAt           = "FirstSeenAt"
	AttrObservedAt            = "ObservedAt"
	AttrDeletedAt             = "DeletedAt"
	AttrExpiresAt             = "ExpiresAt"

	// The key of the index by-live-host: a copy of HostId that is removed when the
	// session is DELETED, so that the index has only sessions that live.
	AttrLiveHostID = "LiveHostId"
)

// A Record is a session as the table holds it: attribute names to values of
// type string, int64 or bool. A missing attribute has no entry.
type Record map[string]any

// TimeFormat is the table's form of times, always in UTC: RFC 3339 with milliseconds,
// of equal length, so that they sort as text.
const TimeFormat = "2006-01-02T15:04:05.000Z"

// FormatTime is t as the table holds it.
func FormatTime(t time.Time) string { return t.UTC().Format(TimeFormat) }

// TimeText is t as the table holds it, or "" for the zero time.
func TimeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return FormatTime(t)
}

// Clock returns now in whole milliseconds, as the table holds times. All parts of a
// function use it. A time with a fraction of a millisecond would be later than the same
// time from a record, and a rule would then decide otherwise than the condition of its
// Write.
func Clock(now func() time.Time) func() time.Time {
	return func() time.Time { return now().Truncate(time.Millisecond) }
}

// Session reads the record. An attribute of an unexpected type counts as missing.
func (r Record) Session() Session {
	return Session{
		ID:                    r.text(AttrSessionID),
		DCVID:                 r.text(AttrDCVSessionID),
		Owner:                 r.text(AttrOwner),
		HostID:                r.text(AttrHostID),
		LiveHostID:            r.text(AttrLiveHostID),
		Name:                  r.text(AttrName),
		Type:                  r.text(AttrType),
		CreationTime:          r.text(AttrCreationTime),
		NumOfConnections:      r.number(AttrNumOfConnections),
		LastDisconnectionTime: r.text(AttrLastDisconnectionTime),
		State:                 State(r.text(AttrState)),
		StateReason:           r.text(AttrStateReason),
		DeletionRequestedAt:   r.time(AttrDeletionRequestedAt),
		DeletionRequestID:     r.text(AttrDeletionRequestID),
		DeletionRequestedBy:   r.text(AttrDeletionRequestedBy),
		Force:                 r[AttrForce] == true,
		RepeatedAt:            r.time(AttrRepeatedAt),
		AttemptID:             r.text(AttrAttemptID),
		Attempts:              r.number(AttrAttempts),
		AttemptedAt:           r.time(AttrAttemptedAt),
		AttemptFailedAt:       r.time(AttrAttemptFailedAt),
		NextAttemptAt:         r.time(AttrNextAttemptAt),
		DueShard:              r.text(AttrDueShard),
		TryUntil:              r.time(AttrTryUntil),
		Confirmation:          Confirmation(r.text(AttrConfirmation)),
		ConfirmedAt:           r.time(AttrConfirmedAt),
		CloseUntil:            r.time(AttrCloseUntil),
		GivenUpAt:             r.time(AttrGivenUpAt),
		DeletionReason:        r.text(AttrDeletionReason),
		CloseAt:               r.time(AttrCloseAt),
		ClosingSince:          r.time(AttrClosingSince),
		StateBefore:           State(r.text(AttrStateBefore)),
		Message:               r.text(AttrMessage),
		NoticeID:              r.text(AttrNoticeID),
		NoticeAt:              r.time(AttrNoticeAt),
		WarnedAt:              r.time(AttrWarnedAt),
		Warning:               r.text(AttrWarning),
		CancelledAt:           r.time(AttrCancelledAt),
		CancelledBy:           r.text(AttrCancelledBy),
		FirstSeenAt:           r.time(AttrFirstSeenAt),
		ObservedAt:            r.time(AttrObservedAt),
		DeletedAt:             r.time(AttrDeletedAt),
		ExpiresAt:             r.number(AttrExpiresAt),
	}
}

// Listed is the record of a session that was found on its host.
func Listed(s Session) Record {
	r := Record{
		AttrSessionID:             s.ID,
		AttrOwner:                 s.Owner,
		AttrHostID:                s.HostID,
		AttrType:                  s.Type,
		AttrCreationTime:          s.CreationTime,
		AttrNumOfConnections:      s.NumOfConnections,
		AttrLastDisconnectionTime: s.LastDisconnectionTime,
		AttrState:                 string(Ready),
		AttrLiveHostID:            s.HostID,
	}
	if !s.FirstSeenAt.IsZero() {
		r[AttrFirstSeenAt] = FormatTime(s.FirstSeenAt)
	}
	if s.Name != "" {
		r[AttrName] = s.Name
	}
	if s.NameOnHost() != s.ID {
		r[AttrDCVSessionID] = s.DCVID
	}
	return r
}

func (r Record) text(attr string) string {
	s, _ := r[attr].(string)
	return s
}

func (r Record) number(attr string) int64 {
	n, _ := r[attr].(int64)
	return n
}

func (r Record) time(attr string) time.Time {
	text := r.text(attr)
	if text == "" { // most are, and an error costs more than all the rest
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// value turns what a rule sets into what a Record holds.
func value(v any) any {
	switch v := v.(type) {
	case time.Time:
		return FormatTime(v)
	case State:
		return string(v)
	case Confirmation:
		return string(v)
	case int:
		return int64(v)
	case string, int64, bool:
		return v
	}
	panic(fmt.Sprintf("session: no attribute can hold a %T", v))
}
