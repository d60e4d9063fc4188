package story

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"dcv-session-broker/internal/local/system"
)

const host = "i-0a1b2c3d4e5f60001"

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// told returns what a printer of that width prints of the steps, if all are told together.
func told(t *testing.T, width int, steps ...system.Step) string {
	var out bytes.Buffer
	synctest.Test(t, func(*testing.T) {
		p := New(&out, func() int { return width })
		p.Start()
		for _, s := range steps {
			p.Tell(s)
		}
		p.Stop()
	})
	return "\n" + out.String()
}

func after(d time.Duration, by, id, from, to, why string) system.Step {
	return system.Step{At: noon.Add(d), By: by, SessionID: id, HostID: host, Owner: "user1", From: from, To: to, Why: why}
}

func aDay() []system.Step {
	const long = "console-i-0a1b2c3d4e5f60002"
	return []system.Step{
		{At: noon, By: system.ControlAPI, HostID: host, Why: "lose-events"},
		after(time.Millisecond, "delete-sessions", "SessionId123", "READY", "DELETING", ""),
		after(30*time.Millisecond, "session-stream", "SessionId123", "DELETING", "DELETED", "closed"),
		after(time.Second, "cancel-deletions", "3f1e9a52-7c4d-4f6b-9b1e-2a7d5c8e0f13", "DELETING", "READY", "cancelled"),
		after(2*time.Second, "cleanup", long, "DELETING", "DELETING", "close attempt 2"),
		after(3*time.Second, "host-events", "a", "DELETING", "UNKNOWN", "Could not connect to the DCV server: is dcvserver running?\x1b[2J (exit 1); this host has said so for as long as anybody asked it"),
		after(4*time.Second, "", "b", "READY", "", ""),
	}
}

func TestColumns(t *testing.T) {
	for width, want := range map[int]string{80: `
TIME      SESSION               STATE     BY                DETAIL
12:00:00  i-0a1b2c3d4e5f60001             control API       lose-events
12:00:00  SessionId123          DELETING  delete-sessions   i-0a1b2c3d4e5f60001
12:00:00  SessionId123          DELETED   session-stream    closed
12:00:01  3f1e9a52-…7d5c8e0f13  READY     cancel-deletions  cancelled
12:00:02  console-i…d4e5f60002  DELETING  cleanup           close attempt 2
12:00:03  a                     UNKNOWN   host-events       i-0a1b2c3d4e5f60001
          Could not connect to the DCV server: is dcvserver running? [2J (exit
          1); this host has said so for as long as anybody asked it
12:00:04  b                     removed                     i-0a1b2c3d4e5f60001
`, 120: `
TIME          SESSION                              STATE     BY                HOST                 DETAIL
12:00:00.000  i-0a1b2c3d4e5f60001                            control API                            lose-events
12:00:00.001  SessionId123                         DELETING  delete-sessions   i-0a1b2c3d4e5f60001  of user1
12:00:00.030  SessionId123                         DELETED   session-stream    i-0a1b2c3d4e5f60001  closed
12:00:01.000  3f1e9a52-7c4d-4f6…9b1e-2a7d5c8e0f13  READY     cancel-deletions  i-0a1b2c3d4e5f60001  cancelled
12:00:02.000  console-i-0a1b2c3d4e5f60002          DELETING  cleanup           i-0a1b2c3d4e5f60001  close attempt 2
12:00:03.000  a                                    UNKNOWN   host-events       i-0a1b2c3d4e5f60001  of user1
              Could not connect to the DCV server: is dcvserver running? [2J (exit 1); this host has said so for as long
              as anybody asked it
12:00:04.000  b                                    removed                     i-0a1b2c3d4e5f60001  of user1
`} {
		if got := told(t, width, aDay()...); got != want {
			t.Errorf("%d:%s", width, got)
		}
	}
}

// Lines fit for every width and ID.
func TestLinesFitTheTerminal(t *testing.T) {
	for _, width := range []int{72, 80, 99, 100, 120, 200} {
		all := strings.Split(strings.TrimSpace(told(t, width, aDay()...)), "\n")
		state := strings.Index(all[0], "STATE")
		for _, text := range all {
			if n := utf8.RuneCountInString(text); n > width {
				t.Errorf("%d characters where there are %d: %s", n, width, text)
			}
			if runes := []rune(text); strings.HasPrefix(text, "12:") && (string(runes[state-2:state]) != "  " || runes[state] == ' ' && !strings.Contains(text, "lose-events")) {
				t.Errorf("%d: out of line with its head: %s", width, text)
			}
		}
	}
}

func TestManyStepsAreOneLine(t *testing.T) {
	var steps []system.Step
	for n := range 200 {
		s := after(time.Duration(n)*time.Millisecond, "host-events", fmt.Sprint("session-", n), "", "READY", "")
		s.HostID = fmt.Sprintf("i-%017d", n)
		steps = append(steps, s)
	}
	steps = append(steps, after(time.Second, "cleanup", "another", "READY", "DELETED", "vanished"))
	got := told(t, 80, steps...)
	if want := `
TIME      SESSION               STATE     BY                DETAIL
12:00:00  200 sessions          READY     host-events       200 hosts
12:00:01  another               DELETED   cleanup           vanished
`; got != want {
		t.Error(got)
	}
	if got := told(t, 80, steps[:calmMost]...); strings.Count(got, "\n") != calmMost+2 {
		t.Errorf("few are summed up:%s", got)
	}
}

// Steps that come faster than a user can read are printed once a second.
func TestManyStepsInARowAreFewLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := make(chan string, 1000)
		p := New(writes(lines), func() int { return 80 })
		p.Start()
		for n := range 150 {
			p.Tell(after(0, "host-events", fmt.Sprint("session-", n), "DELETING", "DELETED", "closed"))
			time.Sleep(5 * time.Millisecond)
		}
		p.Stop()
		if n := len(lines) - 1; n > 4 {
			t.Errorf("%d lines of 150 steps in less than a second", n)
		}
	})
}

type writes chan string

func (w writes) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}

func TestOnlyActionsOfBeforeTheStartAreLeftOut(t *testing.T) {
	var out bytes.Buffer
	p := New(&out, func() int { return 80 })
	p.Tell(system.Step{At: noon, By: system.ControlAPI, HostID: host, Why: "before"})
	p.Tell(after(0, system.ControlAPI, "listed", "", "READY", ""))
	p.Start()
	p.Tell(system.Step{At: noon, By: system.ControlAPI, HostID: host, Why: "afterwards"})
	p.Stop()
	if got := out.String(); strings.Contains(got, "before") || !strings.Contains(got, "listed") || !strings.Contains(got, "afterwards") {
		t.Error(got)
	}
}

func TestStopWithoutAStartPrintsNothing(t *testing.T) {
	var out bytes.Buffer
	p := New(&out, func() int { return 80 })
	p.Tell(after(0, "cleanup", "a", "", "READY", ""))
	p.Stop()
	if out.Len() > 0 {
		t.Error(out.String())
	}
}
