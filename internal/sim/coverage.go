package sim

import "dcv-session-broker/internal/session"

// Coverage counts what happened in runs: a run proves nothing about a thing that never
// happened in it.
type Coverage struct {
	faults      [faults]int
	transitions [transitions]int
	premises    [13]int // by promise: how often it could have been broken
	effects     [effects]int
	bounds      [bounds]int    // of promise 11: how often each was at risk
	ran         map[string]int // by function, and by task
}

// An effect is something that the system must do, and that shows neither as a transition
// in the table nor as a promise at risk.
type effect int

const (
	hostStopped effect = iota
	endAnnounced
	endAnnouncedAgain
	idPassedOn
	fleetLarge
	nodesUnlisted
	hostCrowded
	lostRecordListed
	revivedEnds
	goneRefused
	deletionWaits
	closeTimeMoved
	userWarned
	nobodyToWarn
	userToldOfCancel
	cancelAnswered
	cancelTooLate
	cancelledSince
	notAsDescribed
	oldBesideNew
	ruleMarks
	ruleOvertaken
	ruleLeavesAlone
	ruleStops
	idleClosedAfterWarning
	tagTaken
	othersNotListed
	othersDoubted

	effects
)

var effectNames = [effects]string{"an empty host is stopped", "an end is announced", "an end is announced again",
	"the ID of an ended record that has expired is another host's",
	"a fleet is large", "a fleet is too large to be listed for a request", "a host has hundreds of sessions",
	"a session whose record a restored backup lacks is listed again", "a session that lives in a restored backup only ends again",
	"a deletion is refused because of a host that is gone",
	"a deletion waits for its close time", "a close time is made earlier", "users are warned", "nobody is connected who could be warned",
	"users are told that a deletion is cancelled", "a cancel is answered as a success", "a cancel is too late",
	"a request from before a cancel is refused", "a precondition does not hold", "an older cleanup runs while a deletion waits",
	"a rule marks a session", "a session changes between a rule's read and its mark", "a rule leaves alone what a caller cancelled", "a rule stops at its limit",
	"a session is closed for being idle whose users were warned",
	"a host's tag of its owner is taken over", "a session of another owner than its host is held to is not listed", "a session that was listed of another owner becomes UNKNOWN"}

func (c *Coverage) add(o Coverage) {
	for i, n := range o.faults {
		c.faults[i] += n
	}
	for i, n := range o.transitions {
		c.transitions[i] += n
	}
	for i, n := range o.premises {
		c.premises[i] += n
	}
	for i, n := range o.effects {
		c.effects[i] += n
	}
	for i, n := range o.bounds {
		c.bounds[i] += n
	}
	for name, n := range o.ran {
		if c.ran == nil {
			c.ran = map[string]int{}
		}
		c.ran[name] += n
	}
}

// rare has the number of seeds in which a rare effect is certain to be seen.
var rare = map[effect]int{nodesUnlisted: 20_000, ruleOvertaken: 20_000, ruleLeavesAlone: 20_000}

// missing names everything that was not seen.
func (c *Coverage) missing(seeds int) (missing []string) {
	for f, n := range c.faults {
		if n == 0 {
			missing = append(missing, "fault: "+faultNames[f])
		}
	}
	for t, n := range c.transitions {
		if n == 0 {
			missing = append(missing, "transition: "+transitionNames[t])
		}
	}
	for d, n := range c.effects {
		if n == 0 && seeds >= rare[effect(d)] {
			missing = append(missing, "never done: "+effectNames[d])
		}
	}
	for b, n := range c.bounds {
		if n == 0 {
			missing = append(missing, "bound never at risk: "+boundNames[b])
		}
	}
	for name := range deployment().timeouts {
		if c.ran[name] == 0 {
			missing = append(missing, "function: "+name)
		}
	}
	for _, t := range deployment().tasks {
		if c.ran["task "+t.name] == 0 {
			missing = append(missing, "task: "+t.name)
		}
	}
	for p, n := range c.premises {
		if n == 0 && p > 0 {
			missing = append(missing, "promise never at risk: "+promiseNames[p])
		}
	}
	return missing
}

// A transition is an arrow of the diagram in internal/session/README.md.
type transition int

const (
	listedNew transition = iota
	readyMarked
	readyEnded
	deletingPutBack
	deletingDeleted
	deletingGivenUp
	readyDoubted
	unknownReady
	unknownMarked
	unknownDeleted
	deletedListed
	deletedExpires
	unknownExpires
	deletingCancelled

	transitions
)

var transitionNames = [transitions]string{
	"[*] to READY", "READY to DELETING, asked", "READY to DELETING, gone", "DELETING to READY, put back", "DELETING to DELETED",
	"DELETING to UNKNOWN", "READY to UNKNOWN", "UNKNOWN to READY", "UNKNOWN to DELETING", "UNKNOWN to DELETED", "DELETED to READY",
	"DELETED to [*]", "UNKNOWN to [*]", "DELETING to what it was, cancelled",
}

var promiseNames = [13]string{
	"", "durable before answered", "never taken back, never stuck", "DELETED is true", "owners only", "only what was asked",
	"forced means forced", "answered once each", "one bad apple", "re-cached", "at least once, in any order",
	"bounded", "warned",
}

// count counts a change of a record.
func (w *world) count(c change) {
	was, is := c.was.State, c.is.State
	note := func(t transition) { w.seen.transitions[t]++ }
	switch {
	case c.old == nil && is == session.Ready:
		note(listedNew)
	case was == session.Ready && is == session.Deleting && c.by != nil && c.by.request != nil:
		note(readyMarked)
	case was == session.Ready && is == session.Deleting:
		note(readyEnded)
	case c.by != nil && c.by.cancels != nil: // cancelledRightly counts it
	case was == session.Deleting && is == session.Ready:
		note(deletingPutBack)
	case was == session.Deleting && is == session.Deleted:
		note(deletingDeleted)
	case was == session.Deleting && is == session.Unknown:
		note(deletingGivenUp)
	case was == session.Ready && is == session.Unknown:
		note(readyDoubted)
	case was == session.Unknown && is == session.Ready:
		note(unknownReady)
	case was == session.Unknown && is == session.Deleting:
		note(unknownMarked)
	case was == session.Unknown && is == session.Deleted:
		note(unknownDeleted)
	case was == session.Deleted && is == session.Ready:
		note(deletedListed)
		if c.was.Confirmation == session.Forced {
			w.seen.premises[9]++
		}
	}
}
