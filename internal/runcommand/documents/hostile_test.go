package documents_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf16"
)

// IDs that mean something to a shell, to awk, to JSON, to the parameter's grammar or to a file system, and IDs that
// differ in little.
var hostileIDs = []string{
	`$(touch ran)`, "`touch ran`", `;touch ran;`, `|touch ran`, `&touch ran&`, `a;touch ran #`, `$((touch ran))`, `${IFS}`, `$HOME`,
	`'`, `''`, `'"'"'`, `"`, `"'"`, `\`, `\\`, `\'`, `\"`, `'; touch ran; '`, `"; touch ran; "`, `'"$(touch ran)"'`, `a'b"c\d`,
	"\n", "a\n", "\na", "a\nb", "a\ntouch ran\nb", "a\r", "a\r\nb", "\t", " ", "  ", " a", "a ", "a b", "a  b",
	`*`, `?`, `[a-z]`, `a*`, `{a,b}`, `~`, `~root`, `!`, `!!`, `#`, `#a`, `a#b`, `>ran`, `<ran`, `2>ran`, `(`, `)`,
	`%`, `%s`, `%n%n`, `%41`, `%25`, `100%`, `a=b`, `a,b`, `a;b`, `a@1`, `a~1`, `a/b`, `/`, `/etc/passwd`, `..`, `.`, `../../x`,
	`&`, `a&b`, `\&`, `\1`, `\n`, `\u0041`, `\x41`, `{{ sessions }}`, `{{ssm:secret}}`, `null`, `true`, `0`, `00`, `0x1`, `1e3`, `1000`,
	`a`, `A`, `aa`, `b`, `id`, `[]`, `{}`, `{"id":"a"}`, `","id":"a`, `= 0 1`, `a-`, `closed`, `console`, `_`,
	"é", "e\u0301", "ß", "ſ", "K", "\u212a", "İ", "ı", "名前", "🖥", "👩\u200d💻", "\u200b", "a\u200bb", "\ufeff", "\u202e", "\u007f",
	"\u0001", "\u001b[31m", "\u0080", "\u07ff", "\u0800", "\uffff", "\U00010000", "\U0010ffff", "\ufffd",
	strings.Repeat("x", 128), strings.Repeat("x", 127), strings.Repeat("🖥", 128), strings.Repeat("'", 128), strings.Repeat("a\n", 64),
}

// IDs that no argument of a command can carry, or that dcv would take for an option.
var impossibleIDs = []string{"-", "-j", "--json", "-a b", "\x00", "a\x00", "a\x00b", "\x00a"}

// An ID, whatever is in it, is a name and nothing else: each closes itself alone.
func TestHostileIDsCloseThemselvesAlone(t *testing.T) {
	onEveryHost(t, func(t *testing.T, h *host) {
		// So many sessions take longer on a busy machine than the script would wait: its time stands still. busybox looks at
		// a clock of its own first, which is ahead of this one.
		h.clock(int(idleNow.Unix()), 0)
		// First each second one: nothing that resembles it is closed. Then the rest, with an old agent.
		for round := range 2 {
			var ids, left []string
			for i, id := range hostileIDs {
				h.hostileSession(id, i%4 < 2)
				if i%2 == round {
					ids = append(ids, id)
				} else {
					left = append(left, id)
				}
			}
			h.oldAgent = round == 1
			lines := h.closes(askedFor(ids)...)
			if len(lines) != len(ids) {
				t.Errorf("%d lines for %d sessions", len(lines), len(ids))
			}
			for _, l := range lines {
				if l.Result != "closed" {
					t.Errorf("%+v", l)
				}
			}
			h.wantSessions(left...)
		}
		h.wantNothingRun()
	})
}

// A parameter that got past its pattern is not for this script; an old agent would not even have been sent it.
func TestParameterThatBreaksItsPatternIsNotObeyed(t *testing.T) {
	onEveryAwk(t, func(t *testing.T, h *host) {
		h.session("a", created)
		for _, bad := range []string{
			"$(touch ran)", "`touch ran`", "'; touch ran; '", `"; touch ran; "`, `\x41`, `\`, "\n", " ", "&", "*", "é", "{{ sessions }}", "\x01",
		} {
			h.want(h.closes(incarnation("a", created), bad+"@1", bad), "")
		}
		h.wantSessions("a")
		h.wantNothingRun()
	})
}

// dcv is never given them, and the other sessions are closed all the same.
func TestIDsThatDcvCannotBeGivenFail(t *testing.T) {
	onEveryHost(t, func(t *testing.T, h *host) {
		h.wrapDcv(`case $* in
"list-sessions -j") [ -e "$DCV_STATE/` + fileOf("a") + `.json" ] || rm -f "$DCV_STATE/garbage" ;;
"close-session a") ;;
*) printf '%s\n' "$@" >>"$DCV_STATE/given" ;;
esac`)
		var listed []string
		for _, id := range append([]string{"a", "b", "ab"}, impossibleIDs...) {
			listed = append(listed, described(escaped(id), created))
		}
		h.session("a", created)
		h.server("garbage", "["+strings.Join(listed, ",")+"]")
		lines := h.closes(append(askedFor(impossibleIDs), incarnation("a", created))...)
		for _, l := range lines {
			if wanted := map[bool]string{true: "closed", false: "failed"}[l.ID == "a"]; l.Result != wanted {
				t.Errorf("%+v, wanted %s", l, wanted)
			}
		}
		if exists(t, h.state+"/given") {
			t.Errorf("dcv was given %q", read(t, h.state+"/given"))
		}
	})
}

// wantNothingRun is that none of the commands in the IDs has left its file.
func (h *host) wantNothingRun() {
	h.t.Helper()
	if files, err := os.ReadDir(h.dir); err != nil || len(files) > 0 {
		h.t.Errorf("something was run: %v %v", files, err)
	}
}

func askedFor(ids []string) []string {
	var texts []string
	for _, id := range ids {
		texts = append(texts, incarnation(id, created))
	}
	return texts
}

// hostileSession starts a session and prints its ID as it is, except for what JSON forbids, or all in \u escapes.
func (h *host) hostileSession(id string, escape bool) {
	h.t.Helper()
	quoted := escaped(id)
	if !escape {
		text, err := json.Marshal(id)
		if err != nil {
			h.t.Fatal(err)
		}
		quoted = string(text)
	}
	h.server(fileOf(id)+".json", described(quoted, created))
}

func escaped(id string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(id)) {
		fmt.Fprintf(&b, `\u%04x`, unit)
	}
	return `"` + b.String() + `"`
}
