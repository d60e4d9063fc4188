package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"pgregory.net/rapid"

	"dcv-session-broker/internal/local/memtable"
	"dcv-session-broker/internal/session"
)

// A simulation is the whole system in one place and without a clock: what the
// broker sent, what hosts said and what the table's stream showed is kept, and
// may arrive at any time, in any order, and more than once. What must hold is
// checked at every change of the table and at every session that a host closes.
type simulation struct {
	t     *rapid.T
	table *table
	feed  *memtable.Feed
	now   time.Time

	running  map[place]string // what really runs: its creation time
	offline  map[string]bool  // hosts that Systems Manager refuses
	broken   map[string]bool  // hosts whose dcv fails
	commands []command        // everything sent
	reports  []session.Report // everything said
	changes  []memtable.Change

	forceMode session.ForceMode
	requests  int
	doing     string           // which part of the system is at work
	request   *session.Request // the one that is being carried out
	told      map[string]bool  // sessions whose open deletion somebody was told of
	mayClose  map[string]bool  // "host name creation-time" of all that owners asked for
}

type place struct{ hostID, name string }

type command struct {
	attemptID string
	voidAfter time.Time
	session.Closing
}

func newSimulation(t *rapid.T) *simulation {
	s := &simulation{
		t: t, table: &table{Table: memtable.New()}, now: t0,
		running: map[place]string{}, offline: map[string]bool{}, broken: map[string]bool{},
		told: map[string]bool{}, mayClose: map[string]bool{},
	}
	s.feed = s.table.Feed()
	return s
}

func hostOf(id string) string {
	if id == "s2" {
		return hostB
	}
	return hostA
}

// list is what an inventory does that finds a session of which there is no
// record, or one that has ended. The host of s3 does not tell creation times.
func (s *simulation) list(id string) {
	created, runs := s.running[place{hostOf(id), id}]
	if now := s.table.Get(id); !runs || now != nil && (now["State"] != "DELETED" || now.Session().CloseUntil.After(s.now)) {
		return
	}
	if id == "s3" {
		created = ""
	}
	s.doing = "inventory"
	s.table.Put(with(ready(id, alice, hostOf(id)), "CreationTime", created))
	s.check()
}

// start has a session come up on its host, newer than any before.
func (s *simulation) start(id string) {
	s.now = s.now.Add(10 * time.Second)
	s.running[place{hostOf(id), id}] = s.now.Format(time.RFC3339Nano)
}

// Close implements session.Hosts.
func (s *simulation) Close(_ context.Context, attempt session.Attempt) []error {
	errs := make([]error, len(attempt.Closings))
	for i, c := range attempt.Closings {
		if s.offline[c.HostID] {
			errs[i] = &session.Refusal{HostID: c.HostID, Reason: offline}
			continue
		}
		if rapid.IntRange(0, 9).Draw(s.t, "unclear") == 0 {
			errs[i] = errors.New("throttled")
		}
		s.commands = append(s.commands, command{attempt.ID, attempt.VoidAfter, c})
	}
	return errs
}

// run has a command arrive at its host, as the close document carries it out.
func (s *simulation) run(c command) {
	report := session.Report{HostID: c.HostID, AttemptID: c.attemptID, SessionID: c.SessionID}
	at := place{c.HostID, c.NameOnHost}
	created, runs := s.running[at]
	switch {
	case s.now.After(c.voidAfter):
		report.Outcome = session.OutcomeExpired
	case s.broken[c.HostID]:
		report.Outcome, report.Reason = session.OutcomeFailed, "dcv is broken"
	case !runs:
		report.Outcome = session.OutcomeAbsent
	case c.CreationTime != "" && c.CreationTime != created,
		c.CreationTime == "" && created > c.CreatedUntil.Format(time.RFC3339Nano):
		report.Outcome = session.OutcomeReplaced
	default:
		if !s.mayClose[c.HostID+" "+c.NameOnHost+" "+created] {
			s.t.Fatalf("host %s closed %s of %s, which nobody may delete", c.HostID, c.NameOnHost, created)
		}
		delete(s.running, at)
		report.Outcome = session.OutcomeClosed
	}
	s.reports = append(s.reports, report)
}

// confirm and finish are deliveries to the functions behind the API.
func (s *simulation) confirm(reports ...session.Report) {
	s.doing = "confirmer"
	c := session.Confirmer{Table: s.table, Now: func() time.Time { return s.now }, Log: slog.New(slog.DiscardHandler)}
	for _, err := range c.Apply(context.Background(), reports) {
		if err != nil {
			s.t.Fatal(err)
		}
	}
	s.check()
}

func (s *simulation) finish(changes ...memtable.Change) {
	s.doing = "finisher"
	f := session.Finisher{Table: s.table, Now: func() time.Time { return s.now }, Log: slog.New(slog.DiscardHandler)}
	var seen []session.Record
	for _, c := range changes {
		seen = append(seen, c.New)
	}
	for _, err := range f.Finish(context.Background(), seen) {
		if err != nil {
			s.t.Fatal(err)
		}
	}
	s.check()
}

// check looks at what has changed in the table since it was called last.
func (s *simulation) check() {
	for _, c := range s.feed.Ready() {
		s.changes = append(s.changes, c)
		if wrong := s.wrong(c.Old, c.New); wrong != "" {
			s.t.Fatalf("%s: %s\nold: %v\nnew: %v", s.doing, wrong, c.Old, c.New)
		}
	}
}

func (s *simulation) wrong(old, now session.Record) string {
	was, is := old.Session(), now.Session()
	switch {
	case is.State == session.Deleting && (is.NextAttemptAt.IsZero() || is.DueLane == "" || is.AttemptID == "" || is.DeletionRequestID == ""):
		return "DELETING without a lease (promise 1)"
	case (now["LiveHostId"] == nil) != (is.State == session.Deleted && is.CloseUntil.IsZero()):
		return "the indexes do not hold what lives"
	case !is.CloseUntil.IsZero() && (is.Confirmation != session.Forced || is.NextAttemptAt.IsZero() || is.DueLane == ""):
		return "what is to be closed has no lease (promise 6)"
	case was.State == session.Deleted && is.State != session.Deleted && was.CloseUntil.After(s.now):
		return "listed again while it is being closed (promise 6)"
	case is.DeletionRequestID != was.DeletionRequestID && is.State == session.Deleting && !s.ownerAsks(is):
		return "a deletion that the owner did not ask for (promise 4)"
	case is.State == session.Deleted && was.State != session.Deleted:
		return s.wrongEnd(was)
	case was.State == session.Deleting && is.State != session.Deleting:
		switch {
		case s.doing != "a request":
			return "a deletion was taken back by the wrong one"
		case s.told[is.ID]:
			return "a deletion was taken back of which somebody was told (promise 2)"
		case was.AttemptID != s.request.ID:
			return "a request took back another's deletion (promise 2)"
		}
	}
	return ""
}

func (s *simulation) ownerAsks(r session.Session) bool {
	if s.request == nil {
		return false
	}
	for _, e := range s.request.Entries {
		if e.SessionID == r.ID && e.Owner == r.Owner {
			return true
		}
	}
	return false
}

// wrongEnd holds promise 3: only the finisher writes DELETED, and it is true.
func (s *simulation) wrongEnd(was session.Session) string {
	created, runs := s.running[place{was.HostID, was.NameOnHost()}]
	s.told[was.ID] = false
	switch {
	case s.doing != "finisher":
		return "DELETED by another than the finisher"
	case was.Confirmation == session.Forced && was.Force:
	case was.Confirmation == "" || was.Confirmation == session.Forced:
		return "DELETED without a confirmation"
	case runs && was.CreationTime == created, runs && was.CreationTime == "" &&
		created <= was.DeletionRequestedAt.Add(session.CreationTolerance).Format(time.RFC3339Nano):
		return fmt.Sprintf("DELETED, but on %s it still runs (promise 3)", was.HostID)
	}
	return ""
}
