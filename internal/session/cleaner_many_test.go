package session_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dcv-session-broker/internal/session"
)

// many returns deletions, each due a second before the previous one.
func many(n int) (records []session.Record) {
	for i := range n {
		req := request("r1", at(float64(-i)))
		id := fmt.Sprintf("s-%04d", i)
		u := newUpkeep(nil, ready(id, alice, hostA))
		u.tryWrite(session.Mark(entry(id, alice), req))
		records = append(records, u.table.Get(id))
	}
	return records
}

func TestLongestDueFirstPageByPage(t *testing.T) {
	u := newUpkeep(t, many(1200)...)
	u.clean(at(130))
	sent := u.hosts.closings()
	slices.Sort(sent)
	if sent = slices.Compact(sent); len(sent) != 1200 || len(u.table.written) != 1200 {
		t.Errorf("%d writes, %d sessions sent", len(u.table.written), len(sent))
	}
	for i, limit := range u.limits {
		if limit > 250 {
			t.Errorf("read %d asks for %d", i, limit)
		}
	}
	first := u.hosts.sent[0].Closings
	for i, c := range first[1:] {
		if c.SessionID > first[i].SessionID { // the later ones were asked for earlier
			t.Fatalf("%s is tried before %s", first[i].SessionID, c.SessionID)
		}
	}
	if len(first) > 1000 {
		t.Errorf("%d in one round", len(first))
	}
}

func TestRunStopsBeforeItsTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUpkeep(t, many(1200)...)
		u.now = at(130)
		ctx, cancel := context.WithTimeout(t.Context(), 19*time.Second)
		defer cancel()
		if err := u.cleaner().ProcessDue(ctx); err != nil || len(u.table.written) > 0 {
			t.Errorf("%v, %d writes in the last seconds", err, len(u.table.written))
		}

		ctx, cancel = context.WithTimeout(t.Context(), 21*time.Second)
		defer cancel()
		u.table.before = func(n int, _ session.Write) {
			if n == 1 {
				time.Sleep(1100 * time.Millisecond)
			}
		}
		if err := u.cleaner().ProcessDue(ctx); err != nil {
			t.Error(err)
		}
		done := len(u.table.written)
		if done == 0 || done > 1000 {
			t.Errorf("%d writes in one round", done)
		}
		u.clean(at(130)) // the next run
		if len(u.table.written) != 1200 {
			t.Errorf("%d writes in two runs", len(u.table.written))
		}
	})
}

func TestBadRecordsAreLeftToTheNextRun(t *testing.T) {
	records := many(5)
	u := newUpkeep(t, append(records, session.Record{"SessionId": "odd", "State": "DELETING", "DueLane": "0", "NextAttemptAt": "2026"})...)
	u.table.fault = onSession("s-0003", refused)
	u.clean(at(130))
	if len(u.hosts.closings()) != 4 || len(u.table.written) != 6 {
		t.Errorf("sent %q with %d writes", u.hosts.closings(), len(u.table.written))
	}
	u.is("s-0003", records[3])
}

// Promise 11: deletions that a run does not reach are reported. An index that is behind
// shows handled deletions as due, too.
func TestDeletionsThatARunDoesNotReachAreReported(t *testing.T) {
	for fail, want := range map[bool]bool{true: true, false: false} {
		u := newUpkeep(t, many(1200)...)
		u.table.fault = func(int, session.Write) fault { return map[bool]fault{true: refused}[fail] }
		u.clean(at(130))
		if told := strings.Contains(u.log.String(), "still due"); told != want {
			t.Errorf("writes fail: %t, told: %t", fail, told)
		}
	}
}
