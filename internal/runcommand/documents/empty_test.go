package documents_test

import (
	"fmt"
	"strings"
	"testing"
)

// noSession is what dcv says of a server without sessions where it is not asked for JSON.
const noSession = "There are no sessions available.\n"

// What dcv prints for no session is documented nowhere: each form that was seen ends the last session and completes an
// inventory.
func TestEmptyListsOfEveryForm(t *testing.T) {
	forms := map[string]struct{ json, text string }{
		"a list":                           {"[]\n", noSession},
		"a sentence":                       {noSession, noSession},
		"nothing, in words a sentence":     {"", noSession},
		"a new line, in words a sentence":  {"\r\n", noSession},
		"nothing, in words too":            {"", ""},
		"a new line, in words too":         {"\n", " \n"},
		"a byte order mark, in words one,": {"\ufeff", "\ufeff" + noSession},
	}
	onEveryHost(t, func(t *testing.T, h *host) {
		h.clock(int(idleNow.Unix()), 0)
		for form, prints := range forms {
			h.server("none", prints.json)
			h.server("none-text", prints.text)
			h.session("a", created)
			if lines := h.closes(incarnation("a", created)); results(lines) != "a closed" {
				t.Errorf("%s: %+v", form, lines)
			}
			if lines := h.closes(incarnation("a", created)); results(lines) != "a absent" {
				t.Errorf("%s: %+v", form, lines)
			}
			if s := h.inventory(); s.failed != "" || s.end != 0 {
				t.Errorf("%s: %s", form, s.text)
			}
			if s := h.idle(idleLimit); s.failed != "" || s.end != 0 {
				t.Errorf("%s: %s", form, s.text)
			}
			h.used("b", ago(500, 0), "")
			h.wantSaid(h.idle(idleLimit), "b closed 500/0")
			h.wantSessions()
		}
	})
}

// Nothing is also what a program prints that is not dcv, and what a dcv may print that has lost its server.
func TestBlankAnswerAloneProvesNothing(t *testing.T) {
	const blank = "dcv list-sessions: blank answer"
	ills := map[string]struct{ dcv, why string }{
		"each call prints nothing":               {`exit 0`, blank},
		"in words there are sessions":            {`[ "$*" != "list-sessions -j" ] || exit 0`, blank},
		"in words it is unreadable":              {`case $* in "list-sessions -j") exit 0 ;; list-sessions) echo "There are no"; exit ;; esac`, blank},
		"in words it fails":                      {`case $* in "list-sessions -j") exit 0 ;; list-sessions) echo ill >&2; exit 1 ;; esac`, "ill (exit 1)"},
		"each session can be described":          {`case $1 in list-sessions) exit 0 ;; describe-session) echo "{}"; exit 0 ;; esac`, blank},
		"describe-session is not there":          {`case $1 in list-sessions) exit 0 ;; describe-session) echo lost >&2; exit 127 ;; esac`, "lost (exit 127)"},
		"describe-session dies":                  {`case $1 in list-sessions) exit 0 ;; describe-session) echo dead >&2; exit 139 ;; esac`, "dead (exit 139)"},
		"describe-session hangs":                 {`case $1 in list-sessions) exit 0 ;; describe-session) exec sleep 300 ;; esac`, "dcv took too long"},
		"it prints how the script ends answers":  {`[ "$*" != "list-sessions -j" ] || { printf "= 0 1\n[]"; exit; }`, blank},
		"list-sessions -j fails with a sentence": {`[ "$*" != "list-sessions -j" ] || { printf "` + noSession[:len(noSession)-1] + `" >&2; exit 1; }`, "There are no sessions available. (exit 1)"},
	}
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(int(idleNow.Unix()), 0)
		h.shortTimeout()
		h.noSleep()
		for ill, row := range ills {
			h.used("a", created, "")
			h.wrapDcv(row.dcv)
			lines := h.closes(incarnation("a", created), incarnation("gone", created))
			if results(lines) != "a failed, gone failed" || lines[0].Reason != row.why || lines[1].Reason != row.why {
				t.Errorf("%s: %+v", ill, lines)
			}
			h.wantFailed(h.inventory(), row.why)
			h.wantFailed(h.idle(idleLimit), row.why)
			h.wantSessions("a")
			rename(t, h.bin+"/real-dcv", h.bin+"/dcv")
		}
	})
}

// After a close, too: what was closed must be gone by each call's word.
func TestBlankAnswerAfterACloseProvesNothing(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(int(idleNow.Unix()), 0)
		h.noSleep()
		for _, ill := range []string{
			`exit 0`, // the session is gone, but nobody knows
			`case $1 in list-sessions) exit 0 ;; describe-session) echo "{}"; exit 0 ;; esac`,
		} {
			h.used("a", ago(500, 0), "")
			h.wrapDcv(`if [ "$1" = close-session ]; then : >"$DCV_STATE/closed"; elif [ -e "$DCV_STATE/closed" ]; then ` + ill + `; fi`)
			h.want(h.closes(incarnation("a", ago(500, 0))), "a failed")
			remove(t, h.state+"/closed")
			h.used("a", ago(500, 0), "")
			h.wantSaid(h.idle(idleLimit), "a failed 500/0")
			remove(t, h.state+"/closed")
			rename(t, h.bin+"/real-dcv", h.bin+"/dcv")
		}
	})
}

// A session that lives is not taken for absent because another is.
func TestBlankListIsProvenForEachSession(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.session("a", created)
		h.wrapDcv(`[ "$1" != list-sessions ] || exit 0`)
		for second := range 2 { // each is the first once
			h.clock(1_800_000_000+second, 0)
			h.want(h.closes(incarnation("a", created), incarnation("gone", created)), "a failed, gone absent")
		}
		h.wantSessions("a")
	})
}

// Nor does what dcv prints for no connection stand anywhere. Where it prints nothing, the number must be 0 too.
func TestBlankListOfConnections(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(int(idleNow.Unix()), 0)
		h.noSleep()
		h.used("s", ago(500, 0), "", ago(90, 0))
		h.wrapDcv(`[ "$1" != list-connections ] || exit 0`)
		s := h.idle(idleLimit)
		h.wantSaid(s, "s in-use 0/1")
		if s.lines[0].Reason != "dcv counts 1 and lists 0 connections" {
			t.Error(s.text)
		}
		h.server(fileOf("s")+".connections", "[]")
		h.wantSaid(h.idle(idleLimit), "s closed 500/0")
	})
}

// The calls that a blank list takes stay within the step's time, too.
func TestBlankListsEndInTime(t *testing.T) {
	t.Parallel()
	for _, step := range []int{3, 7, 8} {
		t.Run(fmt.Sprintf("%d s a call", step), func(t *testing.T) {
			onEveryAwk(t, func(t *testing.T, h *host) {
				const start = 1_800_000_000
				h.noSleep()
				h.server("none", "")
				h.server("none-text", "")
				h.session("a", created)
				names := []string{"a"}
				for i := range 30 {
					names = append(names, fmt.Sprintf("gone%02d", i))
				}
				h.wrapDcv(`{ read -r now <` + h.bin + `/clock; echo $((now - ` + fmt.Sprint(start) + `)) >>"$DCV_STATE/calls"; }`)
				late := 0
				for range 2 { // the second time each is gone
					h.clock(start, step)
					for _, l := range h.closes(askedFor(names)...) {
						switch {
						case l.Reason == "no time left":
							late++
						case l.Result != "absent" && (l.ID != "a" || l.Result != "closed"):
							t.Errorf("%+v", l)
						}
					}
				}
				if late == 0 {
					t.Error("there was time for everything")
				}
				for call := range strings.Lines(read(t, h.state+"/calls")) {
					var ended int
					if _, err := fmt.Sscan(call, &ended); err != nil {
						t.Fatal(err)
					}
					// The clock ticks when it is looked at, after a call: this one began a step earlier.
					if ended-step >= 49 || ended > 57 {
						t.Errorf("a call began after %d s and ended after %d", ended-step, ended)
					}
				}
			})
		})
	}
}
