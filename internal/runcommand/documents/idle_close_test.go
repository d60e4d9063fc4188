package documents_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A close is believed only when the list shows it.
func TestIdleSessionMustBeGoneToBeClosed(t *testing.T) {
	onEveryHost(t, func(t *testing.T, h *host) {
		h.clock(int(idleNow.Unix()), 0)
		h.noSleep()
		for _, id := range []string{"console", "goes", "lies", "slow", "stuck"} {
			h.used(id, ago(500, 0), "")
		}
		h.server(fileOf("stuck")+".stuck", "a client \"holds\" it\n")
		h.server(fileOf("console")+".next", described(`"console"`, ago(0, 0)))
		h.wrapDcv(`case $* in
"close-session lies") exit 0 ;;
"close-session slow") echo 3 >"$DCV_STATE/slow"; exit 0 ;;
"list-sessions -j")
  if [ -e "$DCV_STATE/slow" ]; then
    read -r left <"$DCV_STATE/slow"
    echo $((left - 1)) >"$DCV_STATE/slow"
    [ "$left" -gt 0 ] || rm -f "$DCV_STATE/` + fileOf("slow") + `.json"
  fi ;;
esac`)
		s := h.idle(idleLimit)
		h.wantSaid(s, "console closed 500/0, goes closed 500/0, lies failed 500/0, slow closed 500/0, stuck failed 500/0")
		h.wantSessions("console", "lies", "stuck")
		if a, b := s.lines[2].Reason, s.lines[4].Reason; a != "dcv closed it, and lists it still" || b != "Could not close session: a client holds it (exit 1)" {
			t.Errorf("%q, %q", a, b)
		}
	})
}

// Nor does a list that shows the session in a way that cannot be read.
func TestIdleSessionThatCannotBeToldIsNotClosed(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(int(idleNow.Unix()), 0)
		h.noSleep()
		h.used("s", ago(500, 0), "")
		for name, list := range map[string]string{
			"twice":              described(`"s"`, ago(500, 0)) + "," + described(`"s"`, ago(0, 0)),
			"twice, newer":       described(`"s"`, ago(0, 0)) + "," + described(`"s"`, ago(1, 0)),
			"an unreadable time": described(`"s"`, "yesterday"),
			"no time":            `{"id":"s","owner":"user1"}`,
		} {
			h.server("list", "["+list+"]")
			h.wrapDcv(`case $1 in
close-session) : >"$DCV_STATE/closed"; exit 0 ;;
list-sessions) if [ -e "$DCV_STATE/closed" ]; then cat "$DCV_STATE/list"; exit; fi ;;
esac`)
			if s := h.idle(idleLimit); !strings.Contains(s.text, `"result":"failed"`) || strings.Contains(s.text, `"result":"closed"`) {
				t.Errorf("%s: %s", name, s.text)
			}
			remove(t, h.state+"/closed")
			rename(t, h.bin+"/real-dcv", h.bin+"/dcv")
		}
	})
}

// Without a list after the close it is not known whether it was closed.
func TestIdleCloseWithoutASecondListFails(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(int(idleNow.Unix()), 0)
		h.noSleep()
		for ill, why := range map[string]string{
			`echo busy >&2; exit 1`: "busy (exit 1)",
			`echo "["; exit`:        "dcv list-sessions: unreadable answer",
			`echo "[{}]"; exit`:     "dcv list-sessions: unreadable answer",
		} {
			h.used("s", ago(500, 0), "")
			h.wrapDcv(`case $1 in
close-session) : >"$DCV_STATE/closed" ;;
list-sessions) if [ -e "$DCV_STATE/closed" ]; then ` + ill + `; fi ;;
esac`)
			s := h.idle(idleLimit)
			h.wantSaid(s, "s failed 500/0")
			if s.lines[0].Reason != why {
				t.Errorf("%s: %s", ill, s.text)
			}
			remove(t, h.state+"/closed")
			rename(t, h.bin+"/real-dcv", h.bin+"/dcv")
		}
	})
}

func TestHungDcvIsGivenUpByIdle(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(int(idleNow.Unix()), 0)
		h.shortTimeout()
		h.used("s", ago(500, 0), "")
		h.server("hang", "")
		h.wantFailed(h.idle(idleLimit), "dcv took too long")
		h.wantSessions("s")
	})
}

// Each call may hang, for one session, and holds up only that one.
func TestHungIdleSessionHoldsUpOnlyItself(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(int(idleNow.Unix()), 0)
		h.shortTimeout()
		h.noSleep()
		for _, id := range []string{"a", "b", "c", "d", "e"} {
			h.used(id, ago(500, 0), "")
		}
		h.used("f", ago(500, 0), "", ago(90, 0))
		h.wrapDcv(`case $* in "describe-session b -j" | "list-connections c -j" | "close-session d" | "list-connections f -j") exec sleep 300 ;; esac`)
		s := h.idle(idleLimit)
		h.wantSaid(s, "a closed 500/0, b failed 500/0, c failed 500/0, d failed 500/0, e closed 500/0, f failed 0/1")
		for _, l := range s.lines {
			if l.Result == "failed" && l.Reason != "dcv took too long" {
				t.Errorf("%+v", l)
			}
		}
		h.wantSessions("b", "c", "d", "f")
	})
}

// Systems Manager cuts the step off after 60 seconds, with the lines that were not printed yet.
func TestNoIdleCloseBeginsAfterFortySeconds(t *testing.T) {
	t.Parallel()
	for _, step := range []int{3, 7, 8} {
		t.Run(fmt.Sprintf("%d s a call", step), func(t *testing.T) {
			onEveryAwk(t, func(t *testing.T, h *host) {
				h.noSleep()
				h.clock(int(idleNow.Unix()), step)
				for i := range 24 {
					h.used(fmt.Sprintf("s%02d", i), ago(500, 0), "")
				}
				h.wrapDcv(`{ read -r now <` + h.bin + `/clock; echo "$1 $((now - ` + fmt.Sprint(idleNow.Unix()) + `))"; } >>"$DCV_STATE/calls"`)
				s := h.idle(idleLimit)
				closed := 0
				for _, l := range s.lines {
					switch {
					case l.Result == "closed":
						closed++
					case l.Result != "failed" || l.Reason != "no time left":
						t.Errorf("%+v", l)
					}
				}
				if closed == 0 || len(s.lines) != 24 || len(h.sessions()) != 24-closed || s.end != 24 {
					t.Errorf("%d closed, left: %v, %s", closed, h.sessions(), s.text)
				}
				last := 0
				for call := range strings.Lines(read(t, h.state+"/calls")) {
					var name string
					if _, err := fmt.Sscan(call, &name, &last); err != nil {
						t.Fatal(err)
					}
					// The clock ticks when it is looked at, after a call: this one began a step earlier.
					if name != "list-sessions" && last-step >= 40 {
						t.Errorf("%s began after %d s", name, last-step)
					}
				}
				if last > 57 {
					t.Errorf("the last call ended after %d s", last)
				}
			})
		})
	}
}

// Nor does the wait for sessions that do not go outlast the step.
func TestWaitForClosedSessionsEndsInTime(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.noSleep()
		h.clock(int(idleNow.Unix()), 9)
		h.used("s", ago(500, 0), "")
		h.wrapDcv(`cp ` + h.bin + `/clock "$DCV_STATE/last"; if [ "$1" = close-session ]; then exit 0; fi`)
		h.wantSaid(h.idle(idleLimit), "s failed 500/0")
		var last int64
		if _, err := fmt.Sscan(read(t, h.state+"/last"), &last); err != nil || last-9-idleNow.Unix() >= 48 {
			t.Errorf("the last call began after %d s: %v", last-9-idleNow.Unix(), err)
		}
	})
}

// Some that always hang must not take all the time of those behind them, time and again.
func TestNoIdleSessionIsAlwaysTheLast(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		for _, id := range []string{"a", "b", "c"} {
			h.used(id, ago(50, 0), "")
		}
		first := map[string]bool{}
		for round := range 5 {
			h.clock(int(idleNow.Unix())+300*round, 0)
			var line string
			for line = range strings.Lines(h.idle("80").text) {
				break
			}
			first[line[:8]] = true
		}
		if len(first) != 3 {
			t.Errorf("only %v were ever the first", first)
		}
	})
}

// What was closed is told whatever else there is to tell.
func TestClosedSessionsHaveTheirRoom(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(int(idleNow.Unix()), 0)
		var idle []string
		for i := range 200 {
			h.used(fmt.Sprintf("half-way-there-%03d", i), ago(45, 0), "")
		}
		for i := range 12 {
			idle = append(idle, fmt.Sprintf("idle-%02d", i))
			h.used(idle[i], ago(500, 0), "")
		}
		s := h.idle(idleLimit)
		var closed []string
		for _, l := range s.lines {
			if l.Result == "closed" {
				closed = append(closed, *l.ID)
			}
		}
		if !slices.Equal(closed, idle) || s.end != 212 || len(s.lines) < 80 || len(s.text) > 16_000 {
			t.Errorf("closed %q, %d lines, %d bytes, end %d", closed, len(s.lines), len(s.text), s.end)
		}
	})
}

// One whose line has no room stays for another time: a close must be told.
func TestNothingIsClosedThatCannotBeTold(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(int(idleNow.Unix()), 0)
		long := func(i int) string { return fmt.Sprintf("%02d", i) + strings.Repeat(`\u00e9`, 900) }
		var listed []string
		for i := range 6 {
			listed = append(listed, described(`"`+long(i)+`"`, ago(500, 0)))
		}
		h.server("garbage", "["+strings.Join(listed, ",")+"]")
		h.wrapDcv(`case $1 in
describe-session) printf '{"id":"%s","num-of-connections":0,"creation-time":"` + ago(500, 0) + `"}' "$2"; exit ;;
list-connections) echo "[]"; exit ;;
close-session) echo >>"$DCV_STATE/closes"; echo "[]" >"$DCV_STATE/garbage"; exit ;;
esac`)
		s := h.idle(idleLimit)
		closes := strings.Count(read(t, h.state+"/closes"), "\n")
		if closes == 0 || closes == 6 || len(s.lines) < closes || s.end != 6 {
			t.Errorf("%d closes, %d lines", closes, len(s.lines))
		}
	})
}
