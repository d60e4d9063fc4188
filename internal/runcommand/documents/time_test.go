package documents_test

import (
	"fmt"
	"strings"
	"testing"
)

// shortTimeout ends the time of a call of dcv as soon as it hangs, if the script's bound is the one that the document promises.
// Other calls have minutes: this machine may be busy. The signal is that of timeout's own clock.
func (h *host) shortTimeout() {
	h.quickTimeout = true
	h.shim("timeout", `[ "$1 $2 $3" = "-k 1 7" ] || exit 3
shift 3
export TIMEOUT_PID=$$
exec `+program(h.t, "timeout")+` -k 1 299 "$@"`)
	h.sleeps()
}

func TestHungSessionHoldsUpOnlyItself(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.shortTimeout()
		h.noSleep()
		var names []string
		for i := range 7 {
			id := fmt.Sprintf("s%d", i)
			h.session(id, created)
			names = append(names, id)
		}
		h.server("hang", fileOf("s3")+"\n")
		lines := h.closes(askedFor(names)...)
		h.want(lines, "s0 closed, s1 closed, s2 closed, s3 failed, s4 closed, s5 closed, s6 closed")
		if lines[3].Reason != "dcv took too long" {
			t.Errorf("%+v", lines[3])
		}
		h.wantSessions("s3")
	})
}

func TestHungDcvIsGivenUp(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.shortTimeout()
		h.session("a", created)
		h.session("b", created)
		h.server("hang", "")
		h.wrapDcv(`echo >>"$DCV_STATE/calls"`)
		lines := h.closes(askedFor([]string{"a", "b", "c"})...)
		h.want(lines, "a failed, b failed, c failed")
		for _, l := range lines {
			if l.Reason != "dcv took too long" {
				t.Errorf("%+v", l)
			}
		}
		if n := strings.Count(read(t, h.state+"/calls"), "\n"); n != 1 {
			t.Errorf("dcv was asked %d times", n)
		}
		h.wantSessions("a", "b")
	})
}

// A dcv that ignores being told to end is killed.
func TestDcvThatWillNotEndIsKilled(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.shortTimeout()
		h.session("a", created)
		h.wrapDcv(`trap '' TERM; sleep 300`)
		h.mayWarn = true // sh reports that something was killed
		lines := h.closes(incarnation("a", created))
		if results(lines) != "a failed" || lines[0].Reason != "dcv took too long" {
			t.Errorf("%+v", lines)
		}
	})
}

// Systems Manager cuts the step off after 60 seconds, with the lines that were not printed yet.
func TestNoCloseBeginsAfterFortySeconds(t *testing.T) {
	t.Parallel()
	for _, step := range []int{3, 7, 8} {
		t.Run(fmt.Sprintf("%d s a call", step), func(t *testing.T) {
			onEveryAwk(t, func(t *testing.T, h *host) {
				const start = 1_800_000_000
				var names []string
				for i := range 30 {
					names = append(names, fmt.Sprintf("s%02d", i))
					h.session(names[i], created)
				}
				h.noSleep()
				h.clock(start, step)
				h.wrapDcv(`{ read -r now <` + h.bin + `/clock; echo "$1 $((now - ` + fmt.Sprint(start) + `))"; } >>"$DCV_STATE/calls"`)
				closed := 0
				for _, l := range h.closes(askedFor(names)...) {
					switch {
					case l.Result == "closed":
						closed++
					case l.Result != "failed" || l.Reason != "no time left":
						t.Errorf("%+v", l)
					}
				}
				if closed == 0 || len(h.sessions()) != len(names)-closed {
					t.Errorf("%d closed, left: %v", closed, h.sessions())
				}
				last := 0
				for call := range strings.Lines(read(t, h.state+"/calls")) {
					var name string
					var at int
					if _, err := fmt.Sscan(call, &name, &at); err != nil {
						t.Fatal(err)
					}
					// The clock ticks when it is looked at, after a call: this one began a step earlier.
					if name == "close-session" && at-step >= 40 {
						t.Errorf("close began after %d s", at-step)
					}
					last = at
				}
				if last > 57 {
					t.Errorf("the last call ended after %d s", last)
				}
			})
		})
	}
}

// A session is not closed because of what was so a while ago.
func TestListIsMadeAgainBeforeItIsOld(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(1_800_000_001, 1) // odd: of two sessions, the first comes first
		h.noSleep()
		h.session("a", created)
		h.session("b", created)
		again := h.state + "/" + fileOf("b")
		h.server(fileOf("b")+".again", described(`"b"`, later))
		h.wrapDcv(`[ "$*" = "close-session a" ] && mv ` + again + `.again ` + again + `.json`)
		h.want(h.closes(askedFor([]string{"a", "b"})...), "a closed, b replaced")
	})
}

// Closing may take a moment: the session is listed on for a while.
func TestSessionThatGoesSlowlyIsClosed(t *testing.T) {
	onEveryHost(t, func(t *testing.T, h *host) {
		h.noSleep()
		h.session("a", created)
		h.session("b", created)
		h.wrapDcv(`case $1 in
close-session) echo "$2" >>"$DCV_STATE/closing"; exit 0 ;;
list-sessions)
  if [ -e "$DCV_STATE/closing" ]; then
    echo >>"$DCV_STATE/lists"
    if [ "$(wc -l <"$DCV_STATE/lists")" -ge 4 ]; then rm -f "$DCV_STATE"/*.json; fi
  fi ;;
esac`)
		h.want(h.closes(askedFor([]string{"a", "b"})...), "a closed, b closed")
		if n := strings.Count(read(t, h.state+"/closing"), "\n"); n != 2 {
			t.Errorf("%d closes", n)
		}
	})
}

// Without a list after the close it is not known whether it was closed.
func TestCloseWithoutASecondListFails(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.noSleep()
		for name, ill := range map[string]string{"broken": "out of order", "garbage": "[{"} {
			h.session("a", created)
			h.session("b", created)
			h.server("illness", ill)
			h.wrapDcv(`if [ "$*" = "close-session b" ]; then real "$@"; cp "$DCV_STATE/illness" "$DCV_STATE/` + name + `"; exit 0; fi`)
			lines := h.closes(askedFor([]string{"b"})...)
			h.want(lines, "b failed")
			if want := map[string]string{
				"broken": "out of order (exit 1)", "garbage": "dcv list-sessions: unreadable answer",
			}[name]; lines[0].Reason != want {
				t.Errorf("%+v, wanted %s", lines[0], want)
			}
			remove(t, h.state+"/"+name)
			rename(t, h.bin+"/real-dcv", h.bin+"/dcv")
		}
	})
}

// Nor if the list no longer says which incarnation it is.
func TestSessionWithoutADateAfterTheCloseFails(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.noSleep()
		h.session("a", created)
		h.server(fileOf("a")+".next", described(`"a"`, ""))
		h.want(h.closes(incarnation("a", created)), "a failed")
	})
}

// An illness that passes is no failure.
func TestSecondListIsTriedAgain(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.noSleep()
		h.session("a", created)
		h.wrapDcv(`case $1 in
close-session) : >"$DCV_STATE/broken"; rm "$file"; exit 0 ;;
list-sessions) if [ -e "$DCV_STATE/broken" ]; then rm "$DCV_STATE/broken"; echo busy >&2; exit 1; fi ;;
esac`)
		h.want(h.closes(incarnation("a", created)), "a closed")
	})
}

// Some that always hang must not take all the time of those behind them, time and again.
func TestNoSessionIsAlwaysTheLast(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		first := map[string]bool{}
		for second := range 3 {
			h.clock(1_800_000_000+second, 0)
			lines := h.runUnsorted(hostID+"="+strings.Join(askedFor([]string{"a", "b", "c"}), ","), never)
			if len(lines) != 3 {
				t.Fatalf("%+v", lines)
			}
			first[lines[0].ID] = true
		}
		if len(first) != 3 {
			t.Errorf("only %v were ever the first", first)
		}
	})
}

func TestHostWithoutDcvSaysSo(t *testing.T) {
	onEveryHost(t, func(t *testing.T, h *host) {
		remove(t, h.bin+"/dcv")
		lines := h.closes(askedFor([]string{"a", "b"})...)
		h.want(lines, "a failed, b failed")
		if !strings.Contains(lines[0].Reason, "dcv") {
			t.Errorf("%+v", lines[0])
		}
	})
}
