package documents_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Messages that mean something to a shell, to awk, in markup, to Systems Manager or to a terminal; that are options or files
// to a program; and the longest allowed: 200 characters, of four bytes each, with what the broker adds.
var hostileTexts = []string{
	strings.Join([]string{
		`$(touch ran)`, "`touch ran`", `"; touch ran; "`, `'; touch ran; '`, `\"; touch ran`, `${IFS}`, `$HOME`, `%s%n`, `\n\x41\0101`, `&amp;`, `&`,
		`<b>bold</b>`, `<span size="99999">`, `<img src="file:///etc/passwd">`, `{{ssm:secret}}`, `{{ text }}`, "two\n\nlines", "a\r", "\ttab",
		"\u202eright to left\u202c", "\u200f\u2067عربى\u2069", "🖥👩\u200d💻", "\U0010ffff", "\u0085\u2028", "e\u0301",
	}, "\n"),
	"$(touch ran)", "--filename=/etc/passwd", "@/etc/passwd", "-", "\n",
	strings.Repeat("🖥", 200) + "\n" + strings.Repeat("This session will be closed at 18:00 UTC. ", 9),
}

func TestHostileTextsAreShownAsText(t *testing.T) {
	onEveryScreen(t, onEveryHost, func(t *testing.T, s *screen) {
		s.display("a", 1)
		for i, text := range hostileTexts {
			s.oldAgent = i%2 == 1
			s.want(s.notify(text, soon, notice("a", int64(i+1))), "a warned")
			s.wantText(i+1, text)
		}
		s.wantNothingRun()
	})
}

// The bytes of a text are nobody's but its reader's.
func TestInvalidTextIsNotShown(t *testing.T) {
	onEveryScreen(t, onEveryAwk, func(t *testing.T, s *screen) {
		s.display("a", 1)
		s.quickTimeout = true // nothing is read, however long it is waited
		s.write(s.dir+"/never", "", 0o600)
		s.wantReason(s.notify("", soon, notice("a", 1)), "zenity did not stay on the screen")
		s.wantWindows()
	})
}

func TestHostileIDsAreNames(t *testing.T) {
	onEveryScreen(t, onEveryHost, func(t *testing.T, s *screen) {
		var ids []string
		for i, id := range hostileIDs {
			if i%14 == 0 {
				ids = append(ids, id)
			}
		}
		ids = append(ids, strings.Repeat("🖥", 128)+"x", `'`)
		s.clock(int(idleNow.Unix()), 0) // so many take longer on a busy machine than the script would wait
		var warnings, cancels []string
		for _, id := range ids {
			s.display(id, 1)
			warnings, cancels = append(warnings, notice(id, 1)), append(cancels, notice(id, 2))
		}
		for _, l := range slices.Concat(s.notify("x", soon, warnings...), s.notify("y", "0", cancels...)) {
			if l.Result == "failed" {
				t.Errorf("%+v", l)
			}
		}
		if n := len(s.pids()); n != 2*len(ids) {
			t.Errorf("%d windows for %d sessions", n, len(ids))
		}
		s.wantNothingRun()
	})
}

func TestSystemAccountsGetNoProgram(t *testing.T) {
	onEveryScreen(t, onEveryAwk, func(t *testing.T, s *screen) {
		s.display("a", 1)
		for i, uid := range []int{0, 1, 42, 999, 60578, 61184, 65534, 65535} {
			s.owner(uid)
			s.wantReason(s.notify("x", soon, notice("a", int64(i+1))), "the owner is a system account")
		}
		s.shim("id", `[ -n "$2" ] || exec `+program(t, "id")+` "$@"; exit 1`)
		s.wantReason(s.notify("x", soon, notice("a", 100)), "the owner is no user of this host")
		if exists(t, s.dir+"/rights") {
			t.Errorf("run: %s", read(t, s.dir+"/rights"))
		}
		for i, owner := range []string{`"-n"`, `""`, `null`, `7`} {
			s.describe("a", `"owner": "user1"`, `"owner": `+owner)
			s.wantReason(s.notify("x", soon, notice("a", int64(200+i))), "its owner is unreadable")
			s.describe("a", `"owner": `+owner, `"owner": "user1"`)
		}
		s.describe("a", `"user1"`, `"$(touch ran)'"`)
		s.wantReason(s.notify("x", soon, notice("a", 300)), "the owner is no user of this host")
		s.wantNothingRun()
	})
}

// describe changes what dcv says of a session.
func (s *screen) describe(id, old, text string) {
	s.t.Helper()
	file := s.state + "/" + fileOf(id) + ".json"
	before := read(s.t, file)
	if !strings.Contains(before, old) {
		s.t.Fatalf("no %s in %s", old, before)
	}
	s.write(file, strings.Replace(before, old, text, 1), 0o600)
}

func TestDisplayIsOneOfThisHost(t *testing.T) {
	onEveryScreen(t, onEveryAwk, func(t *testing.T, s *screen) {
		s.display("a", 1)
		at := int64(0)
		for _, display := range []string{"elsewhere:0", "192.0.2.1:0", "::1:0", "tcp/x:0", ":", "7", ":7;touch ran", "$(touch ran):0", "unix:0", `:1\n:2`} {
			at++
			s.describe("a", `":7"`, `"`+display+`"`)
			s.wantReason(s.notify("x", soon, notice("a", at)), "its display is none of this host")
			s.describe("a", `"`+display+`"`, `":7"`)
		}
		// Nobody has a process of that user here.
		s.describe("a", `":7"`, `""`)
		s.wantReason(s.notify("x", soon, notice("a", at+1)), "no process of the owner has a display")
		s.describe("a", `"x11-display": ""`, `"x11-display": ":7.0"`)
		s.want(s.notify("x", soon, notice("a", at+2)), "a warned")
		s.wantNothingRun()
	})
}

func TestAuthorityIsAPlainFileOfTheOwner(t *testing.T) {
	onEveryScreen(t, onEveryAwk, func(t *testing.T, s *screen) {
		s.display("a", 1)
		rename(t, s.dir+"/authority", s.dir+"/elsewhere")
		s.wantReason(s.notify("x", soon, notice("a", 1)), "the authority file is no plain file of the owner")
		if err := os.Symlink(s.dir+"/elsewhere", s.dir+"/authority"); err != nil {
			t.Fatal(err)
		}
		s.wantReason(s.notify("x", soon, notice("a", 2)), "the authority file is no plain file of the owner")
		s.describe("a", s.dir+"/authority", "elsewhere") // where the script runs there may be one
		s.wantReason(s.notify("x", soon, notice("a", 3)), "the authority file is no plain file of the owner")
		s.wantWindows()
		// Where dcv names none, it is the usual one.
		s.describe("a", "elsewhere", "")
		s.wantReason(s.notify("x", soon, notice("a", 4)), "the authority file is no plain file of the owner")
		rename(t, s.dir+"/elsewhere", s.dir+"/.Xauthority")
		s.want(s.notify("x", soon, notice("a", 5)), "a warned")
	})
}

// What users could have prepared holds no notices, and is not written to.
func TestFolderOfNoticesIsOfRootAlone(t *testing.T) {
	onEveryScreen(t, onEveryAwk, func(t *testing.T, s *screen) {
		s.display("a", 1)
		elsewhere := t.TempDir()
		for what, prepare := range map[string]func() error{
			"a link":                 func() error { return os.Symlink(elsewhere, s.notices) },
			"a file":                 func() error { return os.WriteFile(s.notices, nil, 0o700) },
			"a folder for all":       func() error { return os.Mkdir(s.notices, 0o700) },
			"a folder for its group": func() error { return os.Mkdir(s.notices, 0o700) },
		} {
			if err := prepare(); err != nil {
				t.Fatal(err)
			}
			if mode := map[string]os.FileMode{"a folder for all": 0o777, "a folder for its group": 0o770}[what]; mode != 0 {
				if err := os.Chmod(s.notices, mode); err != nil {
					t.Fatal(err)
				}
			}
			lines := s.notify("x", soon, notice("a", 1))
			if results(lines) != "a failed" || !strings.Contains(lines[0].Reason+" ", "is not a folder of root alone ") && len(lines[0].Reason) < 80 {
				t.Errorf("%s: %+v", what, lines)
			}
			remove(t, s.notices)
		}
		if files, err := os.ReadDir(elsewhere); err != nil || len(files) > 0 {
			t.Errorf("written elsewhere: %v %v", files, err)
		}
		s.want(s.notify("x", soon, notice("a", 1)), "a warned")
		files, err := os.ReadDir(s.notices)
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		if info, err := files[0].Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%v %v", info.Mode(), err)
		}
	})
}

// By the time of the next notice another process may have the number of the program.
func TestProcessThatIsNotTheProgramIsLeftAlone(t *testing.T) {
	onEveryScreen(t, onEveryAwk, func(t *testing.T, s *screen) {
		s.display("a", 1)
		s.want(s.notify("x", soon, notice("a", 1)), "a warned")
		files, err := filepath.Glob(s.notices + "/*")
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		other := exec.CommandContext(t.Context(), program(t, "sleep"), "600")
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(read(t, files[0]))
		s.end(1)
		fields[3] = fmt.Sprint(other.Process.Pid)
		s.write(files[0], strings.Join(fields, " ")+"\n", 0o600)
		s.want(s.notify("y", soon, notice("a", 2)), "a warned")
		if !s.runs(other.Process.Pid) {
			t.Error("another process was ended")
		}
		if err := other.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = other.Wait() // it was killed
	})
}

// A file that a full disk has cut off, or that is older than any notice can be, is as good as none.
func TestBrokenNoticeFileCountsAsMissing(t *testing.T) {
	onEveryScreen(t, onEveryAwk, func(t *testing.T, s *screen) {
		s.display("a", 1)
		s.want(s.notify("x", soon, notice("a", 5)), "a warned")
		files, err := filepath.Glob(s.notices + "/*")
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		for _, broken := range []string{"", "7", "7 zenity 1"} {
			s.write(files[0], broken, 0o600)
			s.want(s.notify("y", soon, notice("a", 4)), "a warned")
		}
	})
}
