package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dcv-session-broker/internal/session"
)

// Whatever is asked, said, lost, doubled or late, the promises hold. The
// simulation checks 1 to 5 at every change, the requests 1, 4, 6, 7 and 8 at
// every answer, and the end 2 and 10.
func TestPromisesHoldInAnyOrderOfThings(t *testing.T) {
	for range 5 { // rapid runs a hundred stories at a time
		rapid.Check(t, oneStory)
	}
}

func oneStory(t *rapid.T) {
	s := newSimulation(t)
	s.forceMode = rapid.SampledFrom([]session.ForceMode{session.Purge, session.BestEffort}).Draw(t, "force mode")
	ids := rapid.SampledFrom([]string{"s1", "s2", "s3"})
	hostIDs := rapid.SampledFrom([]string{hostA, hostB})
	for _, id := range []string{"s1", "s2", "s3"} {
		s.start(id)
		s.list(id)
	}
	t.Repeat(map[string]func(*rapid.T){
		"request": func(t *rapid.T) { s.ask(anyRequest(t, s), rapid.IntRange(0, 3).Draw(t, "faults") == 0) },
		"repeat for one": func(t *rapid.T) {
			s.requests++
			s.ask(request(fmt.Sprintf("r%d", s.requests), s.now, entry(ids.Draw(t, "id"), alice)), false)
		},
		"command arrives": func(t *rapid.T) { s.run(oneOf(t, s.commands)) },
		"report arrives":  func(t *rapid.T) { s.confirm(someOf(t, s.reports)...) },
		"stream arrives":  func(t *rapid.T) { s.finish(someOf(t, s.changes)...) },
		"host lies": func(t *rapid.T) {
			// It names a session of the other host, in an attempt that there was.
			r := oneOf(t, s.reports)
			r.HostID = map[string]string{hostA: hostB, hostB: hostA}[r.HostID]
			r.Outcome = session.OutcomeClosed
			s.confirm(r)
		},
		"session comes up": func(t *rapid.T) { s.start(ids.Draw(t, "id")) },
		"session ends":     func(t *rapid.T) { id := ids.Draw(t, "id"); delete(s.running, place{hostOf(id), id}) },
		"inventory":        func(t *rapid.T) { s.list(ids.Draw(t, "id")) },
		"host goes":        func(t *rapid.T) { s.offline[hostIDs.Draw(t, "host")] = true },
		"host comes":       func(t *rapid.T) { delete(s.offline, hostIDs.Draw(t, "host")) },
		"dcv breaks":       func(t *rapid.T) { s.broken[hostIDs.Draw(t, "host")] = true },
		"dcv is mended":    func(t *rapid.T) { delete(s.broken, hostIDs.Draw(t, "host")) },
		"time passes": func(t *rapid.T) {
			s.now = s.now.Add(time.Duration(rapid.SampledFrom([]int{1, 9, 60, 2000}).Draw(t, "seconds")) * time.Second)
		},
	})
	s.settle()
}

func oneOf[T any](t *rapid.T, all []T) T {
	if len(all) == 0 {
		t.Skip("there is none")
	}
	return rapid.SampledFrom(all).Draw(t, "which")
}

func someOf[T any](t *rapid.T, all []T) []T {
	if len(all) == 0 {
		t.Skip("there is none")
	}
	return rapid.SliceOfN(rapid.SampledFrom(all), 1, 4).Draw(t, "which")
}

func anyRequest(t *rapid.T, s *simulation) session.Request {
	s.requests++
	one := rapid.Custom(func(t *rapid.T) session.Entry {
		return session.Entry{
			SessionID: rapid.SampledFrom([]string{"s1", "s2", "s3", "s9"}).Draw(t, "id"),
			Owner:     rapid.SampledFrom([]string{alice, alice, mallory}).Draw(t, "owner"),
			Force:     rapid.IntRange(0, 4).Draw(t, "force") == 0,
		}
	})
	return request(fmt.Sprintf("r%d", s.requests), s.now, rapid.SliceOfN(one, 1, 5).Draw(t, "entries")...)
}

// ask carries a request out, and checks its answers.
func (s *simulation) ask(req session.Request, faulty bool) {
	before := map[string]session.Record{}
	asked := map[string]bool{} // by their owner
	for _, e := range req.Entries {
		r := s.table.Get(e.SessionID)
		before[e.SessionID] = r
		if r != nil && r["Owner"] == e.Owner {
			asked[e.SessionID] = true
			if !e.Force || s.forceMode == session.BestEffort {
				s.allow(r.Session(), e.Force)
			}
		}
	}
	sentBefore := len(s.commands)
	anyFault := false
	s.table.fault = func(int, session.Write) fault {
		if !faulty {
			return none
		}
		what := fault(rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2, 3}).Draw(s.t, "fault"))
		anyFault = anyFault || what != none
		return what
	}
	s.doing, s.request = "a request", &req
	d := &session.Deleter{Table: s.table, Hosts: s, GiveUp: giveUp, ForceMode: s.forceMode, Log: slog.New(slog.DiscardHandler)}
	answers, err := d.Delete(context.Background(), req)
	s.table.fault = nil
	s.check()
	s.request = nil
	if errors.Is(err, session.ErrTableDown) && anyFault {
		return
	}
	if err != nil || len(answers) != len(req.Entries) {
		s.t.Fatalf("%d entries, %d answers, %v (promise 7)", len(req.Entries), len(answers), err)
	}
	sent := map[string]int{}
	for _, c := range s.commands[sentBefore:] {
		sent[c.SessionID]++
	}
	for i, a := range answers {
		if a.SessionID != req.Entries[i].SessionID {
			s.t.Fatalf("answer %d is %v (promise 7)", i, a)
		}
		if a.FailureReason == session.ReasonUnclear && anyFault {
			continue
		}
		if a.FailureReason == session.ReasonNotRecorded && !anyFault {
			s.t.Fatalf("%v is not recorded, for no reason", a)
		}
		if wrong := s.wrongAnswer(req, req.Entries[i], a.FailureReason, before[a.SessionID], asked[a.SessionID], sent[a.SessionID]); wrong != "" {
			s.t.Fatalf("%v: answered %q: %s\nbefore: %v\nafter: %v", req.Entries[i], a.FailureReason, wrong, before[a.SessionID], s.table.Get(a.SessionID))
		}
	}
}

// allow notes what hosts may close now: the incarnation that the record names,
// or, where it names none, what runs and is not newer than the deletion.
// A forced request begins anew.
func (s *simulation) allow(r session.Session, force bool) {
	created := s.running[place{r.HostID, r.NameOnHost()}]
	if r.CreationTime == "" && created != "" && (r.State != session.Deleting || force) ||
		r.CreationTime == created {
		s.mayClose[r.HostID+" "+r.NameOnHost()+" "+created] = true
	}
}

func (s *simulation) wrongAnswer(req session.Request, e session.Entry, reason string, before session.Record, ownerAsks bool, sent int) string {
	after := s.table.Get(e.SessionID)
	changed := cmp.Diff(before, after)
	force := slices.ContainsFunc(req.Entries, func(o session.Entry) bool {
		return o.SessionID == e.SessionID && o.Owner == e.Owner && o.Force
	})
	was := before.Session()
	theirs := before["Owner"] == e.Owner && was.State != session.Deleted
	switch {
	case !ownerAsks && (changed != "" || sent > 0):
		return "nobody here may delete it (promise 4)"
	case !theirs && reason == session.ReasonNotRecorded:
		// It was not even found out that there is no such session.
	case !theirs && reason != session.NotFound:
		return "there is no such session (promise 4)"
	case !theirs:
	case reason == "":
		s.told[e.SessionID] = true
		switch {
		case after["State"] != "DELETING" || after["NextAttemptAt"] == nil:
			return "the record is not DELETING with a lease (promise 1)"
		case force && (after["Confirmation"] != "forced" || sent > 0 && s.forceMode == session.Purge):
			return "forced is not forced (promise 6)"
		case force && s.forceMode == session.BestEffort && (after["CloseUntil"] == nil || sent == 0 && was.CloseUntil.IsZero() && !s.offline[was.HostID]):
			return "its host is not asked (promise 6)"
		case sent > 1:
			return "sent twice"
		case !was.CloseUntil.IsZero() && sent > 0:
			return "a repeat sends nothing (promise 7)"
		case !force && was.State == session.Deleting && !session.Claimable(was, req.At, giveUp) && sent > 0:
			return "a repeat sends nothing (promise 7)"
		}
	case changed != "" || sent > 0:
		return "an unsuccessful entry changed something (promise 7): " + changed
	case reason != session.ReasonNotRecorded && (reason != refusal(was.HostID) || !s.offline[was.HostID]):
		return "the wrong reason (promise 8)"
	}
	return ""
}

// settle lets everything arrive, and then once more: nothing may change by
// that, and no deletion whose command was sent may be open, but for those that
// are so old that cleanup gives them up.
func (s *simulation) settle() {
	clear(s.offline)
	clear(s.broken)
	for range 4 {
		s.now = s.now.Add(session.RepeatPause)
		for _, r := range s.table.All() {
			if was := r.Session(); session.Claimable(was, s.now, giveUp) {
				s.requests++
				s.ask(request(fmt.Sprintf("r%d", s.requests), s.now, entry(was.ID, was.Owner)), false)
			}
		}
		for _, c := range s.commands {
			s.run(c)
		}
		s.confirm(s.reports...)
		s.finish(s.changes...)
	}
	for _, r := range s.table.All() {
		isSent := slices.ContainsFunc(s.commands, func(c command) bool { return c.attemptID == r["AttemptId"] && c.SessionID == r["SessionId"] })
		isOld := s.now.Add(session.Lease).After(r.Session().DeletionRequestedAt.Add(giveUp))
		if r["State"] == "DELETING" && (isSent && !isOld || r["Confirmation"] != nil) {
			s.t.Fatalf("a deletion is stuck (promise 2): %v", r)
		}
		// A command is void with the first of its deletions; cleanup, which is not
		// in these stories, sends another.
		canRun := slices.ContainsFunc(s.commands, func(c command) bool {
			return c.attemptID == r["AttemptId"] && c.SessionID == r["SessionId"] && !s.now.After(c.voidAfter)
		})
		if canRun && !isOld && r["CloseUntil"] != nil {
			s.t.Fatalf("its host has answered, but it is still to be closed (promise 6): %v", r)
		}
	}
	end := s.table.All()
	slices.Reverse(s.reports)
	slices.Reverse(s.changes)
	s.confirm(s.reports...)
	s.finish(s.changes...)
	if diff := cmp.Diff(end, s.table.All()); diff != "" {
		s.t.Fatalf("what arrives again changes something (promise 10):\n%s", diff)
	}
}
