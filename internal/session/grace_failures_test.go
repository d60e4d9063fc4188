package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/session"
)

// A request recognises its mark whose answer was lost: its users are notified once, and a
// refusal does not put the mark back, since the record from before is unknown.
func TestOwnMarkThatWaitsIsRecognised(t *testing.T) {
	for _, refuses := range []bool{false, true} {
		w := newWorld(t, ready("s1", alice, hostA))
		w.table.fault = onceOn("mark", lostAfter)
		want := waitingRecord
		if refuses {
			w.hosts.refuses[hostA] = offline
			want = with(want, "Warning", "failed: The host "+offline+".")
		}
		w.delete(request("r1", t0, withGrace("s1", 10*time.Minute)))
		w.is("s1", want)
		if told := len(w.hosts.told); (told == 1) == refuses || told > 1 {
			t.Errorf("refused: %t, told %d times", refuses, told)
		}
	}
}

// A notice that failed keeps its lease; when that ends, the notice is sent again. Only
// after a refusal is it certain that nobody was told.
func TestNoticeThatWasNotAcceptedIsSentAgain(t *testing.T) {
	for name, warning := range map[string]any{"refused": "failed: The host " + offline + ".", "unclear": nil} {
		u := newUpkeep(t, waitingRecord)
		if name == "refused" {
			u.hosts.refuses[hostA] = offline
		} else {
			u.hosts.unclear[hostA] = true
		}
		u.clean(at(150))
		u.has("s1", "State", "DELETING", "Attempts", int64(0), "Warning", warning, "AttemptFailedAt", nil, "NextAttemptAt", session.FormatTime(at(270)))
		u.hosts.refuses, u.hosts.unclear, u.hosts.told = map[string]string{}, nil, nil
		u.clean(at(270))
		u.told("notice-a2 " + session.FormatTime(at(600)))
	}
}

// Whichever answer is lost, closing began with the first attempt, and users who were not
// warned are counted once, if a run knows that it began.
func TestFirstAttemptWhoseAnswerIsLost(t *testing.T) {
	const told = "session is closed without a warning to its user"
	for name, tc := range map[string]struct {
		lose   func(u *upkeep)
		counts int
	}{
		"of its first try":  {func(u *upkeep) { u.table.before = func(_ int, w session.Write) { u.tryWrite(w) } }, 1},
		"of the whole call": {func(u *upkeep) { u.table.fault = onceOn("claim", lostAfter) }, 0}, // the record says it
		"of the command":    {func(u *upkeep) { u.hosts.unclear[hostA] = true }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpkeep(t, with(waitingRecord, "NextAttemptAt", session.FormatTime(at(600))))
			tc.lose(u)
			u.clean(at(660))
			u.has("s1", "Attempts", int64(1), "ClosingSince", session.FormatTime(at(660)), "TryUntil", session.FormatTime(at(4260)), "Warning", "failed: no notice was answered")
			u.clean(at(780)) // its lease has ended
			u.has("s1", "Attempts", int64(2), "ClosingSince", session.FormatTime(at(660)), "TryUntil", session.FormatTime(at(4260)))
			if n := strings.Count(u.log.String(), told); n != tc.counts {
				t.Errorf("counted %d times, want %d: %s", n, tc.counts, &u.log)
			}
		})
	}
}

// Of two runs that overlap one closes and counts. A host's answer after the run's read is
// respected: users who were warned are not counted.
func TestUsersNotWarnedAreCountedOnceAtTheFirstAttempt(t *testing.T) {
	for name, between := range map[string]func(u *upkeep){
		"another run": func(u *upkeep) {
			u.table.Put(with(u.table.Get("s1"), "Attempts", int64(1), "AttemptId", "other", "NextAttemptAt", session.FormatTime(at(780)), "Warning", "failed: no notice was answered"))
		},
		"they were":    func(u *upkeep) { u.warn(u.now, warning("notice-r1", at(600), t0, session.Warned)) },
		"nobody there": func(u *upkeep) { u.warn(u.now, warning("notice-r1", at(600), t0, session.Nobody)) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, last := range []any{nil, "failed: no display"} { // of an earlier notice
				u := newUpkeep(t, with(waitingRecord, "NextAttemptAt", session.FormatTime(at(600)), "Warning", last))
				u.table.before = func(n int, _ session.Write) {
					if n == 1 {
						between(u)
					}
				}
				u.clean(at(660))
				u.clean(at(661))
				u.has("s1", "Attempts", int64(1))
				if strings.Contains(u.log.String(), "UsersNotWarned") {
					t.Errorf("after %v: log: %s", last, &u.log)
				}
			}
		})
	}
}

// The notice of a cancel is tried once: the deletion is cancelled even if it fails, and the
// log says that users may not know.
func TestCancelWhoseNoticeIsNotAccepted(t *testing.T) {
	for name, unreachable := range map[string]string{"refused": "HostsUnreachable Value:1", "unclear": "HostsUnreachable Value:0"} {
		w := newWorld(t, waitingRecord)
		if name == "refused" {
			w.hosts.refuses[hostA] = offline
		} else {
			w.hosts.unclear[hostA] = true
		}
		w.cancel("c1", at(30), "READY")
		w.has("s1", "State", "READY", "NoticeId", nil, "CancelledBy", "c1")
		if log := w.log.String(); !strings.Contains(log, "user may still see that the session will be closed") || !strings.Contains(log, unreachable) {
			t.Errorf("%s: log %s", name, log)
		}
	}
}

// A host refuses the notice of a mark, and before the mark is put back another request
// asks for an earlier close time. The deletion continues, and both callers are told so.
func TestRefusedMarkThatAnotherRequestTakesOverContinues(t *testing.T) {
	for name, grace := range map[string]time.Duration{"earlier": time.Minute, "now": 0} {
		w := newWorld(t, ready("s1", alice, hostA))
		w.hosts.refuses[hostA] = offline
		w.table.before = func(n int, _ session.Write) {
			if n == 2 { // the put-back
				other := newWorld(t)
				other.table.Table = w.table.Table
				other.hosts.refuses[hostA] = offline
				other.expect(request("r2", at(1), session.Entry{SessionID: "s1", Owner: alice, GracePeriod: grace}), "")
			}
		}
		answers := w.delete(request("r1", t0, withGrace("s1", 10*time.Minute)))
		if diff := cmp.Diff([]session.Answer{{SessionID: "s1", CloseAt: at(1).Add(grace)}}, answers); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		w.has("s1", "State", "DELETING", "DeletionRequestId", "r2", "StateBefore", "READY")
	}
}

// A host refuses the notice of a mark, and before the mark is put back EC2 says that the host is
// gone: the session is over, so that the caller is told no close time.
func TestRefusedMarkOfAHostThatIsGoneHasNoCloseTime(t *testing.T) {
	w := newWorld(t, ready("s1", alice, hostA))
	w.hosts.refuses[hostA] = offline
	w.table.before = func(n int, _ session.Write) {
		if n == 2 { // the put-back
			marked := w.table.Get("s1")
			marked[session.AttrConfirmation] = "host-gone"
			w.table.Put(marked)
		}
	}
	answers := w.delete(request("r1", t0, withGrace("s1", 10*time.Minute)))
	if diff := cmp.Diff([]session.Answer{{SessionID: "s1"}}, answers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.has("s1", "State", "DELETING", "DeletionRequestId", "r1", "Confirmation", "host-gone")
}
