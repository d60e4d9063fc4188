package documents_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// The host's time in these tests, unless they say otherwise, and the limit that they are run with.
var idleNow = time.Date(2026, 3, 2, 20, 0, 0, 0, time.UTC)

const idleLimit = "60"

// idle runs the script of IdleDocument.
func (h *host) idle(idleMinutes string) survey {
	h.t.Helper()
	return h.readIdle(h.execute("IdleDocument", map[string]string{"idleMinutes": idleMinutes}))
}

func (h *host) readIdle(said string) survey {
	h.t.Helper()
	s := h.readSurvey(said)
	slices.SortFunc(s.lines, func(a, b surveyLine) int { return strings.Compare(*a.ID, *b.ID) })
	for _, l := range s.lines {
		if !slices.Contains([]string{"closed", "in-use", "warned", "failed"}, l.Result) || l.Created == nil || l.Minutes == nil ||
			l.Connections == nil || l.Result == "closed" && l.Reason != "" || (l.Result == "failed" || l.Result == "warned") && l.Reason == "" {
			h.t.Errorf("not a line for the broker: %+v in %s", l, s.text)
		}
	}
	return s
}

// ago is so many minutes and seconds before idleNow, as dcv prints it.
func ago(minutes, seconds int) string {
	at := idleNow.Add(-time.Duration(minutes)*time.Minute - time.Duration(seconds)*time.Second)
	return at.Format("2006-01-02T15:04:05.000000Z")
}

// used starts a session, with connections if it has any: each has its last-interaction-time, or none if that is "".
func (h *host) used(id, created, left string, interactions ...string) {
	h.t.Helper()
	text := strings.Replace(described(`"`+id+`"`, created), `-time" : ""`, `-time" : "`+left+`"`, 1)
	h.server(fileOf(id)+".json", text)
	if len(interactions) > 0 {
		h.server(fileOf(id)+".connections", connections(interactions...))
	}
}

// connections is what dcv list-connections -j prints. One that was not used since it was made is "since" that time.
func connections(interactions ...string) string {
	var all []string
	for i, at := range interactions {
		since, unused := strings.CutPrefix(at, "since ")
		switch {
		case unused:
			at = ` "last-interaction-time" : "",`
		case at == "":
			since = ""
		default:
			since = "2001-01-01T00:00:00Z"
			at = fmt.Sprintf(` "last-interaction-time" : %q,`, at)
		}
		all = append(all, fmt.Sprintf(`{ "id" : %d,%s "connection-time" : %q, "username" : "{\"u\"}" }`, i+1, at, since))
	}
	return "[\n" + strings.Join(all, ",\n") + "\n]\n"
}

// said is a survey's lines without their reasons and creation times.
func (s survey) said() string {
	var texts []string
	for _, l := range s.lines {
		texts = append(texts, fmt.Sprintf("%s %s %d/%d", *l.ID, l.Result, *l.Minutes, *l.Connections))
	}
	return strings.Join(texts, ", ")
}

func (h *host) wantSaid(s survey, wanted string) {
	h.t.Helper()
	if got := s.said(); got != wanted {
		h.t.Errorf("the script said\n\t%s\nwanted\n\t%s\nin full: %s", got, wanted, s.text)
	}
}

func TestSessionsAreClosedAfterTheLimitOnly(t *testing.T) {
	t.Parallel()
	rows := []struct {
		about, created, left string
		interactions         []string
		want                 string
	}{
		{"never connected, for long", ago(61, 0), "", nil, "closed 61/0"},
		{"never connected, just for long enough", ago(60, 0), "", nil, "closed 60/0"},
		{"never connected, a second too short", ago(59, 59), "", nil, "in-use 59/0"},
		{"never connected, no decimals", "2026-03-02T17:00:00Z", "", nil, "closed 180/0"},
		{"left for long", ago(500, 0), ago(75, 30), nil, "closed 75/0"},
		{"left a while ago", ago(500, 0), ago(31, 0), nil, "in-use 31/0"},
		{"left half the limit ago", ago(500, 0), ago(30, 59), nil, ""},
		{"left just now", ago(500, 0), ago(0, 0), nil, ""},
		{"left before it was made", ago(10, 0), ago(500, 0), nil, ""},
		{"made in the future", ago(-1, 0), "", nil, ""},
		{"made in a far future", "2126-03-02T17:00:00Z", "", nil, ""},
		{"connected and active", ago(500, 0), "", []string{ago(1, 0)}, ""},
		{"connected, slow", ago(500, 0), ago(400, 0), []string{ago(59, 59)}, "in-use 59/1"},
		{"connected, not much longer than it was used", ago(50, 0), "", []string{ago(45, 0)}, "in-use 45/1"},
		{"connected but away", ago(500, 0), "", []string{ago(60, 0)}, "closed 60/1"},
		{"connected but away, after somebody left", ago(500, 0), ago(2, 0), []string{ago(90, 0)}, "closed 90/1"},
		{"one of them active", ago(500, 0), "", []string{ago(90, 0), ago(3, 0), ago(400, 0)}, ""},
		{"all of them away", ago(500, 0), "", []string{ago(90, 0), ago(70, 0), ago(400, 0)}, "closed 70/3"},
		{"no time of interaction", ago(500, 0), ago(400, 0), []string{""}, ""},
		{"one without a time of interaction", ago(500, 0), ago(400, 0), []string{ago(400, 0), ""}, ""},
		{"never used since it was connected", ago(500, 0), "", []string{"since " + ago(90, 0)}, "closed 90/1"},
		{"not used, but connected just now", ago(500, 0), "", []string{"since " + ago(3, 0)}, ""},
		{"connected just now, others away", ago(500, 0), "", []string{ago(400, 0), "since " + ago(3, 0)}, ""},
		{"active in the future", ago(500, 0), "", []string{ago(-5, 0)}, ""},
		{"new, and no time of interaction", ago(10, 0), "", []string{""}, ""},
	}
	for oldAgent, onHosts := range map[bool]func(*testing.T, func(*testing.T, *host)){false: alwaysOnEveryHost, true: onEveryHost} {
		t.Run(fmt.Sprintf("old agent %t", oldAgent), func(t *testing.T) {
			onHosts(t, func(t *testing.T, h *host) {
				h.oldAgent = oldAgent
				h.clock(int(idleNow.Unix()), 0)
				var want, left []string
				for i, r := range rows {
					id := fmt.Sprintf("s%02d", i)
					h.used(id, r.created, r.left, r.interactions...)
					if r.want != "" {
						want = append(want, id+" "+r.want)
					}
					if !strings.HasPrefix(r.want, "closed") {
						left = append(left, id)
					}
				}
				s := h.idle(idleLimit)
				h.wantSaid(s, strings.Join(want, ", "))
				h.wantSessions(left...)
				for _, l := range s.lines {
					var i int
					if _, err := fmt.Sscanf(*l.ID, "s%d", &i); err != nil || *l.Created != rows[i].created || l.Reason != "" {
						t.Errorf("%+v, created %s", l, rows[i].created)
					}
				}
				if s.end != len(rows) {
					t.Errorf("end %d", s.end)
				}
				// Nothing is idle for much longer than it exists; nothing is left to do.
				h.wantSaid(h.idle("999999"), "")
				h.wantSessions(left...)
			})
		})
	}
}

// Between the first look and the close somebody may come. The session is looked at again.
func TestSessionThatIsUsedAgainIsNotClosed(t *testing.T) {
	rows := []struct {
		about, when, comes string // at that call of dcv
		interactions       []string
		want               string
	}{
		{"connects before the second look", "describe-session", connections(ago(0, 0)), nil, "s in-use 0/1"},
		{"connects, has not moved yet", "describe-session", connections(""), nil, "s in-use 0/1"},
		{"connects within the second look", "list-connections", connections(""), nil, "s in-use 0/1"},
		{"comes back to the connection", "describe-session", connections(ago(20, 0)), []string{ago(90, 0)}, "s in-use 20/1"},
		{"connects a second time", "describe-session", connections(ago(90, 0), ago(0, 1)), []string{ago(90, 0)}, "s in-use 0/2"},
		{"leaves", "describe-session", "", []string{ago(90, 0)}, "s in-use 0/0"},
	}
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(int(idleNow.Unix()), 0)
		h.wrapDcv(`if [ "$1" = "$(cat "$DCV_STATE/when")" ]; then
  if [ -s "$DCV_STATE/comes" ]; then cp "$DCV_STATE/comes" "${file%.json}.connections"
  else rm -f "${file%.json}.connections"; cp "$DCV_STATE/left" "$file"; fi
fi`)
		for _, r := range rows {
			h.used("s", ago(500, 0), ago(0, 2))
			rename(t, h.state+"/"+fileOf("s")+".json", h.state+"/left")
			h.used("s", ago(500, 0), "", r.interactions...)
			h.server("when", r.when)
			h.server("comes", r.comes)
			h.wantSaid(h.idle(idleLimit), r.want)
			h.wantSessions("s")
			_ = os.Remove(h.state + "/" + fileOf("s") + ".connections")
		}
	})
}

// A dcv that does not agree with itself about who is connected is not believed either way.
func TestConnectionsThatDoNotAgreeKeepTheSession(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(int(idleNow.Unix()), 0)
		h.used("more", ago(500, 0), "", ago(90, 0))
		h.used("less", ago(500, 0), "", ago(90, 0), ago(90, 0))
		h.wrapDcv(`case $* in
"list-connections more -j") echo '[{"id":1},{"id":2}]'; exit ;;
"list-connections less -j") echo '[]'; exit ;;
esac`)
		s := h.idle(idleLimit)
		h.wantSaid(s, "less in-use 0/2, more in-use 0/2")
		if r := s.lines[0].Reason; r != "dcv counts 2 and lists 0 connections" {
			t.Error(r)
		}
		h.wantSessions("less", "more")
	})
}

// What is not the session that was looked at first is never closed.
func TestAnotherSessionOfTheIDIsNotClosed(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(int(idleNow.Unix()), 0)
		h.used("s", ago(500, 0), "")
		h.used("other", ago(400, 0), "")
		rename(t, h.state+"/"+fileOf("other")+".json", h.state+"/other")
		h.wrapDcv(`[ "$1" = describe-session ] && sed 's/"other"/"s"/' "$DCV_STATE/other" >"$file"`)
		s := h.idle(idleLimit)
		h.wantSaid(s, "s failed 500/0")
		if l := s.lines[0]; l.Reason != "another session has its ID by now" || *l.Created != ago(500, 0) {
			t.Errorf("%+v", l)
		}
		h.wantSessions("s")
	})
}

func TestSessionThatCannotBeReadIsLeftAlone(t *testing.T) {
	good := func() string { return described(`"s"`, ago(500, 0)) }
	lists := map[string]string{ // what list-sessions says of it: the reason
		strings.Replace(good(), ago(500, 0), "yesterday", 1):                          "its times or connections are unreadable",
		strings.Replace(good(), `"creation-time" : "`+ago(500, 0)+`"`, `"x" : 0`, 1):  "its times or connections are unreadable",
		strings.Replace(good(), `n-time" : ""`, `n-time" : "soon"`, 1):                "its times or connections are unreadable",
		strings.Replace(good(), `n-time" : ""`, `n-time" : null`, 1):                  "its times or connections are unreadable",
		strings.Replace(good(), `connections" : 0`, `connections" : "0"`, 1):          "its times or connections are unreadable",
		strings.Replace(good(), `connections" : 0`, `connections" : -1`, 1):           "its times or connections are unreadable",
		strings.Replace(good(), `connections" : 0`, `connections" : 0.5`, 1):          "its times or connections are unreadable",
		strings.Replace(good(), `connections" : 0`, `connections" : null`, 1):         "its times or connections are unreadable",
		strings.Replace(good(), `"num-of-connections"`, `"number-of-connections"`, 1): "its times or connections are unreadable",
		good() + "," + good(): "no ID for dcv, or named twice",
	}
	looks := map[string]string{ // what happens in the second look: the reason
		`describe-session) echo "not now" >&2; exit 1`:                    "not now (exit 1)",
		`describe-session) rm "$file"`:                                    "Could not describe-session: no session with ID 's' (exit 1)",
		`describe-session) exit 0`:                                        "dcv describe-session: unreadable answer",
		`describe-session) echo "[$(real "$@")]"; exit`:                   "dcv describe-session: unreadable answer",
		`describe-session) real "$@" | sed 's/"s"/"S"/'; exit`:            "another session has its ID by now",
		`describe-session) real "$@" | sed 's/creation-time/made/'; exit`: "another session has its ID by now",
		`describe-session) real "$@" | sed 's/num-of/number-of/'; exit`:   "its times or connections are unreadable",
		`list-connections) echo "not now" >&2; exit 1`:                    "not now (exit 1)",
		`list-connections) echo "no connections"; exit`:                   "dcv list-connections: unreadable answer",
		`list-connections) echo "{}"; exit`:                               "dcv list-connections: unreadable answer",
		`list-connections) echo "[[]]"; exit`:                             "dcv list-connections: unreadable answer",
		`list-connections) real "$@"; exit 3`:                             "(exit 3)",
	}
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.clock(int(idleNow.Unix()), 0)
		h.used("s", ago(500, 0), "")
		for list, why := range lists {
			h.server("garbage", "["+list+"]")
			s := h.idle(idleLimit)
			if len(s.lines) == 0 || s.lines[0].Result != "failed" || s.lines[0].Reason != why {
				t.Errorf("%s: %s", list, s.text)
			}
			h.wantSessions("s")
		}
		// One without an ID cannot even be told of.
		h.server("garbage", `[{},{"id":5}]`)
		if s := h.idle(idleLimit); s.text != "{\"end\":2}\n" {
			t.Error(s.text)
		}
		remove(t, h.state+"/garbage")
		for look, why := range looks {
			h.used("s", ago(500, 0), "")
			h.wrapDcv("case $1 in\n" + look + " ;;\nclose-session) echo >>$DCV_STATE/closes ;;\nesac")
			s := h.idle(idleLimit)
			h.wantSaid(s, "s failed 500/0")
			if len(s.lines) == 1 && s.lines[0].Reason != why {
				t.Errorf("%s: %+v", look, s.lines[0])
			}
			rename(t, h.bin+"/real-dcv", h.bin+"/dcv")
		}
		if exists(t, h.state+"/closes") {
			t.Error("something was closed")
		}
		// A connection whose time is no time.
		h.used("s", ago(500, 0), "", ago(90, 0), "a while ago")
		s := h.idle(idleLimit)
		h.wantSaid(s, "s failed 0/2")
		if s.lines[0].Reason != "last-interaction-time unreadable" {
			t.Error(s.text)
		}
		h.wantSessions("s")
	})
}

func TestListThatCannotBeReadClosesNothing(t *testing.T) {
	onEveryHost(t, func(t *testing.T, h *host) {
		h.clock(int(idleNow.Unix()), 0)
		h.used("s", ago(500, 0), "")
		for _, list := range unreadableLists {
			h.server("garbage", list)
			h.wantFailed(h.idle(idleLimit), "dcv list-sessions: unreadable answer")
		}
		h.server("broken", "out of \"order\"\n")
		h.wantFailed(h.idle(idleLimit), "out of order (exit 1)")
		h.wantSessions("s")
		remove(t, h.bin+"/dcv")
		if s := h.idle(idleLimit); !strings.Contains(s.failed, "dcv") {
			t.Error(s.text)
		}
	})
}
