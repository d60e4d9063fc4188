package documents_test

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// An xserver is a real X server, Xvfb, on which real programs show messages to a user of its own. The users are in a
// user database that only the script sees: /etc/passwd of a mount namespace, so that this machine keeps its own.
type xserver struct {
	*screen
	process *exec.Cmd
	display string
	cookie  []byte
	other   int   // another user, next to uid
	sent    int64 // notices
}

var users atomic.Int32

// onXServer runs a test on an X server, with the real programs.
func onXServer(t *testing.T, test func(*testing.T, *xserver)) {
	t.Helper()
	t.Parallel()
	for name, from := range map[string]string{
		"Xvfb": "xvfb", "zenity": "zenity", "xmessage": "x11-utils", "setpriv": "util-linux", "unshare": "util-linux", "gcc": "gcc", "flock": "util-linux",
	} {
		if _, err := exec.LookPath(name); err != nil {
			missing(t, "there is no "+name+" here; install the package "+from)
		}
	}
	if err := exec.CommandContext(t.Context(), "unshare", "-m", "true").Run(); err != nil {
		missing(t, "this takes root, who alone can run programs as another user")
	}
	on(t, usualKind(), func(t *testing.T, h *host) {
		uid := 70_000 + 2*int(users.Add(1))
		x := &xserver{screen: &screen{host: h, uid: uid}, other: uid + 1, cookie: make([]byte, 16)}
		h.twin = false
		if _, err := rand.Read(x.cookie); err != nil {
			t.Fatal(err)
		}
		x.makeUsers()
		x.startServer()
		test(t, x)
	})
}

func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// makeUsers makes user1, whose sessions these are, and user2.
func (x *xserver) makeUsers() {
	x.t.Helper()
	// Not in the tests' folder: users must come through to theirs.
	dir, err := os.MkdirTemp("/tmp", "x-server-")
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { _ = os.RemoveAll(dir) }) // it is in /tmp
	if err := os.Chmod(dir, 0o755); err != nil {
		x.t.Fatal(err)
	}
	x.dir, x.notices = dir, dir+"/notices"
	var passwd, group strings.Builder
	fmt.Fprintln(&passwd, "root:x:0:0::/root:/bin/sh")
	fmt.Fprintln(&group, "root:x:0:")
	for i, uid := range []int{x.uid, x.other} {
		name := fmt.Sprintf("user%d", i+1)
		fmt.Fprintf(&passwd, "%s:x:%d:%[2]d::%s/%[1]s:/bin/sh\n", name, uid, dir)
		fmt.Fprintf(&group, "%s:x:%d:\n", name, uid)
		if err := os.Mkdir(dir+"/"+name, 0o700); err != nil {
			x.t.Fatal(err)
		}
		x.give(name, uid)
	}
	x.write(dir+"/passwd", passwd.String(), 0o644)
	x.write(dir+"/group", group.String(), 0o644)
	x.env = append(x.env, "DCV_BROKER_NOTICES="+x.notices)
	x.shell = []string{program(x.t, "unshare"), "-m", "sh", "-c",
		`mount --bind "$0/passwd" /etc/passwd && mount --bind "$0/group" /etc/group && exec sh "$1"`, dir}
	x.t.Cleanup(func() {
		for _, pid := range x.processes() {
			_ = syscall.Kill(pid, syscall.SIGKILL) // or it has ended
		}
	})
}

// give makes a file of the tests' folder a user's.
func (x *xserver) give(name string, uid int) {
	x.t.Helper()
	if err := os.Lchown(x.dir+"/"+name, uid, uid); err != nil {
		x.t.Fatal(err)
	}
}

func (x *xserver) startServer() {
	x.t.Helper()
	x.write(x.dir+"/server", string(authority(x.cookie)), 0o600)
	x.write(x.dir+"/user1/authority", string(authority(x.cookie)), 0o600)
	x.give("user1/authority", x.uid)
	number, tell, err := os.Pipe()
	if err != nil {
		x.t.Fatal(err)
	}
	x.process = exec.CommandContext(x.t.Context(), "Xvfb", "-displayfd", "3", "-auth", x.dir+"/server", "-nolisten", "tcp", "-noreset", "-screen", "0", "640x400x24")
	x.process.ExtraFiles = []*os.File{tell}
	if err := x.process.Start(); err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() {
		_ = x.process.Process.Kill() // or it has ended
		_ = x.process.Wait()         // it was killed
		_ = os.Remove("/tmp/.X11-unix/X" + x.display[1:])
		_ = os.Remove("/tmp/.X" + x.display[1:] + "-lock")
	})
	if err := tell.Close(); err != nil {
		x.t.Fatal(err)
	}
	line, err := bufio.NewReader(number).ReadString('\n')
	if err != nil {
		x.t.Fatal("Xvfb did not start: ", err)
	}
	x.display = ":" + strings.TrimSpace(line)
}

// session starts one of a user on this server; without a display, it is a console session.
func (x *xserver) session(id, owner, display, authority string) {
	x.server(fileOf(id)+".json", fmt.Sprintf(`{"id": %q, "owner": %q, "num-of-connections": 0, "creation-time": %q, "x11-display": %q, "x11-authority": %q}`,
		id, owner, created, display, authority))
	x.connect(id, 1)
}

// processes are those of the users.
func (x *xserver) processes() []int {
	x.t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		x.t.Fatal(err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if uid := statusField(pid, "Uid:"); uid == strconv.Itoa(x.uid) || uid == strconv.Itoa(x.other) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// statusField is the first word behind this name in what the kernel says about a process, or "" if there is none.
func statusField(pid int, name string) string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil || strings.Contains(string(status), "State:\tZ") {
		return ""
	}
	for line := range strings.Lines(string(status)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == name {
			return words[1]
		}
	}
	return ""
}

// running gives the process of the users that has this name, or 0.
func (x *xserver) running(name string) int {
	x.t.Helper()
	for _, pid := range x.processes() {
		if statusField(pid, "Name:") == name {
			return pid
		}
	}
	return 0
}

// wantWarned is that the session's user is warned by this program. It is tried again: a busy machine may take longer than two
// seconds to start it.
func (x *xserver) wantWarned(id, by, text string) {
	x.t.Helper()
	var lines []line
	for range 5 {
		x.sent++
		lines = x.notify(text, soon, notice(id, x.sent))
		if len(lines) == 1 && lines[0].Result == "warned" && lines[0].Reason == by {
			x.wantShown(1)
			return
		}
	}
	x.t.Fatalf("%+v, wanted warned by %s", lines, by)
}

// shown are the windows with the message.
func (x *xserver) shown() []window {
	x.t.Helper()
	client := dialX11(x.t, x.display, x.cookie)
	return slices.DeleteFunc(client.windows(), func(w window) bool { return w.name != "Amazon DCV session" })
}

func (x *xserver) wantShown(n int) {
	x.t.Helper()
	for range 6000 { // five minutes
		if len(x.shown()) == n {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	x.t.Errorf("%d windows are shown, wanted %d", len(x.shown()), n)
}

// wantNothingRuns is that no program of the users runs, soon: one that is told to end takes a moment.
func (x *xserver) wantNothingRuns() {
	x.t.Helper()
	for range 6000 { // five minutes
		if len(x.processes()) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	x.t.Errorf("the users have processes: %v", x.processes())
}

// startAs starts a program of a user, with this environment, and ends it with the test.
func (x *xserver) startAs(uid int, name string, env ...string) {
	x.t.Helper()
	copied := filepath.Join(x.dir, name)
	if !exists(x.t, copied) {
		x.write(copied, read(x.t, program(x.t, "sleep")), 0o755)
	}
	command := exec.CommandContext(x.t.Context(), copied, "600")
	command.Env = env
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	if err := command.Start(); err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() {
		_ = command.Process.Kill() // or it has ended
		_ = command.Wait()         // it was killed
	})
}
