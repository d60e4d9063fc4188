package session_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// emptyHosts are hosts of one kind, and the results of a Stopper.
type emptyHosts struct {
	running []session.RunningHost
	note    session.HostNote
	// after is what the notes are once they have been read.
	after   *session.HostNote
	stopped []string
	fails   map[string]error
	// index fails if it is set.
	index error
	now   time.Time
	log   slog.Handler
}

func (e *emptyHosts) Running(context.Context) ([]session.RunningHost, error) {
	return e.running, e.fails["running"]
}

func (e *emptyHosts) Stop(_ context.Context, hostID string) error {
	e.stopped = append(e.stopped, hostID)
	return e.fails[hostID]
}

func (e *emptyHosts) Notes(_ context.Context, hostIDs []string) (map[string]session.HostNote, error) {
	notes := map[string]session.HostNote{}
	for _, id := range hostIDs {
		notes[id] = e.note
	}
	if e.after != nil {
		e.note = *e.after
	}
	err := e.fails["notes"]
	e.fails["notes"] = cmp.Or(err, e.fails["notes again"])
	return notes, err
}

func (e *emptyHosts) stop(t *testing.T, records ...session.Record) error {
	t.Helper()
	table := memtable.New()
	for _, r := range records {
		table.Put(r)
	}
	s := session.Stopper{
		Index: brokenIndex{table, e.index}, Notes: e, Instances: e, Grace: 30 * time.Minute, Now: func() time.Time { return e.now }, Log: slog.New(e.log),
	}
	return s.Stop(t.Context())
}

func ago(d time.Duration) time.Time { return t0.Add(-d) }

// empty returns hosts that must be stopped.
func empty(ids ...string) *emptyHosts {
	e := &emptyHosts{
		note:  session.HostNote{SentAt: ago(time.Minute), OccupiedAt: ago(time.Hour), EmptySince: ago(30 * time.Minute)},
		fails: map[string]error{}, now: t0, log: slog.DiscardHandler,
	}
	for _, id := range ids {
		e.running = append(e.running, session.RunningHost{HostID: id, StartedAt: ago(2 * time.Hour)})
	}
	return e
}

func TestOnlyEmptyHostsAreStopped(t *testing.T) {
	type change = func(*emptyHosts)
	for name, change := range map[string]change{
		"":                        func(*emptyHosts) {},
		"not for long enough":     func(e *emptyHosts) { e.note.EmptySince = ago(30*time.Minute - time.Millisecond) },
		"no recent answer":        func(e *emptyHosts) { e.note.SentAt = ago(91 * time.Second) },
		"never used":              func(e *emptyHosts) { e.note.OccupiedAt = time.Time{} },
		"not used since a start":  func(e *emptyHosts) { e.running[0].StartedAt = ago(59 * time.Minute) },
		"started, who knows when": func(e *emptyHosts) { e.running[0].StartedAt = time.Time{} },
		"occupied":                func(e *emptyHosts) { e.note.EmptySince = time.Time{} },
		"occupied since":          func(e *emptyHosts) { e.note.OccupiedAt = e.note.EmptySince },
		"never answered":          func(e *emptyHosts) { e.note = session.HostNote{} },
	} {
		e := empty("i-1")
		change(e)
		if err := e.stop(t); err != nil || len(e.stopped) > 0 != (name == "") {
			t.Errorf("%q: stopped %q, %v", name, e.stopped, err)
		}
	}
}

func TestNoHostWithARecordIsStopped(t *testing.T) {
	for _, r := range []session.Record{
		{"SessionId": "ready", "LiveHostId": "i-1", "State": "READY"},
		{"SessionId": "open", "LiveHostId": "i-1", "State": "DELETING", "DueLane": "1", "NextAttemptAt": session.FormatTime(t0)},
		{"SessionId": "removed by force", "LiveHostId": "i-1", "State": "DELETED", "CloseUntil": session.FormatTime(t0)},
	} {
		e := empty("i-1", "i-2")
		if err := e.stop(t, r); err != nil || !slices.Equal(e.stopped, []string{"i-2"}) {
			t.Errorf("%v: stopped %q, %v", r["SessionId"], e.stopped, err)
		}
	}
}

// While other hosts were stopped, the host answered an inventory with a session.
func TestHostThatIsSeenOccupiedMeanwhileIsNotStopped(t *testing.T) {
	e := empty("i-1")
	e.after = &session.HostNote{SentAt: t0, OccupiedAt: t0}
	if err := e.stop(t); err != nil || len(e.stopped) > 0 {
		t.Errorf("stopped %q, %v", e.stopped, err)
	}
}

// Promise 8. It is no failure of the run, which an alarm would tell each minute.
func TestHostThatCannotBeStoppedFailsAlone(t *testing.T) {
	var log bytes.Buffer
	e := empty("i-1", "i-2")
	e.log, e.fails["i-1"] = slog.NewJSONHandler(&log, nil), fmt.Errorf("%w: UnsupportedOperation", session.ErrCannotBeStopped)
	if err := e.stop(t); err != nil || !slices.Equal(slices.Sorted(slices.Values(e.stopped)), []string{"i-1", "i-2"}) {
		t.Errorf("tried %q, %v", e.stopped, err)
	}
	if line := log.String(); !strings.Contains(line, `"level":"WARN"`) || !strings.Contains(line, `"HostId":"i-1"`) || !strings.Contains(line, "UnsupportedOperation") {
		t.Errorf("said:\n%s", line)
	}
}

// For example a missing permission: an alarm must report it.
func TestStopThatFailsFailsTheRun(t *testing.T) {
	e := empty("i-1", "i-2")
	e.fails["i-1"] = errors.New("UnauthorizedOperation")
	if err := e.stop(t); !errors.Is(err, e.fails["i-1"]) || !strings.Contains(err.Error(), "host i-1") || len(e.stopped) != 2 {
		t.Errorf("tried %q, %v", e.stopped, err)
	}
}

func TestNoHostIsStoppedWithoutAnAnswer(t *testing.T) {
	for _, what := range []string{"running", "notes", "notes again"} {
		e := empty("i-1")
		e.fails[what] = errors.New("no")
		if err := e.stop(t); err == nil || len(e.stopped) > 0 {
			t.Errorf("without an answer about %s: stopped %q, %v", what, e.stopped, err)
		}
	}
	e := empty("i-1")
	e.index = errors.New("no")
	if err := e.stop(t); !errors.Is(err, e.index) || len(e.stopped) > 0 {
		t.Errorf("without an answer about records: stopped %q, %v", e.stopped, err)
	}
}

// A brokenIndex fails if there is an error.
type brokenIndex struct {
	session.Index
	err error
}

func (x brokenIndex) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	records, more, err := x.Index.OnHost(ctx, hostID, after, limit)
	return records, more, cmp.Or(x.err, err)
}

func TestOneRunTriesTwentyHosts(t *testing.T) {
	if e := empty(hostIDs(25)...); e.stop(t) != nil || len(e.stopped) != 20 {
		t.Errorf("stopped %q", e.stopped)
	}
}

// However many cannot be stopped, and wherever EC2 lists the one that can.
func TestHostsThatCannotBeStoppedDoNotKeepOthersRunning(t *testing.T) {
	for _, n := range []int{21, 26, 40, 61} {
		ids := hostIDs(n)
		for _, can := range ids {
			e := empty(ids...)
			for _, id := range ids {
				e.fails[id] = session.ErrCannotBeStopped
			}
			delete(e.fails, can)
			for range n {
				if err := e.stop(t); err != nil {
					t.Fatal(err)
				}
				e.now = e.now.Add(time.Minute)
				e.note.SentAt = e.now.Add(-time.Minute)
			}
			if !slices.Contains(e.stopped, can) {
				t.Errorf("%d hosts: %s is never tried", n, can)
			}
		}
	}
}

func hostIDs(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprint("i-", i))
	}
	return ids
}
