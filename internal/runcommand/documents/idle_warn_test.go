package documents_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An idleScreen is a host of either platform whose users are warned before their sessions are closed for being idle.
type idleScreen struct {
	*screen
	windows bool
}

// newIdleScreen is a host with a screen, at idleNow.
func newIdleScreen(s *screen, windows bool) *idleScreen {
	s.write(filepath.Join(s.dir, ".Xauthority"), "", 0o600)
	i := &idleScreen{s, windows}
	i.after(0, 0)
	return i
}

// onIdleScreens runs a test on hosts of both platforms.
func onIdleScreens(t *testing.T, on func(*testing.T, func(*testing.T, *host)), test func(*testing.T, *idleScreen)) {
	onLinuxIdleScreens(t, on, test)
	t.Run("Windows", func(t *testing.T) {
		onWindowsScreen(t, func(t *testing.T, s *screen) { test(t, newIdleScreen(s, true)) })
	})
}

func onLinuxIdleScreens(t *testing.T, on func(*testing.T, func(*testing.T, *host)), test func(*testing.T, *idleScreen)) {
	onEveryScreen(t, on, func(t *testing.T, s *screen) { test(t, newIdleScreen(s, false)) })
}

// after makes it so long after idleNow.
func (s *idleScreen) after(minutes, seconds int) { s.clock(int(idleNow.Unix())+minutes*60+seconds, 0) }

// warns runs the script with the limit of an hour, and ten minutes before it: what it says must be this.
func (s *idleScreen) warns(want string, reasons ...string) {
	s.t.Helper()
	s.warnsWith("600", "", want, reasons...)
}

func (s *idleScreen) warnsWith(ahead, message, want string, reasons ...string) {
	s.t.Helper()
	run := s.execute
	if s.windows {
		run = s.executeOnWindows
	}
	said := s.readIdle(run("IdleDocument", map[string]string{
		"idleMinutes": idleLimit, "warnSeconds": ahead, "message": base64.StdEncoding.EncodeToString([]byte(message)),
	}))
	s.wantSaid(said, want)
	for i, reason := range reasons {
		if i < len(said.lines) && said.lines[i].Reason != reason {
			s.t.Errorf("%+v, wanted the reason %q", said.lines[i], reason)
		}
	}
}

// by is the program that shows messages.
func (s *idleScreen) by() string {
	if s.windows {
		return "msg"
	}
	return "zenity"
}

// wantShown is how many messages were shown until now, of which this one is on the screen; 0 is none. That of Windows cannot
// be taken away.
func (s *idleScreen) wantShown(all, now int) {
	s.t.Helper()
	if n := len(s.pids()); n != all {
		s.t.Errorf("%d messages were shown, wanted %d", n, all)
	}
	switch {
	case s.windows:
	case now == 0:
		s.wantWindows()
	default:
		s.wantWindows(now)
	}
}

func TestUsersAreWarnedBeforeAnIdleClose(t *testing.T) {
	onIdleScreens(t, alwaysOnEveryHost, func(t *testing.T, s *idleScreen) {
		s.used("away", ago(500, 0), "", ago(50, 0), ago(300, 0))
		s.warnsWith("600", `$(touch ran) "é"`, "away warned 50/2", s.by())
		quoted := "é"
		if s.windows {
			quoted = "\x82"
		}
		s.wantText(1, `$(touch ran) "`+quoted+`"`+"\n\nThis session will be closed at 2026-03-02 20:10 UTC, in 10 minutes, unless it is used before.")
		s.wantNothingRun()
		s.after(5, 0)
		s.warns("away in-use 55/2")
		s.after(9, 59)
		s.warns("away in-use 59/2")
		s.wantShown(1, 1)
		s.wantSessions("away")
		s.after(10, 0)
		s.warns("away closed 60/2")
		s.wantShown(1, 1) // it is there until the time that it says
		s.wantSessions()
	})
}

func TestNobodyIsWarnedWithoutNeed(t *testing.T) {
	onIdleScreens(t, onEveryAwk, func(t *testing.T, s *idleScreen) {
		s.used("active", ago(500, 0), "", ago(1, 0))
		s.used("disconnected", ago(500, 0), ago(59, 0))
		s.used("gone", ago(500, 0), ago(60, 0))
		s.used("never", ago(500, 0), "", "since "+ago(49, 59))
		s.used("unknown", ago(500, 0), "", "", ago(90, 0))
		s.used("young", ago(20, 0), "", ago(20, 0))
		s.warns("disconnected in-use 59/0, gone closed 60/0, never in-use 49/1")
		s.wantShown(0, 0)
		// As before: who is connected is not asked, and nothing is kept.
		s.used("away", ago(500, 0), "", ago(50, 0))
		s.used("long", ago(500, 0), "", ago(60, 0))
		s.warnsWith("0", "x", "away in-use 50/1, disconnected in-use 59/0, long closed 60/1, never in-use 49/1")
		s.wantShown(0, 0)
		s.warnsWith("-1", "", "")
		s.warnsWith("600 s", "", "")
		s.wantSessions("active", "away", "disconnected", "never", "unknown", "young")
	})
}

// Whoever uses the session again begins another idle time: the window goes, and they are warned again.
func TestEachIdleTimeHasItsWarning(t *testing.T) {
	onIdleScreens(t, onEveryHost, func(t *testing.T, s *idleScreen) {
		s.used("s", ago(500, 0), "", ago(50, 0))
		s.warns("s warned 50/1")
		s.used("s", ago(500, 0), "", ago(-4, 0))
		s.after(5, 0)
		s.warns("")
		s.wantShown(1, 0)
		s.after(10, 0)
		s.warns("") // what the first window said is over
		s.after(55, 0)
		s.warns("s warned 51/1")
		s.wantShown(2, 2)
		s.wantText(2, "This session will be closed at 2026-03-02 21:04 UTC, in 9 minutes, unless it is used before.")
		s.after(64, 0)
		s.warns("s closed 60/1")
	})
}

// Between two runs somebody uses the session, and goes away for long: nobody was warned in the idle time that this began.
func TestWarningOfAnEarlierIdleTimeDoesNotCount(t *testing.T) {
	onIdleScreens(t, onEveryAwk, func(t *testing.T, s *idleScreen) {
		s.used("s", ago(500, 0), "", ago(50, 0))
		s.warns("s warned 50/1")
		s.used("s", ago(500, 0), "", ago(-1, 0))
		s.after(61, 0)
		s.warns("s warned 60/1")
		s.wantShown(2, 2)
		s.wantSessions("s")
	})
}

// One of two users disconnects who used it last: the other's time is longer, and everybody was warned.
func TestWarningCountsForAsLongAsNobodyUsesTheSession(t *testing.T) {
	onIdleScreens(t, onEveryAwk, func(t *testing.T, s *idleScreen) {
		s.used("s", ago(500, 0), "", ago(55, 0), ago(50, 0))
		s.warns("s warned 50/2")
		s.used("s", ago(500, 0), ago(0, 0), ago(55, 0))
		s.after(5, 0)
		s.warns("s in-use 60/1") // until the time that they were told
		s.wantShown(1, 1)
		s.after(10, 0)
		s.warns("s closed 65/1")
		// A session without connections closes as without a warning.
		s.used("t", ago(500, 0), "", ago(40, 0))
		s.after(10, 0)
		s.warns("t warned 50/1")
		s.used("t", ago(500, 0), ago(-11, 0))
		_ = os.Remove(s.state + "/" + fileOf("t") + ".connections")
		s.after(12, 0)
		s.warns("")
		s.after(71, 0)
		s.warns("t closed 60/0")
	})
}

// A run that comes late leaves users half of their time.
func TestLateRunWarnsAndWaits(t *testing.T) {
	onIdleScreens(t, onEveryAwk, func(t *testing.T, s *idleScreen) {
		s.used("late", ago(500, 0), "", ago(58, 0))
		s.used("later", ago(500, 0), "", ago(70, 0))
		s.warns("late warned 58/1, later warned 70/1")
		s.wantText(2, "This session will be closed at 2026-03-02 20:05 UTC, in 5 minutes, unless it is used before.")
		s.after(4, 59)
		s.warns("late in-use 62/1, later in-use 74/1")
		s.after(5, 0)
		s.warns("late closed 63/1, later closed 75/1")
		s.used("minute", ago(500, 0), "", ago(54, 30))
		s.warnsWith("120", "", "minute warned 59/1")
		s.wantText(3, "This session will be closed at 2026-03-02 20:06 UTC, in 1 minute, unless it is used before.")
		s.used("seconds", ago(500, 0), "", ago(55, 0))
		s.warnsWith("31", "", "minute in-use 59/1, seconds warned 60/1")
		s.wantText(4, "This session will be closed at 2026-03-02 20:05 UTC, in less than a minute, unless it is used before.")
	})
}

// Nothing would ever close a session without a screen if it had to be warned.
func TestWarningThatFailsHasBeenTried(t *testing.T) {
	onIdleScreens(t, onEveryHost, func(t *testing.T, s *idleScreen) {
		s.used("s", ago(500, 0), "", ago(50, 0))
		why := "zenity did not stay on the screen"
		s.program("zenity", "cat >/dev/null; exit 1")
		if s.windows {
			s.shim("msg.exe", `echo "no session" >&2; exit 1`)
			why = "msg: no session (exit 1)"
		}
		s.warns("s failed 50/1", "not warned: "+why)
		s.after(5, 0)
		s.warns("s in-use 55/1")
		s.after(10, 0)
		s.warns("s closed 60/1")
		s.used("s", ago(500, 0), "", ago(50, 0))
		s.after(0, 0)
		why = "the owner is no user of this host"
		s.shim("id", `[ -n "$2" ] || exec `+program(t, "id")+` "$@"; exit 1`)
		if s.windows {
			remove(t, s.bin+"/msg.exe")
			why = "there is no msg.exe"
		}
		s.after(20, 0)
		s.used("s", ago(500, 0), "", ago(41, 0))
		s.warns("s failed 61/1", "not warned: "+why)
		s.after(25, 0)
		s.warns("s closed 66/1")
	})
}

// A host that has lost what it kept, or cannot keep it, has not tried.
func TestHostThatDoesNotKnowThatItTriedClosesNothing(t *testing.T) {
	onIdleScreens(t, onEveryAwk, func(t *testing.T, s *idleScreen) {
		s.used("s", ago(500, 0), "", ago(50, 0))
		s.warns("s warned 50/1")
		if err := os.RemoveAll(s.notices); err != nil {
			t.Fatal(err)
		}
		s.after(10, 0)
		if s.windows {
			s.write(s.notices, "", 0o600)
		} else if err := os.Mkdir(s.notices, 0o755); err != nil { //nolint:gosec // the script refuses it
			t.Fatal(err)
		}
		s.warns("s failed 60/1")
		s.after(30, 0)
		s.warns("s failed 80/1")
		s.wantSessions("s")
		if err := os.RemoveAll(s.notices); err != nil {
			t.Fatal(err)
		}
		s.warns("s warned 80/1")
		s.after(35, 0)
		s.warns("s closed 85/1")
	})
}

// A console session comes back under its ID: what was shown to the one before was not shown to it. Its dcv may have a wrong
// clock, too.
func TestWarningIsOfOneIncarnation(t *testing.T) {
	onIdleScreens(t, onEveryAwk, func(t *testing.T, s *idleScreen) {
		s.used("console", ago(500, 0), "", ago(50, 0))
		s.warns("console warned 50/1")
		s.used("console", ago(499, 0), "", ago(51, 0))
		s.after(10, 0)
		s.warns("console warned 61/1")
		s.wantShown(2, 2)
		s.wantSessions("console")
	})
}

// A full disk: nothing is shown, and the reason says why.
func TestWarningThatCannotBeNotedIsNotShown(t *testing.T) {
	onLinuxIdleScreens(t, alwaysOnEveryHost, func(t *testing.T, s *idleScreen) {
		s.used("s", ago(500, 0), "", ago(50, 0))
		sh := read(t, s.bin+"/sh")
		s.shim("sh", "if [ \"$2\" = idle ]; then trap '' XFSZ; ulimit -f 0; fi\n"+strings.TrimPrefix(sh, "#!/bin/sh\n")) // as a full disk
		s.warns("s failed 50/1", "not warned: it cannot be noted")
		s.wantShown(0, 0)
	})
}

// A try that was noted while the clock was hours ahead is none of an idle time of before.
func TestWarningByAClockThatWasAheadDoesNotCount(t *testing.T) {
	onIdleScreens(t, onEveryAwk, func(t *testing.T, s *idleScreen) {
		s.used("s", ago(500, 0), "", ago(-430, 0))
		s.after(480, 0)
		s.warns("s warned 50/1")
		s.used("s", ago(500, 0), "", ago(0, 0))
		s.after(50, 0)
		s.warns("s warned 50/1")
		s.after(60, 0)
		s.warns("s closed 60/1")
	})
}

// What shows only in the second look was not warned.
func TestUserWhoComesInTheSecondLookIsNotClosed(t *testing.T) {
	onIdleScreens(t, onEveryAwk, func(t *testing.T, s *idleScreen) {
		s.used("s", ago(500, 0), ago(70, 0))
		s.used("t", ago(500, 0), "", ago(50, 0))
		s.warns("s closed 70/0, t warned 50/1")
		s.used("s", ago(500, 0), ago(70, 0))
		s.server("later", connections(ago(65, 0)))
		s.wrapDcv(`[ "$1 $2" = "describe-session s" ] && cp "$DCV_STATE/later" "${file%.json}.connections"`)
		s.after(10, 0)
		s.warns("s in-use 75/1, t closed 60/1")
		s.wantSessions("s")
	})
}

// The window of a deletion that waits says another time: each has its own.
func TestIdleWarningAndNoticeOfADeletionStandSideBySide(t *testing.T) {
	onLinuxIdleScreens(t, onEveryAwk, func(t *testing.T, s *idleScreen) {
		s.used("a", created, "", ago(50, 0))
		s.want(s.notify("x", soon, notice("a", 1)), "a warned")
		s.warns("a warned 50/1")
		s.wantWindows(1, 2)
		s.want(s.notify("y", "0", notice("a", 2)), "a told")
		s.wantWindows(2, 3)
		s.after(5, 0)
		s.used("a", created, "", ago(-5, 0))
		s.warns("")
		s.wantWindows(3)
	})
}

// Systems Manager cuts the step off after 60 seconds. What cannot be tried in time is not closed either.
func TestIdleWarningsEndInTime(t *testing.T) {
	onLinuxIdleScreens(t, onEveryAwk, func(t *testing.T, s *idleScreen) {
		s.clock(int(idleNow.Unix()), 1)
		for n := range 16 {
			s.used(fmt.Sprintf("s%02d", n), ago(500, 0), "", ago(90, 0))
		}
		said := s.readIdle(s.execute("IdleDocument", map[string]string{"idleMinutes": idleLimit, "warnSeconds": "600"}))
		warned := 0
		for _, l := range said.lines {
			switch {
			case l.Result == "warned":
				warned++
			case l.Result != "failed" || !strings.HasSuffix(l.Reason, "no time left"):
				t.Errorf("%+v", l)
			}
		}
		var next int
		if _, err := fmt.Sscan(read(t, s.bin+"/clock"), &next); err != nil || next-1-int(idleNow.Unix()) > 57 {
			t.Errorf("ended after %d s: %v", next-1-int(idleNow.Unix()), err)
		}
		if n := len(s.sessions()); warned == 0 || warned == 16 || n != 16 {
			t.Errorf("%d warned, %d left", warned, n)
		}
	})
}

// On a host whose calls last long, the time may end between the note that it is tried and the window.
func TestWarningWithoutTimeDoesNotCountAsTried(t *testing.T) {
	onLinuxIdleScreens(t, onEveryAwk, func(t *testing.T, s *idleScreen) {
		s.used("b", ago(500, 0), "", ago(40, 0))
		s.used("a", ago(500, 0), "", ago(60, 0))
		s.clock(int(idleNow.Unix()), 8)
		s.warns("a failed 60/1, b in-use 40/1", "not warned: no time left")
		s.after(5, 0)
		s.warns("a warned 65/1, b in-use 45/1", "zenity")
		s.wantShown(1, 1)
	})
}
