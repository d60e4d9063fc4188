package documents_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// Nothing may be taken for absent, and nothing closed, because of a list that dcv did not give whole.
func TestListThatCannotBeReadProvesNothing(t *testing.T) {
	one := `{"id":"other","creation-time":"` + created + `"}`
	lists := []string{
		"{}", "null", "true", "7", `""`, "No sessions", "[", "]", "[]]", "[[]]", "[[]", "[],", "[,]",
		"[] []", "[]x", "[]0", "[1]", "[null]", `["a"]`, "[[" + one + "]]", "[{}]", `[{"id":1}]`, `[{"id":null}]`,
		`[{"name":"a"}]`, `[{"x":{"id":"a"}}]`,
		one, "[" + one, one + "]", "[" + one + ",]", "[," + one + "]", "[" + one + one + "]", "[" + one + "," + one[:20],
		"[" + one + "]" + one, "[" + one + "]]", "[" + one + "}", `[{"id":"other",}]`, `[{"id"}]`, `[{"id":}]`, `[{:"other"}]`,
		`[{id:"other"}]`, `[{'id':'other'}]`, `[{"id" "other"}]`, `[{"id":"other" "a":1}]`, `[{"id":"other"]`, `[{"id":"other"},{]`,
		`[{"id":"other","n":01}]`, `[{"id":"other","n":.5}]`, `[{"id":"other","n":1.}]`, `[{"id":"other","n":+1}]`,
		`[{"id":"other","n":1e}]`, `[{"id":"other","n":0x1}]`, `[{"id":"other","n":NaN}]`, `[{"id":"other","n":True}]`,
		`[{"id":"other","n":1 2}]`, `[{"id":"other","n":-}]`, `[{"id":"other","n":[1,]}]`, `[{"id":"other","n":{1:2}}]`,
		`[{"id":"oth\er"}]`, `[{"id":"oth\u00er"}]`, `[{"id":"other","n":"\x41"}]`, `[{"id":"other","n":"\"}]`, `[{"id":"oth`,
		"[{\"id\":\"oth\ner\"}]", "[{\"id\":\"other\n}]", `[{"id":"other"}]"`, "[]\n[]", "[]\n#",
		`[{"id":"other","n":[1]`, `[{"id":"other","n":{}`, `[],"all":[]`, `[]},{"all":[]`, "[\ufeff]", "There are no", "There are no sessions available. 1", `"There" are no sessions available.`,
	}
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.session("mine", created)
		for _, list := range lists {
			h.server("garbage", list)
			lines := h.closes(incarnation("mine", created), incarnation("gone", created))
			if results(lines) != "gone failed, mine failed" || lines[0].Reason != "dcv list-sessions: unreadable answer" {
				t.Errorf("list %q: %+v", list, lines)
			}
			h.wantSessions("mine")
		}
	})
}

func TestListsThatCanBeRead(t *testing.T) {
	session := `{"id":"mine","creation-time":"` + created + `"}`
	pretty := described(`"mine"`, created)
	lists := map[string]string{
		"no session": "[]", "no session, wide": " [ \t\r\n ]\r\n", "another": `[{"id":"other"}]`,
		"behind a byte order mark": "\ufeff[]\n",
		"another letter case":      strings.ReplaceAll("["+session+"]", "mine", "Mine"),
		"beginning alike":          strings.ReplaceAll("["+session+"]", "mine", "mine2"),
		"named alike":              `[{"id":"other","name":"mine"}]`,
		"nested alike":             `[{"id":"other","x":{"id":"mine"},"y":[{"id":"mine"}]}]`,
		"within a string":          `[{"id":"\"},{\"id\":\"mine\",\"creation-time\":\"` + created + `\"},{\"x\":\""}]`,
		"number alike":             strings.ReplaceAll("["+session+"]", `"mine"`, `"0"`),
	}
	found := map[string]string{
		"compact":          "[" + session + "]",
		"byte order mark":  "\ufeff[" + session + "]",
		"one of two":       `[{"id":"other"},` + session + "]",
		"as dcv prints it": "[\n" + described(`"other"`, "never") + ",\n" + pretty + "]\n",
		"CRLF":             strings.ReplaceAll("[\n"+pretty+"]\n", "\n", "\r\n"),
		"in one line":      "[" + strings.ReplaceAll(pretty, "\n", "") + "]",
		"escaped":          strings.ReplaceAll("["+session+"]", "mine", `\u006dIn\u0065`),
		"escaped name":     strings.ReplaceAll("["+session+"]", `"id"`, `"\u0069d"`),
		"raw bytes":        strings.Replace("["+session+"]", "{", "{\"\xff\t\x01\xc3\xa9\":\"\xe2\x82\xac\x80\",", 1),
	}
	found["escaped"] = strings.ReplaceAll(found["escaped"], "In", "in")
	onEveryAwk(t, func(t *testing.T, h *host) {
		for name, list := range lists {
			h.server("garbage", list)
			if lines := h.closes(incarnation("mine", created)); results(lines) != "mine absent" {
				t.Errorf("%s: %s: %+v", name, list, lines)
			}
		}
		// The list goes on saying so after the close, so these all end as failed; another incarnation does not.
		h.noSleep()
		for name, list := range found {
			h.server("garbage", list)
			h.session("mine", created)
			if lines := h.closes(incarnation("mine", created)); results(lines) != "mine failed" || lines[0].Reason != "dcv closed it, and lists it still" {
				t.Errorf("%s: %s: %+v", name, list, lines)
			}
			if lines := h.closes(incarnation("mine", later)); results(lines) != "mine replaced" {
				t.Errorf("%s: %s: %+v", name, list, lines)
			}
		}
		// One ID twice says nothing about either.
		h.server("garbage", "["+session+","+session+"]")
		lines := h.closes(incarnation("mine", created))
		if results(lines) != "mine failed" || lines[0].Reason != "creation-time unreadable" {
			t.Errorf("%+v", lines)
		}
	})
}

// What dcv says when it fails goes into the record, so it must be short and harmless.
func TestReasonsAreDcvsOwnWords(t *testing.T) {
	words := map[string]string{
		"":                                  "Could not connect to the DCV server: is dcvserver running? (exit 1)",
		"Permission denied\n":               "Permission denied (exit 1)",
		"  two\n\nlines\t\"quoted\"\\n\r\n": "two lines quoted n (exit 1)",
		"{{ sessions }} $(id) `id`":         "{{ sessions }} $(id) `id` (exit 1)",
		"\x1b[31mé€\x01\xff\x7fred":         "[31m red (exit 1)",
		"\n\n":                              "(exit 1)",
		strings.Repeat("long ", 5000):       strings.Repeat("long ", 16),
		strings.Repeat("\\\"", 5000) + "x":  "x (exit 1)",
	}
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.session("a", created)
		for said, want := range words {
			h.server("broken", said)
			lines := h.closes(incarnation("a", created), incarnation("gone", created))
			if results(lines) != "a failed, gone failed" {
				t.Errorf("dcv said %q: %+v", said, lines)
			}
			for _, l := range lines {
				if got := l.Reason; got != want && got != strings.ReplaceAll(want, " red", "red") {
					t.Errorf("dcv said %q, the script %q, wanted %q", said, got, want)
				}
			}
		}
		h.wantSessions("a")
	})
}

// In the C locale a program may print "?" for what is not ASCII: an ID that is there would look absent.
func TestDcvHasAUTF8LocaleAndNoInput(t *testing.T) {
	onEveryHost(t, func(t *testing.T, h *host) {
		h.session("é", created)
		h.stdin = "not for dcv"
		h.wrapDcv(`case $LC_ALL in *UTF-8) ;; *) exit 1 ;; esac; if read -r line || [ "$line" ]; then exit 1; fi`)
		h.want(h.closes(incarnation("é", created)), "%C3%A9 closed")
	})
}

// The stand-in's own list is read as the same sessions by Go, so the script is tried on true JSON.
func TestStandInPrintsJSON(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		for _, ids := range [][]string{{}, {"a"}, {"a", "b \"c\"\n", "d"}} {
			for _, id := range ids {
				h.session(id, created)
			}
			var listed []struct{ ID string }
			if err := json.Unmarshal([]byte(h.dcv("list-sessions", "-j")), &listed); err != nil || len(listed) != len(ids) {
				t.Errorf("%d sessions listed as %+v: %v", len(ids), listed, err)
			}
		}
	})
}
