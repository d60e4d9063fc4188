package session_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/session"
)

func TestTooLateForAnotherAttemptWaitsForTheEnd(t *testing.T) {
	for when, attempts := range map[float64]int{3600 - 60: 1, 3600 - 59.999: 0} {
		u := newUpkeep(t, markedRecord)
		u.clean(at(when))
		if len(u.hosts.sent) != attempts {
			t.Errorf("after %v s: sent %q", when, u.hosts.closings())
		}
		if attempts == 0 {
			u.is("s1", with(markedRecord, "NextAttemptAt", session.FormatTime(at(3600)), "StateReason", "Attempt 1 brought no answer."))
		}
		if log := u.log.String(); strings.Contains(log, "may still run") || strings.Contains(log, "DeletionsGivenUp") {
			t.Errorf("after %v s it is given up: %s", when, log)
		}
	}
}

func TestUnconfirmedIsGivenUpAtItsTime(t *testing.T) {
	for name, tc := range map[string]struct {
		from session.Record
		last string
	}{
		"never answered": {with(markedRecord, "Attempts", int64(4)), " Last: Attempt 4 brought no answer."},
		"failed":         {with(failedRecord, "Attempts", int64(4)), " Last: dcv is broken"},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, tc.from)
			u.clean(at(3600))
			got := u.table.Get("s1")
			reason, _ := got["StateReason"].(string)
			if !strings.HasPrefix(reason, "The host did not confirm within ") || !strings.HasSuffix(reason, "(4 attempts)."+tc.last) {
				t.Errorf("reason %q", reason)
			}
			u.is("s1", with(tc.from, "State", "UNKNOWN", "StateReason", reason, "GivenUpAt", session.FormatTime(at(3600)),
				"ExpiresAt", at(3600).Add(session.KeepUnknown).Unix(), "NextAttemptAt", nil, "DueLane", nil, "AttemptFailedAt", nil))
			u.sent()
		})
	}
}

// The record that the run has read is a moment old.
func TestConfirmedMeanwhileIsNotGivenUp(t *testing.T) {
	for _, when := range []float64{120, 3500, 3600, 9999} {
		u := newUpkeep(t, markedRecord)
		confirmed := with(confirmedRecord, "NextAttemptAt", markedRecord["NextAttemptAt"]) // the least difference
		u.table.before = func(int, session.Write) { u.table.Put(confirmed) }
		u.clean(at(when))
		u.is("s1", confirmed)
		u.sent()
	}
}

// Promise 2: confirmed before, at and after its end, it is DELETED.
func TestConfirmationAroundTheEndAlwaysCounts(t *testing.T) {
	for _, order := range []string{"confirm give-up finish", "give-up confirm finish", "give-up confirm clean finish", "confirm clean finish"} {
		t.Run(order, func(t *testing.T) {
			u := newUpkeep(t, markedRecord)
			feed := u.table.Feed()
			for _, what := range strings.Fields(order) {
				switch what {
				case "confirm":
					u.report(at(3600), closed(hostA, "r1", "s1"))
				case "give-up":
					u.clean(at(3600))
				case "clean":
					u.clean(at(3600 + 120))
				case "finish":
					for _, change := range feed.Ready() {
						u.finish(at(3800), change.New)
					}
				}
			}
			u.has("s1", "State", "DELETED", "Confirmation", "closed", "NextAttemptAt", nil, "DueLane", nil, "LiveHostId", nil,
				"ExpiresAt", at(3800).Add(session.KeepDeleted).Unix())
		})
	}
}

// The deletion is given up, confirmed late, and requested once more before the stream has
// ended it: it ends, whatever its host says after that.
func TestDeletedAgainAfterALateConfirmation(t *testing.T) {
	u := newUpkeep(t, markedRecord)
	u.clean(at(3600))
	u.report(at(3601), closed(hostA, "r1", "s1"))
	u.hosts.unclear[hostA] = true
	u.expect(request("r2", at(3602), entry("s1", alice)), "")
	u.has("s1", "Confirmation", "closed")
	u.finish(at(3603), u.table.Get("s1"))
	u.has("s1", "State", "DELETED", "Confirmation", "closed")
}

func TestGiveUpShorterThanTheLease(t *testing.T) {
	u := newUpkeep(t, seen(listedRecord))
	d := u.deleter()
	d.GiveUp = 30 * time.Second
	if _, err := d.Delete(t.Context(), request("r1", t0, entry("s1", alice))); err != nil {
		t.Fatal(err)
	}
	u.now = at(60)
	c := u.cleaner()
	c.GiveUp = 30 * time.Second
	if err := c.ProcessDue(context.Background()); err != nil {
		t.Fatal(err)
	}
	u.has("s1", "State", "UNKNOWN")
}
