package documents_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// onWindowsScreen is a Windows host: the stand-in for msg.exe keeps what it was given.
func onWindowsScreen(t *testing.T, test func(*testing.T, *screen)) {
	t.Helper()
	if !hasPowerShell(t) {
		t.Skip("there is no pwsh here; install PowerShell 7 to run this")
	}
	onEach(t, []kind{usualKind()}, func(t *testing.T, h *host) {
		s := &screen{host: h, dir: t.TempDir(), notices: t.TempDir()}
		// The account's own folder, which is not the users', is here under another name than on Windows.
		h.env = append(h.env, "XDG_DATA_HOME="+s.notices)
		s.program("msg.exe", `cat >"$shown.text"; echo "$*" >"$shown.arguments"`)
		test(t, s)
	})
}

func (s *screen) notifyOnWindows(text, closeAt string, sessions ...string) []line {
	s.t.Helper()
	return s.notifyOnWindowsUntil(text, closeAt, never, sessions...)
}

func (s *screen) notifyOnWindowsUntil(text, closeAt, voidAfter string, sessions ...string) []line {
	s.t.Helper()
	return noticeLines(s.t, s.executeOnWindows("NotifyDocument", map[string]string{
		"sessions": "i-1=a@1:1;" + hostID + "=" + strings.Join(sessions, ","), "text": base64.StdEncoding.EncodeToString([]byte(text)),
		"closeAt": closeAt, "voidAfter": voidAfter,
	}), closeAt)
}

func (s *screen) executeOnWindows(document string, parameters map[string]string) string {
	s.t.Helper()
	d := documentOf(s.t, document)
	script, env := d.script(s.t, "windows"), append([]string{"AWS_SSM_INSTANCE_ID=" + hostID}, s.env...)
	for name, value := range d.complete(parameters) {
		if s.oldAgent {
			script = strings.ReplaceAll(script, "{{ "+name+" }}", value)
		} else {
			env = append(env, "SSM_"+name+"="+value)
		}
	}
	return s.runWindows(script, env)
}

func TestUserOfWindowsIsWarned(t *testing.T) {
	onWindowsScreen(t, func(t *testing.T, s *screen) {
		const now = 1_800_000_000
		s.clock(now, 0)
		s.display("console", 1)
		for i, text := range []string{"Closed at 18:00 UTC.\nSave your work.", `$(touch ran) "; touch ran; '`, "/server:elsewhere", "{{ssm:x}} <b>é</b>"} {
			s.oldAgent = i%2 == 1
			lines := s.notifyOnWindows(text, fmt.Sprint(now+600), notice("console", int64(i+1)))
			s.want(lines, "console warned")
			if lines[0].Reason != "msg" {
				t.Errorf("%+v", lines)
			}
			// In code page 437, which is that of machines without a language, é is 82.
			s.wantText(i+1, strings.ReplaceAll(text, "é", "\x82"))
			if got := read(t, fmt.Sprintf("%s/%d.arguments", s.dir, i+1)); got != "console /time:600\n" {
				t.Errorf("msg %s", got)
			}
		}
		s.wantNothingRun()
		end := "This session will be closed at 2026-11-28 18:00 UTC, in 1440 minutes."
		s.want(s.notifyOnWindows(strings.Repeat("x", 200)+"\n\n"+end, fmt.Sprint(now+600), notice("console", 9)), "console warned")
		s.wantText(5, strings.Repeat("x", 255-5-len(end))+"...\n\n"+end)
		longest := strings.Repeat("y", 255)
		s.want(s.notifyOnWindows(longest, fmt.Sprint(now+600), notice("console", 10)), "console warned")
		s.wantText(6, longest)
	})
}

func TestNoticesOfWindowsFollowTheSameRules(t *testing.T) {
	onWindowsScreen(t, func(t *testing.T, s *screen) {
		const now = 1_800_000_000
		s.clock(now, 0)
		s.display("a", 1)
		closeAt := fmt.Sprint(now + 60)
		s.want(s.notifyOnWindows("x", "0", notice("a", 1)), "a nothing")
		s.want(s.notifyOnWindows("x", closeAt, notice("a", 3)), "a warned")
		s.want(s.notifyOnWindows("x", closeAt, notice("a", 3)), "a warned") // shown once
		s.wantReason(s.notifyOnWindows("x", closeAt, notice("a", 2)), "a newer notice was here before")
		s.want(s.notifyOnWindows("y", "0", notice("a", 4)), "a told")
		s.want(s.notifyOnWindows("y", "0", notice("a", 5)), "a nothing")
		s.want(s.notifyOnWindows("x", closeAt, notice("a", 6)), "a warned")
		s.connect("a", 0)
		s.want(s.notifyOnWindows("x", closeAt, notice("a", 7)), "a nobody")
		s.want(s.notifyOnWindows("y", "0", notice("a", 8)), "a nothing")
		s.connect("a", 1)
		if n := len(s.pids()); n != 3 {
			t.Errorf("msg was called %d times", n)
		}
		s.wantReason(s.notifyOnWindowsUntil("x", closeAt, fmt.Sprint(now-1), notice("a", 9)), "the notice is void")
		s.wantReason(s.notifyOnWindows("x", fmt.Sprint(now), notice("a", 9)), "its time to close has come")
		s.wantReason(s.notifyOnWindows("x", closeAt, notice("b", 9)), "no such session")
		s.wantReason(s.notifyOnWindows("x", closeAt, incarnation("a", later)+":9"), "another session has its ID by now")
		s.wantReason(s.notifyOnWindows("x", closeAt, "-a@1:9"), "no ID for dcv")
		s.wantReason(s.notifyOnWindows("x", closeAt, incarnation("a", created)), "no ID for dcv")
		// An incarnation that was not warned.
		s.want(s.notifyOnWindows("x", closeAt, notice("a", 10)), "a warned")
		s.describe("a", created, later)
		s.want(s.notifyOnWindows("y", "0", incarnation("a", later)+":b"), "a nothing")
		s.describe("a", later, created)

		// A cancel waits for the script that shows the warning, and has the file.
		s.want(s.notifyOnWindows("x", closeAt, notice("a", 12)), "a warned")
		files, err := filepath.Glob(s.notices + "/dcv-session-broker/*")
		if err != nil || len(files) != 1 {
			t.Fatalf("%q, %v", files, err)
		}
		other, err := os.Open(files[0])
		if err != nil || syscall.Flock(int(other.Fd()), syscall.LOCK_EX) != nil {
			t.Fatal(err)
		}
		time.AfterFunc(1500*time.Millisecond, func() { _ = other.Close() })
		s.want(s.notifyOnWindows("y", "0", notice("a", 13)), "a told")

		s.shim("msg.exe", `echo "Error 5 getting session names" >&2; exit 1`)
		s.wantReason(s.notifyOnWindows("x", closeAt, notice("a", 14)), "msg: Error 5 getting session names")
		s.server(fileOf("a")+".connections", "none")
		s.wantReason(s.notifyOnWindows("x", closeAt, notice("a", 15)), "dcv list-connections: unreadable answer")
		if err := os.Remove(s.bin + "/msg.exe"); err != nil {
			t.Fatal(err)
		}
		s.connect("a", 1)
		s.wantReason(s.notifyOnWindows("x", closeAt, notice("a", 16)), "there is no msg.exe")
	})
}
