package runcommand

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
	"dcv-session-broker/internal/template/templatetest"
)

func hostID(n int) string { return fmt.Sprintf("i-%017d", n) }

func closings(hosts, onEach int, id func(n int) string) []session.Closing {
	var all []session.Closing
	for n := range hosts * onEach {
		all = append(all, session.Closing{
			Incarnation: session.Incarnation{SessionID: id(n), NameOnHost: id(n), HostID: hostID(n % hosts), CreationTime: "2026-11-23T08:30:00.262883Z"},
		})
	}
	return all
}

func all(closings []session.Closing) []item {
	which := make([]int, len(closings))
	for i := range which {
		which[i] = i
	}
	return closingItems(closings, which)
}

// The budget: ⌈H/50⌉ commands, as long as parameters and output fit.
func TestNoMoreCommandsThanNeeded(t *testing.T) {
	long := func(n int) string { return fmt.Sprintf("%036d", n) }
	digits := func(n int) string { return fmt.Sprintf("%030x", n) }
	short := func(n int) string { return fmt.Sprint("s", n) }
	for _, tc := range []struct {
		name          string
		hosts, onEach int
		id            func(int) string
		want          int
	}{
		{"one session", 1, 1, long, 1},
		{"fifty hosts", 50, 1, long, 1},
		{"fifty-one hosts", 51, 1, long, 2},
		{"1,000 sessions with IDs of 30 digits on 100 hosts", 100, 10, digits, 2},
		{"1,000 sessions with longer ones", 100, 10, long, 3},
		{"1,000 sessions on 1,000 hosts", 1000, 1, long, 20},
		{"150 sessions on one host", 1, 149, long, 1},
		{"more than a host can tell of in one output", 1, 1000, short, 6},
	} {
		if got := len(split(all(closings(tc.hosts, tc.onEach, tc.id)), maxClosingChars)); got != tc.want {
			t.Errorf("%s: %d commands, want %d", tc.name, got, tc.want)
		}
	}
}

func TestCommandsKeepEveryLimit(t *testing.T) {
	check := limits(t, closeDocument)
	wide := func(n int) string { return fmt.Sprintf("%05d", n) + strings.Repeat("é", 100) }
	long := func(n int) string { return fmt.Sprintf("%0256d", n) }
	for _, asked := range [][]session.Closing{
		closings(1, 500, wide), closings(3, 200, wide), closings(60, 10, wide),
		closings(1, 500, long), closings(60, 20, long), closings(120, 1, long),
	} {
		check(t, all(asked))
	}
	named := closings(1, 500, func(n int) string { return fmt.Sprint("s", n) })
	for i := range named {
		named[i].NameOnHost = wide(i)
	}
	check(t, all(named))
	rapid.Check(t, func(t *rapid.T) {
		hosts := rapid.IntRange(1, 120).Draw(t, "hosts")
		asked := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) session.Closing {
			id := rapid.StringN(1, 30, 256).Draw(t, "id")
			c := session.Closing{
				Incarnation: session.Incarnation{SessionID: id, NameOnHost: id, HostID: hostID(rapid.IntRange(0, hosts-1).Draw(t, "host")), CreationTime: "2026-11-23T08:30:00.262883Z"},
			}
			if rapid.Bool().Draw(t, "without incarnation") {
				c.CreationTime, c.CreatedUntil = "", time.Unix(1795460467, 0)
			}
			if rapid.IntRange(0, 9).Draw(t, "another name") == 0 {
				c.NameOnHost = "console"
			}
			return c
		}), 1, 600).Draw(t, "closings")
		items := all(asked)
		if len(items) > 3 {
			items = items[1:] // one that cannot be sent
		}
		check(t, items)
	})
}

// Notices keep them, too, whatever the message: the longest of a caller's, and the
// broker's line.
func TestNoticesKeepEveryLimit(t *testing.T) {
	check := limits(t, notifyDocument)
	parameters := documentOf(t, notifyDocument).Parameters
	rapid.Check(t, func(t *rapid.T) {
		hosts := rapid.IntRange(1, 120).Draw(t, "hosts")
		asked := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) session.Notice {
			n := session.Notice{
				Incarnation: session.Incarnation{SessionID: rapid.StringN(1, 30, 256).Draw(t, "id"), NameOnHost: "console", HostID: hostID(rapid.IntRange(0, hosts-1).Draw(t, "host"))},
				At:          sentAt.Add(time.Duration(rapid.IntRange(0, 1e9).Draw(t, "at"))), Text: rapid.StringN(0, 200, 800).Draw(t, "message") + strings.Repeat("x", 200),
			}
			if rapid.Bool().Draw(t, "incarnation") {
				n.CreationTime = "2026-11-23T08:30:00.262883Z"
			}
			n.VoidAfter = n.At.Add(2 * time.Minute)
			if !rapid.Bool().Draw(t, "of a cancel") {
				n.CloseAt = n.At.Add(time.Hour)
			}
			for name, value := range noticeParameters(n) {
				if p := parameters[name]; !p.AllowedPattern.MatchString(value) || p.MaxChars > 0 && len(value) > p.MaxChars {
					t.Fatalf("%s is %q", name, value)
				}
			}
			return n
		}), 1, 600).Draw(t, "notices")
		var items []item
		for i, n := range asked {
			items = append(items, item{i, n.HostID, encodeNotice(n)})
		}
		check(t, items)
	})
}

// limits gives the check that commands ask each item once, of its host, and keep
// the limits of the document and of Systems Manager.
func limits(t *testing.T, document string) func(t rapid.TB, items []item) {
	parameter := documentOf(t, document).Parameters["sessions"]
	// The longest line that a document prints for a session.
	longest, err := json.Marshal(map[string]string{"id": "", "result": "replaced", "reason": strings.Repeat("x", 80)})
	if err != nil {
		t.Fatal(err)
	}
	return func(t rapid.TB, items []item) {
		asked, sent := map[int]item{}, map[int]int{}
		for _, it := range items {
			asked[it.place] = it
		}
		for _, cmd := range split(items, parameter.MaxChars) {
			ids := map[string]bool{}
			if len(cmd.groups) < 1 || len(cmd.groups) > 50 {
				t.Fatalf("%d hosts", len(cmd.groups))
			}
			text := cmd.parameter()
			if len(text) > parameter.MaxChars || !parameter.AllowedPattern.MatchString(text) {
				t.Fatalf("a parameter that the document does not take, of %d characters", len(text))
			}
			parts := strings.Split(text, ";")
			for n, g := range cmd.groups {
				if ids[g.hostID] || cmd.hostIDs()[n] != g.hostID {
					t.Fatalf("host %s is named twice, or elsewhere", g.hostID)
				}
				ids[g.hostID] = true
				output := 0
				tokens := strings.Split(strings.TrimPrefix(parts[n], g.hostID+"="), ",")
				if len(tokens) != len(g.places) {
					t.Fatalf("%d tokens for %d items", len(tokens), len(g.places))
				}
				for k, i := range g.places {
					sent[i]++
					if asked[i].hostID != g.hostID || tokens[k] != asked[i].session {
						t.Fatalf("host %s is asked for %q", g.hostID, tokens[k])
					}
					output += strings.IndexAny(tokens[k], "/@~") + len(longest) + len("\n")
				}
				if output >= 24_000 {
					t.Fatalf("host %s may answer %d characters", g.hostID, output)
				}
			}
		}
		for i := range asked {
			if sent[i] != 1 {
				t.Fatalf("item %d is sent %d times", i, sent[i])
			}
		}
		if len(sent) != len(items) {
			t.Fatalf("%d items are sent, want %d", len(sent), len(items))
		}
	}
}

// A Systems Manager document is at most 64 KB with its parameters pasted in, in
// each of its steps.
func TestDocumentAndParametersFitTogether(t *testing.T) {
	for document, maxChars := range map[string]int{closeDocument: maxClosingChars, notifyDocument: maxNoticeChars} {
		d := documentOf(t, document)
		size := d.Size
		for name, p := range d.Parameters {
			size += len(d.Steps) * (max(p.MaxChars, 12) + len(name))
		}
		if size > 60<<10 {
			t.Errorf("%s: %d bytes", document, size)
		}
		if chars := d.Parameters["sessions"].MaxChars; chars != maxChars {
			t.Errorf("%s takes %d characters, commands have up to %d", document, chars, maxChars)
		}
	}
}

const closeDocument, notifyDocument = "CloseDocument", "NotifyDocument"

func documentOf(t *testing.T, logicalID string) template.Document {
	t.Helper()
	for _, d := range templatetest.Load(t, nil).Documents() {
		if d.LogicalID == logicalID {
			return d
		}
	}
	t.Fatalf("template.yaml has no %s", logicalID)
	panic("unreachable")
}

func TestEncodedIDComesBack(t *testing.T) {
	harmless := regexp.MustCompile(`^([A-Za-z0-9._-]|%[0-9A-F]{2})*$`)
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "id")
		encoded := encodeID(id)
		if !harmless.MatchString(encoded) {
			t.Fatalf("%q becomes %q", id, encoded)
		}
		if decoded, err := decodeID(encoded); err != nil || decoded != id {
			t.Fatalf("%q becomes %q, and that %q, %v", id, encoded, decoded, err)
		}
	})
}

// A host's text is taken only as it was sent: two texts never mean one session.
func TestOnlyEncodedIDsAreDecoded(t *testing.T) {
	for _, s := range []string{"%41", "%2D", "%2f", "%zz", "%", "%2", "a%", "a b", "a/b", "é", "a,b", "a\x00", "%+1", "%%%"} {
		if id, err := decodeID(s); err == nil {
			t.Errorf("%q is taken for %q", s, id)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`([A-Za-z._%-]|%[0-9A-Fa-f]{2}){0,8}`).Draw(t, "text")
		if id, err := decodeID(s); err == nil && encodeID(id) != s {
			t.Fatalf("%q is taken for %q, which is %q", s, id, encodeID(id))
		}
	})
}

func TestTokens(t *testing.T) {
	until := time.Date(2026, 11, 23, 19, 1, 7, 123e6, time.UTC)
	for _, tc := range []struct {
		name string
		of   session.Incarnation
		want string
	}{
		{"incarnation with six decimals", session.Incarnation{SessionID: "s1", NameOnHost: "s1", CreationTime: "2019-05-13T13:21:19.262883Z"}, "s1@fc6e5smi03"},
		{"with none", session.Incarnation{SessionID: "s1", NameOnHost: "s1", CreationTime: "2020-03-02T16:08:50Z"}, "s1@fl6o41d4e8"},
		{"in another zone", session.Incarnation{SessionID: "s1", NameOnHost: "s1", CreationTime: "2020-03-02T17:08:50+01:00"}, "s1@fl6o41d4e8"},
		{"none", session.Incarnation{SessionID: "s1", NameOnHost: "s1", CreatedUntil: until}, "s1~hofr5gpjjs"},
		{"an unreadable one", session.Incarnation{SessionID: "s1", NameOnHost: "s1", CreationTime: "yesterday", CreatedUntil: until}, "s1~hofr5gpjjs"},
		{"before 1970", session.Incarnation{SessionID: "s1", NameOnHost: "s1", CreationTime: "1969-12-31T23:59:59Z"}, "s1@0"},
		{"the console", session.Incarnation{SessionID: "console-i-0a", NameOnHost: "console", CreationTime: "2020-03-02T16:08:50Z"}, "console-i-0a/console@fl6o41d4e8"},
		{"a hostile ID", session.Incarnation{SessionID: `$(reboot);"'é` + "\n", NameOnHost: `$(reboot);"'é` + "\n", CreationTime: "2020-03-02T16:08:50Z"},
			"%24%28reboot%29%3B%22%27%C3%A9%0A@fl6o41d4e8"},
		{"an ID that looks like a token", session.Incarnation{SessionID: "a/b@1~2,c;d=e%41", NameOnHost: "x@y", CreationTime: "2020-03-02T16:08:50Z"},
			"a%2Fb%401%7E2%2Cc%3Bd%3De%2541/x%40y@fl6o41d4e8"},
	} {
		tc.of.HostID = hostID(1)
		if got := all([]session.Closing{{Incarnation: tc.of}}); got[0] != (item{0, hostID(1), tc.want}) {
			t.Errorf("%s: %q, want %q", tc.name, got[0].session, tc.want)
		}
	}
}

// As SendCommand has it: (^i-(\w{8}|\w{17})$)|(^mi-\w{17}$).
func TestHostIDs(t *testing.T) {
	pattern := regexp.MustCompile(`(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`)
	check := func(id string) bool { return hostIDPattern(id) == pattern.MatchString(id) }
	for _, id := range []string{
		"i-0123abcd", "i-0123456789abcdef0", "mi-0123456789abcdef0", "i-0123456789ABCDEF_",
		"", "i-", "mi-", "mi-0123abcd", "i-0123abc", "i-0123456789abcdef01", "i-0123.bcd", "i-0123-bcd", "i-0123 bcd",
		"ip-10-0-0-1", "I-0123abcd", "i-0123abcd\n", "i-0123abc\xff", "i-0123abcé",
	} {
		if !check(id) {
			t.Errorf("%q: %v", id, hostIDPattern(id))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if id := rapid.StringMatching(`m?i-[\w.-]{7,18}`).Draw(t, "id"); !check(id) {
			t.Fatalf("%q: %v", id, hostIDPattern(id))
		}
	})
}
