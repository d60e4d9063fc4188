package session

// Every reason in a record or an answer. Live records keep them: if a text changes, its earlier spelling goes into
// internal/operate/runbook/earlier.go. The runbook, internal/operate/RUNBOOK.md, says for each what to do: add a new one there,
// too.

// NotFound is Session Manager's own sentence: clients compare it. It is also the answer for another owner's session.
const NotFound = "The requested dcvSession does not exist"

// The reasons of entries that changed nothing, or may have.
const (
	reasonNotRecorded      = "The deletion could not be recorded, and nothing was changed. Repeat the call."
	reasonUnclear          = "It is not certain that the deletion was recorded. Repeat the call: repeating is harmless."
	reasonCancelledSince   = "The deletion was cancelled after this request began. Nothing was changed."
	reasonOtherHost        = "The session is on host %s, not on %s. Nothing was changed."
	reasonOtherIncarnation = "The session was created at %s, not at %s. Nothing was changed."
	// Of its host, with the clause of a Refusal.
	reasonRefused = "The session's host %s %s. Nothing was changed. Repeat the call when the host is back, or set Force to true to remove the session without its host."

	reasonCancelUnclear = "It is not certain that the cancel was recorded. Repeat the call: repeating is harmless."
	reasonCancelEnded   = "Too late: the session is over."
	reasonCancelGivenUp = "Too late: the close command was sent, and the broker gave up at %s. The session may still end."
	reasonCancelClosing = "Too late: the close command was sent at %s."
	reasonCancelLate    = "Too late: its close time was %s."
	reasonCancelOther   = "The session's deletion belongs to another request (%s). Nothing was changed."
)

// The clauses of a Refusal.
const (
	NotConnected  = "is not connected to Systems Manager"
	NotPermitted  = "may not be commanded (it lacks the tag " + FleetTagKey + ", or the broker lacks the permission)"
	WrongPlatform = "runs a platform on which sessions cannot be closed"
	NotManageable = "is not one that Systems Manager can manage"
	Refused       = "was refused by Systems Manager"
)

// StateReason of a deletion. A host's own text is kept unchanged; the runbook has the texts of its scripts.
const (
	reasonHostRefused = "The host %s."
	NoAnswer          = "Attempt %d brought no answer."
	reasonVoid        = "The command had expired when the host ran it. Is the host's clock ahead?"
	reasonUnconfirmed = "The host did not confirm within %s that the session is closed (%d attempts)."
	// NotAnswered and NotMentioned have how the command ended.
	NotAnswered  = "The host did not answer the close command (%s)."
	NotMentioned = "The host's answer to the close command does not mention this session (%s)."
	// Before the result of closing a session that was removed by force.
	removedByForce = "Removed by force. "
	reasonHostSays = "Its host says: %s."
	// What describeSessions shows while a deletion waits.
	reasonWaits = "It will be closed at %s."
)

// StateReason of a session without a deletion.
const (
	reasonTerminated = "Its host was terminated."
	reasonStopped    = "Its host was stopped."
	reasonVanished   = "Its host no longer runs it."
	reasonClosedIdle = "Closed by its host: nobody had used it for %d minutes."
	reasonSilent     = "Its host has not reported its sessions since %s or longer. Is the host running, and do its agent and its DCV server work?"
	reasonLongSilent = "Its host has not reported its sessions for a long time."
	reasonOtherOwner = "The tag " + OwnerTagKey + " of its host names another owner: what the host reports of this session is ignored."
)

// Warning of a deletion.
const (
	warnedOnScreen   = "warned"
	warnedBy         = "warned (%s)" // the program that shows it
	nobodyConnected  = "nobody: no user was connected"
	warningFailed    = "failed: %s" // what the host says, or why it was not asked
	unansweredNotice = "failed: no notice was answered"
)
