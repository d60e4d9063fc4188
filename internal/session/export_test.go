package session

import (
	"strings"
	"time"
)

// The rules and the callers' messages, for tests that use a table. (The tables import
// this package, so its tests with a table are outside of it.)
var (
	Repeat           = repeat
	ClaimFailed      = claimFailed
	Claimable        = claimable
	Confirm          = confirm
	ConfirmWithLease = confirmWithLease
	FailAttempt      = failAttempt
	Finish           = finish
	Same             = same
	FinishClosing    = finishClosing
	CloseFailed      = closeFailed

	DeletionAttrs = deletionAttrs
	CancelAttrs   = cancelAttrs
)

const (
	ReasonNotRecorded   = reasonNotRecorded
	ReasonUnclear       = reasonUnclear
	ReasonCancelUnclear = reasonCancelUnclear
	PutBackTime         = putBackTime
	AnswerTime          = answerTime
)

// ReasonRefused is the end of the message, after the host and the reason of its refusal.
var ReasonRefused = strings.TrimPrefix(reasonRefused, "The session's host %s %s.")

// PutBack undoes an entry's mark of the record old.
func PutBack(old Record, req Request) Write {
	s := old.Session()
	return putBack(mark(deletion{Entry: Entry{SessionID: s.ID, Owner: s.Owner}}, req, req.At.Add(time.Hour)), old, req)
}

// Mark and MarkForced are the rules that begin an entry's deletion.
func Mark(e Entry, req Request) Write {
	return mark(deletion{Entry: e}, req, req.At.Add(time.Hour))
}

func MarkForced(e Entry, req Request) Write {
	return markForced(deletion{Entry: e}, req, time.Time{})
}

// MarkForcedBestEffort is MarkForced for a session that its host must close.
func MarkForcedBestEffort(e Entry, req Request, until time.Time) Write {
	return markForced(deletion{Entry: e}, req, until)
}

// MarkWaiting is Mark with a grace period.
func MarkWaiting(e Entry, req Request) Write { return markWaiting(deletion{Entry: e}, req) }
