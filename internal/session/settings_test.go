package session_test

import (
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/session"
)

// The give-up time is the one that was set when the deletion was requested: a later
// change does not affect it or its commands.
func TestTimeToGiveUpMayChange(t *testing.T) {
	const day, short = 24 * time.Hour, 5 * time.Minute
	for name, tc := range map[string]struct{ then, now, tried time.Duration }{
		"lowered":                      {day, short, day},
		"raised":                       {short, day, short},
		"of a record of an old broker": {0, 10 * time.Minute, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, listedRecord)
			d := u.deleter()
			d.GiveUp = tc.then
			if tc.then == 0 {
				u.table.Put(with(failedRecord, "TryUntil", nil))
			} else if _, err := d.Delete(t.Context(), request("r1", t0, entry("s1", alice))); err != nil {
				t.Fatal(err)
			}
			until := t0.Add(tc.tried)
			voidAt := func(n int) {
				t.Helper()
				if sent := u.hosts.sent; len(sent) == 0 || !sent[len(sent)-1].Closings[0].VoidAfter.Equal(until) {
					t.Errorf("command %d: %+v, not void at %v", n, sent, until)
				}
			}
			if tc.then > 0 {
				voidAt(1)
			}

			u.now = at(120)
			cleaner := u.cleaner()
			cleaner.GiveUp = tc.now
			run := func(when time.Time) {
				t.Helper()
				u.now = when
				if err := cleaner.ProcessDue(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			run(at(120))
			u.has("s1", "AttemptId", "a1", "State", "DELETING")
			voidAt(2)
			u.report(at(130), session.Report{HostID: hostA, AttemptID: "a1", SessionID: "s1", Outcome: session.OutcomeFailed, Reason: "no"})

			d.GiveUp = tc.now
			if _, err := d.Delete(t.Context(), request("r2", at(150), entry("s1", alice))); err != nil {
				t.Fatal(err)
			}
			u.has("s1", "AttemptId", "r2")
			voidAt(3)

			run(until.Add(-time.Second))
			u.has("s1", "State", "DELETING")
			run(until)
			u.has("s1", "State", "UNKNOWN")
			if reason := u.table.Get("s1").Session().StateReason; !strings.Contains(reason, "did not confirm within "+tc.tried.String()+" ") {
				t.Errorf("reason: %s", reason)
			}
		})
	}
}
