package sim

import (
	"maps"
	"strings"
	"time"

	"dcv-session-broker/internal/session"
)

// The promises that hold at every change of the table. Each function checks one; those
// about answers are in answers.go, those about commands and hosts in hostpromises.go, and
// those about the end of a run in settle.go.

// Promise 1, durable before answered: every record that is DELETING has a lease, by which
// cleanup finds it. answeredDeleting checks what was answered DELETING.
func (w *world) durable(c change) {
	s := c.is
	if s.State == session.Deleting && (s.NextAttemptAt.IsZero() || s.DueShard == "" || s.AttemptID == "" || s.DeletionRequestID == "") {
		w.breaks(1, "%s is DELETING without a lease", s.ID)
	}
	if !s.CloseUntil.IsZero() && (s.NextAttemptAt.IsZero() || s.DueShard == "") {
		w.breaks(1, "%s is to be closed and has no lease", s.ID)
	}
}

// Promise 2, never taken back: an open deletion ends as DELETED or, after the give-up
// time, as UNKNOWN with a reason. It is taken back only by the request that began it,
// before anybody was told of it or it was confirmed; the record is then as it was before
// (promise 7). Only an inventory that was sent after the end makes an ended record READY
// again.
func (w *world) neverTakenBack(c change) {
	was, is := c.was, c.is
	switch {
	case was.State == session.Deleting && is.State == session.Deleted:
	case was.State == session.Deleting && is.State != session.Deleting && c.by.function == "delete-sessions":
		w.takenBackRightly(c)
	case was.State == session.Deleting && is.State != session.Deleting && c.by.cancels != nil:
		w.cancelledRightly(c)
	case was.State == session.Deleting && is.State == session.Unknown:
		switch {
		case was.Confirmation != "":
			w.breaks(2, "%s is given up though it is confirmed (%s)", is.ID, was.Confirmation)
		case waits(was):
			w.breaks(2, "%s is given up without an attempt to close it", is.ID)
		case w.now().Before(c.by.tryUntil(was)), !was.CloseAt.IsZero() && !w.model.oldShard[is.ID] && w.now().Before(was.TryUntil):
			w.breaks(2, "%s is given up before its time", is.ID)
		case is.StateReason == "":
			w.breaks(2, "%s is given up without a reason", is.ID)
		}
	case was.State == session.Deleting && is.State != session.Deleting:
		w.breaks(2, "%s is %s, but its deletion has not ended", is.ID, is.State)
	case was.State == session.Unknown && was.Confirmation != "" && is.State == session.Ready:
		w.breaks(2, "%s is READY again though its deletion is confirmed (%s)", is.ID, was.Confirmation)
	case is.State == session.Ready && (was.State == session.Deleted || was.State == session.Unknown && !was.GivenUpAt.IsZero()):
		end := was.DeletedAt
		if was.State == session.Unknown {
			end = was.GivenUpAt
		}
		inventory := c.by.inventoryOf(is.HostID, is.NameOnHost())
		if inventory == nil || !inventory.command.surveyOf.After(end) {
			w.breaks(2, "%s is READY again, but not by an inventory sent after its end at %s", is.ID, end.Format(time.TimeOnly))
		}
		if end.IsZero() {
			w.breaks(2, "%s has ended at no time", is.ID)
		}
		w.seen.premises[2]++
	}
}

func (w *world) takenBackRightly(c change) {
	was, id := c.was, c.is.ID
	w.seen.premises[7]++
	switch {
	case requestOf(was.AttemptID) != c.by.id || was.DeletionRequestID != c.by.id:
		w.breaks(2, "%s takes back the deletion of %s, which is another's", c.by, id)
	case was.Confirmation != "":
		w.breaks(2, "%s takes back the deletion of %s, which is confirmed", c.by, id)
	case w.model.told[id]:
		w.breaks(2, "%s takes back the deletion of %s, of which somebody was told", c.by, id)
	case !maps.Equal(c.new, putBack(c.old, c.by.request.before[id])):
		w.breaks(7, "%s takes back the deletion of %s, which is not as before:\n%v\n%v", c.by, id, c.by.request.before[id], c.new)
	}
	if a := w.model.attempts[was.AttemptID][id]; a != nil {
		a.putBack = true
		if a.sent {
			w.breaks(7, "%s takes back the deletion of %s, but has sent its host a command", c.by, id)
		}
	}
}

// putBack returns a marked record as it must be after its mark was taken back: what only
// deletions write is as it was before the mark. The rest stays, since an inventory may
// have changed it meanwhile.
func putBack(marked, before session.Record) session.Record {
	r := maps.Clone(marked)
	for _, attr := range append([]string{session.AttrState}, tracesOfDeletion...) {
		if v, had := before[attr]; had {
			r[attr] = v
		} else {
			delete(r, attr)
		}
	}
	return r
}

// requestOf returns the ID of the request, or the run, that began the attempt.
func requestOf(attemptID string) string { return strings.TrimPrefix(attemptID, "notice-") }

// Promise 2: the first close attempt sets until when a deletion is tried and its commands
// are valid. A later change of the setting does not change that.
func (w *world) triedAsLongAsSet(c change) {
	was, is := c.was, c.is
	if c.by.older && !is.NextAttemptAt.Equal(was.NextAttemptAt) {
		w.model.olderLease[is.ID] = is.NextAttemptAt
	}
	switch {
	case waits(is): // waitsRightly
	case waits(was) && !c.begins && is.State == session.Deleting && is.Confirmation == "":
		if !is.TryUntil.Equal(is.AttemptedAt.Add(c.by.setup.giveUp)) || is.AttemptedAt.Before(c.by.started) || !is.ClosingSince.Equal(is.AttemptedAt) {
			w.breaks(2, "%s is to be tried until %v from %v on, but %s is set to give up after %s", is.ID, c.new[session.AttrTryUntil], c.new[session.AttrAttemptedAt], c.by, c.by.setup.giveUp)
		}
	case c.by.older && is.TryUntil.Equal(was.TryUntil): // an older broker does not know it
	case c.begins && is.Confirmation == "" && !is.TryUntil.Equal(c.by.timeToTry(is)):
		w.breaks(2, "%s is to be tried until %v, but %s is set to give up after %s", is.ID, c.new[session.AttrTryUntil], c.by, c.by.setup.giveUp)
	case !c.begins && is.DeletionRequestID == was.DeletionRequestID && !is.TryUntil.Equal(was.TryUntil):
		w.breaks(2, "%s is tried until %v, and no longer until %v", is.ID, c.new[session.AttrTryUntil], c.old[session.AttrTryUntil])
	}
}

// tryUntil returns until when a deletion is tried. Records that older brokers marked do
// not have it, and older brokers do not read it: then the function's own setting counts.
func (inv *invocation) tryUntil(s session.Session) time.Time {
	if waits(s) { // it has no limit before its first close attempt
		return s.CloseAt.Add(inv.setup.giveUp)
	}
	if !s.TryUntil.After(s.DeletionRequestedAt) || inv.older { // a mark of an older broker keeps the TryUntil of the deletion before
		return s.DeletionRequestedAt.Add(inv.setup.giveUp)
	}
	return s.TryUntil
}

// Promise 3, DELETED is true: only session-stream writes it, on a confirmation, and,
// unless that is by force, the session really does not run.
func (w *world) deletedIsTrue(c change) {
	was, is := c.was, c.is
	if is.State == session.Deleted && is.ExpiresAt < is.DeletedAt.Add(48*time.Hour).Unix() {
		w.breaks(2, "%s expires too early", is.ID)
	}
	if is.State != session.Deleted || was.State == session.Deleted {
		return
	}
	w.seen.premises[3]++
	switch {
	case c.by.function != "session-stream":
		w.breaks(3, "%s writes DELETED, of %s", c.by, is.ID)
	case was.Confirmation == "":
		w.breaks(3, "%s is DELETED without a confirmation", is.ID)
	case was.Confirmation == session.Forced && !was.Force:
		w.breaks(3, "%s is DELETED by force, but nobody forced it", is.ID)
	case was.Confirmation != session.Forced && w.trusted(was.HostID) && w.runs(was) != nil:
		w.breaks(3, "%s is DELETED (%s), but still runs on %s", is.ID, was.Confirmation, was.HostID)
	}
}

// Promise 3: a confirmation answers the current attempt of this deletion, or comes from
// force, a host that is gone, or an inventory without the session; and it is true. A new
// deletion begins without attributes of an earlier one.
func (w *world) confirmedRightly(c change) {
	was, is := c.was, c.is
	if c.begins {
		traces := []string{session.AttrGivenUpAt, session.AttrRepeatedAt, session.AttrAttemptFailedAt, session.AttrDeletedAt, session.AttrExpiresAt}
		if !is.Force && (c.by.request != nil || c.by.rule != nil) { // others begin with a confirmation of their own
			traces = append(traces, session.AttrConfirmation, session.AttrConfirmedAt, session.AttrCloseUntil)
		}
		for _, attr := range traces {
			if c.new[attr] != nil {
				w.breaks(3, "the deletion of %s begins with %s of an earlier one", is.ID, attr)
			}
		}
	}
	if is.Confirmation == "" || is.Confirmation == was.Confirmation && !c.begins {
		return
	}
	if was.Confirmation != "" && !c.begins {
		w.breaks(3, "the confirmation of %s changes from %s to %s", is.ID, was.Confirmation, is.Confirmation)
	}
	switch is.Confirmation {
	case session.Forced:
		if c.by.request == nil || !c.by.request.groups[group{is.ID, is.Owner}] {
			w.breaks(6, "%s is forced, but nobody asked for that", is.ID)
		}
		return
	case session.Vanished:
		on := c.by.inventoryWithout(is.HostID, is.NameOnHost())
		if on == nil || !c.begins && !on.command.surveyOf.After(is.DeletionRequestedAt) {
			w.breaks(3, "%s has vanished, but no inventory sent after the request says so", is.ID)
		}
	case session.HostGone:
		if f := c.by.asked[is.HostID]; c.begins && !c.by.setup.endStopped && f.stopped {
			w.breaks(3, "%s is ended with its host, which is only stopped", is.ID)
		}
		if f, asked := c.by.asked[is.HostID]; !asked || !f.gone || f.at.Before(is.DeletionRequestedAt) && !c.begins {
			w.breaks(3, "%s is ended with its host, but EC2 did not say that %s is gone", is.ID, is.HostID)
		}
	case session.Closed, session.Absent, session.Replaced:
		if !c.by.heard(is, is.Confirmation) {
			w.breaks(3, "%s is confirmed (%s), but %s did not say so of attempt %s", is.ID, is.Confirmation, is.HostID, is.AttemptID)
		}
	}
	if w.trusted(is.HostID) && w.runs(is) != nil {
		w.breaks(3, "%s is confirmed (%s), but still runs on %s", is.ID, is.Confirmation, is.HostID)
	}
}

// Promise 4, owners only: a request changes only its own caller's sessions. Otherwise
// only the broker begins deletions, and only of sessions that are gone.
func (w *world) ownersOnly(c change) {
	s := c.is
	switch r := c.by.request; {
	case c.by.cancels != nil:
		w.cancelsOwn(c)
	case r == nil && c.by.function == "delete-sessions":
		w.breaks(7, "%s changes %s, though it is not a request", c.by, s.ID)
	case r != nil && (r.dryRun || r.bad):
		w.breaks(7, "%s changes %s, though it is to change nothing", c.by, s.ID)
	case r != nil:
		owner := c.was.Owner
		if before, marked := r.before[s.ID]; marked && s.State != session.Deleting {
			owner = before.Session().Owner // the host may have named another one since the mark that is taken back
		}
		if _, asks := r.groups[group{s.ID, owner}]; !asks || c.was.Owner != s.Owner {
			w.breaks(4, "%s changes %s of %s, who does not ask for it", c.by, s.ID, c.was.Owner)
		}
		if r.denied[group{s.ID, s.Owner}] {
			w.breaks(7, "%s changes %s after it has answered that nothing was changed", c.by, s.ID)
		}
	case c.by.rule != nil:
		w.ruledRightly(c)
	case c.begins && (s.Confirmation == "" || s.DeletionRequestedBy != "dcv-session-broker"):
		w.breaks(4, "%s begins a deletion of %s, which nobody asked for", c.by, s.ID)
	}
}

// Promise 5: a host reports its own sessions only. host-events changes only records of
// hosts whose answers it has read, or about which it has asked EC2.
func (w *world) hostsReportOwnSessions(c change) {
	if c.by.function != "host-events" {
		return
	}
	hostID := c.is.HostID
	expired := c.was.State == session.Deleted && c.was.ExpiresAt != 0 && c.was.ExpiresAt <= w.now().Unix()
	switch {
	case c.was.HostID == "" || c.was.HostID == hostID:
	case !expired:
		w.breaks(5, "%s of %s, which is %s, is taken over by %s", c.is.ID, c.was.HostID, c.was.State, hostID)
	default:
		w.seen.effects[idPassedOn]++
	}
	w.listedOnce(c)
	if c.by.asked[hostID].gone {
		return
	}
	for _, on := range c.by.reads {
		if on.machine.id == hostID {
			return
		}
	}
	w.breaks(5, "%s changes %s of %s, of which it has read nothing", c.by, c.is.ID, hostID)
}

// Promise 5: a session of a host has one living record at most. An index may be behind,
// but the record <ID>-<HostId> can be read by its key.
func (w *world) listedOnce(c change) {
	if c.new[session.AttrLiveHostID] == nil || c.old[session.AttrLiveHostID] != nil {
		return
	}
	for r := range w.livingOn(c.is.HostID) {
		if s := r.Session(); s.ID != c.is.ID && s.NameOnHost() == c.is.NameOnHost() {
			w.breaks(5, "%q of %s is listed as %s, and as %s", s.NameOnHost(), s.HostID, s.ID, c.is.ID)
		}
	}
}

// Promise 6, forced means forced: with purge no host is told to close a forced session;
// with best-effort its host is, until it answers or the give-up time, and no inventory
// lists the session before.
func (w *world) forcedIsForced(c change) {
	was, is := c.was, c.is
	if c.begins && is.Confirmation == session.Forced {
		w.seen.premises[6]++
		bestEffort := c.by.setup.forceMode == session.BestEffort
		if bestEffort != !is.CloseUntil.IsZero() {
			w.breaks(6, "%s is forced with %s, and its CloseUntil is %v", is.ID, c.by.setup.forceMode, c.new[session.AttrCloseUntil])
		}
		if bestEffort && !is.CloseUntil.Equal(is.DeletionRequestedAt.Add(c.by.setup.giveUp)) {
			w.breaks(6, "%s is closed until %v, not until it is given up", is.ID, is.CloseUntil)
		}
	}
	if was.CloseUntil.IsZero() {
		return
	}
	sameOne := was.CreationTime == is.CreationTime
	switch {
	case is.State == session.Ready && sameOne:
		inventory := c.by.inventoryOf(is.HostID, is.NameOnHost())
		if inventory != nil && inventory.command.surveyOf.Before(was.CloseUntil) {
			w.breaks(6, "%s is listed again while its host is to close it", is.ID)
		}
	case is.CloseUntil.IsZero() && !c.begins && w.now().Before(was.CloseUntil) && sameOne && w.trusted(is.HostID) && w.runs(is) != nil:
		w.breaks(6, "%s still runs, but its host is not to close it any more", is.ID)
	}
}

// Promises 7 and 10: a repeated request claims the lease only where the last attempt
// failed, and at most once in ten seconds; cleanup claims only a lease that has ended, so
// that only one of two runs succeeds. An ended deletion is not claimed.
func (w *world) claimedRightly(c change) {
	was, is := c.was, c.is
	takenBack := was.State == session.Deleting && is.State != session.Deleting
	if c.begins || is.AttemptID == was.AttemptID || is.AttemptID == "" || takenBack {
		return
	}
	if was.Confirmation != "" && was.CloseUntil.IsZero() {
		w.breaks(6, "%s is tried again though it is confirmed (%s)", is.ID, was.Confirmation)
	}
	c.by.claims(is.ID)
	switch c.by.function {
	case "delete-sessions":
		if waits(was) {
			break // an earlier close time: closeTimeHolds
		}
		if was.AttemptFailedAt.IsZero() || c.by.started.Sub(was.AttemptedAt) < 10*time.Second-time.Millisecond {
			w.breaks(7, "%s claims %s, whose last attempt of %s has not failed, or is not ten seconds old", c.by, is.ID, was.AttemptedAt.Format(time.TimeOnly))
		}
	case "cleanup":
		if was.NextAttemptAt.After(w.now()) {
			w.breaks(10, "%s claims %s, whose lease is another's until %s", c.by, is.ID, was.NextAttemptAt.Format(time.TimeOnly))
		}
		if is.StateReason == "" && !waits(was) {
			w.breaks(2, "%s tries %s again and does not say why", c.by, is.ID)
		}
	default:
		w.breaks(10, "%s claims %s", c.by, is.ID)
	}
}

// Promise 2: a record that the table removes had ended two days before or more.
func (w *world) expiredRightly(c change) {
	switch s := c.was; {
	case s.State == session.Deleted && s.CloseUntil.IsZero() && w.now().Sub(s.DeletedAt) >= 48*time.Hour:
		w.seen.transitions[deletedExpires]++
	case s.State == session.Unknown:
		w.seen.transitions[unknownExpires]++
	default:
		w.breaks(2, "the table removes %s, which is %s", s.ID, s.State)
	}
}
