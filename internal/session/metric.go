package session

// A Metric is a number for operators. It is measured where its event is logged: the
// value is an attribute "Metric" of the line, and the writer of the lines adds the
// values. The unit is seconds if the name ends in Seconds, and a count otherwise.
type Metric string

// CloudWatch bills each metric, and each value of a dimension, by the hours in
// which it has values: these are 30 a stack, of which 5 have values while
// nothing happens.
const (
	// DeletionsAccepted: deletions answered DELETING, repeats among them.
	DeletionsAccepted Metric = "DeletionsAccepted"
	// DeletionsForced: those of them that were forced.
	DeletionsForced Metric = "DeletionsForced"
	// DeletionsCancelled: deletions cancelled before their close time.
	DeletionsCancelled Metric = "DeletionsCancelled"
	// EntriesRefused: deletions answered as unsuccessful, by Refused...
	EntriesRefused Metric = "EntriesRefused"
	// DeletedAfterSeconds: from the request, or with a grace period the first close
	// attempt, to DELETED.
	DeletedAfterSeconds Metric = "DeletedAfterSeconds"
	// AttemptsPerDeletion: the attempts that a deletion took.
	AttemptsPerDeletion Metric = "AttemptsPerDeletion"
	// AttemptsFailed: attempts that failed on a host, or did not reach it.
	AttemptsFailed Metric = "AttemptsFailed"
	// DeletionsGivenUp: deletions that no host confirmed in time. For sessions that
	// were removed by force, closings that no host confirmed.
	DeletionsGivenUp Metric = "DeletionsGivenUp"
	// OpenDeletions and OldestOpenDeletionSeconds: as cleanup finds them, each
	// minute. No value means that cleanup does not run.
	OpenDeletions             Metric = "OpenDeletions"
	OldestOpenDeletionSeconds Metric = "OldestOpenDeletionSeconds"
	// WaitingDeletions: those that wait for their close time, as cleanup finds
	// them; no value where there are none.
	WaitingDeletions Metric = "WaitingDeletions"
	// UsersNotWarned: sessions whose closing began at their close time, though their
	// hosts could not warn a user, or did not report it.
	UsersNotWarned Metric = "UsersNotWarned"
	// InventoriesSent: to the whole fleet. No value for a long time means that no host
	// is asked.
	InventoriesSent Metric = "InventoriesSent"
	// InventoriesUndelivered: their commands ended as a whole, before any host had
	// them.
	InventoriesUndelivered Metric = "InventoriesUndelivered"
	// InventorySessions and InventoryLagSeconds: of each host's inventory, the sessions
	// in it, and the time from sending it to applying it.
	InventorySessions   Metric = "InventorySessions"
	InventoryLagSeconds Metric = "InventoryLagSeconds"
	// InventoriesIncomplete: answers that lack sessions of their host, so that they end
	// none. A host that always sends such answers has more sessions than fit.
	InventoriesIncomplete Metric = "InventoriesIncomplete"
	// SessionsNotListed: sessions of hosts that have MaxSessions in the table.
	SessionsNotListed Metric = "SessionsNotListed"
	// SessionsOfOtherOwners: sessions that a host reported for another owner than the
	// one in its tag.
	SessionsOfOtherOwners Metric = "SessionsOfOtherOwners"
	// HostsUnreachable: times that a host was refused by Systems Manager, or did
	// not answer a command.
	HostsUnreachable Metric = "HostsUnreachable"
	// HostsFellSilent: hosts that have begun to leave inventories unanswered.
	HostsFellSilent Metric = "HostsFellSilent"
	// HostsStopped: because nothing ran on them any more.
	HostsStopped Metric = "HostsStopped"
	// RuleRunsAtBound: runs of rules that reached a bound. If that repeats, the rule
	// does not keep up.
	RuleRunsAtBound Metric = "RuleRunsAtBound"
	// FleetAnswersDropped: answers to inventories, and to closings of idle sessions, that
	// were not read because Systems Manager throttled the calls.
	FleetAnswersDropped Metric = "FleetAnswersDropped"
	// MessagesReturned and RecordsReturned: what host-events could not process and
	// returned to its queue, and session-stream to the table's stream.
	MessagesReturned Metric = "MessagesReturned"
	RecordsReturned  Metric = "RecordsReturned"
)

// Why entries are refused.
const (
	RefusedNoSuchSession = "no-such-session" // or another owner's
	RefusedByHost        = "host-refused"
	RefusedNotRecorded   = "not-recorded"
	RefusedNotAsAsked    = "not-as-asked" // cancelled since, or a precondition does not hold
)

// A Measurement is a value of a metric, as an attribute of a log line.
type Measurement struct {
	Metric Metric
	Value  float64
	// Alone values are kept one by one, for their percentiles. Others are added.
	Alone bool
	// Reason, if there is one, also has a count of its own.
	Reason string
}

// Count adds to a metric.
func Count(m Metric, n int) Measurement {
	return Measurement{Metric: m, Value: float64(n)}
}

// CountBy is Count, by reason.
func CountBy(m Metric, reason string) Measurement {
	return Measurement{Metric: m, Value: 1, Reason: reason}
}

// Measure gives a metric one more value.
func Measure(m Metric, value float64) Measurement {
	return Measurement{Metric: m, Value: value, Alone: true}
}

// Metrics has all metrics.
var Metrics = []Metric{
	DeletionsAccepted, DeletionsForced, DeletionsCancelled, EntriesRefused, DeletedAfterSeconds, AttemptsPerDeletion, AttemptsFailed, DeletionsGivenUp,
	OpenDeletions, OldestOpenDeletionSeconds, WaitingDeletions, UsersNotWarned, InventoriesSent, InventoriesUndelivered, InventorySessions, InventoryLagSeconds, InventoriesIncomplete, SessionsNotListed, SessionsOfOtherOwners, HostsUnreachable, HostsFellSilent, HostsStopped, RuleRunsAtBound,
	FleetAnswersDropped, MessagesReturned, RecordsReturned,
}
