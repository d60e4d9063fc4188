package documents_test

import (
	"flag"
	"fmt"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// picture is where the window is painted to: make picture.
var picture = flag.String("picture", "", "write a picture of the warning to this file")

func TestWarningOnAnXServer(t *testing.T) {
	onXServer(t, func(t *testing.T, x *xserver) {
		x.session("a", "user1", x.display, x.dir+"/user1/authority")
		x.wantWarned("a", "zenity", "This machine is restarted tonight. Please save your work.\n\n"+
			"This session will be closed at 2026-11-28 18:00 UTC, in 10 minutes.")
		pid := x.running("zenity")
		for name, want := range map[string]string{"Uid:": fmt.Sprint(x.uid), "Gid:": fmt.Sprint(x.uid), "NoNewPrivs:": "1", "CapEff:": "0000000000000000"} {
			if got := statusField(pid, name); got != want {
				t.Errorf("zenity has %s %s, wanted %s", name, got, want)
			}
		}
		variables := strings.Split(strings.TrimSuffix(read(t, fmt.Sprintf("/proc/%d/environ", pid)), "\x00"), "\x00")
		if len(variables) != 5 || slices.ContainsFunc(variables, func(v string) bool { return strings.HasPrefix(v, "DCV_") }) {
			t.Errorf("its environment is %q", variables)
		}
		if out := read(t, fmt.Sprintf("/proc/%d/cmdline", pid)); strings.Contains(out, "administrators") {
			t.Errorf("the message is in its command line: %q", out)
		}
		if *picture != "" {
			x.paint(*picture)
		}
		x.want(x.notify("It will not be closed.", "0", notice("a", x.sent+1)), "a told")
		x.wantShown(1)
		if x.running("zenity") == pid {
			t.Error("the warning is still there")
		}
	})
}

// paint writes a picture of the window, once it has been drawn.
func (x *xserver) paint(path string) {
	x.t.Helper()
	client := dialX11(x.t, x.display, x.cookie)
	shown := client.picture(x.shown()[0].id)
	for range 100 {
		colours := map[color.Color]bool{}
		for i := range shown.Bounds().Dx() * shown.Bounds().Dy() {
			colours[shown.At(i%shown.Bounds().Dx(), i/shown.Bounds().Dx())] = true
		}
		if len(colours) > 10 {
			break
		}
		time.Sleep(100 * time.Millisecond)
		shown = client.picture(x.shown()[0].id)
	}
	f, err := os.Create(path)
	if err != nil {
		x.t.Fatal(err)
	}
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(f, shown); err != nil {
		x.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		x.t.Fatal(err)
	}
}

func TestXmessageOnAnXServer(t *testing.T) {
	onXServer(t, func(t *testing.T, x *xserver) {
		x.edit = strings.NewReplacer("command -v zenity ", "command -v no-zenity ")
		x.session("a", "user1", x.display, x.dir+"/user1/authority")
		x.wantWarned("a", "xmessage", "Closed at 18:00 UTC.")
		if uid := statusField(x.running("xmessage"), "Uid:"); uid != fmt.Sprint(x.uid) {
			t.Errorf("xmessage runs as %s", uid)
		}
		x.connect("a", 0)
		x.want(x.notify("x", soon, notice("a", x.sent+1)), "a nobody")
		x.wantShown(0)
	})
}

// GTK loads modules that the settings of the X server name: into a program of root's they would be the user's way to root.
func TestModuleOfTheUserHasTheUsersRights(t *testing.T) {
	onXServer(t, func(t *testing.T, x *xserver) {
		x.write(x.dir+"/module.c", `#include <stdio.h>
#include <unistd.h>
void gtk_module_init(int *argc, char ***argv) {
  FILE *f = fopen("`+x.dir+`/user1/loaded", "w");
  FILE *secret = fopen("`+x.dir+`/server", "r");
  fprintf(f, "%d %d %d %s", getuid(), geteuid(), setuid(0), secret ? "reads what is root's" : "");
  fclose(f);
}
`, 0o600)
		if out, err := exec.CommandContext(t.Context(), "gcc", "-shared", "-fPIC", "-o", x.dir+"/module.so", x.dir+"/module.c").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		client := dialX11(t, x.display, x.cookie)
		client.setSetting("Gtk/Modules", x.dir+"/module.so")
		x.session("a", "user1", x.display, x.dir+"/user1/authority")
		x.wantWarned("a", "zenity", "x")
		out, err := exec.CommandContext(t.Context(), "ldd", program(t, "zenity")).Output()
		if err != nil {
			t.Fatal(err)
		}
		// GTK 4 loads no such modules.
		if loaded := exists(t, x.dir+"/user1/loaded"); !loaded && !strings.Contains(string(out), "libgtk-3") {
			return
		}
		if got, want := read(t, x.dir+"/user1/loaded"), fmt.Sprintf("%d %[1]d -1 ", x.uid); got != want {
			t.Errorf("the module says %q, wanted %q", got, want)
		}
	})
}

func TestAuthorityOfAnotherUserIsNotUsed(t *testing.T) {
	onXServer(t, func(t *testing.T, x *xserver) {
		x.write(x.dir+"/user2/authority", string(authority(x.cookie)), 0o600)
		x.give("user2/authority", x.other)
		for name, make := range map[string]func() error{
			"a link":        func() error { return os.Symlink(x.dir+"/user2/authority", x.dir+"/user1/it") },
			"of root":       func() error { return os.WriteFile(x.dir+"/user1/it", authority(x.cookie), 0o644) },
			"a hard link":   func() error { return os.Link(x.dir+"/user2/authority", x.dir+"/user1/it") },
			"another's own": nil,
		} {
			path := x.dir + "/user2/authority"
			if make != nil {
				path = x.dir + "/user1/it"
				if err := make(); err != nil {
					t.Fatal(err)
				}
			}
			x.session("a", "user1", x.display, path)
			lines := x.notify("x", soon, notice("a", 1))
			if results(lines) != "a failed" || lines[0].Reason != "the authority file is no plain file of the owner" {
				t.Errorf("%s: %+v", name, lines)
			}
			x.wantNothingRuns()
			x.wantShown(0)
			if make != nil {
				remove(t, path)
			}
		}
	})
}

func TestDisplayThatRefusesIsNotAWarning(t *testing.T) {
	onXServer(t, func(t *testing.T, x *xserver) {
		x.write(x.dir+"/user1/authority", string(authority(make([]byte, 16))), 0o600)
		x.session("a", "user1", x.display, x.dir+"/user1/authority")
		x.session("b", "user1", ":9999", x.dir+"/user1/authority")
		x.wantReason(x.notify("x", soon, notice("a", 1), notice("b", 1)), "zenity did not stay on the screen", "zenity did not stay on the screen")
		x.edit = strings.NewReplacer("command -v zenity ", "command -v no-zenity ")
		x.wantReason(x.notify("x", soon, notice("a", 2)), "xmessage did not stay on the screen")
		x.wantNothingRuns()
	})
}

// A server that hangs takes a program's connection, and lets it wait.
func TestDisplayThatHangsIsNotAWarning(t *testing.T) {
	onXServer(t, func(t *testing.T, x *xserver) {
		x.noSleep() // settle's five seconds, of the seven that it has
		x.session("a", "user1", x.display, x.dir+"/user1/authority")
		if err := x.process.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		x.quickTimeout = true
		x.wantReason(x.notify("x", soon, notice("a", 1)), "zenity did not stay on the screen")
		if err := x.process.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		x.wantShown(0)
		x.wantNothingRuns()
	})
}

func TestConsoleSessionIsWarnedThroughItsOwnersProcesses(t *testing.T) {
	onXServer(t, func(t *testing.T, x *xserver) {
		x.session("console", "user1", "", "")
		x.session("mine", "user1", ":77", "/run/user/1/dcv/mine.xauth")
		x.wantReason(x.notify("x", soon, notice("console", 1)), "no process of the owner has a display")
		// None of these is on the console.
		x.startAs(x.other, "gnome-session", "DISPLAY="+x.display, "XAUTHORITY="+x.dir+"/user1/authority")
		x.startAs(x.uid, "no-display", "XAUTHORITY="+x.dir+"/user1/authority")
		x.startAs(x.uid, "ssh", "DISPLAY=localhost:10.0")
		x.startAs(x.uid, "gnome-session", "DISPLAY=:77", "XAUTHORITY="+x.dir+"/user1/none")
		x.startAs(x.uid, "gnome-session", "DISPLAY=:78", "XAUTHORITY=/run/user/1/dcv/other.xauth")
		x.wantReason(x.notify("x", soon, notice("console", 2)), "no process of the owner has a display")
		x.startAs(x.uid, "Xvnc-program", "DISPLAY=:79", "XAUTHORITY="+x.dir+"/user1/none")
		x.wantReason(x.notify("x", soon, notice("console", 3)), "the authority file is no plain file of the owner")
		x.startAs(x.uid, "gnome-session", "A=B", "DISPLAY="+x.display+".0", "GTK_MODULES=evil", "XAUTHORITY="+x.dir+"/user1/authority")
		x.sent = 3
		x.wantWarned("console", "zenity", "x")
		if uid := statusField(x.running("zenity"), "Uid:"); uid != fmt.Sprint(x.uid) {
			t.Errorf("zenity runs as %s", uid)
		}
	})
}

func TestHostileTextsOnAnXServer(t *testing.T) {
	onXServer(t, func(t *testing.T, x *xserver) {
		x.session("a", "user1", x.display, x.dir+"/user1/authority")
		for i, text := range []string{hostileTexts[0], hostileTexts[len(hostileTexts)-1], hostileTexts[0]} {
			by := "zenity"
			if i == 2 {
				by, x.edit = "xmessage", strings.NewReplacer("command -v zenity ", "command -v no-zenity ")
			}
			x.wantWarned("a", by, text)
		}
		x.wantNothingRun()
	})
}
