package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// Requests with and without a grace period, cancels, runs of cleanup and an inventory for
// one session at the same time, in many orders of their reads, writes and calls, where the
// host accepts or refuses each command, and some writes fail: each is answered truly.
func TestConcurrentCancelsAreAnsweredTruly(t *testing.T) {
	long, short, now := withGrace("s1", 10*time.Minute), withGrace("s1", 2*time.Minute), entry("s1", alice)
	waits := with(waitingRecord, "DeletionRequestId", "r0", "NoticeId", "notice-r0", "AttemptId", "notice-r0")
	for _, entries := range [][]session.Entry{{long}, {long, short}, {short, long}, {long, now}, {long, short, now}, {long, forced("s1", alice)}} {
		for _, record := range []session.Record{seen(listedRecord), seen(waits), seen(with(waits, "StateBefore", "UNKNOWN"))} {
			for others := range 9 { // cancels and runs of cleanup
				sample(t, 20, func(c *choices) string { return graceStory(t, c, record, entries, others%3, others/3) })
			}
		}
	}
}

// A graceRun is what calls at the same time do, and are answered.
type graceRun struct {
	c          *choices
	shared     *memtable.Table
	faultsLeft int
	warned     time.Time // of the newest notice with a close time
	cleared    time.Time // of the newest notice of a cancel
	cancelled  map[string]bool
	wrong      string
}

func (r *graceRun) breaks(format string, args ...any) {
	if r.wrong == "" {
		r.wrong = fmt.Sprintf(format, args...)
	}
}

// A graceCall is a request or a cancel, or one without an answer: a run of cleanup, or an
// inventory.
type graceCall struct {
	name    string
	cancels bool
	at      time.Time // of a request
	call    func(g *graceCall, tab *table, h *hosts, n session.Notifier, step func()) error
	reason  string
	closeAt time.Time
}

func (g *graceCall) unclear() bool {
	return g.reason == session.ReasonUnclear || g.reason == session.ReasonCancelUnclear
}

// graceStory runs the calls. The cancels are newer than all requests; a run of cleanup
// finds the deletion due, to notify users again or at its close time.
func graceStory(t *testing.T, c *choices, record session.Record, entries []session.Entry, cancels, cleanups int) (wrong string) {
	r := &graceRun{c: c, shared: memtable.New(), faultsLeft: 3, cancelled: map[string]bool{}}
	r.shared.Put(record)
	feed := r.shared.Feed()
	discard := slog.New(slog.DiscardHandler)
	var all []*graceCall
	for i, e := range entries {
		all = append(all, &graceCall{name: fmt.Sprintf("r%d", i+2), at: at(float64(30 + i)), call: func(g *graceCall, tab *table, h *hosts, n session.Notifier, _ func()) error {
			d := &session.Deleter{Table: tab, Closer: h, Notifier: n, RefusedHosts: memtable.NewHosts(), GiveUp: giveUp, Log: discard}
			answers, err := d.Delete(t.Context(), request(g.name, g.at, e))
			if err == nil {
				g.reason, g.closeAt = answers[0].FailureReason, answers[0].CloseAt
			}
			return err
		}})
	}
	for i := range cancels {
		all = append(all, &graceCall{name: fmt.Sprintf("c%d", i), cancels: true, call: func(g *graceCall, tab *table, _ *hosts, n session.Notifier, step func()) error {
			reader := stepReader{memtable.Reader{Table: r.shared}, step}
			cn := &session.Canceller{Table: tab, Getter: reader, Notifier: n, Now: func() time.Time { return at(float64(50 + i)) }, Log: discard}
			answers, err := cn.Cancel(t.Context(), cancelOf(g.name, session.CancelEntry{SessionID: "s1", Owner: alice}))
			if err == nil {
				g.reason = answers[0].FailureReason
			}
			return err
		}})
	}
	asked := all
	for i := range cleanups {
		all = append(all, &graceCall{name: fmt.Sprintf("cleanup%d", i), call: func(g *graceCall, tab *table, h *hosts, n session.Notifier, _ func()) error {
			u := newUpkeep(t)
			u.table, u.now = tab, []time.Time{at(160), at(700)}[c.choose(2)]
			cleaner := u.cleaner()
			cleaner.Closer, cleaner.Notifier, cleaner.NewID = h, n, func() string { return g.name }
			return cleaner.ProcessDue(t.Context())
		}})
	}
	all = append(all, &graceCall{name: "inventory", call: func(_ *graceCall, tab *table, _ *hosts, _ session.Notifier, _ func()) error {
		u := newUpkeep(t)
		u.table, u.now = tab, at(45)
		f := found("s1", alice)
		f.NumOfConnections = 2
		_, err := u.reconciler().Apply(t.Context(), inventory(hostA, at(44), f))
		return err
	}})
	var calls []func(step func())
	for _, g := range all {
		calls = append(calls, func(step func()) { r.carryOut(g, step) })
	}
	told, kept := false, false // that it is DELETING; that its deletion is cancelled
	concurrently(c.choose, func(i int) {
		for _, change := range feed.Ready() {
			r.lands(change.Old, change.New, told, kept)
		}
		if i < 0 || i >= len(asked) || all[i].reason != "" {
			return
		}
		g, now := all[i], r.shared.Get("s1").Session()
		switch {
		case g.cancels:
			if kept = true; now.State == session.Deleting {
				r.breaks("%s is answered that the deletion is cancelled, and it continues", g.name)
			}
		case len(r.cancelled) > 0: // the answer may be about a deletion from before
			told = told || now.State == session.Deleting
		case now.State != session.Deleting || now.NextAttemptAt.IsZero():
			r.breaks("%s is answered DELETING, and the record is %s", g.name, now.State)
		default:
			told = true
			if now.Confirmation == "" && !g.closeAt.IsZero() && g.closeAt.After(now.CloseAt) && now.DeletionRequestID == g.name {
				r.breaks("%s is answered that it is closed at %s, and that is %s", g.name, g.closeAt, now.CloseAt)
			}
		}
	}, calls...)
	r.answeredTruly(record, asked)
	return r.wrong
}

// carryOut runs a call, which stops before each write and each command.
func (r *graceRun) carryOut(g *graceCall, step func()) {
	tab := &table{Table: r.shared, before: func(int, session.Write) { step() }}
	tab.fault = func(_ int, w session.Write) fault {
		what := none
		if r.faultsLeft > 0 {
			if what = fault(r.c.choose(4)); what != none {
				r.faultsLeft--
			}
		}
		r.c.note("%s %s %v: %s", g.name, kind(w), w.Set, []string{"as the record says", "refused", "lost before", "lost after"}[what])
		return what
	}
	h := &hosts{refuses: map[string]string{}}
	h.before = func() {
		step()
		if r.c.choose(2) == 1 {
			h.refuses[hostA] = offline
		}
		r.c.note("%s asks the host: refused %v", g.name, len(h.refuses) > 0)
	}
	err := g.call(g, tab, h, notifierFunc(func(ctx context.Context, notices []session.Notice) []error {
		for _, n := range notices {
			of := &r.warned
			if n.CloseAt.IsZero() {
				of = &r.cleared
			}
			if n.At.After(*of) {
				*of = n.At
			}
		}
		h.before()
		return h.Notify(ctx, notices)
	}), step)
	if errors.Is(err, session.ErrTableDown) {
		g.reason = session.ReasonUnclear
	}
	r.c.note("%s is answered %q", g.name, g.reason)
}

// lands checks a change of the record.
func (r *graceRun) lands(before, after session.Record, told, kept bool) {
	was, is := before.Session(), after.Session()
	cancel := was.State == session.Deleting && is.State != session.Deleting && is.CancelledBy != was.CancelledBy
	switch {
	case cancel && !was.Waits():
		r.breaks("%s cancels a deletion that is being closed", is.CancelledBy)
	case cancel && is.State != was.StateBefore:
		r.breaks("%s makes it %s, and it was %s", is.CancelledBy, is.State, was.StateBefore)
	case cancel:
		r.cancelled[is.CancelledBy] = true
	case told && was.State == session.Deleting && is.State != session.Deleting:
		r.breaks("somebody was told DELETING, and then it became %s", is.State)
	case kept && is.State == session.Deleting:
		r.breaks("its deletion is cancelled, and it becomes DELETING")
	case is.State == session.Ready && is.AttemptID != "":
		r.breaks("a session without a deletion has the attempt %s", is.AttemptID)
	case is.NoticeID != "" && is.NoticeID != was.NoticeID && !is.NoticeAt.After(was.NoticeAt):
		r.breaks("the notice %s seems no newer than %s", is.NoticeID, was.NoticeID)
	case was.State == session.Deleting && is.State == session.Deleting && is.CloseAt.After(was.CloseAt):
		r.breaks("the close time becomes later: %s", is.CloseAt)
	}
}

// answeredTruly checks the answers, when all calls have ended.
func (r *graceRun) answeredTruly(before session.Record, asked []*graceCall) {
	after := r.shared.Get("s1")
	changed, certain := false, true
	for _, g := range asked {
		begun := after["State"] == "DELETING" && before["State"] != "DELETING" && after["DeletionRequestedAt"] == session.FormatTime(g.at)
		switch {
		case g.reason == "" || g.unclear():
			changed = true
			certain = certain && (!g.cancels || g.reason == "")
		case r.cancelled[g.name]:
			r.breaks("%s was told %q, and has cancelled the deletion", g.name, g.reason)
		case after["DeletionRequestId"] == g.name || after["AttemptId"] == g.name || begun:
			r.breaks("%s was told %q, and its deletion continues", g.name, g.reason)
		case !strings.Contains(g.reason, "othing was changed") && !strings.HasPrefix(g.reason, "Too late"):
			r.breaks("%s was told something odd: %q", g.name, g.reason)
		}
	}
	if diff := cmp.Diff(with(before, "NoticeAt", nil, "NumOfConnections", nil, "ObservedAt", nil), with(after, "NoticeAt", nil, "NumOfConnections", nil, "ObservedAt", nil)); !changed && after["CancelledAt"] == nil && diff != "" && before["State"] == "READY" {
		r.breaks("all were told that nothing was changed, but:\n%s", diff)
	}
	// Users who may read a close time are told that it no longer holds.
	if certain && len(r.cancelled) > 0 && after["State"] == "READY" && r.cleared.Before(r.warned) {
		r.breaks("users may read a notice of %s, and the newest notice of a cancel is of %s", r.warned, r.cleared)
	}
}

type notifierFunc func(context.Context, []session.Notice) []error

func (f notifierFunc) Notify(ctx context.Context, notices []session.Notice) []error {
	return f(ctx, notices)
}

// A stepReader stops before each read.
type stepReader struct {
	session.Getter
	step func()
}

func (r stepReader) Get(ctx context.Context, ids []string) ([]session.Record, error) {
	r.step()
	return r.Getter.Get(ctx, ids)
}
