// Package session is the domain: what a session is, how a deletion begins, what ends
// it, and what each failure on the way means. It does not depend on AWS, HTTP or JSON;
// it defines the interfaces of the table (Table) and of the hosts (SessionCloser),
// which other packages implement.
//
// The life of a deletion:
//
//	          mark                     confirmation              finish
//	READY ───────────▶ DELETING ─────────────────────▶ DELETING ────────▶ DELETED
//	  ▲    (Deleter)      │  lease, attempt  (Confirmer)  confirmed (Finisher)
//	  └───── put back ────┘
//	   the host refused the command
//
// A mark is one conditional write; its lease says until when its attempt is the
// current one. A confirmation is the recorded fact that lets the deletion end; it
// counts only for the attempt that it answers. Only Finisher writes DELETED.
//
// Every rule is a plain function in a file rules_*.go. It takes what is known and
// returns a Write: the condition and the change. The tables (DynamoDB or memory) add no
// rules, so all rules are in one place:
//
//	rules_mark.go       a request: mark, force, repeat, put back
//	rules_confirm.go    a host's answer, and the end
//	rules_force.go      closing what was removed by force
//	rules_due.go        a lease that has ended: try again, give up
//	rules_grace.go      warnings before a deletion's close time
//	rules_cancel.go     a cancel before that time
//	rules_inventory.go  what hosts say runs on them, or no longer say
//	rules_ownertag.go   sessions of other owners than the host's tag allows
//	rules_evidence.go   facts that end sessions and deletions
//	rules_select.go     ends by rule: which sessions, and their marks
//
// The types next to them read the records, apply the rules, ask the hosts and log:
// each in a file of its name (Deleter in deleter.go).
//
// Follow one session from the request to DELETED:
//
//	functions/delete-sessions/main.go                        main: what AWS calls
//	internal/httpapi/deletesessions/deletesessions.go        Handle: the request and its answer
//	internal/httpapi/deletesessions/entries.go               parseEntries
//	internal/session/deleter.go                              Delete: mark, send, answer
//	internal/session/rules_mark.go                           mark
//	internal/dynamo/table.go                                 Write: many in one call
//	internal/session/deletersend.go                          send
//	internal/runcommand/close.go                             Close: the command for its host
//	internal/runcommand/parameter.go                         split, encodeIncarnation
//	internal/runcommand/sender.go                            sendCommand
//	internal/runcommand/documents/close.sh                   what the host runs
//	functions/host-events/main.go                            main
//	internal/events/hostevents/hostevents.go                 Handle: the host has answered
//	internal/runcommand/reader.go                            Pages: the answer
//	internal/events/hostevents/answer.go                     take
//	internal/session/confirmer.go                            Apply
//	internal/session/rules_confirm.go                        confirm
//	functions/session-stream/main.go                         main
//	internal/events/sessionstream/sessionstream.go           Handle: the record is confirmed
//	internal/session/finisher.go                             Finish: DELETED
package session

import "time"

const (
	// Lease is how long an attempt is the only one: long enough for its command to be
	// delivered and to run (DeliveryTimeout plus the time-out of the close document).
	// So when the lease ends, no host still runs the command.
	Lease = 2 * time.Minute

	// failedPause is the least time between an attempt that failed on its host and the
	// next one. It doubles with each attempt.
	failedPause = 30 * time.Second

	// RepeatPause is the least time between two attempts that callers bring
	// about by repeating a request.
	RepeatPause = 10 * time.Second

	// KeepDeleted is how long a DELETED record can be looked at.
	KeepDeleted = 48 * time.Hour

	// KeepUnknown is how long a record is kept whose host does not answer.
	KeepUnknown = 30 * 24 * time.Hour

	// MaxIDBytes bounds a session's ID and its owner, in bytes of UTF-8. DCV's own IDs
	// have at most 128 characters; a listed ID may end with a host's ID.
	MaxIDBytes = 256

	// CreationTolerance is for sessions whose incarnation was not recorded. The
	// host closes a session that was created, by its clock, at most so much later
	// than the request. Clocks that are synchronised differ by milliseconds. Five
	// seconds allow for a clock that is synchronised badly, and are less than a
	// user takes to log out and get a new console session.
	CreationTolerance = 5 * time.Second
)

// A State is the state of a session, in the words of Session Manager's
// DescribeSessions.
type State string

const (
	Creating State = "CREATING"
	Ready    State = "READY"
	Deleting State = "DELETING"
	Deleted  State = "DELETED"
	// Unknown is a session whose host has not answered for some time, or a
	// deletion that was given up.
	Unknown State = "UNKNOWN"
)

// lives tells whether a session of that state can be asked to end.
func (s State) lives() bool { return s == Creating || s == Ready || s == Unknown }

// A Confirmation is the fact that lets a deletion end.
type Confirmation string

const (
	// Closed: the host closed the session and did not list it afterwards.
	Closed Confirmation = "closed"
	// Absent: the host listed its sessions and this one was not among them.
	Absent Confirmation = "absent"
	// Replaced: the host has a session of that name, but a newer incarnation. The one
	// to be deleted is gone.
	Replaced Confirmation = "replaced"
	// Forced: the caller asked for the record to go, whatever the host does.
	Forced Confirmation = "forced"
	// HostGone: EC2 says that the host is terminated, or was stopped.
	HostGone Confirmation = "host-gone"
	// Vanished: an inventory of the host does not have the session.
	Vanished Confirmation = "vanished"
)

// A Session is one record of the Sessions table. Times that the broker writes are UTC
// with milliseconds; the zero time means that the attribute is missing.
type Session struct {
	// ID is the API's session ID and the table's key. DCVID is the session's
	// name on its host, which is the same except for the automatic console and
	// for IDs that two hosts use.
	ID, DCVID string

	// What the host reported. CreationTime is kept as exact text, since
	// together with the ID it names the incarnation. It may be empty.
	Owner, HostID, Name, Type string
	CreationTime              string
	NumOfConnections          int64
	LastDisconnectionTime     string
	// FirstSeenAt is when the inventory was read that first saw the session. ObservedAt
	// is when the inventory was sent that last changed the record.
	FirstSeenAt, ObservedAt time.Time
	// LiveHostID is HostID while the session lives, or is to be closed; then "".
	LiveHostID string

	State       State
	StateReason string

	// The deletion: when, by which request and by whom it was asked for, and
	// whether by force.
	DeletionRequestedAt time.Time
	DeletionRequestID   string
	DeletionRequestedBy string
	Force               bool
	// RepeatedAt is when another request was told that this deletion is under
	// way. From then on it cannot be put back.
	RepeatedAt time.Time

	// The attempt: its name, the number of attempts so far, when it began, and when
	// it failed, if it did. StateReason then says why.
	AttemptID       string
	Attempts        int64
	AttemptedAt     time.Time
	AttemptFailedAt time.Time

	// The lease: until NextAttemptAt no other attempt begins. DueShard
	// spreads the index of leases over several partitions.
	NextAttemptAt time.Time
	DueShard      string

	// TryUntil is when the deletion is given up, and the last time at which a command
	// of it is valid. It is written once and never computed again, since the settings
	// may change. Records of older brokers lack it.
	TryUntil time.Time

	// DeletionReason is why the session is ended, as the caller says, for people
	// and the audit trail.
	DeletionReason string

	// The grace period: CloseAt is when closing begins; until then Attempts is 0,
	// and a cancel gives StateBefore back. ClosingSince is when it began. Message is
	// what the user is shown.
	CloseAt      time.Time
	ClosingSince time.Time
	StateBefore  State
	Message      string

	// NoticeID names the attempt of the newest notice, and NoticeAt is the time of the
	// write that it follows. WarnedAt and Warning are when, and with what result, the
	// user was warned of CloseAt: see Warned.
	NoticeID string
	NoticeAt time.Time
	WarnedAt time.Time
	Warning  string

	// CancelledAt is the time of the last cancel. No write of an earlier request lands.
	// CancelledBy is the request of the last cancel that ended a deletion.
	CancelledAt time.Time
	CancelledBy string

	Confirmation Confirmation
	ConfirmedAt  time.Time

	// CloseUntil is set while the host is still to close a session that was removed by
	// force: closing is tried until then, though the record ends immediately (ForceMode
	// BestEffort).
	CloseUntil time.Time

	DeletedAt time.Time
	// GivenUpAt is when the deletion ended without a confirmation.
	GivenUpAt time.Time
	// ExpiresAt is when the record may be removed (seconds since 1970).
	ExpiresAt int64
}

// NameOnHost is the ID by which the host knows the session.
func (s Session) NameOnHost() string {
	if s.DCVID != "" {
		return s.DCVID
	}
	return s.ID
}

// An Incarnation names a session on its host, so that a later session with the same ID
// is not meant.
type Incarnation struct {
	SessionID, NameOnHost, HostID string
	// CreationTime is as the host reported it. If it is empty or unreadable, only a
	// session created no later than CreatedUntil is meant.
	CreationTime string
	CreatedUntil time.Time
}

func (s Session) incarnation() Incarnation {
	return Incarnation{SessionID: s.ID, NameOnHost: s.NameOnHost(), HostID: s.HostID, CreationTime: s.CreationTime, CreatedUntil: s.createdUntil()}
}

// createdUntil returns the latest creation time of a session that its deletion may
// mean, if no incarnation was recorded.
func (s Session) createdUntil() time.Time { return s.DeletionRequestedAt.Add(CreationTolerance) }

// unanswered tells whether a host's answer is still to come.
func (s Session) unanswered() bool { return s.Confirmation == "" || !s.CloseUntil.IsZero() }

// givenUpAndConfirmed: a deletion that was given up, and is confirmed; the stream ends it.
func (s Session) givenUpAndConfirmed() bool { return s.State == Unknown && s.Confirmation != "" }

// expired: the record may be removed at any time.
func (s Session) expired(now time.Time) bool {
	return s.ExpiresAt != 0 && s.ExpiresAt <= now.Unix()
}
