package documents_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestUserIsWarned(t *testing.T) {
	onEveryScreen(t, alwaysOnEveryHost, func(t *testing.T, s *screen) {
		s.display("a", 1)
		s.display("b c", 2)
		s.oldAgent = strings.Contains(strings.Join(s.shell, " "), "bash")
		s.env = append(s.env, "GTK_MODULES=evil", "LD_PRELOAD=", "XDG_RUNTIME_DIR=/run/user/0", "HOME=/root")
		lines := s.notify("Closed at 18:00 UTC.\n", soon, notice("a", 5), notice("b c", 6))
		s.want(lines, "a warned, b%20c warned")
		for _, l := range lines {
			if l.Reason != "zenity" {
				t.Errorf("%+v", l)
			}
		}
		s.wantWindows(1, 2)
		s.wantText(1, "Closed at 18:00 UTC.\n")
		s.wantText(2, "Closed at 18:00 UTC.\n")
		var variables []string
		for v := range strings.Lines(read(t, s.dir+"/1.env")) {
			if !slices.Contains([]string{"PWD", "OLDPWD", "SHLVL", "_"}, strings.Split(v, "=")[0]) { // the stand-in's shell's own
				variables = append(variables, strings.TrimSpace(v))
			}
		}
		slices.Sort(variables)
		want := []string{"DISPLAY=:7", "HOME=" + s.dir, "LANG=C.UTF-8", "PATH=", "XAUTHORITY=" + s.dir + "/authority"}
		if len(variables) != len(want) || !strings.HasPrefix(variables[3], "PATH=") || slices.ContainsFunc(want, func(v string) bool { return v != "PATH=" && !slices.Contains(variables, v) }) {
			t.Errorf("the program's environment is %q", variables)
		}
		for rights := range strings.Lines(read(t, s.dir+"/rights")) {
			if !strings.HasPrefix(rights, "--reuid 1234 --regid 1234 --init-groups --no-new-privs ") {
				t.Errorf("a program runs with %s", rights)
			}
		}
		// Not even for a moment does the user see more of the script.
		s.want(s.notify("next", soon, notice("a", 7)), "a warned")
		if files := read(t, s.dir+"/rights.files"); recordIn(files, s.notices) {
			t.Errorf("files are left open to the user: %s", files)
		}
		if env := read(t, s.dir+"/rights.env"); strings.Contains(env, "SSM_") || strings.Contains(env, "GTK_MODULES") {
			t.Errorf("the user may see %s", env)
		}
		if n := strings.Count(read(t, s.dir+"/waits"), "\n"); n != 2 {
			t.Errorf("waited %d times for two commands, one of two sessions", n)
		}
		if s.sessions()[0] != "a" || len(s.sessions()) != 2 {
			t.Errorf("left: %q", s.sessions())
		}
	})
}

// recordIn says whether there is one among open files. The texts of messages are no records.
func recordIn(files, notices string) bool {
	for file := range strings.Lines(files) {
		if strings.HasPrefix(file, notices) && !strings.Contains(file, ".text") {
			return true
		}
	}
	return false
}

func TestNobodyIsWarnedWhereNobodyIsConnected(t *testing.T) {
	onEveryScreen(t, onEveryAwk, func(t *testing.T, s *screen) {
		s.display("a", 1)
		s.want(s.notify("one", soon, notice("a", 1)), "a warned")
		s.wantWindows(1)
		s.connect("a", 0)
		s.want(s.notify("two", soon, notice("a", 2)), "a nobody")
		s.wantWindows()
		// Nor is anybody told that what is gone is void.
		s.want(s.notify("cancelled", "0", notice("a", 3)), "a nothing")
		s.connect("a", 1)
		s.want(s.notify("four", soon, notice("a", 4)), "a warned")
		s.wantText(2, "four")
		s.wantWindows(2)
	})
}

func TestNewerNoticeTakesTheOlderWindowAway(t *testing.T) {
	onEveryScreen(t, onEveryHost, func(t *testing.T, s *screen) {
		s.display("a", 1)
		s.display("b", 1)
		const order = 1_785_500_000_000
		s.want(s.notify("one", soon, notice("a", order), notice("b", order)), "a warned, b warned")
		s.want(s.notify("two", soon, notice("a", order+2)), "a warned")
		open := s.windows()
		if len(open) != 2 || open[1] != 3 {
			t.Errorf("windows %v", open)
		}
		// One that arrives late, and the newest a second time.
		s.wantReason(s.notify("older", soon, notice("a", order+1)), "a newer notice was here before")
		s.want(s.notify("two", soon, notice("a", order+2)), "a warned")
		s.wantReason(s.notify("older", "0", notice("a", order)), "a newer notice was here before")
		s.wantWindows(open...)
		// One that cannot be shown takes it away, too.
		s.shim("zenity", "exit 1")
		s.wantReason(s.notify("three", soon, notice("a", order+3)), "zenity did not stay on the screen")
		s.wantWindows(open[0])
		s.wantReason(s.notify("two", soon, notice("a", order+2)), "a newer notice was here before")
	})
}

func TestCancelIsShownToWarnedUsers(t *testing.T) {
	onEveryScreen(t, onEveryHost, func(t *testing.T, s *screen) {
		for _, id := range []string{"a", "b", "c"} {
			s.display(id, 1)
		}
		s.want(s.notify("one", soon, notice("a", 1)), "a warned")
		s.want(s.notify("two", soon, notice("b", 1)), "b warned")
		s.wantWindows(1, 2)
		// The user of b has closed the window.
		s.end(2)
		s.want(s.notify("cancelled", "0", notice("a", 2)), "a told")
		s.want(s.notify("cancelled", "0", notice("b", 2)), "b told")
		s.want(s.notify("cancelled", "0", notice("c", 2)), "c nothing")
		s.wantWindows(3, 4)
		s.wantText(3, "cancelled")
		// At most once.
		s.want(s.notify("cancelled", "0", notice("a", 2)), "a told")
		s.want(s.notify("cancelled", "0", notice("b", 3)), "b nothing")
		s.wantWindows(3)
		// A warning takes the place of the cancel's notice.
		s.want(s.notify("again", soon, notice("a", 4)), "a warned")
		s.wantWindows(5)
	})
}

func (s *screen) end(window int) {
	s.t.Helper()
	p, err := os.FindProcess(s.pids()[window-1])
	if err != nil {
		s.t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		s.t.Fatal(err)
	}
}

// A console session comes back under its ID with another user, who was not warned.
func TestCancelIsNotShownToAnotherIncarnation(t *testing.T) {
	onEveryScreen(t, onEveryAwk, func(t *testing.T, s *screen) {
		s.display("a", 1)
		s.want(s.notify("one", soon, notice("a", 1)), "a warned")
		text := strings.Replace(read(t, s.state+"/"+fileOf("a")+".json"), created, later, 1)
		s.server(fileOf("a")+".json", text)
		s.wantReason(s.notify("two", soon, notice("a", 2)), "another session has its ID by now")
		s.want(s.notify("cancelled", "0", incarnation("a", later)+":3"), "a nothing")
	})
}

func TestNoticeIsForTheSessionThatItNames(t *testing.T) {
	onEveryScreen(t, onEveryAwk, func(t *testing.T, s *screen) {
		s.display("a", 1)
		s.wantReason(s.notify("x", soon, notice("b", 1)), "no such session")
		s.wantReason(s.notify("x", soon, incarnation("a", later)+":1"), "another session has its ID by now")
		s.wantReason(s.notify("x", soon, until("a", earlier)+":1"), "another session has its ID by now")
		s.want(s.notify("x", soon, until("a", later)+":1"), "a warned")
		for _, bad := range []string{"a", "a@1", "a:1", "a@1:", "a@1:A", "@1:1", "a@zzzzzzzzzzzz:1", "a@1:zzzzzzzzzzzz", "-a@1:1", "a@1:0"} {
			s.wantReason(s.notify("x", soon, bad), "no ID for dcv")
		}
		if got := s.execute("NotifyDocument", map[string]string{"sessions": "i-1=" + notice("a", 9), "text": "eA==", "closeAt": soon, "voidAfter": never}); got != "" {
			t.Errorf("for another host: %s", got)
		}
		s.wantWindows(1)
	})
}

func TestVoidNoticeIsNotShown(t *testing.T) {
	onEveryScreen(t, onEveryAwk, func(t *testing.T, s *screen) {
		const now = 1_800_000_000
		s.clock(now, 0)
		s.display("a", 1)
		s.wantReason(s.notifyUntil("x", soon, fmt.Sprint(now-1), notice("a", 1)), "the notice is void")
		s.wantReason(s.notifyUntil("x", "0", fmt.Sprint(now-1), notice("a", 1)), "the notice is void")
		s.wantReason(s.notify("x", fmt.Sprint(now), notice("a", 1)), "its time to close has come")
		if exists(t, s.notices) {
			t.Error("a void notice was noted")
		}
		s.want(s.notifyUntil("x", fmt.Sprint(now+600), fmt.Sprint(now), notice("a", 1)), "a warned")
		// Or the time comes meanwhile: timeout would end a program of 0 seconds never.
		s.clock(now, 1)
		s.wantReason(s.notify("x", fmt.Sprint(now+3), notice("a", 2)), "its time to close has come")
		s.clock(now, 1)
		s.wantReason(s.notify("x", fmt.Sprint(now+4), notice("a", 3)), "its time to close has come")
		s.wantWindows()
	})
}

// The window goes when closing begins, and a cancel's notice after an hour.
func TestWindowEndsAtCloseAt(t *testing.T) {
	onEveryScreen(t, onEveryAwk, func(t *testing.T, s *screen) {
		const now = 1_800_000_000
		s.clock(now, 0)
		s.display("a", 1)
		s.shim("timeout", `case $4 in zenity) echo "$3" >>`+s.dir+`/seconds ;; esac; exec `+program(t, "timeout")+` "$@"`)
		s.want(s.notify("x", fmt.Sprint(now+600), notice("a", 1)), "a warned")
		s.want(s.notify("y", "0", notice("a", 2)), "a told")
		if got := read(t, s.dir+"/seconds"); got != "600\n3600\n" {
			t.Errorf("the windows are there for so many seconds: %q", got)
		}
	})
}

// A user may have read a warning of which nobody has seen yet that it stays: the cancel is told.
func TestCancelIsShownToUsersWhoAreBeingWarned(t *testing.T) {
	onEveryScreen(t, onEveryAwk, func(t *testing.T, s *screen) {
		s.display("a", 1)
		sleep := program(t, "sleep")
		s.shim("sleep", `[ "$1" = 2 ] || exit 0`+s.untilRead()+`
mkdir `+s.dir+`/settling 2>/dev/null || exit 0
while [ ! -e `+s.dir+`/cancelled ]; do `+sleep+` 0.05; done`)
		first := make(chan []line)
		go func() { first <- s.notify("one", soon, notice("a", 1)) }()
		for deadline := time.Now().Add(5 * time.Minute); !exists(t, s.dir+"/settling"); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the first notice is not shown")
			}
		}
		s.want(s.notify("cancelled", "0", notice("a", 2)), "a told")
		s.write(s.dir+"/cancelled", "", 0o600)
		s.wantReason(<-first, "a newer notice came")
		s.wantWindows(2)
		s.want(s.notify("cancelled", "0", notice("a", 3)), "a nothing")
	})
}

func TestWindowThatDoesNotStayIsNotAWarning(t *testing.T) {
	t.Parallel()
	for what, script := range map[string]string{
		"refused by the display":   `echo "cannot open display" >&2; exit 1`,
		"never let in by it":       `: >DIR/never; exec sleep 600`,
		"ended within two seconds": `cat >/dev/null; : >DIR/ends; exit 0`,
	} {
		t.Run(what, func(t *testing.T) {
			onEveryScreen(t, onEveryAwk, func(t *testing.T, s *screen) {
				s.display("a", 1)
				s.quickTimeout = strings.Contains(script, "never")
				if strings.HasPrefix(script, "cat") {
					sleep := program(t, "sleep")
					s.shim("sleep", "while [ ! -e "+s.dir+"/ends ]; do "+sleep+" 0.05; done\nexec "+sleep+` "$@"`)
				}
				s.program("zenity", strings.ReplaceAll(strings.ReplaceAll(script, "DIR", s.dir), "sleep", program(t, "sleep")))
				s.wantReason(s.notify("x", soon, notice("a", 1)), "zenity did not stay on the screen")
				s.wantWindows()
				s.want(s.notify("cancelled", "0", notice("a", 2)), "a nothing")
			})
		})
	}
}

func TestXmessageShowsItWithoutZenity(t *testing.T) {
	onEveryScreen(t, onEveryAwk, func(t *testing.T, s *screen) {
		rename(t, s.bin+"/zenity", s.bin+"/xmessage")
		s.edit = strings.NewReplacer("command -v zenity ", "command -v no-zenity ") // this machine may have one
		s.display("a", 1)
		lines := s.notify("x", soon, notice("a", 1))
		if results(lines) != "a warned" || lines[0].Reason != "xmessage" {
			t.Errorf("%+v", lines)
		}
	})
}

// dcv may take long, and so may a step: one of the user database, for example. Here what is done before the windows are on
// the screen takes a second a step, and what is done then takes eight.
func TestNoticesAreAnsweredInTime(t *testing.T) {
	onEveryScreen(t, onEveryAwk, func(t *testing.T, s *screen) {
		const start = 1_800_000_000
		s.clock(start, 1)
		clock := read(t, s.bin+"/date")
		s.write(s.dir+"/slow", strings.Replace(clock, "now + 1", "now + 8", 1), 0o700)
		var sessions []string
		for i := range 12 {
			id := fmt.Sprintf("s%02d", i)
			s.display(id, 1)
			sessions = append(sessions, notice(id, 1))
		}
		s.shim("sleep", `[ "$1" = 2 ] || exit 0`+s.untilRead()+"\nmv "+s.dir+"/slow "+s.bin+"/date")
		warned := 0
		for _, l := range s.notify("x", soon, sessions...) {
			switch {
			case l.Result == "warned":
				warned++
			case l.Reason != "no time left":
				t.Errorf("%+v", l)
			}
		}
		if n := len(s.pids()); warned == 0 || warned == n || n == 12 {
			t.Errorf("%d windows, and %d warned", n, warned)
		}
		var next int
		if _, err := fmt.Sscan(read(t, s.bin+"/clock"), &next); err != nil || next-8-start > 57 {
			t.Errorf("ended after %d s: %v", next-8-start, err)
		}
	})
}

func TestStepThatHangsIsGivenUp(t *testing.T) {
	onEveryScreen(t, onEveryAwk, func(t *testing.T, s *screen) {
		s.quickTimeout = true
		s.shim("timeout", `[ "$1 $2 $3 $4" != "-k 1 7 sh" ] || { shift 3; set -- -k 1 1 "$@"; }; exec `+program(t, "timeout")+` "$@"`)
		s.display("a", 1)
		s.display("b", 1)
		s.shim("getent", "exec "+program(t, "sleep")+" 600")
		s.wantReason(s.notify("x", soon, notice("a", 1), notice("b", 1)), "it took too long", "it took too long")
		s.wantWindows()
	})
}
