package session_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// crashing is a fleet whose caller is killed before it sends a command.
type crashing struct{}

func (crashing) Close(context.Context, session.Attempt) []error { panic("killed") }

// asked is a fleet that records its attempts.
type asked struct{ attempts []session.Attempt }

func (a *asked) Close(_ context.Context, attempt session.Attempt) []error {
	a.attempts = append(a.attempts, attempt)
	return make([]error, len(attempt.Closings))
}

// living is an EC2 in which every host is alive.
type living struct{}

func (living) Statuses(context.Context, []string) (map[string]session.HostStatus, map[string]string, error) {
	return nil, nil, nil
}

// The request is killed between the mark and the command: the deletion is in the table
// with a lease, and when that has ended, cleanup sends the command.
func TestKilledBetweenMarkAndCommandIsRescued(t *testing.T) {
	for name, e := range map[string]session.Entry{"ordinary": entry("s1", alice), "forced, best effort": forced("s1", alice)} {
		t.Run(name, func(t *testing.T) { killedBetweenMarkAndCommand(t, e) })
	}
}

func killedBetweenMarkAndCommand(t *testing.T, e session.Entry) {
	table := memtable.New()
	table.Put(ready("s1", alice, hostA))
	log := slog.New(slog.DiscardHandler)
	func() {
		defer func() {
			if recover() == nil {
				t.Fatal("the request was not killed")
			}
		}()
		d := &session.Deleter{Table: table, Closer: crashing{}, GiveUp: giveUp, ForceMode: session.BestEffort, Log: log}
		d.Delete(context.Background(), request("r1", t0, e))
	}()

	now := at(60)
	hosts := &asked{}
	clock := func() time.Time { return now }
	cleaner := &session.Cleaner{
		Table: table, Index: wholeIndex(table), Closer: hosts,
		Reaper: &session.HostReaper{Table: table, Index: wholeIndex(table), Instances: living{}, HostTable: memtable.NewHosts(), Now: clock, NewID: func() string { return "b" }, Log: log},
		GiveUp: giveUp, Now: clock, NewID: func() string { return "a2" }, Log: log,
	}
	if err := cleaner.ProcessDue(context.Background()); err != nil || len(hosts.attempts) != 0 {
		t.Fatalf("sent %v before the lease had ended (%v)", hosts.attempts, err)
	}
	now = t0.Add(session.Lease)
	if err := cleaner.ProcessDue(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(hosts.attempts) != 1 || hosts.attempts[0].ID != "a2" || hosts.attempts[0].Closings[0].SessionID != "s1" {
		t.Fatalf("sent %+v", hosts.attempts)
	}
	if end := t0.Add(giveUp); !hosts.attempts[0].Closings[0].VoidAfter.Equal(end) {
		t.Errorf("void after %v, not when the deletion is given up, %v", hosts.attempts[0].Closings[0].VoidAfter, end)
	}
	if s := table.Get("s1").Session(); s.AttemptID != "a2" || s.Attempts != 2 || !s.NextAttemptAt.After(now) {
		t.Errorf("record: %v", table.Get("s1"))
	}
}
