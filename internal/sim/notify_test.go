package sim

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	gocmp "github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// A sentNotice is a notice to every session of a host.
type sentNotice struct {
	cancel             bool
	order              int64         // NoticeAt, in milliseconds since 1970
	closeIn, voidAfter time.Duration // after the host's time; 0 is a usual one
	otherIncarnation   bool
}

// The model of notify.sh is held against the script, too: each notice, and one that follows it, are answered alike for
// sessions with and without users.
func TestModelOfNoticesSaysWhatTheScriptSays(t *testing.T) {
	t.Parallel()
	warn, cancel := sentNotice{order: 2}, sentNotice{order: 2, cancel: true}
	next := func(n sentNotice) sentNotice { n.order = 3; return n }
	older := func(n sentNotice) sentNotice { n.order = 1; return n }
	for name, c := range map[string]struct {
		dcv  dcvState
		sent []sentNotice
	}{
		"cancelled":            {sent: []sentNotice{warn, next(cancel), next(cancel)}},
		"warned twice":         {sent: []sentNotice{warn, warn, next(warn)}},
		"out of order":         {sent: []sentNotice{cancel, older(warn), next(warn), older(cancel)}},
		"another incarnation":  {sent: []sentNotice{{order: 2, otherIncarnation: true}, warn}},
		"too late":             {sent: []sentNotice{{order: 2, closeIn: -time.Second}, {order: 3, voidAfter: -time.Second}, warn}},
		"dcv does not answer":  {dcv: dcvBroken, sent: []sentNotice{warn}},
		"cancel without dcv":   {dcv: dcvBroken, sent: []sentNotice{cancel}},
		"dcv says what is not": {dcv: dcvUnreadable, sent: []sentNotice{warn}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := scriptedHost{DCV: c.dcv, Then: c.dcv, After: time.Minute, Sessions: []scriptedSession{
				{Name: "in-use", Owner: "user1", Kind: "virtual", Age: time.Hour, Connections: 2, LeftAgo: -1, Away: -1, Tried: -1},
				{Name: "alone", Owner: "user2", Kind: "virtual", Age: time.Hour, LeftAgo: -1, Away: -1, Tried: -1},
			}}
			var commands []*ssm.SendCommandInput
			for _, n := range c.sent {
				commands = append(commands, h.notice(t, n))
			}
			want := h.simulateNotices(t, commands)
			dir := t.TempDir()
			h.installScreen(t, dir)
			for i, in := range commands {
				if diff := gocmp.Diff(h.runNotice(t, dir, in), want[i]); diff != "" {
					t.Errorf("lines of notice %d (-script +model):\n%s", i, diff)
				}
			}
		})
	}
}

func (h scriptedHost) notice(t *testing.T, n sentNotice) *ssm.SendCommandInput {
	all := []session.Notice{{Incarnation: session.Incarnation{SessionID: "none", NameOnHost: "none"}}}
	for _, s := range h.Sessions {
		created := h.created(s)
		if n.otherIncarnation {
			created = printed(h.now().Add(-9*time.Hour), 6)
		}
		all = append(all, session.Notice{Incarnation: session.Incarnation{SessionID: s.Name, NameOnHost: s.Name, CreationTime: created}})
	}
	for i := range all {
		a := &all[i]
		a.HostID, a.ID, a.At, a.Text = scriptedID, "notice-n", time.UnixMilli(n.order), "Save your work."
		a.VoidAfter = h.now().Add(cmp.Or(n.voidAfter, 2*time.Minute))
		if !n.cancel {
			a.CloseAt = h.now().Add(cmp.Or(n.closeIn, 10*time.Minute))
		}
	}
	var sent capture
	sender := &runcommand.Sender{API: &sent, NotifyDocument: notifyDocument, FleetTag: fleetTag}
	sender.Notify(t.Context(), all)
	return sent.input
}

// simulateNotices is what the model prints for each command.
func (h scriptedHost) simulateNotices(t *testing.T, commands []*ssm.SendCommandInput) (lines [][]string) {
	synctest.Test(t, func(*testing.T) {
		w := newWorld(1)
		w.calm = true
		m := &machine{id: scriptedID, platform: "linux", tagged: true, dcv: h.DCV, newest: map[string]time.Time{}}
		w.machines = []*machine{m}
		time.Sleep(h.After)
		for _, s := range h.Sessions {
			d := &desktop{machine: m, name: s.Name, owner: s.Owner, kind: s.Kind, createdText: h.created(s), connections: int64(s.Connections), left: h.left(s)}
			d.created, _ = time.Parse(time.RFC3339Nano, d.createdText)
			m.sessions = append(m.sessions, d)
		}
		for n, in := range commands {
			on := &onHost{command: newCommand(in, w.now()), machine: m, said: map[string]string{}}
			for _, a := range on.command.asks[m.id] {
				w.model.notices[on.command.noticeKey(a)] = &notice{of: &deletion{}, n: n}
			}
			w.notify(on)
			w.pass(10 * time.Second)
			for len(w.due()) > 0 {
				w.happen(w.due()[0])
			}
			lines = append(lines, linesOf(on.output))
		}
	})
	return lines
}

// installScreen makes the host, with programs in place of those that run others as the
// session's owner, and of zenity.
func (h scriptedHost) installScreen(t *testing.T, dir string) {
	h.install(t, dir)
	real := func(name string) string {
		path, err := exec.LookPath(name)
		must(t, err)
		return path
	}
	shim(t, dir, "id", fmt.Sprintf(`[ -n "$2" ] || exec %s "$@"; echo 1234`, real("id")))
	shim(t, dir, "getent", "echo user:x:1234:1234::"+dir+":/bin/sh")
	shim(t, dir, "stat", fmt.Sprintf(`[ "$2" = '%%u %%F' ] || exec %s "$@"; echo "1234 regular file"`, real("stat")))
	shim(t, dir, "setpriv", `while case $1 in --reuid | --regid) shift ;; --*) ;; *) false ;; esac; do shift; done; exec "$@"`)
	shim(t, dir, "zenity", fmt.Sprintf("echo $$ >>%s/pids; cat >/dev/null; exec %s 600", dir, real("sleep")))
	write(t, filepath.Join(dir, "pids"), "", 0o600)
	t.Cleanup(func() {
		text, _ := os.ReadFile(filepath.Join(dir, "pids"))
		for pid := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(pid); err == nil {
				_ = syscall.Kill(n, syscall.SIGKILL) // or it has ended
			}
		}
	})
	// In place of two seconds: until all have read their message.
	shim(t, dir, "sleep", fmt.Sprintf(`[ "$1" = 2 ] || exec %[1]s 0.05; i=0
while [ $i -lt 200 ]; do
  waiting=
  for file in %[2]s/notices/*; do
    read -r _ _ _ pid _ <"$file"
    [ "$(sed -n 's/^pos:[[:space:]]*//p' /proc/$pid/fdinfo/0 2>/dev/null)" != 0 ] || waiting=1
  done
  [ -n "$waiting" ] || break
  i=$((i + 1)); %[1]s 0.05
done`, real("sleep"), dir))
}

func (h scriptedHost) runNotice(t *testing.T, dir string, in *ssm.SendCommandInput) []string {
	shim(t, dir, "date", fmt.Sprint("echo ", h.now().Unix()))
	out, err := h.command(t.Context(), t, dir, in).Output()
	must(t, err)
	return linesOf(string(out))
}
