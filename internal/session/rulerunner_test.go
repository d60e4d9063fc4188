package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// runner carries rules out at that time; its runs are called run-1 and so on.
func (w *world) runner(now time.Time) *session.RuleRunner {
	var (
		mu   sync.Mutex
		runs int
	)
	newID := func() string {
		mu.Lock()
		defer mu.Unlock()
		runs++
		return fmt.Sprintf("run-%d", runs)
	}
	return &session.RuleRunner{
		Table: w.table, Reader: memtable.Reader{Table: w.table.Table}, Closer: w.hosts, Notifier: w.hosts, GiveUp: giveUp,
		Now: func() time.Time { return now }, NewID: newID, Log: w.logger(),
	}
}

// run carries out the rule "nightly" on all sessions, except for what change says.
func (w *world) run(now time.Time, change func(*session.Rule)) *session.RuleRun {
	w.t.Helper()
	rule := session.Rule{Name: "nightly", Limit: session.DefaultRuleLimit}
	if change != nil {
		change(&rule)
	}
	run, err := w.runner(now).Run(context.Background(), rule)
	if err != nil {
		w.t.Fatalf("Run: %v", err)
	}
	return run
}

// did returns the results for the selected sessions, by ID.
func did(run *session.RuleRun) map[string]session.RuleDeed {
	all := map[string]session.RuleDeed{}
	for _, o := range run.Sessions {
		all[o.Session.ID] = o.Did
	}
	return all
}

func (w *world) states() map[string]any {
	states := map[string]any{}
	for _, r := range w.table.All() {
		states[r["SessionId"].(string)] = r["State"]
	}
	return states
}

func TestRuleMarksAsARequestDoes(t *testing.T) {
	w := newWorld(t, with(listedRecord, "FirstSeenAt", session.FormatTime(at(-3600))))
	run := w.run(t0, func(r *session.Rule) { r.Reason = "the night" })
	w.is("s1", with(w.table.Get("s1"), "State", "DELETING", "DeletionRequestedBy", "rule nightly", "DeletionRequestId", "run-1", "AttemptId", "run-1",
		"DeletionRequestedAt", session.FormatTime(t0), "TryUntil", session.FormatTime(t0.Add(giveUp)), "NextAttemptAt", session.FormatTime(t0.Add(session.Lease)),
		"Attempts", int64(1), "DeletionReason", "the night"))
	w.sent("run-1: s1")
	if diff := cmp.Diff(map[string]session.RuleDeed{"s1": session.RuleMarked}, did(run)); diff != "" || run.Looked != 1 || run.Bound != "" {
		t.Errorf("%+v\n%s", run, diff)
	}
	w.report(at(10), closed(hostA, "run-1", "s1"))
	w.finish(at(20), w.table.Get("s1"))
	w.has("s1", "State", "DELETED", "DeletionReason", "the night")
}

// With a grace period the mark is that of an entry with one, and the user is told.
func TestRuleWithAGracePeriodWaitsAndTellsTheUser(t *testing.T) {
	grace := func(r *session.Rule) {
		r.GracePeriod, r.Message, r.Reason = 10*time.Minute, "Save your work.", "maintenance"
	}
	w := newWorld(t, with(ready("s1", alice, hostA), "NoticeAt", session.FormatTime(t0)), ready("s2", alice, hostB))
	w.hosts.refuses[hostB] = offline
	if dry := w.run(t0, func(r *session.Rule) { grace(r); r.DryRun = true }); len(dry.Sessions) != 2 || !dry.Sessions[0].CloseAt.Equal(at(600)) || len(w.hosts.told) > 0 {
		t.Errorf("dry run: %+v, told %v", dry, w.closeTimes())
	}
	run := w.run(t0, grace)
	w.is("s1", with(waitingRecord, "DeletionRequestId", "run-1", "DeletionRequestedBy", "rule nightly", "AttemptId", "notice-run-1", "NoticeId", "notice-run-1",
		"NoticeAt", session.FormatTime(at(0.001))))
	w.has("s2", "State", "DELETING", "Attempts", int64(0), "CloseAt", session.FormatTime(at(600)), "Warning", "failed: The host "+offline+".", "AttemptFailedAt", nil)
	w.sent()
	w.told("notice-run-1 " + session.FormatTime(at(600)))
	for _, o := range run.Sessions {
		if o.Did != session.RuleMarked || !o.CloseAt.Equal(at(600)) {
			t.Errorf("%+v", o)
		}
	}
	if text := w.hosts.told[0].Text; !strings.HasPrefix(text, "Save your work.\n\n") {
		t.Errorf("told %q", text)
	}

	// Cancelled, it is left alone for a day: by this rule and by others.
	w.cancel("c1", at(60), "READY")
	for _, change := range []func(*session.Rule){grace, func(*session.Rule) {}} {
		if again := w.run(at(120), change); again.LeftAlone != 1 || len(again.Sessions) != 0 {
			t.Errorf("after a cancel: %+v", again)
		}
	}
	w.has("s1", "State", "READY")
	if again := w.run(at(60+24*3600), grace); len(again.Sessions) != 1 {
		t.Errorf("a day after: %+v", again)
	}
}

func TestRuleSelectsSessionsThatMeetAllConditions(t *testing.T) {
	hour := func(hours float64) string { return session.FormatTime(at(-3600 * hours)) }
	records := []session.Record{
		with(ready("a", alice, hostA), "CreationTime", hour(10), "FirstSeenAt", hour(9.9)),
		with(ready("b", alice, hostB), "CreationTime", hour(10), "FirstSeenAt", hour(2)), // seen late
		with(ready("c", mallory, hostA), "CreationTime", hour(2), "FirstSeenAt", hour(1.9), "Type", "console"),
		with(ready("d", mallory, hostB), "CreationTime", "1970-01-01T00:00:00Z", "FirstSeenAt", hour(1)), // its clock is off
		with(ready("e", alice, hostA), "CreationTime", "", "FirstSeenAt", hour(7)),
		with(ready("f", alice, hostA), "CreationTime", ""),                                  // nobody knows how old it is
		with(ready("g", alice, hostA), "CreationTime", hour(-0.1)),                          // begins later
		with(ready("unknown", alice, hostA), "State", "UNKNOWN", "FirstSeenAt", hour(9)),    //
		with(ready("deleting", alice, hostA), "State", "DELETING", "FirstSeenAt", hour(9)),  //
		with(ready("ended", alice, hostA), "State", "DELETED", "FirstSeenAt", hour(9)),      //
		with(ready("creating", alice, hostA), "State", "CREATING", "FirstSeenAt", hour(10)), //
	}
	for want, sel := range map[string]session.Selection{
		"a b c d e f":  {},
		"a b e f":      {Owners: []string{alice}},
		"a b c d e f ": {Owners: []string{mallory, alice, alice, "nobody"}},
		"a c e f":      {HostIDs: []string{hostA}},
		"a e f":        {HostIDs: []string{hostA, "i-none"}, Owners: []string{alice}},
		"c":            {Type: "console"},
		"a e":          {OlderThan: 6 * time.Hour},
		"a b e":        {OlderThan: 2 * time.Hour},
		"a b d e":      {CreatedBefore: at(-3600 * 6)},
		"a b d":        {CreatedBefore: at(-3600 * 10).Add(time.Second)},
		"d":            {CreatedBefore: at(-3600 * 10)},
		"b":            {Owners: []string{alice}, HostIDs: []string{hostB}, Type: "virtual", CreatedBefore: at(-3600 * 6)},
		"":             {Owners: []string{mallory}, OlderThan: 6 * time.Hour},
	} {
		w := newWorld(t, records...)
		run := w.run(t0, func(r *session.Rule) { r.Select = sel })
		got := slices.Sorted(maps.Keys(did(run)))
		if !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%+v selects %q, want %s", sel, got, want)
		}
		for id, state := range w.states() {
			if selected := slices.Contains(got, id); selected != (state == "DELETING" && id != "deleting") {
				t.Errorf("%+v: %s is %s", sel, id, state)
			}
		}
	}
}

// A session that changed after it was read is not marked.
func TestRuleMarksOnlySessionsUnchangedSinceTheRead(t *testing.T) {
	for _, change := range [][]any{
		{"Owner", mallory}, {"HostId", hostB}, {"CreationTime", "2026-11-23T19:01:01.000000Z"}, {"CreationTime", ""}, {"FirstSeenAt", session.FormatTime(t0)},
		{"State", "UNKNOWN"}, {"State", "DELETED"}, {"State", "DELETING"}, {"Confirmation", "vanished"}, {"CancelledAt", session.FormatTime(at(-0.1))},
	} {
		for n, lost := range []fault{none, lostBefore, none, lostBefore} {
			w := newWorld(t, with(listedRecord, "FirstSeenAt", session.FormatTime(at(-3600))))
			changed := with(w.table.Get("s1"), change...)
			w.table.before = func(int, session.Write) { w.table.Put(changed) }
			w.table.fault = onWrite(1, lost)
			run := w.run(t0, func(r *session.Rule) { r.GracePeriod = time.Duration(n/2) * time.Minute })
			w.is("s1", changed)
			w.sent()
			w.told()
			// A write without an answer may still land, if the session is unchanged again.
			want := map[fault]session.RuleDeed{none: session.RuleMoved, lostBefore: session.RuleUnclear}[lost]
			if got := did(run)["s1"]; got != want {
				t.Errorf("%v: %s, want %s", change, got, want)
			}
		}
	}
}

func TestRuleSkipsSessionsWhoseDeletionACallerCancelled(t *testing.T) {
	for _, tc := range []struct {
		cancelled, created string
		deleted            bool
	}{
		{session.FormatTime(at(-1)), "2026-11-23T08:30:00Z", false},
		{session.FormatTime(at(-24*3600 + 1)), "2026-11-20T08:30:00Z", false},
		{session.FormatTime(at(-24 * 3600)), "2026-11-20T08:30:00Z", true},
		{session.FormatTime(at(-3600)), "2026-11-23T18:30:00Z", true}, // another incarnation's
		{session.FormatTime(at(-3600)), "", false},                    // perhaps this one's
	} {
		w := newWorld(t, with(listedRecord, "CancelledAt", tc.cancelled, "CreationTime", tc.created,
			"FirstSeenAt", session.FormatTime(at(-600))))
		run := w.run(t0, nil)
		if deleted := w.table.Get("s1")["State"] == "DELETING"; deleted != tc.deleted || run.LeftAlone == 1 == tc.deleted {
			t.Errorf("%+v: %s, %+v", tc, w.table.Get("s1")["State"], run)
		}
	}
}

// A nightly rule on a large fleet deletes each selected session once, even with two runs
// at the same time. It does not delete newer sessions, and a dry run changes nothing.
func TestRuleOnAThousandSessions(t *testing.T) {
	w := newWorld(t)
	for n := range 1000 {
		w.table.Put(ready(fmt.Sprintf("s-%04d", n), fmt.Sprintf("owner-%d", n%7), fmt.Sprintf("i-%017d", n%60)))
	}
	before := w.states()
	all := func(r *session.Rule) { r.Limit = 1000 }
	dry := w.run(t0, func(r *session.Rule) { all(r); r.DryRun = true })
	if diff := cmp.Diff(before, w.states()); diff != "" || len(dry.Sessions) != 1000 || dry.Sessions[999].Did != session.WouldDelete || len(w.hosts.sent) > 0 || len(w.table.written) > 0 {
		t.Fatalf("a dry run selected %d, sent %d commands and changed:\n%s", len(dry.Sessions), len(w.hosts.sent), diff)
	}
	if run := w.run(t0, func(r *session.Rule) { r.DryRun = true }); run.Bound != session.BoundLimit || len(run.Sessions) != session.DefaultRuleLimit {
		t.Errorf("with the default limit: %d, bound %q", len(run.Sessions), run.Bound)
	}

	// Right after both have read, a session begins, and another takes the ID of one that they read.
	begins := sync.OnceFunc(func() {
		w.table.Put(ready("s-late", alice, hostA))
		next := w.table.Get("s-0000")
		next["CreationTime"] = session.TimeText(t0.Add(-time.Second))
		w.table.Put(next)
	})
	var begin, end sync.WaitGroup
	begin.Add(2)
	fleets := [2]*hosts{{}, {}}
	runs := [2]*session.RuleRun{}
	for i := range 2 {
		end.Go(func() {
			rr := w.runner(t0)
			rr.Table, rr.Closer, rr.Log = w.table.Table, fleets[i], slog.New(slog.DiscardHandler)
			rr.Reader = afterReading{rr.Reader, sync.OnceFunc(func() { begin.Done(); begin.Wait(); begins() })}
			rr.NewID = func() string { return fmt.Sprintf("run-%d", i) }
			runs[i], _ = rr.Run(t.Context(), session.Rule{Name: "nightly", Limit: 1000})
		})
	}
	end.Wait()
	times := map[string]int{}
	for i, run := range runs {
		for id, deed := range did(run) {
			switch owner := w.table.Get(id)["AttemptId"]; {
			case deed == session.RuleMarked && owner == run.RequestID:
				times[id]++
			case deed != session.RuleMoved || owner == run.RequestID:
				t.Fatalf("%s of %s: %s, and its attempt is %s", id, run.RequestID, deed, owner)
			}
		}
		for _, sent := range fleets[i].closings() {
			_, id, _ := strings.Cut(sent, ": ")
			times[id]++
		}
	}
	for id := range before {
		if id != "s-0000" && times[id] != 2 { // marked, and sent
			t.Fatalf("%s was marked or sent %d times, not once each", id, times[id])
		}
	}
	if len(times) != 999 || runs[0].Bound != "" || runs[1].Bound != "" {
		t.Errorf("%d sessions; bounds %q and %q", len(times), runs[0].Bound, runs[1].Bound)
	}
	for _, id := range []string{"s-late", "s-0000"} {
		w.has(id, "State", "READY")
	}
}

// afterReading does something once all records are read.
type afterReading struct {
	session.Reader
	do func()
}

func (r afterReading) All(ctx context.Context, after string, limit int) ([]session.Record, bool, error) {
	records, more, err := r.Reader.All(ctx, after, limit)
	if !more {
		r.do()
	}
	return records, more, err
}

// Promise 11: a run's work is bounded, it reports that it reached a bound, and the runs
// together reach all sessions.
func TestRuleRunsAreBounded(t *testing.T) {
	w := newWorld(t)
	var large largeTable
	for n := range 12_000 {
		large = append(large, with(ready(fmt.Sprintf("%05d", n*8), alice, hostA), "State", "DELETED"))
	}
	looked := map[string]bool{}
	for start := range 10 {
		for _, sel := range []session.Selection{{}, {Owners: []string{alice}}, {HostIDs: []string{hostA}}, {Owners: []string{mallory, alice}}} {
			rr := w.runner(t0)
			rr.NewID = func() string { return fmt.Sprintf("%d", start) }
			reads := 0
			rr.Reader = noting{large, func(id string) { reads++; looked[id] = true }}
			run, err := rr.Run(t.Context(), session.Rule{Name: "nightly", Limit: 1, Select: sel})
			if err != nil || run.Bound != session.BoundRecords || run.Looked != 10_000 || reads != 10_000 {
				t.Fatalf("from %d, %+v: bound %q after %d records, %d read, %v", start, sel, run.Bound, run.Looked, reads, err)
			}
		}
	}
	if len(looked) != 12_000 {
		t.Errorf("ten runs looked at %d of 12,000 records", len(looked))
	}
	if log := w.log.String(); !strings.Contains(log, "rule stopped at a bound") || !strings.Contains(log, "Bound=records") || !strings.Contains(log, "RuleRunsAtBound") {
		t.Errorf("logged:\n%.500s", log)
	}

	// Of a small table each record is looked at once, wherever it begins, and little is read twice.
	reads := 0
	rr := w.runner(t0)
	rr.NewID = func() string { return "3" }
	rr.Reader = noting{large[:6000], func(string) { reads++ }}
	if run, err := rr.Run(t.Context(), session.Rule{Name: "nightly", Limit: 1}); err != nil || run.Bound != "" || run.Looked != 6000 || reads > 6000+250 {
		t.Errorf("bound %q after %d records, %d read, %v", run.Bound, run.Looked, reads, err)
	}

	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		rr.Reader = large
		if run, err := rr.Run(ctx, session.Rule{Name: "nightly", Limit: 1}); err != nil || run.Bound != session.BoundTime || run.Looked > 0 {
			t.Errorf("without time: %+v, %v", run, err)
		}
	})
}

// A largeTable is alice's records on one host, by ID.
type largeTable []session.Record

func (l largeTable) All(_ context.Context, after string, limit int) ([]session.Record, bool, error) {
	rest := l[sort.Search(len(l), func(i int) bool { return l[i]["SessionId"].(string) > after }):]
	return rest[:min(len(rest), limit)], len(rest) > limit, nil
}

func (l largeTable) Owned(ctx context.Context, owner, after string, limit int) ([]session.Record, bool, error) {
	if owner != alice {
		return nil, false, nil
	}
	return l.All(ctx, after, limit)
}

func (l largeTable) OnHost(ctx context.Context, _, after string, limit int) ([]session.Record, bool, error) {
	return l.All(ctx, after, limit)
}

func (l largeTable) Get(context.Context, []string) ([]session.Record, error) {
	return nil, errors.New("none is READY")
}

// noting reports each record that is read.
type noting struct {
	largeTable
	of func(id string)
}

func (r noting) note(records []session.Record, more bool, err error) ([]session.Record, bool, error) {
	for _, record := range records {
		r.of(record["SessionId"].(string))
	}
	return records, more, err
}

func (r noting) All(ctx context.Context, after string, limit int) ([]session.Record, bool, error) {
	return r.note(r.largeTable.All(ctx, after, limit))
}

func (r noting) Owned(ctx context.Context, owner, after string, limit int) ([]session.Record, bool, error) {
	return r.note(r.largeTable.Owned(ctx, owner, after, limit))
}

func (r noting) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	return r.note(r.largeTable.OnHost(ctx, hostID, after, limit))
}

// A rule has no caller who could repeat the request: a refused deletion keeps its lease.
func TestRuleDoesNotPutBackWhatIsRefused(t *testing.T) {
	w := newWorld(t, listedRecord, ready("s2", alice, hostB), ready("s3", alice, "i-0cccccccccccccccc"))
	w.hosts.refuses[hostB] = offline
	w.hosts.unclear[hostA] = true
	w.run(t0, nil)
	for _, id := range []string{"s1", "s2", "s3"} {
		w.has(id, "State", "DELETING", "AttemptId", "run-1", "Confirmation", nil)
	}
	w.has("s2", "StateReason", "The host "+offline+".")
	if w.table.Get("s2")["NextAttemptAt"] == nil || w.table.Get("s1")["AttemptFailedAt"] != nil {
		t.Errorf("%v\n%v", w.table.Get("s1"), w.table.Get("s2"))
	}
}

func TestRuleWhoseWritesFail(t *testing.T) {
	for _, tc := range []struct {
		fault fault
		times int // how often it goes wrong
		deed  session.RuleDeed
		state string
		sent  []string
		err   error
	}{
		{refused, 1, session.RuleFailed, "READY", nil, session.ErrTableDown},
		{lostBefore, 1, session.RuleMarked, "DELETING", []string{"run-1: s1"}, nil},
		{lostAfter, 1, session.RuleMarked, "DELETING", []string{"run-1: s1"}, nil},
		{lostBefore, 2, session.RuleUnclear, "READY", nil, session.ErrTableDown},
		{lostAfter, 2, session.RuleUnclear, "DELETING", nil, session.ErrTableDown}, // its lease sends it
	} {
		for _, grace := range []time.Duration{0, time.Minute} {
			w := newWorld(t, listedRecord)
			w.table.fault = func(n int, _ session.Write) fault {
				if n <= tc.times {
					return tc.fault
				}
				return none
			}
			run, err := w.runner(t0).Run(t.Context(), session.Rule{Name: "nightly", Limit: 1, GracePeriod: grace})
			if did(run)["s1"] != tc.deed || !errors.Is(err, tc.err) || tc.err == nil && err != nil {
				t.Errorf("%+v, grace %s: %s, %v", tc, grace, did(run)["s1"], err)
			}
			w.has("s1", "State", tc.state)
			if grace == 0 {
				w.sent(tc.sent...)
			} else if w.sent(); len(w.hosts.told) != len(tc.sent) {
				t.Errorf("%+v: told %q", tc, w.closeTimes())
			}
		}
	}
}

func TestRuleFailsIfTheTableCannotBeRead(t *testing.T) {
	down := errors.New("down")
	for _, sel := range []session.Selection{{}, {Owners: []string{alice}}, {HostIDs: []string{hostA}}} {
		for _, get := range []error{nil, down} {
			w := newWorld(t, listedRecord)
			rr := w.runner(t0)
			rr.Reader = failingReader{rr.Reader, get, down}
			if len(sel.Owners) > 0 && get != nil {
				rr.Reader = failingReader{rr.Reader.(failingReader).Reader, get, nil}
			}
			if _, err := rr.Run(t.Context(), session.Rule{Name: "nightly", Limit: 1, Select: sel}); !errors.Is(err, down) {
				t.Errorf("%+v: %v", sel, err)
			}
			w.wrote()
		}
	}
}

type failingReader struct {
	session.Reader
	get, list error
}

func (r failingReader) Get(ctx context.Context, ids []string) ([]session.Record, error) {
	records, _ := r.Reader.Get(ctx, ids)
	return records, r.get
}

func (r failingReader) Owned(ctx context.Context, owner, after string, limit int) ([]session.Record, bool, error) {
	records, more, _ := r.Reader.Owned(ctx, owner, after, limit)
	return records, more, r.list
}

func (r failingReader) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	records, more, _ := r.Reader.OnHost(ctx, hostID, after, limit)
	return records, more, r.list
}

func (r failingReader) All(ctx context.Context, after string, limit int) ([]session.Record, bool, error) {
	records, more, _ := r.Reader.All(ctx, after, limit)
	return records, more, r.list
}

// One log line a session says what happens to it.
func TestRuleLogsALineASession(t *testing.T) {
	for _, dry := range []bool{false, true} {
		w := newWorld(t, listedRecord, ready("s2", alice, hostB), ready("s3", mallory, hostA))
		w.hosts.refuses[hostB] = offline
		w.table.before = func(_ int, wr session.Write) {
			if wr.SessionID == "s3" {
				w.table.Put(with(w.table.Get("s3"), "HostId", hostB))
			}
		}
		w.run(t0, func(r *session.Rule) { r.DryRun = dry })
		for _, id := range []string{"s1", "s2", "s3"} {
			if lines := strings.Count(w.log.String(), "SessionId="+id+" "); lines != 1 {
				t.Errorf("dry run %v: %d lines of %s:\n%s", dry, lines, id, w.log.String())
			}
		}
		if lines := strings.Count(w.log.String(), `RequestId=run-1 RequestedBy="rule nightly"`); lines != 4 {
			t.Errorf("dry run %v: %d lines:\n%s", dry, lines, w.log.String())
		}
	}
}
