package telemetry

// Attributes are all attributes of log lines: one name for one thing, in every
// function. Besides, a line has time, level and msg; msg says what happened,
// and, after a colon, what happens next. No line has a token or a request's body
// in it.
var Attributes = map[string]string{
	// Whom the line is about.
	"SessionId":         "the session, by its ID in the API",
	"MaxSessions":       "how many sessions of one host may be in the table",
	"NameOnHost":        "its ID on the host",
	"HostId":            "the host",
	"Owner":             "the session's owner, as the request or the host says",
	"RequestId":         "the API's request; with a session, the one that its deletion began with",
	"RequestedBy":       "whom that request's token speaks for",
	"DeletionRequestId": "the request of the deletion that a cancel is about",
	"AttemptId":         "the attempt: of the first, the request's ID",
	"NoticeId":          "the attempt of the notice that users were told by",
	"CommandId":         "Systems Manager's command",
	"InventoryId":       "the inventory",
	"MessageId":         "the queue's message",
	"EventId":           "the stream's record, and the announcement that is made of it",
	"InvocationId":      "Lambda's ID of the invocation, as on its own START and END lines",
	"Task":              "cleanup's task",

	// What happened.
	"Outcome":      "what a host says it did with a session",
	"Confirmation": "what lets a deletion end",
	"CloseAt":      "when closing begins, in a deletion with a grace period",
	"HostEmpty":    "whether the table had nothing more on the host when the session's end was announced",
	"Reason":       "why, as callers read it, or as the record's StateReason has it",
	"Cause":        "why, as the service or the program says it",
	"Status":       "how Systems Manager says that a host's part of a command ended",
	"Panic":        "what a bug said",
	"StackTrace":   "where it was",

	// How much.
	"Attempts":        "attempts of the deletion so far",
	"AfterSeconds":    "from the deletion's request to its end",
	"AgeSeconds":      "how old the inventory is",
	"OldestSeconds":   "how long ago the oldest open deletion was requested",
	"EmptySeconds":    "since when the host's inventories have had no session",
	"Open":            "open deletions",
	"Waiting":         "deletions that wait for their close time",
	"StillDue":        "due deletions that wait for the next run",
	"StillQuiet":      "quiet hosts that wait for the next run",
	"Looked":          "how many hosts were looked at",
	"HostsLeft":       "hosts that wait for the next run",
	"StillRefused":    "refused hosts that wait for the next run",
	"Hosts":           "how many hosts",
	"Sessions":        "how many sessions",
	"Complete":        "whether the inventory has all of the host's sessions",
	"Reports":         "how many sessions the host reported on",
	"UnreadableLines": "lines of its answer that say nothing readable",
	"Failed":          "what its scripts reported as failed",
	"Said":            "what was said beside its answer, on standard error or by the agent",
	"Faults":          "what is wrong with the request: how many things",
	"Successful":      "entries answered so",
	"Unsuccessful":    "entries answered so",
	"DryRun":          "whether it was one",
	"More":            "whether another page follows",
	"IdleMinutes":     "how long nobody had used the session",
	"Connections":     "how many are connected",
}
