package sim

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"dcv-session-broker/internal/local/agent"
	"dcv-session-broker/internal/session"
)

// While a stack is updated, functions of two versions are at work: each is older until
// its own turn comes. An older one is today's code. It sees, and can write, only what the
// version before knew of:
//
//   - TryUntil: delete-sessions does not write it, and cleanup, which does not see
//     it, computes from what is set today until when a deletion is tried;
//   - the notes of refused hosts, the walk over hosts that have records, and the
//     look for inventories that no host had: cleanup does nothing of the kind;
//   - grace periods: what entries ask of them is ignored, cancels and notices are not
//     known, and the leases of what waits stand in shards that nobody reads;
//   - MaxSessionsPerHost: host-events lists whatever a host says;
//   - that only standard output is an answer: with any noise host-events takes an
//     inventory for cut.
//
// The newer functions must keep the promises whatever older ones do at the same time. An
// older order of steps (silent hosts before the inventory) and an older rule (an ended
// record's ID given to any host) are not simulated: that would need a copy of removed
// code.

// isOlder tells whether a function that starts now is of the version before.
func (w *world) isOlder(function string) bool {
	if w.calm || !w.now().Before(w.began.Add(w.setup.olderFor[function])) {
		return false
	}
	w.seen.faults[olderFault[function]]++
	return true
}

var olderFault = map[string]fault{"delete-sessions": functionOlder, "cleanup": cleanupOlder, "host-events": hostEventsOlder}

// asOlder returns the settings that an older function knows.
func (s setup) asOlder() setup {
	s.maxSessions = math.MaxInt32
	s.read.hostEvents.MaxSessionsPerHost = s.maxSessions
	s.grace, s.read.deleteSessions.Defaults.GracePeriod, s.read.cleanup.RuleDefaults.GracePeriod = 0, 0, 0
	return s
}

// withoutNew returns the writes that an older function makes.
func withoutNew(writes []session.Write) []session.Write {
	old := make([]session.Write, len(writes))
	for i, write := range writes {
		write.Set = withoutNewAttrs(write.Set)
		write.If = slices.DeleteFunc(slices.Clone(write.If), func(c session.Condition) bool { return slices.Contains(newAttrs, c.Attr) })
		write.Remove = slices.DeleteFunc(slices.Clone(write.Remove), func(attr string) bool { return slices.Contains(newAttrs, attr) })
		_, first := write.Set[session.AttrFirstSeenAt]
		_, whole := write.Set[session.AttrOwner]
		if relists := first && whole && !write.New; relists { // it removes whatever it finds
			write.Remove = append(write.Remove, newAttrs...)
		}
		old[i] = write
	}
	return old
}

// shows returns a record as the invocation's version reads it.
func (inv *invocation) shows(r session.Record) session.Record {
	if inv.older {
		r = withoutNewAttrs(r)
	}
	return r
}

// newAttrs are those that older brokers do not know.
var newAttrs = []string{
	session.AttrTryUntil, session.AttrDeletionReason, session.AttrCloseAt, session.AttrClosingSince, session.AttrStateBefore, session.AttrMessage, session.AttrNoticeID,
	session.AttrNoticeAt, session.AttrWarnedAt, session.AttrWarning, session.AttrCancelledAt, session.AttrCancelledBy,
}

func withoutNewAttrs(r session.Record) session.Record {
	r = maps.Clone(r)
	for _, attr := range newAttrs {
		delete(r, attr)
	}
	return r
}

// asOlderBody returns a request as an older function reads it.
func asOlderBody(entries []entry) string {
	var known []entry
	for _, e := range entries {
		known = append(known, entry{SessionID: e.SessionID, Owner: e.Owner, Force: e.Force})
	}
	body, err := json.Marshal(known)
	if err != nil {
		panic(err)
	}
	return string(body)
}

// knows tells whether that version reads a shard of the index due.
func (inv *invocation) knows(shard string) bool {
	return !inv.older || !strings.HasPrefix(shard, "wait-")
}

// listed is a host's output in the list of a command's invocations.
func (inv *invocation) listed(on *onHost) string {
	if inv.older {
		return agent.Listed(on.output+on.stderr, "")
	}
	return agent.Listed(on.output, on.stderr)
}

// timeToTry returns the TryUntil of a deletion that the invocation marks; zero if its
// version does not record it.
func (inv *invocation) timeToTry(s session.Session) (until time.Time) {
	if !inv.older {
		until = s.DeletionRequestedAt.Add(inv.setup.giveUp)
	}
	return until
}

// comment returns a command's comment as the invocation's version reads it: an older one
// does not know notices.
func (inv *invocation) comment(c *command) string {
	if inv.older && c.document == notifyDocument {
		return "of something else"
	}
	return c.comment
}
