package documents_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A screen is a host whose sessions have displays. Programs stand in for setpriv, the user database and zenity, so that a
// test needs no X server and no root; xserver_test.go has the real ones.
type screen struct {
	*host
	dir     string // what the stand-in for zenity got: a text and an environment for each that was started
	notices string // the folder of the script
	// uid is the owner's.
	uid int
}

const (
	ownerID = 1234
	soon    = "99999999990" // a closeAt that no clock reaches
)

// onEveryScreen runs a test on the hosts that onEveryHost takes, which have a screen.
func onEveryScreen(t *testing.T, on func(*testing.T, func(*testing.T, *host)), test func(*testing.T, *screen)) {
	on(t, func(t *testing.T, h *host) {
		for _, name := range []string{"flock", "setsid", "sha256sum"} {
			program(t, name) // of Linux
		}
		s := &screen{host: h, dir: t.TempDir(), notices: filepath.Join(t.TempDir(), "notices"), uid: ownerID}
		h.twin = false
		h.env = append(h.env, "DCV_BROKER_NOTICES="+s.notices)
		// The steps of the script run in the shell of this host; busybox would run programs of its own in place of these.
		shell := strings.Join(h.shell, " ")
		if strings.Contains(shell, "busybox") {
			shell = program(t, "dash")
		}
		h.shim("sh", "exec "+shell+` "$@"`)
		s.owner(ownerID)
		h.shim("getent", `[ "$1" = passwd ] && echo "user1:x:$2:$2::`+s.dir+`:/bin/sh"`)
		h.shim("setpriv", `echo "$*" >>`+s.dir+`/rights; env >>`+s.dir+`/rights.env
for file in /proc/$$/fd/*; do readlink $file; done >>`+s.dir+`/rights.files
while case $1 in --reuid | --regid) shift ;; --*) ;; *) false ;; esac; do shift; done
exec "$@"`)
		h.shim("stat", fmt.Sprintf(`[ "$2" = '%%u %%F' ] || exec %s "$@"
if [ -h "$3" ]; then echo "%d symbolic link"; elif [ -f "$3" ]; then echo "%[2]d regular file"; else exit 1; fi`, program(t, "stat"), ownerID))
		s.program("zenity", `cat >"$shown.text"; env >"$shown.env"; exec `+program(t, "sleep")+` 600`)
		s.shim("sleep", `[ "$1" = 2 ] || exit 0
echo >>`+s.dir+`/waits`+s.untilRead())
		h.write(filepath.Join(s.dir, "authority"), "", 0o600)
		t.Cleanup(func() {
			for _, pid := range s.pids() {
				_ = syscall.Kill(pid, syscall.SIGKILL) // or it has ended
			}
		})
		test(t, s)
	})
}

// untilRead are shell commands that wait until every program has read its message or ended, in place of two seconds: on a
// busy machine these are too few. A program that does neither leaves the file "never".
func (s *screen) untilRead() string {
	return `
i=0
while [ $i -lt 6000 ] && [ ! -e ` + s.dir + `/never ]; do
  waiting=
  for file in ` + s.notices + `/*; do
    read -r _ _ _ pid _ <"$file"
    place=
    { read -r _ place </proc/$pid/fdinfo/0; } 2>/dev/null
    [ "$place" != 0 ] || waiting=1
  done
  [ -n "$waiting" ] || break
  i=$((i + 1)); ` + program(s.t, "sleep") + ` 0.05
done`
}

// owner is the user ID of the sessions' owner.
func (s *screen) owner(uid int) {
	s.shim("id", fmt.Sprintf(`[ -n "$2" ] || exec %s "$@"; [ "$2" = user1 ] && echo %d`, program(s.t, "id"), uid))
}

// program is one that shows messages. It knows as "shown" how the files are called that it leaves.
func (s *screen) program(name, script string) {
	s.shim(name, `echo $$ >>`+s.dir+`/pids
shown=`+s.dir+`/$(wc -l <`+s.dir+`/pids | tr -d ' ')
`+script)
}

// display starts a session on a display, with so many connections.
func (s *screen) display(id string, connections int) {
	s.t.Helper()
	quoted, err := json.Marshal(id)
	if err != nil {
		s.t.Fatal(err)
	}
	s.server(fileOf(id)+".json", fmt.Sprintf(`{"id": %s, "owner": "user1", "num-of-connections": 0, "creation-time": %q,
"x11-display": ":7", "x11-authority": %q}`, quoted, created, s.dir+"/authority"))
	s.connect(id, connections)
}

func (s *screen) connect(id string, connections int) {
	one := `{"id": 1, "username": "user1", "client-address": "192.0.2.1:1", "last-interaction-time": ""}`
	s.server(fileOf(id)+".connections", "["+strings.Join(slices.Repeat([]string{one}, connections), ",")+"]")
}

// notice is a session as it stands in the parameter, with the time of its notice.
func notice(id string, at int64) string {
	return incarnation(id, created) + ":" + strconv.FormatInt(at, 36)
}

// notify runs the script and gives its lines in the order of their IDs.
func (s *screen) notify(text, closeAt string, sessions ...string) []line {
	s.t.Helper()
	return s.notifyUntil(text, closeAt, never, sessions...)
}

func (s *screen) notifyUntil(text, closeAt, voidAfter string, sessions ...string) []line {
	s.t.Helper()
	said := s.execute("NotifyDocument", map[string]string{
		"sessions": hostID + "=" + strings.Join(sessions, ","), "text": base64.StdEncoding.EncodeToString([]byte(text)),
		"closeAt": closeAt, "voidAfter": voidAfter,
	})
	return noticeLines(s.t, said, closeAt)
}

// noticeLines are the lines of an answer. Those of a warning and of a cancel's notice have results of their own.
func noticeLines(t *testing.T, said, closeAt string) []line {
	t.Helper()
	lines := []line{}
	for text := range strings.Lines(said) {
		var l line
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&l); err != nil || decoder.More() {
			t.Fatalf("not one JSON object: %q: %v", text, err)
		}
		withReason, without := []string{"warned", "failed"}, []string{"nobody"}
		if closeAt == "0" {
			withReason, without = []string{"told", "failed"}, []string{"nothing"}
		}
		if !slices.Contains(withReason, l.Result) && !slices.Contains(without, l.Result) ||
			slices.Contains(withReason, l.Result) != (l.Reason != "") || l.Reason != "" && !reasonPattern.MatchString(l.Reason) {
			t.Errorf("not a line for the broker: %s", text)
		}
		lines = append(lines, l)
	}
	slices.SortFunc(lines, func(a, b line) int { return strings.Compare(a.ID, b.ID) })
	return lines
}

func (s *screen) pids() []int {
	s.t.Helper()
	var pids []int
	if exists(s.t, s.dir+"/pids") {
		for text := range strings.Lines(read(s.t, s.dir+"/pids")) {
			pid, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil {
				s.t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// windows are the numbers of the programs that run, of all that were started, from 1.
func (s *screen) windows() []int {
	s.t.Helper()
	open := []int{}
	for i, pid := range s.pids() {
		if s.runs(pid) {
			open = append(open, i+1)
		}
	}
	return open
}

func (s *screen) runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// wantWindows is that these run, soon: a program that is told to end takes a moment.
func (s *screen) wantWindows(numbers ...int) {
	s.t.Helper()
	for range 6000 { // five minutes
		if slices.Equal(s.windows(), numbers) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.t.Errorf("windows %v are open, wanted %v", s.windows(), numbers)
}

// wantText is what window n shows.
func (s *screen) wantText(n int, text string) {
	s.t.Helper()
	if got := read(s.t, fmt.Sprintf("%s/%d.text", s.dir, n)); got != text {
		s.t.Errorf("window %d shows %q, wanted %q", n, got, text)
	}
}

func (s *screen) wantReason(lines []line, reasons ...string) {
	s.t.Helper()
	for i, l := range lines {
		if l.Result != "failed" || i < len(reasons) && !strings.HasPrefix(l.Reason, reasons[i]) {
			s.t.Errorf("%+v, wanted failed with %q", l, reasons)
		}
	}
	if len(lines) != len(reasons) {
		s.t.Errorf("%d lines, wanted %d", len(lines), len(reasons))
	}
}
