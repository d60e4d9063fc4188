package sim

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/session"
)

type deleteAnswer struct {
	RequestID        string `json:"RequestId"`
	SuccessfulList   []json.RawMessage
	UnsuccessfulList []json.RawMessage
}

type answered struct {
	SessionID     string `json:"SessionId"`
	State         string
	FailureReason string
	CloseAt       *time.Time
}

// The reasons that an entry can have, except for a refused host. With "not certain" both
// may be true.
const (
	notFound           = "The requested dcvSession does not exist"
	notRecorded        = "The deletion could not be recorded, and nothing was changed. Repeat the call."
	cancelledMeanwhile = "The deletion was cancelled after this request began. Nothing was changed."
	cancelNotCertain   = "It is not certain that the cancel was recorded. Repeat the call: repeating is harmless."
	notCertain         = "It is not certain that the deletion was recorded. Repeat the call: repeating is harmless."
)

// attemptOf returns the attempt that the request has begun for a session: to close it, or
// to notify its users.
func (w *world) attemptOf(r *request, id string) *asked {
	if a := w.model.attempts[r.inv.id][id]; a != nil {
		return a
	}
	return w.model.attempts["notice-"+r.inv.id][id]
}

// answered checks the promises on an answer to a client.
func (w *world) answered(r *request, resp events.APIGatewayV2HTTPResponse) {
	switch {
	case r.bad:
		if resp.StatusCode != 400 {
			w.breaks(7, "%s answers an invalid request with %d", r.inv, resp.StatusCode)
		}
		return
	case resp.StatusCode == 503 && r.inv.faulty:
		return
	case resp.StatusCode != 200:
		w.breaks(7, "%s answers %d, though no call failed: %s", r.inv, resp.StatusCode, resp.Body)
		return
	}
	var body deleteAnswer
	if err := json.Unmarshal([]byte(resp.Body), &body); err != nil {
		w.breaks(7, "%s: the answer is not JSON: %s", r.inv, resp.Body)
		return
	}
	told := w.onceEachInOrder(r, body)
	if told != nil && r.dryRun {
		for i, e := range r.entries {
			if !r.owned[group{e.SessionID, e.Owner}] && told[i].FailureReason != notFound {
				w.breaks(4, "%s (dry run) tells %s of %s: %q", r.inv, e.Owner, e.SessionID, told[i].FailureReason)
			}
		}
	}
	if told == nil || r.dryRun {
		return
	}
	for i, e := range r.entries {
		g := group{e.SessionID, e.Owner}
		if reason := told[i].FailureReason; reason == "" {
			w.answeredDeleting(r, g)
			w.toldCloseTime(r, e, told[i].CloseAt)
			w.tells(r, e.SessionID)
		} else {
			w.answeredUnsuccessful(r, g, reason)
		}
	}
	w.commanded(r.inv)
	w.badBesideGood(r)
}

// Promise 7, answered once each: every entry has one answer, in the order of the request
// within its list. Promise 4: the answers for somebody else's session and for no session
// are equal, byte for byte.
func (w *world) onceEachInOrder(r *request, body deleteAnswer) []answered {
	good, bad := body.SuccessfulList, body.UnsuccessfulList
	var told []answered
	for _, e := range r.entries {
		var next answered
		for _, list := range []*[]json.RawMessage{&good, &bad} {
			if len(*list) == 0 {
				continue
			}
			var a answered
			if err := json.Unmarshal((*list)[0], &a); err != nil {
				w.breaks(7, "%s: an entry of the answer cannot be read: %s", r.inv, (*list)[0])
				return nil
			}
			asAsked := session.State(a.State) == session.Deleting
			if r.inv.cancels != nil {
				asAsked = session.State(a.State) == session.Ready || session.State(a.State) == session.Unknown
			}
			if (list == &good) != (a.FailureReason == "" && asAsked) || list == &bad && a.FailureReason == "" {
				w.breaks(7, "%s answers in the wrong list, or with the wrong state: %s", r.inv, (*list)[0])
				return nil
			}
			if a.SessionID == e.SessionID && next.SessionID == "" && w.fits(r, e, a) {
				next = a
				if a.FailureReason == notFound && string((*list)[0]) != fmt.Sprintf(`{"SessionId":%q,"FailureReason":"%s"}`, e.SessionID, notFound) {
					w.breaks(4, "%s tells of %s: %s", r.inv, e.SessionID, (*list)[0])
				}
				*list = (*list)[1:]
			}
		}
		if next.SessionID == "" {
			w.breaks(7, "%s does not answer each entry once and in order: %v", r.inv, r.entries)
			return nil
		}
		told = append(told, next)
	}
	if len(good)+len(bad) > 0 {
		w.breaks(7, "%s answers more entries than the request has", r.inv)
	}
	return told
}

// fits tells whether an answer can belong to an entry. Entries of one session and owner
// have one answer. If a request names several owners of one session, only the real
// owner's entry can be a success. If the owner changed meanwhile, that is the owner when
// the request marked the session, or, if it did not, the owner now.
func (w *world) fits(r *request, e entry, a answered) bool {
	if a.FailureReason != "" {
		return true
	}
	owner := w.table.Get(e.SessionID).Session().Owner
	if r.marked[e.SessionID] {
		owner = r.before[e.SessionID].Session().Owner
	}
	_, asks := r.groups[group{e.SessionID, owner}]
	return r.owned[group{e.SessionID, e.Owner}] && (owner == e.Owner || !asks)
}

// Promise 1, durable before answered: a session that is answered DELETING is in the table
// as DELETING with a lease, or has ended. Promise 6: a forced one is confirmed.
func (w *world) answeredDeleting(r *request, g group) {
	id := g.sessionID
	w.seen.premises[1]++
	if r.ofGone {
		w.breaks(7, "%s answers DELETING of %s, whose host is gone", r.inv, id)
	}
	rec := w.table.Get(id)
	s := rec.Session()
	ended := rec == nil || s.State == session.Deleted || s.State == session.Unknown && (s.Confirmation != "" || !s.GivenUpAt.IsZero())
	if at, known := w.model.endedAt[id]; known && !at.Before(r.at) {
		ended = true
	}
	switch {
	case !r.owned[g]:
		w.breaks(4, "%s answers DELETING of %s to %s, who does not own it", r.inv, id, g.owner)
	case ended:
	case s.State != session.Deleting || s.NextAttemptAt.IsZero():
		w.breaks(1, "%s answers DELETING of %s, which is %s", r.inv, id, s.State)
	case r.groups[g] && s.Confirmation == "":
		w.breaks(6, "%s answers a forced deletion of %s, which is not DELETED immediately", r.inv, id)
	}
	// A failed attempt is repeated now if it had failed before the request (the record
	// has not changed since), the pause is over, and there is time for another attempt.
	failed := s.State == session.Deleting && s.Confirmation == "" && !s.AttemptFailedAt.IsZero() && w.unchangedSince(id).Before(r.at)
	inTime := !r.at.Add(-session.RepeatPause).Before(s.AttemptedAt) && !r.at.Add(session.Lease).After(r.inv.tryUntil(s))
	if !r.inv.faulty && !r.groups[g] && failed && inTime && s.AttemptID != r.inv.id {
		w.breaks(7, "%s repeats the deletion of %s, whose last attempt failed, and does not try again", r.inv, id)
	}
	if (s.State == session.Deleting || s.State == session.Unknown && s.Confirmation != "") && !w.beganEarlierOne(r, s) {
		w.model.told[id] = true
	}
}

// beganEarlierOne tells whether the request began a deletion that was cancelled before the
// open one began: its answer is not about the open one.
func (w *world) beganEarlierOne(r *request, open session.Session) bool {
	d := w.model.deletions[open.ID]
	return r.marked[open.ID] && d != nil && !d.requests[r.inv.id] && open.RepeatedAt.IsZero()
}

// Promises 4, 7 and 8, for an entry that is answered as unsuccessful: it has changed
// nothing, no command was sent, and the reason is true.
func (w *world) answeredUnsuccessful(r *request, g group, reason string) {
	id := g.sessionID
	if reason == notCertain {
		const rounds = 5 // so often others may change a record between two writes
		if !r.inv.faulty && r.inv.unmet[id] < rounds {
			w.breaks(7, "%s is not certain of %s, though no write failed", r.inv, id)
		}
		return
	}
	r.denied[g] = true
	if r.ofGone && reason != notFound {
		w.breaks(7, "%s repeats an entry that was refused minutes ago because its host is gone, and the answer for %s is: %q", r.inv, id, reason)
	}
	rec := w.table.Get(id)
	if a := w.attemptOf(r, id); a != nil && a.sent && r.owned[g] && rec.Session().Owner == g.owner { // the owner may have changed meanwhile
		w.breaks(7, "%s answers that nothing was done for %s, but has sent a command", r.inv, id)
	}
	if s := rec.Session(); s.DeletionRequestID == r.inv.id && s.Owner == g.owner && s.State != session.Deleted {
		w.breaks(7, "%s answers that nothing was changed for %s, but it is %s", r.inv, id, s.State)
	} else if d := w.model.deletions[id]; s.State == session.Deleting && s.Confirmation == "" && s.Owner == g.owner && d != nil && d.requests[r.inv.id] {
		w.breaks(7, "%s answers that nothing was changed for %s, but the deletion that it began continues", r.inv, id)
	}
	switch {
	case reason == notFound:
		if rec != nil && rec[session.AttrOwner] != g.owner {
			w.seen.premises[4]++
		}
		if !r.gone[g] {
			w.breaks(7, "%s answers that %s does not exist, but it exists", r.inv, id)
		}
	case reason == notRecorded:
		if !r.inv.faulty {
			w.breaks(7, "%s could not record %s, though no write failed", r.inv, id)
		}
	case !r.owned[g]:
		w.breaks(4, "%s tells %s of %s, who does not own it: %q", r.inv, g.owner, id, reason)
	case reason == cancelledMeanwhile:
		w.seen.effects[cancelledSince]++
		if rec.Session().CancelledAt.Before(r.at) {
			w.breaks(7, "%s answers that the deletion of %s was cancelled since, and the last cancel was at %s", r.inv, id, rec.Session().CancelledAt)
		}
	case session.OtherSession(reason):
		w.seen.effects[notAsDescribed]++
		if e := r.asked[g]; e.HostID == "" && e.CreationTime == "" || rec.Session().HostID == e.HostID && rec.Session().CreationTime == e.CreationTime && w.unchangedSince(id).Before(r.at) {
			w.breaks(7, "%s answers of %s: %q", r.inv, id, reason)
		}
	case !r.inv.faulty:
		m := w.machine(rec.Session().HostID)
		if m != nil && m.known() && m.tagged && m.platform != "macOS" && m.changed.Before(r.inv.started) {
			w.breaks(8, "%s does not delete %s because of its host, which has no fault: %q", r.inv, id, reason)
		}
	}
}

// badBesideGood notes that promise 8 was at risk: a request has hosts that can, and hosts
// that cannot, be commanded.
func (w *world) badBesideGood(r *request) {
	var sent, refused bool
	for id := range r.marked {
		if a := w.attemptOf(r, id); a != nil {
			sent = sent || a.sent
			refused = refused || a.putBack
		}
	}
	if sent && refused {
		w.seen.premises[8]++
	}
}

// toldCloseTime checks promise 12 on an answer's close time: a caller who uses a new
// field is told the current one, and no other caller is.
func (w *world) toldCloseTime(r *request, e entry, told *time.Time) {
	g := group{e.SessionID, e.Owner}
	s, d := w.table.Get(e.SessionID).Session(), w.model.deletions[e.SessionID]
	open := d != nil && s.State == session.Deleting && s.Confirmation == ""
	switch grace := r.grace[g]; {
	case told == nil:
		if e.isNew() && !r.inv.older && d != nil && waits(s) && (d.requests[r.inv.id] || d.since.Before(r.at)) {
			w.breaks(12, "%s does not say when %s is closed", r.inv, e.SessionID)
		}
	case !e.isNew():
		w.breaks(7, "%s answers the close time of %s, which nobody asked for", r.inv, e.SessionID)
	case open && (d.since.Before(r.at) || s.DeletionRequestID == r.inv.id) && !told.Equal(s.CloseAt):
		w.breaks(12, "%s says that %s is closed at %s, and that is %s", r.inv, e.SessionID, told, s.CloseAt)
	case told.After(r.at.Add(grace).Add(time.Second)) && grace > 0:
		w.breaks(12, "%s says that %s is closed at %s, and was asked for %s from %s on", r.inv, e.SessionID, told, grace, r.at)
	}
}
