package endedsessions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dcv-session-broker/internal/events/endedsessions"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
	"dcv-session-broker/internal/template/templatetest"
)

const creation = "2026-11-23T08:30:00.262883Z"

// A life is a session with the real broker, its steps, and the expected announcements
// of each.
type life struct {
	t       *rapid.T
	table   *memtable.Table
	now     time.Time
	n       int
	refuses bool // the host refuses commands
	notices []session.Notice
	// closing is the attempt of the close command that the host has.
	closing string
	hosts   *memtable.Hosts

	want []string
	// Whether a deletion waits, and until when, by the answers to its callers.
	waits   bool
	closeAt time.Time
}

func (l *life) Now() time.Time { return l.now }

func (l *life) id(prefix string) string {
	l.n++
	return fmt.Sprintf("%s%d", prefix, l.n)
}

func (l *life) Close(_ context.Context, attempt session.Attempt) []error {
	errs := make([]error, len(attempt.Closings))
	for i := range errs {
		if l.refuses {
			errs[i] = &session.Refusal{HostID: host, Reason: "is not connected", Err: errors.New("no")}
		} else {
			l.closing = attempt.ID
		}
	}
	return errs
}

func (l *life) Notify(_ context.Context, notices []session.Notice) []error {
	errs := make([]error, len(notices))
	for i := range errs {
		if l.refuses {
			errs[i] = &session.Refusal{HostID: host, Reason: "is not connected", Err: errors.New("no")}
		} else if !notices[i].CloseAt.IsZero() {
			l.notices = append(l.notices, notices[i])
		}
	}
	return errs
}

func (l *life) RecordRefused(context.Context, []string, time.Time) error { return nil }

func (l *life) Statuses(context.Context, []string) (map[string]session.HostStatus, map[string]string, error) {
	return map[string]session.HostStatus{host: session.Alive}, nil, nil
}

func (l *life) record() session.Session { return l.table.Get("s1").Session() }

// announces notes the expected announcement of the step.
func (l *life) announces(detailType, by string) {
	l.want = append(l.want, fmt.Sprint(detailType, " ", by, " ", session.FormatTime(l.closeAt)))
}

func (l *life) delete(grace time.Duration, force bool) {
	id := l.id("r")
	before, old := l.record(), l.closeAt
	d := &session.Deleter{Table: l.table, Closer: l, Notifier: l, GiveUp: time.Hour, ForceMode: session.Purge, RefusedHosts: l, Log: quiet}
	_, err := d.Delete(l.t.Context(), session.Request{ID: id, By: "studio", At: l.now, Entries: []session.Entry{{
		SessionID: "s1", Owner: "user1", GracePeriod: grace, Force: force, Reason: "maintenance",
	}}})
	if err != nil {
		l.t.Fatal(err)
	}
	at := l.now.Add(grace)
	switch {
	case force:
		l.waits = false
	case before.State == session.Ready && grace > 0:
		l.waits, l.closeAt = true, at
		l.announces(endedsessions.Scheduled, id)
		if l.refuses {
			l.waits = false
			l.announces(endedsessions.Cancelled, "nobody")
		}
	case l.waits && at.Before(old):
		l.closeAt, l.waits = at, grace > 0
		l.announces(endedsessions.Rescheduled, id)
	case l.waits && grace == 0:
		l.waits = false // its close time has come
	}
}

func (l *life) cancel() {
	id := l.id("c")
	c := &session.Canceller{Table: l.table, Getter: memtable.Reader{Table: l.table}, Notifier: l, Now: l.Now, Log: quiet}
	if _, err := c.Cancel(l.t.Context(), session.CancelRequest{ID: id, By: "user1", Entries: []session.CancelEntry{{SessionID: "s1", Owner: "user1"}}}); err != nil {
		l.t.Fatal(err)
	}
	if l.waits && l.now.Before(l.closeAt) {
		l.waits = false
		l.announces(endedsessions.Cancelled, id)
	}
}

func (l *life) cleanup() {
	reaper := &session.HostReaper{Table: l.table, Index: session.WholeIndex{Index: l.table, Getter: memtable.Reader{Table: l.table}}, Instances: l, HostTable: l.hosts, Now: l.Now, NewID: func() string { return l.id("h") }, Log: quiet}
	c := &session.Cleaner{Table: l.table, Index: session.WholeIndex{Index: l.table, Getter: memtable.Reader{Table: l.table}}, Closer: l, Notifier: l, Reaper: reaper, GiveUp: time.Hour, Now: l.Now,
		NewID: func() string { return l.id("a") }, Log: quiet}
	if err := c.ProcessDue(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	if l.waits && !l.now.Before(l.closeAt) {
		l.waits = false
	}
}

// answer makes the host answer one of its notices.
func (l *life) answer(outcome session.WarningOutcome) {
	if len(l.notices) == 0 {
		return
	}
	n := rapid.SampledFrom(l.notices).Draw(l.t, "notice")
	r := &session.WarningRecorder{Table: l.table, Now: l.Now, Log: quiet}
	r.Apply(l.t.Context(), []session.Warning{{HostID: host, NoticeID: n.ID, SessionID: "s1", CloseAt: n.CloseAt, At: n.At, Outcome: outcome, Reason: "why"}})
}

// inventory applies an inventory with the session and its number of connections.
func (l *life) inventory(connected int64) {
	r := &session.InventoryReconciler{Table: l.table, Index: session.WholeIndex{Index: l.table, Getter: memtable.Reader{Table: l.table}}, Getter: memtable.Reader{Table: l.table}, HostTable: l.hosts, MaxSessions: 10, Now: l.Now, Log: quiet}
	_, err := r.Apply(l.t.Context(), session.Inventory{ID: l.id("i"), HostID: host, Platform: "linux", SentAt: l.now, Complete: true, Sessions: []session.Found{{
		NameOnHost: "s1", Owner: "user1", Type: "virtual", CreationTime: creation, NumOfConnections: connected,
	}}})
	if err != nil {
		l.t.Fatal(err)
	}
}

// end makes the host close the session, and the stream end the deletion.
func (l *life) end() {
	if l.closing != "" {
		c := &session.Confirmer{Table: l.table, Index: session.WholeIndex{Index: l.table, Getter: memtable.Reader{Table: l.table}}, Now: l.Now, Log: quiet}
		c.Apply(l.t.Context(), []session.Report{{HostID: host, AttemptID: l.closing, SessionID: "s1", Outcome: session.OutcomeClosed}})
	}
	if s := l.record(); s.Confirmation != "" && s.State != session.Deleted {
		f := &session.Finisher{Table: l.table, Now: l.Now, Log: quiet}
		f.Finish(l.t.Context(), []session.Record{l.table.Get("s1")})
		l.closeAt, l.waits = s.CloseAt, false
		l.announces(endedsessions.Ended, s.DeletionRequestID)
	}
}

func (l *life) step() {
	kind := rapid.SampledFrom([]string{
		"delete", "delete", "delete", "cancel", "cleanup", "cleanup", "answer", "inventory", "end", "time", "time", "force", "host",
	}).Draw(l.t, "step")
	switch kind {
	case "delete":
		l.delete(time.Minute*time.Duration(rapid.SampledFrom([]int{0, 1, 3, 10, 20}).Draw(l.t, "grace")), false)
	case "force":
		l.delete(0, true)
	case "cancel":
		l.cancel()
	case "cleanup":
		l.cleanup()
	case "answer":
		l.answer(rapid.SampledFrom([]session.WarningOutcome{session.Warned, session.Nobody, session.NotWarned}).Draw(l.t, "outcome"))
	case "inventory":
		l.inventory(rapid.Int64Range(0, 2).Draw(l.t, "connected"))
	case "end":
		l.end()
	case "time":
		l.now = l.now.Add(rapid.SampledFrom([]time.Duration{time.Second, 2 * time.Minute, 6 * time.Minute}).Draw(l.t, "passes"))
	case "host":
		l.refuses = !l.refuses
	}
	l.now = l.now.Add(time.Second)
}

var quiet = slog.New(slog.DiscardHandler)

// In any life of a session, with its stream records in any order and repeated, each
// change is announced under one ID and with its kind, and nothing else is. A receiver
// that follows the rule in DEPLOYING.md knows which deletion is open, and until when.
func TestAWholeLifeIsAnnounced(t *testing.T) {
	pipe := templatetest.Load(t, nil).Pipes()[0]
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		l := &life{t: t, table: memtable.New(), hosts: memtable.NewHosts(), now: time.Date(2026, 11, 23, 19, 0, 0, 0, time.UTC)}
		l.table.Put(session.Listed(session.Session{ID: "s1", Owner: "user1", HostID: host, Type: "virtual", CreationTime: creation, FirstSeenAt: l.now.Add(-time.Hour)}))
		feed := l.table.Feed()
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			l.step()
		}
		if l.record().Confirmation != "" {
			l.end() // otherwise it has ended, and that is not known yet
		}
		events := announcedInAnyOrder(t, pipe, feed.Ready(), rapid.Uint64().Draw(t, "order"))
		once := map[string]endedsessions.Detail{}
		for _, d := range events {
			once[d.ID] = d
		}
		var got []string
		for _, d := range once {
			by := d.RequestID
			switch {
			case d.PutBack:
				by = "nobody"
			case d.DetailType == endedsessions.Cancelled:
				by = d.CancelledBy
			}
			if d.CloseAt == "" {
				d.CloseAt = session.FormatTime(time.Time{})
			}
			got = append(got, strings.Join([]string{d.DetailType, by, d.CloseAt}, " "))
			seen[d.DetailType]++
		}
		slices.Sort(got)
		if diff := cmp.Diff(slices.Sorted(slices.Values(l.want)), got); diff != "" {
			t.Fatalf("announced (-want +got):\n%s", diff)
		}
		want := ""
		if s := l.record(); s.State == session.Deleting && s.Confirmation == "" && !s.CloseAt.IsZero() {
			want = session.FormatTime(s.CloseAt)
		}
		if known := follow(events); l.record().GivenUpAt.IsZero() && known != want { // which is not announced
			t.Fatalf("a listener knows of a deletion until %q, and it is %q", known, want)
		}
	})
	for _, kind := range []string{endedsessions.Ended, endedsessions.Scheduled, endedsessions.Rescheduled, endedsessions.Cancelled} {
		if seen[kind] == 0 {
			t.Errorf("no %s in all lives", kind)
		}
	}
}

// announcedInAnyOrder returns the pipe's announcements of the changes, each once or more.
func announcedInAnyOrder(t *rapid.T, pipe template.Pipe, changes []memtable.Change, seed uint64) (all []endedsessions.Detail) {
	random := rand.New(rand.NewPCG(seed, 0))
	for _, c := range changes {
		shown := c.Event(time.Time{}, "arn:aws:dynamodb:us-east-1:1:table/t/stream/1")
		text, err := json.Marshal(shown)
		if err != nil {
			t.Fatal(err)
		}
		passes, err := pipe.Matches(text)
		if err != nil {
			t.Fatal(err)
		}
		if !passes {
			continue
		}
		for range 1 + random.IntN(2) {
			details, err := newTest().handler.Handle(t.Context(), []json.RawMessage{text})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, details...)
		}
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// follow returns the close time of the open deletion by the rule in DEPLOYING.md; "" if
// none is open.
func follow(events []endedsessions.Detail) string {
	closeAt, over, ended := map[string]string{}, map[string]bool{}, ""
	for _, d := range events {
		switch at := d.RequestedAt; d.DetailType {
		case endedsessions.Scheduled, endedsessions.Rescheduled:
			if known := closeAt[at]; known == "" || d.CloseAt < known {
				closeAt[at] = d.CloseAt
			}
		case endedsessions.Cancelled:
			over[at] = true
		case endedsessions.Ended:
			ended = max(ended, at)
		}
	}
	for at := range closeAt {
		if !over[at] && at > ended {
			return closeAt[at]
		}
	}
	return ""
}
