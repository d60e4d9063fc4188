package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// The sessions, hosts and times that the tests speak of.
const (
	alice, mallory = "alice", "mallory"
	hostA          = "i-0aaaaaaaaaaaaaaaa"
	hostB          = "i-0bbbbbbbbbbbbbbbb"
	giveUp         = time.Hour
)

var t0 = time.Date(2026, 11, 23, 19, 1, 2, 123e6, time.UTC)

func at(seconds float64) time.Time {
	return t0.Add(time.Duration(seconds * float64(time.Second)))
}

func ready(id, owner, hostID string) session.Record {
	return session.Listed(session.Session{
		ID: id, Owner: owner, HostID: hostID, Type: "virtual", CreationTime: "2026-11-23T08:30:00.262883Z",
	})
}

// with is the record with some attributes changed: a name and a value in turn,
// nil for an attribute that is not to be there.
func with(r session.Record, namesAndValues ...any) session.Record {
	r = maps.Clone(r)
	for i := 0; i < len(namesAndValues); i += 2 {
		attr, v := namesAndValues[i].(string), namesAndValues[i+1]
		if v == nil {
			delete(r, attr)
		} else {
			r[attr] = v
		}
	}
	return r
}

func entry(id, owner string) session.Entry { return session.Entry{SessionID: id, Owner: owner} }
func forced(id, owner string) session.Entry {
	return session.Entry{SessionID: id, Owner: owner, Force: true}
}

func request(id string, when time.Time, entries ...session.Entry) session.Request {
	return session.Request{ID: id, By: "arn:aws:iam::123456789012:user/" + id, At: when, Entries: entries}
}

// A fault is a failure of one write.
type fault int

const (
	none       fault = iota
	refused          // the table refuses it
	lostBefore       // no answer, and it was not done
	lostAfter        // no answer, but it was done
)

// A table is the table in memory, with faults; it reports each write.
type table struct {
	*memtable.Table
	written []session.Write
	// fault decides what goes wrong with the nth write, from 1 on; nil is nothing.
	fault func(n int, w session.Write) fault
	// before is called before the nth write.
	before func(n int, w session.Write)
}

func (tab *table) Write(ctx context.Context, writes []session.Write) []session.Result {
	results := make([]session.Result, len(writes))
	for i, w := range writes {
		tab.written = append(tab.written, w)
		n := len(tab.written)
		if tab.before != nil {
			tab.before(n, w)
		}
		what := none
		if tab.fault != nil {
			what = tab.fault(n, w)
		}
		switch what {
		case none:
			results[i] = tab.Table.Write(ctx, []session.Write{w})[0]
		case refused:
			results[i].Err = fmt.Errorf("throttled: %w", session.ErrNotWritten)
		case lostBefore:
			results[i].Err = fmt.Errorf("connection reset: %w", session.ErrUnclear)
		case lostAfter:
			tab.Table.Write(ctx, []session.Write{w})
			results[i].Err = fmt.Errorf("connection reset: %w", session.ErrUnclear)
		}
	}
	return results
}

// kind returns the rule that made a write.
func kind(w session.Write) string {
	has := func(attr string) bool { return w.Set[attr] != nil }
	switch state := w.Set[session.AttrState]; {
	case state == "DELETED":
		return "finish"
	case state == "DELETING" && has(session.AttrConfirmation):
		return "mark forced"
	case state == "DELETING":
		return "mark"
	case state != nil:
		return "put back"
	case has(session.AttrAttemptID):
		return "claim"
	case has(session.AttrRepeatedAt):
		return "repeat"
	case has(session.AttrConfirmation):
		return "confirm"
	case has(session.AttrAttemptFailedAt):
		return "fail"
	}
	return "unknown"
}

// hosts is a fleet that accepts every command, except for the hosts named here.
type hosts struct {
	refuses map[string]string // why it is not asked
	unclear map[string]bool   // the call has no clear answer
	sent    []session.Attempt // what the hosts got
	told    []session.Notice
	before  func() // called before each Close
}

func (h *hosts) Close(_ context.Context, attempt session.Attempt) []error {
	if h.before != nil {
		h.before()
	}
	errs := make([]error, len(attempt.Closings))
	taken := attempt
	taken.Closings, taken.OnSent = nil, nil
	for i, c := range attempt.Closings {
		if reason, refuses := h.refuses[c.HostID]; refuses {
			errs[i] = fmt.Errorf("send: %w", &session.Refusal{HostID: c.HostID, Reason: reason, Err: errors.New("InvalidInstanceId: secret internals")})
			continue
		}
		if h.unclear[c.HostID] {
			errs[i] = errors.New("send: throttled")
		} else if attempt.OnSent != nil {
			attempt.OnSent(i, "command-of-"+attempt.ID)
		}
		taken.Closings = append(taken.Closings, c)
	}
	if len(taken.Closings) > 0 {
		h.sent = append(h.sent, taken)
	}
	return errs
}

// closings returns the sessions that were sent, as "attempt: session".
func (h *hosts) closings() []string {
	var all []string
	for _, a := range h.sent {
		for _, c := range a.Closings {
			all = append(all, a.ID+": "+c.SessionID)
		}
	}
	return all
}

const offline = "is not connected to Systems Manager"

// A world is a broker on a table with some records.
type world struct {
	t     *testing.T
	table *table
	hosts *hosts
	// refused keeps the hosts because of which deletions are refused.
	refused *memtable.Hosts
	log     strings.Builder
}

func newWorld(t *testing.T, records ...session.Record) *world {
	w := &world{t: t, table: &table{Table: memtable.New()}, hosts: &hosts{refuses: map[string]string{}, unclear: map[string]bool{}}, refused: memtable.NewHosts()}
	for _, r := range records {
		w.table.Put(r)
	}
	return w
}

func (w *world) logger() *slog.Logger { return slog.New(slog.NewTextHandler(&w.log, nil)) }

func (w *world) deleter() *session.Deleter {
	return &session.Deleter{Table: w.table, Closer: w.hosts, Notifier: w.hosts, RefusedHosts: w.refused, GiveUp: giveUp, Log: w.logger()}
}

func (w *world) delete(req session.Request) []session.Answer {
	w.t.Helper()
	answers, err := w.deleter().Delete(context.Background(), req)
	if err != nil {
		w.t.Fatalf("Delete: %v", err)
	}
	return answers
}

// expect deletes, and compares each answer's FailureReason; "" is DELETING.
func (w *world) expect(req session.Request, reasons ...string) {
	w.t.Helper()
	want := make([]session.Answer, len(req.Entries))
	for i, e := range req.Entries {
		want[i] = session.Answer{SessionID: e.SessionID, FailureReason: reasons[i]}
	}
	if diff := cmp.Diff(want, w.delete(req)); diff != "" {
		w.t.Fatalf("answers of %s (-want +got):\n%s", req.ID, diff)
	}
}

func (w *world) report(when time.Time, reports ...session.Report) {
	w.t.Helper()
	c := session.Confirmer{Table: w.table, Now: func() time.Time { return when }, Log: w.logger()}
	for i, err := range c.Apply(context.Background(), reports) {
		if err != nil {
			w.t.Fatalf("report %d: %v", i, err)
		}
	}
}

func (w *world) finish(when time.Time, seen ...session.Record) {
	w.t.Helper()
	f := session.Finisher{Table: w.table, Now: func() time.Time { return when }, Log: w.logger()}
	for i, err := range f.Finish(context.Background(), seen) {
		if err != nil {
			w.t.Fatalf("record %d: %v", i, err)
		}
	}
}

// is checks a record whole.
func (w *world) is(id string, want session.Record) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.table.Get(id)); diff != "" {
		w.t.Errorf("record %s (-want +got):\n%s", id, diff)
	}
}

// has checks some attributes of a record: names and values as for with.
func (w *world) has(id string, namesAndValues ...any) {
	w.t.Helper()
	r := w.table.Get(id)
	for i := 0; i < len(namesAndValues); i += 2 {
		attr := namesAndValues[i].(string)
		if r[attr] != namesAndValues[i+1] {
			w.t.Errorf("record %s: %s is %v, want %v", id, attr, r[attr], namesAndValues[i+1])
		}
	}
}

// kinds is which rules wrote, in order.
func (w *world) kinds() []string {
	var all []string
	for _, wr := range w.table.written {
		all = append(all, kind(wr))
	}
	return all
}

func (w *world) wrote(want ...string) {
	w.t.Helper()
	if got := w.kinds(); !slices.Equal(got, want) {
		w.t.Errorf("wrote %q, want %q", got, want)
	}
}

func (w *world) sent(want ...string) {
	w.t.Helper()
	if got := w.hosts.closings(); !slices.Equal(got, want) {
		w.t.Errorf("sent %q, want %q", got, want)
	}
}

// refusal returns the reason that a caller gets for a host that refuses commands.
func refusal(hostID string) string {
	return "The session's host " + hostID + " " + offline + "." + session.ReasonRefused
}

func closed(hostID, attemptID, id string) session.Report {
	return session.Report{HostID: hostID, AttemptID: attemptID, SessionID: id, Outcome: session.OutcomeClosed}
}

func failed(hostID, attemptID, id, reason string) session.Report {
	return session.Report{HostID: hostID, AttemptID: attemptID, SessionID: id, Outcome: session.OutcomeFailed, Reason: reason}
}
