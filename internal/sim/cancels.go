package sim

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/session"
)

// anyCancel sends a client's cancel, mostly of deletions that wait.
func (w *world) anyCancel() {
	var waiting, all []session.Session
	for _, r := range w.records() {
		s := r.Session()
		if all = append(all, s); waits(s) {
			waiting = append(waiting, s)
		}
	}
	if len(all) == 0 {
		return
	}
	if len(waiting) == 0 && w.dice.chance(35*percent) { // otherwise most cancels would find no deletion
		w.ask(w.anyEntries(), false)
		return
	}
	var entries []entry
	if r := w.underWay(); r != nil && w.dice.chance(30*percent) { // during its mark
		entries = append(entries, entry{SessionID: r.entries[0].SessionID, Owner: r.entries[0].Owner})
	}
	for range 1 + w.dice.below(2) {
		of := all
		if len(waiting) > 0 && w.dice.chance(75*percent) {
			of = waiting
		}
		s := oneOf(w.dice, of)
		e := entry{SessionID: s.ID, Owner: s.Owner}
		switch n := w.dice.below(100); {
		case n < 5:
			e.Owner = "mallory"
		case n < 20:
			e.RequestID = s.DeletionRequestID
		case n < 25:
			e.RequestID = "00000001-0000-4000-8000-000000000000"
		}
		if !slices.ContainsFunc(entries, func(o entry) bool { return o.SessionID == e.SessionID && o.Owner == e.Owner }) {
			entries = append(entries, e)
		}
	}
	if w.dice.chance(10 * percent) { // a duplicate
		entries = append(entries, entries[0])
	}
	w.cancel(entries, w.dice.chance(10*percent))
}

// cancel sends cancelDeletions in the form that API Gateway gives it.
func (w *world) cancel(entries []entry, dryRun bool) {
	r := w.newRequest()
	r.dryRun = dryRun
	r.asks(w, entries)
	body, err := json.Marshal(entries)
	if err != nil {
		panic(err)
	}
	var resp events.APIGatewayV2HTTPResponse
	w.start("cancel-deletions", func(inv *invocation) {
		r.inv, inv.cancels = inv, r
		w.aside(inv, "cancelDeletions (dry run: %t) %s", dryRun, body)
		var err error
		if resp, err = w.cancelDeletions(inv).Handle(lambdaContext(inv), r.event(string(body))); err != nil {
			panic(err)
		}
	}, func(inv *invocation) {
		w.say(inv, "answers %d %s", resp.StatusCode, resp.Body)
		w.cancelAnswered(r, resp)
		if resp.StatusCode == 503 && w.dice.chance(50*percent) {
			w.cancel(entries, dryRun)
		}
	}, func(*invocation) {
		if !w.calm && w.dice.chance(40*percent) {
			w.after(0, func() { w.cancel(entries, dryRun) })
		}
	})
}

// cancelAnswered checks the promises on the answer to a cancel.
func (w *world) cancelAnswered(r *request, resp events.APIGatewayV2HTTPResponse) {
	if resp.StatusCode == 503 && r.inv.faulty {
		return
	}
	var body deleteAnswer
	if err := json.Unmarshal([]byte(resp.Body), &body); err != nil || resp.StatusCode != 200 {
		w.breaks(7, "%s answers %d: %s", r.inv, resp.StatusCode, resp.Body)
		return
	}
	told := w.onceEachInOrder(r, body)
	if told == nil || r.dryRun {
		return
	}
	for i, e := range r.entries {
		g := group{e.SessionID, e.Owner}
		if reason := told[i].FailureReason; reason == "" {
			w.answeredCancelled(r, g)
		} else {
			w.answeredNotCancelled(r, e, reason)
		}
	}
}

// Promise 2: a deletion that is answered as cancelled has ended, and no write of an
// earlier request lands from now on.
func (w *world) answeredCancelled(r *request, g group) {
	id := g.sessionID
	s := w.table.Get(id).Session()
	d := w.model.deletions[id]
	w.seen.effects[cancelAnswered]++
	if r.at.After(w.model.cancelFrom[id]) {
		w.model.cancelFrom[id] = r.at
	}
	if was := r.cancelled[id]; was != nil {
		for request := range was.requests {
			w.model.dead[group{id, request}] = true
		}
		w.tells(r, id)
	}
	switch {
	case !r.owned[g]:
		w.breaks(4, "%s answers %s that the deletion of %s is cancelled", r.inv, g.owner, id)
	case s.State == session.Deleting && s.Confirmation == "" && d != nil && s.DeletionRequestedAt.Before(r.at) && w.unchangedSince(id).Before(r.at):
		w.breaks(2, "%s answers that the deletion of %s is cancelled, and it continues", r.inv, id)
	case s.State == session.Unknown && !s.GivenUpAt.IsZero() && s.GivenUpAt.Before(r.at):
		w.breaks(2, "%s answers that the deletion of %s is cancelled, but it was given up and may still end the session", r.inv, id)
	}
}

// Promises 4 and 7, for a cancel that is answered as unsuccessful: it has changed
// nothing, and its reason is true.
func (w *world) answeredNotCancelled(r *request, e entry, reason string) {
	g := group{e.SessionID, e.Owner}
	if reason == cancelNotCertain {
		if !r.inv.faulty && r.inv.unmet[e.SessionID] < 5 {
			w.breaks(7, "%s is not certain of %s, though no write failed", r.inv, e.SessionID)
		}
		return
	}
	r.denied[g] = true
	s := w.table.Get(e.SessionID).Session()
	asBefore := w.unchangedSince(e.SessionID).Before(r.at)
	if r.cancelled[e.SessionID] != nil && r.owned[g] {
		w.breaks(7, "%s answers of %s that nothing was changed (%q), and has cancelled it", r.inv, e.SessionID, reason)
	}
	switch {
	case reason == notFound:
		if s.ID != "" && s.Owner != e.Owner {
			w.seen.premises[4]++
		}
		if !r.gone[g] {
			w.breaks(7, "%s answers that %s does not exist, but it does", r.inv, e.SessionID)
		}
	case !r.owned[g]:
		w.breaks(4, "%s tells %s of %s, who does not own it: %q", r.inv, e.Owner, e.SessionID, reason)
	case asBefore && s.GivenUpAt.IsZero() && s.State != session.Deleting:
		w.breaks(7, "%s does not cancel the deletion of %s, which has none: %q", r.inv, e.SessionID, reason)
	case strings.HasPrefix(reason, "Too late"):
		w.seen.effects[cancelTooLate]++
		if asBefore && waits(s) && w.now().Before(s.CloseAt) {
			w.breaks(7, "%s answers of %s, which waits: %q", r.inv, e.SessionID, reason)
		}
	case e.RequestID == "" || asBefore && e.RequestID == s.DeletionRequestID:
		w.breaks(7, "%s answers of %s: %q", r.inv, e.SessionID, reason)
	}
}

// Promise 2: only a cancel takes back a deletion that waits. It does so before the first
// close attempt, and leaves no trace of the deletion.
func (w *world) cancelledRightly(c change) {
	was, is, r := c.was, c.is, c.by.cancels
	w.seen.premises[2]++
	w.seen.transitions[deletingCancelled]++
	switch {
	case was.Attempts != 0 || was.Confirmation != "" || !waits(was):
		w.breaks(2, "%s cancels the deletion of %s, which is being closed, or over (%d attempts, %s)", c.by, is.ID, was.Attempts, was.Confirmation)
	case is.State != was.StateBefore:
		w.breaks(2, "%s makes %s %s, which was %s before its deletion", c.by, is.ID, is.State, was.StateBefore)
	case is.State == session.Unknown && (is.StateReason == "" || is.ExpiresAt == 0):
		w.breaks(2, "%s makes %s UNKNOWN without a reason or an expiry", c.by, is.ID)
	case was.CloseAt.Before(c.by.started):
		w.breaks(7, "%s cancels the deletion of %s, whose close time was %s", c.by, is.ID, was.CloseAt)
	case !r.names(is, was.DeletionRequestID):
		w.breaks(7, "%s cancels the deletion of %s by %s, but its entry names another", c.by, is.ID, was.DeletionRequestID)
	}
	for _, attr := range tracesOfDeletion {
		if is.State == session.Unknown && (attr == session.AttrStateReason || attr == session.AttrExpiresAt) {
			continue
		}
		if c.new[attr] != nil {
			w.breaks(2, "%s cancels the deletion of %s, and leaves its %s", c.by, is.ID, attr)
		}
	}
	if c.of == nil {
		return
	}
	r.cancelled[is.ID] = c.of
	if was.NoticeID != "" {
		r.toTell[is.ID] = w.model.notices[noticeKey{sessionID: is.ID, cancel: is.NoticeAt.UnixMilli()}]
	}
	w.model.told[is.ID], w.model.endedAt[is.ID] = false, w.now()
}

// tracesOfDeletion are the attributes that a deletion writes, and a cancel removes.
var tracesOfDeletion = []string{
	session.AttrStateReason, session.AttrDeletionRequestedAt, session.AttrDeletionRequestID, session.AttrDeletionRequestedBy, session.AttrForce,
	session.AttrRepeatedAt, session.AttrAttemptID, session.AttrAttempts, session.AttrAttemptedAt, session.AttrAttemptFailedAt,
	session.AttrNextAttemptAt, session.AttrDueShard, session.AttrTryUntil, session.AttrConfirmation, session.AttrConfirmedAt,
	session.AttrCloseUntil, session.AttrGivenUpAt, session.AttrDeletedAt, session.AttrExpiresAt, session.AttrDeletionReason,
	session.AttrCloseAt, session.AttrClosingSince, session.AttrStateBefore, session.AttrMessage, session.AttrNoticeID, session.AttrWarnedAt, session.AttrWarning,
}

// Promise 12: users who may have been told a close time are told that it no longer holds.
// The exception is a forced mark whose answer was lost: then the broker does not know the
// record from before.
func (w *world) tells(r *request, id string) {
	hurried := w.now().Sub(r.inv.started) > 15*time.Second || r.inv.request != nil && r.inv.faulty
	now := w.table.Get(id).Session()
	closing := now.State == session.Deleting && now.Confirmation == "" || !now.CloseUntil.IsZero()
	if closing || now.NoticeID != "" {
		return // a newer deletion closes the session, or its notice removes the older message
	}
	if n := r.toTell[id]; n != nil && !n.tried && !hurried && w.machine(n.hostID) != nil {
		w.breaks(12, "%s has ended the wait of %s, and does not tell its users", r.inv, id)
	}
}

// names tells whether the cancel means that request's deletion.
func (r *request) names(s session.Session, requestID string) bool {
	for _, e := range r.entries {
		if e.SessionID == s.ID && e.Owner == s.Owner && e.RequestID != "" && e.RequestID != requestID {
			return false
		}
	}
	return true
}

// Promise 2: after a cancel was answered as a success, no write of an earlier request
// lands. Older brokers do not know cancels.
func (w *world) notOfBeforeCancel(c change) {
	r, is := c.by.request, c.is
	if r == nil || c.by.older || is.State != session.Deleting || !c.begins && !c.moves {
		return
	}
	from, was := w.model.cancelFrom[is.ID]
	if was && !r.at.After(from) || w.model.dead[group{is.ID, r.inv.id}] {
		w.breaks(2, "%s, which began at %s, deletes %s after its deletion was cancelled", c.by, r.at.Format("15:04:05.000"), is.ID)
	}
}

// Promise 4: a cancel changes only its own caller's sessions.
func (w *world) cancelsOwn(c change) {
	r, s := c.by.cancels, c.is
	g := group{s.ID, s.Owner}
	if _, asks := r.groups[g]; !asks || c.was.Owner != s.Owner {
		w.breaks(4, "%s changes %s of %s, but that owner's session is not in the request", c.by, s.ID, c.was.Owner)
	}
	if r.dryRun || r.denied[g] {
		w.breaks(7, "%s changes %s, but it is a dry run, or has answered that nothing was changed", c.by, s.ID)
	}
}
