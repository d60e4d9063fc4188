package sim

import (
	"encoding/json"
	"time"

	"dcv-session-broker/internal/events/endedsessions"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// A turn is a write on its way through the pipe to the bus: the pipe's filter passes it,
// or it must be announced.
type turn struct {
	id      string // of the stream record
	text    json.RawMessage
	kind    string          // the event's detail-type; "" if it is none
	was, is session.Session // before and after the write
	at      time.Time
	said    *endedsessions.Detail // the last announcement
}

// A pipeShard has the records of one shard that the pipe has not yet brought to the bus.
type pipeShard struct {
	turns   []*turn
	busy    bool
	retryAt time.Time
}

// waits tells whether a deletion waits for its close time.
func waits(s session.Session) bool {
	return s.State == session.Deleting && s.Attempts == 0 && !s.CloseAt.IsZero() && s.Confirmation == ""
}

// kindOf returns the detail-type of the announcement of a write; "": none.
func kindOf(was, is session.Session) string {
	switch {
	case is.State == session.Deleted && was.State != session.Deleted:
		return endedsessions.Ended
	case waits(is) && !waits(was):
		return endedsessions.Scheduled
	case !waits(was) || is.State == session.Deleted:
		return ""
	case is.State != session.Deleting:
		return endedsessions.Cancelled
	case is.Confirmation == "" && is.CloseAt.Before(was.CloseAt):
		return endedsessions.Rescheduled
	}
	return ""
}

// becomes gives a write to the pipe, if its filter passes it. Of the writes that are not
// announced the filter passes few: those of deletions that wait.
func (w *world) becomes(c memtable.Change, shard int) {
	e := &turn{was: c.Old.Session(), is: c.New.Session(), at: w.now()}
	passed := deployment().pipeFilter.passes(c)
	e.kind = kindOf(e.was, e.is)
	switch {
	case e.kind == "" && !passed, w.loss.writes && !passed: // a write of a restore, of a record that the table did not have
		return
	case e.kind == "" && !waits(e.was):
		w.breaks(3, "a write of %s passes the filter, but nothing of it is announced", e.is.ID)
		return
	}
	shown := c.Event(w.now(), streamARN)
	shown.EventID = "e" + c.Sequence
	text, err := json.Marshal(shown)
	if err != nil {
		panic(err)
	}
	e.id, e.text = shown.EventID, text
	if e.kind != "" {
		w.model.turns = append(w.model.turns, e)
	}
	if passed {
		w.pipe[shard].turns = append(w.pipe[shard].turns, e)
	}
}

// pollPipe invokes ended-sessions with the first writes of a shard, as a pipe does: a
// batch that fails is repeated as a whole.
func (w *world) pollPipe(s *pipeShard) {
	source := deployment().pipe.Stream
	batch := s.turns[:min(len(s.turns), source.BatchSize)]
	records := make([]json.RawMessage, len(batch))
	for i, e := range batch {
		records[i] = e.text
	}
	s.busy = true
	again := func() { s.busy, s.retryAt = false, w.now().Add(w.dice.between(100*time.Millisecond, 5*time.Second)) }
	var details []endedsessions.Detail
	inv := w.start("ended-sessions", func(inv *invocation) {
		var err error
		if details, err = w.endedSessions(inv).Handle(inv.ctx, records); err != nil {
			panic(err)
		}
	}, func(inv *invocation) {
		if w.meets(busRefuses) {
			w.say("pipe", "FAULT: %s", busRefuses)
			again()
			return
		}
		for _, d := range details {
			w.announced(inv, batch, d)
		}
		if w.meets(busAnswerLost) {
			w.say("pipe", "FAULT: %s", busAnswerLost)
			again()
			return
		}
		s.busy, s.turns = false, s.turns[len(batch):]
	}, func(*invocation) { again() })
	for _, e := range batch {
		if e.kind == endedsessions.Ended {
			inv.calls.mostReads += w.mostReadsOf(e.is.HostID)
		}
	}
	w.say(inv, "gets %d writes to announce", len(batch))
}

// Promise 10, at least once: each announcement of a write has the same ID and the same
// content. Promise 3: an announcement is true.
func (w *world) announced(inv *invocation, batch []*turn, d endedsessions.Detail) {
	w.say("bus", "%s: %s of %s (%s)", d.ID, d.DetailType, d.SessionID, d.Confirmation)
	var of *turn
	for _, e := range batch {
		if e.id == d.ID {
			of = e
		}
	}
	if of == nil || of.kind != d.DetailType {
		w.breaks(3, "%s announces %q of %s, which the pipe has not shown it", inv, d.DetailType, d.SessionID)
		return
	}
	if said, was := told(d), of.tells(); said != was {
		w.breaks(3, "%s announces %s wrongly: %+v, and it is %+v", inv, of.is.ID, said, was)
	}
	if d.HostEmpty != nil && *d.HostEmpty {
		if r := w.livesOn(d.HostID, inv.started); r != nil {
			w.breaks(3, "%s announces that %s is empty, but the table has %s (%s)", inv, d.HostID, r[session.AttrSessionID], r[session.AttrState])
		}
	}
	if of.kind == endedsessions.Ended {
		w.seen.effects[endAnnounced]++
	}
	if of.said != nil {
		if of.kind == endedsessions.Ended {
			w.seen.effects[endAnnouncedAgain]++
		}
		before, now := *of.said, d
		before.HostEmpty, now.HostEmpty = nil, nil // this may change
		if before != now {
			w.breaks(10, "an announcement of %s differs from the one before: %+v, %+v", d.SessionID, before, now)
		}
	}
	of.said = &d
}

// announcedFields are the fields of an announcement that are checked.
type announcedFields struct {
	sessionID, owner, hostID, creationTime, requestID, requestedBy, reason string
	confirmation                                                           session.Confirmation
	closeAt, before, cancelledBy                                           string
	requestedAt, cancelledAt, deletedAt                                    string
	putBack                                                                bool
}

func told(d endedsessions.Detail) announcedFields {
	return announcedFields{d.SessionID, d.Owner, d.HostID, d.CreationTime, d.RequestID, d.RequestedBy, d.Reason, d.Confirmation,
		d.CloseAt, d.CloseAtBefore, d.CancelledBy, d.RequestedAt, d.CancelledAt, d.DeletedAt, d.PutBack}
}

// tells returns what an announcement of the write must say.
func (e *turn) tells() announcedFields {
	s := e.is
	if e.kind == endedsessions.Cancelled {
		s = e.was // the new record has no trace of the deletion
	}
	of := announcedFields{sessionID: s.ID, owner: s.Owner, hostID: s.HostID, creationTime: s.CreationTime, requestID: s.DeletionRequestID,
		requestedBy: s.DeletionRequestedBy, reason: s.DeletionReason, confirmation: s.Confirmation,
		closeAt: tableTime(s.CloseAt), requestedAt: tableTime(s.DeletionRequestedAt), deletedAt: tableTime(s.DeletedAt)}
	switch byCaller := e.is.CancelledBy != e.was.CancelledBy; {
	case e.kind == endedsessions.Rescheduled:
		of.before = tableTime(e.was.CloseAt)
	case e.kind == endedsessions.Cancelled && byCaller:
		of.cancelledBy, of.cancelledAt = e.is.CancelledBy, tableTime(e.is.CancelledAt)
	case e.kind == endedsessions.Cancelled:
		of.putBack = true
	}
	return of
}

func tableTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return session.FormatTime(t)
}

// Promise 10: in the end everything is announced. The pipe gives up a record after 23
// hours at the earliest.
func (w *world) allAreAnnounced() {
	for _, e := range w.model.turns {
		if e.said == nil && w.now().Sub(e.at) < deployment().pipe.Stream.MaxRecordAge {
			w.breaks(10, "%q of %s at %s is not announced", e.kind, e.is.ID, e.at.Format(time.TimeOnly))
		}
	}
}

func (w *world) pipesIdle() bool {
	for i := range w.pipe {
		if len(w.pipe[i].turns) > 0 || w.pipe[i].busy {
			return false
		}
	}
	return true
}
