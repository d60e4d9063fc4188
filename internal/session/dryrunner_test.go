package session_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// Check implements the hosts of a DryRunner: it returns those that would refuse.
func (h *hosts) Check(_ context.Context, hostIDs []string) (map[string]*session.Refusal, error) {
	refusals := map[string]*session.Refusal{}
	for _, id := range hostIDs {
		if reason, refuses := h.refuses[id]; refuses {
			refusals[id] = &session.Refusal{HostID: id, Reason: reason}
		}
	}
	return refusals, nil
}

func (w *world) dryRun(req session.Request) []session.DryAnswer {
	w.t.Helper()
	d := session.DryRunner{Getter: distinctReader{memtable.Reader{Table: w.table.Table}, w.t}, Notes: memtable.NewHosts(), HostChecker: w.hosts, Log: w.logger()}
	answers, err := d.DryRun(context.Background(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	return answers
}

// distinctReader is as strict as DynamoDB: a key that occurs twice fails the whole call.
type distinctReader struct {
	session.Reader
	t *testing.T
}

func (r distinctReader) Get(ctx context.Context, ids []string) ([]session.Record, error) {
	if sorted := slices.Sorted(slices.Values(ids)); len(slices.Compact(sorted)) != len(ids) {
		r.t.Errorf("asked for %q", ids)
	}
	return r.Reader.Get(ctx, ids)
}

// A dry run gives the answer of the real call right after it, for every kind of entry; it
// writes and sends nothing.
func TestDryRunForetellsTheRealCall(t *testing.T) {
	records := map[string]session.Record{
		"listed": listedRecord, "being created": with(listedRecord, "State", "CREATING"), "UNKNOWN": with(listedRecord, "State", "UNKNOWN"),
		"open": markedRecord, "failed": failedRecord, "confirmed": confirmedRecord, "given up": givenUpRecord, "ended": deletedRecord,
		"forced": forcedRecord, "forced, to be closed": toCloseRecord, "ended, to be closed": closingRecord,
		"given up, then confirmed": with(givenUpRecord, "Confirmation", "closed", "ConfirmedAt", session.FormatTime(at(50))),
		"without a state":          with(listedRecord, "State", nil), "unknown": nil,
		"waiting": waitingRecord, "waiting, its time is past": with(waitingRecord, "CloseAt", session.FormatTime(at(30))),
		"waited, then confirmed":  with(waitingRecord, "Confirmation", "closed", "ConfirmedAt", session.FormatTime(at(50))),
		"waited, is being closed": with(waitingRecord, "Attempts", int64(1), "CloseAt", session.FormatTime(at(30)), "TryUntil", session.FormatTime(at(3630))),
		"cancelled since":         with(listedRecord, "CancelledAt", session.FormatTime(at(60)), "CancelledBy", "r6"),
		"cancelled before":        with(listedRecord, "CancelledAt", session.FormatTime(at(59)), "CancelledBy", "r6"),
	}
	like := func(e session.Entry, host, creation string) session.Entry {
		e.HostID, e.CreationTime, e.AsksCloseAt = host, creation, true
		return e
	}
	asking, quiet := entry("s1", alice), withGrace("s1", time.Minute)
	asking.AsksCloseAt, quiet.AsksCloseAt = true, false
	entries := map[string][]session.Entry{
		"ordinary": {entry("s1", alice)}, "forced": {forced("s1", alice)},
		"another's": {entry("s1", mallory)}, "another's, forced": {forced("s1", mallory)},
		"with a grace period": {withGrace("s1", time.Minute)}, "with a longer one": {withGrace("s1", time.Hour)},
		"with one, unasked": {quiet}, "without one, asked": {asking},
		"as described": {like(entry("s1", alice), hostA, "2026-11-23T08:30:00.262883Z")}, "to the second": {like(withGrace("s1", time.Minute), hostA, "2026-11-23T09:30:00+01:00")},
		"of another host": {like(entry("s1", alice), hostB, "")}, "of another time": {like(entry("s1", alice), hostA, "2026-11-23T08:30:01Z")},
		"of another host, forced": {like(forced("s1", alice), hostB, "")}, "forced, asked": {like(forced("s1", alice), "", "")},
		"another's, of another host":       {like(entry("s1", mallory), hostB, "")},
		"both ways, twice, with another's": {entry("s1", alice), forced("s1", alice), entry("s1", mallory), entry("s1", alice)},
	}
	for name, r := range records {
		for how, asked := range entries {
			for _, host := range []string{"connected", "refusing"} {
				for _, mode := range []session.ForceMode{session.Purge, session.BestEffort} {
					t.Run(name+", "+how+", "+host+", "+string(mode), func(t *testing.T) {
						w := newWorld(t)
						if r != nil {
							w.table.Put(r)
						}
						if host == "refusing" {
							w.hosts.refuses[hostA] = offline
						}
						req := request("r7", at(60), asked...)
						var foretold []session.Answer
						for _, a := range w.dryRun(req) {
							foretold = append(foretold, a.Answer)
							if hits := a.Session != nil; hits != (a.FailureReason != session.NotFound) {
								t.Errorf("%+v", a)
							}
						}
						w.wrote()
						w.sent()
						if r != nil {
							w.is("s1", r)
						}
						d := w.deleter()
						d.ForceMode = mode
						real, err := d.Delete(context.Background(), req)
						if err != nil {
							t.Fatal(err)
						}
						if diff := cmp.Diff(real, foretold); diff != "" {
							t.Errorf("foretold (-real +foretold):\n%s", diff)
						}
					})
				}
			}
		}
	}
}

// Until its close time a session can be used, and the dry run shows it as
// describeSessions does.
func TestDryRunShowsWhatWaitsAsUsable(t *testing.T) {
	w := newWorld(t, waitingRecord)
	for seconds, want := range map[float64]session.State{60: session.Ready, 600: session.Deleting} {
		a := w.dryRun(request("r2", at(seconds), withGrace("s1", time.Hour)))[0]
		if a.Session.State != want || !a.CloseAt.Equal(at(600)) {
			t.Errorf("after %v seconds: %s, %+v", seconds, a.Session.State, a.Answer)
		}
	}
}

func TestDryRunTellsWhatWouldBeHit(t *testing.T) {
	const inventoried = 300
	hostTable := memtable.NewHosts()
	for _, a := range []session.HostAnswer{
		{SentAt: at(inventoried), Complete: true},
		{SentAt: at(500)}, // a cut inventory does not show which sessions are missing
	} {
		a.HostID = hostA
		if _, _, err := hostTable.RecordAnswer(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		from session.Record
		last time.Time
	}{
		"still there":              {seen(listedRecord), at(inventoried)},
		"changed since":            {with(seen(listedRecord), "ObservedAt", session.FormatTime(at(600))), at(600)},
		"first seen since":         {with(listedRecord, "FirstSeenAt", session.FormatTime(at(600))), at(600)},
		"of a silent host":         {with(seen(listedRecord), "State", "UNKNOWN"), at(-3600)},
		"never seen":               {listedRecord, time.Time{}},
		"on a host without answer": {with(seen(listedRecord), "HostId", "i-0cccccccccccccccc"), at(-3600)},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, with(tc.from, "NumOfConnections", int64(3)))
			d := session.DryRunner{Getter: memtable.Reader{Table: w.table.Table}, Notes: hostTable, HostChecker: w.hosts, Log: w.logger()}
			answers, err := d.DryRun(t.Context(), request("r1", at(1000), entry("s1", alice), entry("s1", mallory), entry("s2", alice)))
			if err != nil {
				t.Fatal(err)
			}
			a := answers[0]
			if a.Session == nil || a.Session.HostID != tc.from["HostId"] || a.Session.NumOfConnections != 3 || string(a.Session.State) != tc.from["State"] {
				t.Errorf("session %+v", a.Session)
			}
			if !a.LastSeenAt.Equal(tc.last) {
				t.Errorf("last seen %v, want %v", a.LastSeenAt, tc.last)
			}
			for _, a := range answers[1:] { // nothing about other owners' sessions
				if a.Session != nil || !a.LastSeenAt.IsZero() || a.FailureReason != session.NotFound {
					t.Errorf("%+v", a)
				}
			}
		})
	}
}

// Only hosts whose refusal would matter are asked about, each once.
func TestDryRunAsksLittle(t *testing.T) {
	w := newWorld(t, listedRecord, with(listedRecord, "SessionId", "s2"),
		with(listedRecord, "SessionId", "s3", "HostId", hostB), with(markedRecord, "SessionId", "s4", "HostId", "i-0cccccccccccccccc"))
	var asked []string
	checker := checkerFunc(func(hostIDs []string) error {
		asked = append(asked, hostIDs...)
		return nil
	})
	d := session.DryRunner{Getter: memtable.Reader{Table: w.table.Table}, Notes: memtable.NewHosts(), HostChecker: checker, Log: w.logger()}
	_, err := d.DryRun(t.Context(), request("r1", t0, entry("s1", alice), entry("s2", alice), entry("s2", mallory), forced("s3", alice), entry("s4", alice), entry("s9", alice)))
	if err != nil || !slices.Equal(asked, []string{hostA}) {
		t.Errorf("asked about %q, %v", asked, err)
	}
}

type checkerFunc func(hostIDs []string) error

func (f checkerFunc) Check(_ context.Context, hostIDs []string) (map[string]*session.Refusal, error) {
	return nil, f(hostIDs)
}

type brokenReader struct{ session.Reader }

func (brokenReader) Get(context.Context, []string) ([]session.Record, error) {
	return nil, errors.New("throttled")
}

func TestDryRunThatCannotTellSaysSo(t *testing.T) {
	w := newWorld(t, listedRecord)
	d := session.DryRunner{Getter: brokenReader{}, Notes: memtable.NewHosts(), HostChecker: w.hosts, Log: w.logger()}
	if _, err := d.DryRun(t.Context(), request("r1", t0, entry("s1", alice))); !errors.Is(err, session.ErrTableDown) {
		t.Errorf("error %v", err)
	}
	down := errors.New("throttled")
	d = session.DryRunner{Getter: memtable.Reader{Table: w.table.Table}, Notes: memtable.NewHosts(), HostChecker: checkerFunc(func([]string) error { return down }), Log: w.logger()}
	if _, err := d.DryRun(t.Context(), request("r1", t0, entry("s1", alice))); !errors.Is(err, down) {
		t.Errorf("error %v", err)
	}
}
