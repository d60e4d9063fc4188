package sim

import (
	"encoding/json"
	"time"

	"dcv-session-broker/internal/events/endedsessions"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// An ending is a write that ended a session, on its way through the pipe to the
// bus.
type ending struct {
	id     string // of the stream's record
	text   json.RawMessage
	was    session.Session // when it had ended
	at     time.Time
	said   *endedsessions.Detail // as it was last announced
	passed bool                  // the pipe's filter lets it through
}

// A pipeShard is a part of the stream as far as the pipe has not brought it to
// the bus.
type pipeShard struct {
	endings []*ending
	busy    bool
	retryAt time.Time
}

// ends shows a write that ends a session to the pipe.
func (w *world) ends(c memtable.Change, shard int) {
	is := c.New.Session()
	passed := deployment().pipeFilter.passes(c)
	if is.State != session.Deleted || c.Old.Session().State == session.Deleted {
		if passed {
			w.breaks(3, "%s would be announced, but has not ended now", is.ID)
		}
		return
	}
	if w.loss.writes && !passed { // a record that the table lacked
		return
	}
	shown := c.Event(w.now(), streamARN)
	shown.EventID = "e" + c.Sequence
	text, err := json.Marshal(shown)
	if err != nil {
		panic(err)
	}
	e := &ending{id: shown.EventID, text: text, was: is, at: w.now(), passed: passed}
	w.model.endings = append(w.model.endings, e)
	if passed {
		w.pipe[shard].endings = append(w.pipe[shard].endings, e)
	}
}

// pollPipe has the first endings of a shard announced, as a pipe does: what fails
// comes again, all of it.
func (w *world) pollPipe(s *pipeShard) {
	source := deployment().pipe.Stream
	batch := s.endings[:min(len(s.endings), source.BatchSize)]
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
		s.busy, s.endings = false, s.endings[len(batch):]
	}, func(*invocation) { again() })
	for _, e := range batch {
		inv.calls.mostReads += w.mostReadsOf(e.was.HostID)
	}
	w.say(inv, "is to announce %d ends", len(batch))
}

// Promise 10, at least once: an end is announced under the same ID however often,
// and says what has ended; and promise 3: nothing is announced that has not.
func (w *world) announced(inv *invocation, batch []*ending, d endedsessions.Detail) {
	w.seen.deeds[endAnnounced]++
	w.say("bus", "%s: %s has ended (%s)", d.ID, d.SessionID, d.Confirmation)
	var of *ending
	for _, e := range batch {
		if e.id == d.ID {
			of = e
		}
	}
	if of == nil {
		w.breaks(3, "%s announces an end of %s, which the pipe has not shown it", inv, d.SessionID)
		return
	}
	if s := of.was; d.SessionID != s.ID || d.Owner != s.Owner || d.HostID != s.HostID || d.CreationTime != s.CreationTime ||
		d.Confirmation != s.Confirmation || d.RequestID != s.DeletionRequestID || d.DeletedAt != session.FormatTime(s.DeletedAt) {
		w.breaks(3, "%s announces of %s what is not so: %+v", inv, s.ID, d)
	}
	if d.HostEmpty != nil && *d.HostEmpty {
		if r := w.livesOn(d.HostID, inv.started); r != nil {
			w.breaks(3, "%s announces that %s is empty, of which the table has %s (%s)", inv, d.HostID, r[session.AttrSessionID], r[session.AttrState])
		}
	}
	if of.said != nil {
		w.seen.deeds[endAnnouncedAgain]++
		before, now := *of.said, d
		before.HostEmpty, now.HostEmpty = nil, nil // that may change
		if before != now {
			w.breaks(10, "the end of %s is announced as another: %+v, %+v", d.SessionID, before, now)
		}
	}
	of.said = &d
}

// Promise 10: in the end every session that has ended is announced. The pipe
// gives nothing up sooner than after 23 hours.
func (w *world) allAreAnnounced() {
	for _, e := range w.model.endings {
		if e.said == nil && w.now().Sub(e.at) < deployment().pipe.Stream.MaxRecordAge {
			w.breaks(10, "%s has ended at %s, which is not announced", e.was.ID, e.at.Format(time.TimeOnly))
		}
	}
}

func (w *world) pipesIdle() bool {
	for i := range w.pipe {
		if len(w.pipe[i].endings) > 0 || w.pipe[i].busy {
			return false
		}
	}
	return true
}
