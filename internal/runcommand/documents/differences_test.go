package documents_test

import (
	"encoding/json"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A pair is what the two platforms said of one session, or of the whole list (an id of ""). What one of them did not say
// is nil.
type pair struct {
	host           *host
	document, id   string
	linux, windows members
	broken         bool   // the parameter breaks its pattern
	unreadable     bool   // Linux could not read an answer
	cut            bool   // Linux may have had no room for all its lines
	answers        string // what dcv answered, or the sessions that it has
}

type members map[string]any

func (l members) text(member string) string {
	text, _ := l[member].(string)
	return text
}

func (l members) failure() string { return l.text("reason") + l.text("failed") }

// A difference is one that the platforms may have.
type difference struct {
	why   string
	holds func(p pair) bool
	// slow: it shows on a slow machine only.
	slow bool
}

// The IDs that the Windows scripts give to dcv; none has a character of two UTF-16 units.
func windowsTakes(id string) bool {
	return windowsID.MatchString(id) && !strings.ContainsFunc(id, func(r rune) bool { return r > 0xffff })
}

var windowsID = regexp.MustCompile(`^[\pL\pN_.][\pL\pN\pM\p{Pc} .:@+=,~-]*$`)

var (
	exitCode   = regexp.MustCompile(` ?\(exit [0-9]+\)$`)
	zoneless   = regexp.MustCompile(`"creation-time" ?: ?"[0-9-]{10}T[0-9:]{8}[^Z]*"`)
	otherTypes = regexp.MustCompile(`"num-of-connections" ?: ?("|[0-9.]+e)|"last-disconnection-time" ?: ?null`)
)

// mayDiffer is everything in which the platforms may differ. The first that holds is taken.
var mayDiffer = []difference{
	{why: "the Linux script checks the characters of its parameter once more, Windows relies on the API and the agent", holds: func(p pair) bool {
		return p.broken
	}},

	// What the languages are.
	{why: "ConvertFrom-Json takes more than JSON: trailing commas, names without quotes, numbers as in C, raw control characters", holds: func(p pair) bool {
		cut := json.Valid([]byte(p.answers + "]"))
		return onlyLinux(p) && !p.host.dcvChanges() && !json.Valid([]byte(p.answers)) && !cut
	}},
	{why: "PowerShell makes a text of any value: a number in quotes or with an exponent is one, null is no time", holds: func(p pair) bool {
		return otherTypes.MatchString(p.answers) &&
			(p.linux["connections"] == nil && p.windows["connections"] != nil || p.linux.text("reason") == "its times or connections are unreadable")
	}},
	{why: "PowerShell 7 makes a date of a time without a zone, too; 5.1 leaves the text", holds: func(p pair) bool {
		return zoneless.MatchString(p.answers) && (p.linux.text("created") != "" && p.windows.text("created") == p.linux.text("created")+"Z" ||
			p.linux.failure() == "creation-time unreadable")
	}},
	{why: "an empty group is an empty list to Linux, a list of one empty session to Windows", holds: func(p pair) bool {
		return p.document == "CloseDocument" && p.id == "" && p.linux == nil
	}},
	{why: "Windows gives dcv only IDs that every reader of a command line takes for one argument", holds: func(p pair) bool {
		id := p.id
		if p.document == "CloseDocument" {
			id, _ = url.PathUnescape(id)
		}
		return p.windows.text("reason") == "no ID for dcv" && (!windowsTakes(id) || p.linux.text("result") == "failed")
	}},
	{why: "a Windows host always has a clock", holds: func(p pair) bool {
		return p.host.noClock() && (p.linux.text("result") == "expired" || p.linux.failure() == "no clock" || p.linux == nil)
	}},

	// What the scripts say in other words.
	{why: "the Windows scripts quote what dcv printed on standard output too", holds: func(p pair) bool {
		words := exitCode.ReplaceAllString(p.linux.failure(), "")
		return p.windows.failure() != "" && p.linux.failure() != words && strings.HasPrefix(p.windows.failure(), words)
	}},
	{why: "the platforms' own words for the same", holds: func(p pair) bool {
		return slices.Contains(sameMeaning[p.linux.failure()], p.windows.failure()) ||
			strings.HasPrefix(p.linux.failure(), "env: ") && strings.HasPrefix(p.windows.failure(), "Exception calling Start")
	}},
	{why: "the minutes of a session that was looked at a second time without success are those of the first look on Linux, 0 on Windows", holds: func(p pair) bool {
		return p.linux.text("result") == "failed" && p.linux.failure() == p.windows.failure() && p.windows["minutes"] == 0.0
	}},

	// A Windows host has one session: its scripts see each through by itself.
	{why: "Linux closes all that it may, then waits for them together: on Windows the second may be gone or have come back by then", holds: func(p pair) bool {
		return p.document == "CloseDocument" && p.linux.text("result") == "closed" &&
			(p.windows.text("result") == "absent" || p.windows.text("result") == "replaced")
	}},
	{why: "after a close Windows asks for the list until one fails, Linux goes on asking", holds: func(p pair) bool {
		return (p.linux.text("result") == "closed" || strings.HasPrefix(p.linux.failure(), "(exit ") ||
			p.linux.failure() == "dcv closed it, and lists it still") && p.windows.failure() != "" && p.host.dcvChanges()
	}},
	{why: "Linux does nothing with an ID that stands twice, Windows sees each through", holds: func(p pair) bool {
		return p.linux.text("reason") == "no ID for dcv, or named twice"
	}},
	{why: "Windows compares its clock with voidAfter before it asks for the list, Linux afterwards too", holds: func(p pair) bool {
		return p.host.clockStep > 0 && p.linux.text("result") == "expired"
	}},
	{why: "the platforms ask dcv at different times, so that one may have no time left where the other has", holds: func(p pair) bool {
		return p.linux.failure() == "no time left" || p.windows.failure() == "no time left"
	}, slow: true},
	{why: "where not all lines have room, Linux begins with another session each time and keeps room for the closed", holds: func(p pair) bool {
		return p.document != "CloseDocument" && p.cut && (p.linux == nil || p.windows == nil || p.linux.failure() == "no room left for its line")
	}},
}

var sameMeaning = map[string][]string{
	"no ID for dcv, or named twice":           {"no ID for dcv"},
	"its times or connections are unreadable": {"a time of it is unreadable", "its connections are unreadable"},
	"last-interaction-time unreadable":        {"a time of it is unreadable"},
	"dcv list-sessions: blank answer":         {"dcv list-sessions: unreadable answer"},
	"another session has its ID by now":       {"a time of it is unreadable"},
}

// onlyLinux is that Linux could not read an answer and Windows could.
func onlyLinux(p pair) bool {
	return p.unreadable && !strings.HasSuffix(p.windows.failure(), ": unreadable answer")
}

// An answer is what a script printed, and the sessions that it left.
type answer struct {
	text string
	left []string
}

// shown are the differences that a test showed.
var shown = struct {
	sync.Mutex
	differences map[string]bool
}{differences: map[string]bool{}}

// compare holds what one platform said against what the other did.
func (h *host) compare(document, dcvAnswers string, broken bool, linux, windows answer) {
	h.t.Helper()
	onLinux, onWindows := linesByID(h.t, linux.text, false), linesByID(h.t, windows.text, broken)
	ids := map[string]bool{}
	for id := range onLinux {
		ids[id] = true
	}
	for id := range onWindows {
		ids[id] = true
	}
	differs := map[string]bool{}
	for id := range ids {
		a, b := onLinux[id], onWindows[id]
		for i := range max(len(a), len(b)) {
			p := pair{host: h, document: document, id: id, answers: dcvAnswers, broken: broken, cut: len(linux.text) > 11_000,
				unreadable: strings.Contains(linux.text, `unreadable answer"`)}
			if i < len(a) {
				p.linux = a[i]
			}
			if i < len(b) {
				p.windows = b[i]
			}
			if text(p.linux) == text(p.windows) {
				continue
			}
			known := slices.IndexFunc(mayDiffer, func(d difference) bool { return d.holds(p) })
			if known < 0 {
				h.t.Errorf("%s: the platforms differ about %q\nLinux    %s\nWindows  %s\ndcv      %.300q", document, id, text(p.linux), text(p.windows), p.answers)
				continue
			}
			differs[unescaped(document, id)] = true
			shown.Lock()
			shown.differences[mayDiffer[known].why] = true
			shown.Unlock()
		}
	}
	for _, id := range append(slices.Clone(linux.left), windows.left...) {
		if slices.Contains(linux.left, id) != slices.Contains(windows.left, id) && !differs[id] {
			h.t.Errorf("%s: the platforms said the same of %q, and one of them left it\nLinux    %.300q\nWindows  %.300q", document, id, linux.left, windows.left)
		}
	}
}

func unescaped(document, id string) string {
	if document != "CloseDocument" {
		return id
	}
	s, _ := url.PathUnescape(id)
	return s
}

func text(l members) string {
	if l == nil {
		return "nothing"
	}
	s, _ := json.Marshal(l)
	return string(s)
}

// linesByID are the lines of an answer in a form of their own: PowerShell 7 makes dates of times, and does not keep the
// zeros at their end (5.1 leaves them).
func linesByID(t *testing.T, text string, mayBeBroken bool) map[string][]members {
	t.Helper()
	byID := map[string][]members{}
	if isPacked(text) {
		text = unpacked(t, text)
	}
	for one := range strings.Lines(text) {
		var l members
		if err := json.Unmarshal([]byte(one), &l); err != nil {
			if !mayBeBroken {
				t.Errorf("not one JSON object: %q: %v", one, err)
			}
			continue
		}
		for _, member := range []string{"created", "left"} {
			if at := l.text(member); timePattern.MatchString(at) {
				l[member] = strings.TrimSuffix(strings.TrimRight(strings.TrimSuffix(at, "Z"), "0"), ".") + "Z"
			}
		}
		byID[l.text("id")] = append(byID[l.text("id")], l)
	}
	for _, lines := range byID {
		slices.SortFunc(lines, func(a, b members) int { return strings.Compare(a.text("result"), b.text("result")) })
	}
	return byID
}

var timePattern = regexp.MustCompile(`^[0-9-]{10}T[0-9:]{8}\.[0-9]+Z$`)

// answers is what dcv answers in place of what it knows.
func (h *host) answers() string {
	h.t.Helper()
	for _, name := range []string{"garbage", "list"} {
		if file := filepath.Join(h.state, name); exists(h.t, file) {
			return read(h.t, file)
		}
	}
	if h.dcvChanges() && exists(h.t, filepath.Join(h.bin, "dcv")) {
		return read(h.t, filepath.Join(h.bin, "dcv"))
	}
	var sessions []string
	for file, content := range h.snapshot() {
		if strings.HasSuffix(file, ".json") {
			sessions = append(sessions, content)
		}
	}
	return "[" + strings.Join(sessions, ",") + "]"
}

// noClock is that a test took the host's clock away.
func (h *host) noClock() bool {
	return exists(h.t, filepath.Join(h.bin, "date")) && (!h.hasClock || strings.HasPrefix(read(h.t, filepath.Join(h.bin, "clock")), "0\n"))
}

// dcvChanges is that a test put something before the stand-in.
func (h *host) dcvChanges() bool { return exists(h.t, filepath.Join(h.bin, "real-dcv")) }

// A state is the content of a host's files, by their names.
type state map[string]string

func (h *host) snapshot() state {
	h.t.Helper()
	s := state{}
	files, err := filepath.Glob(filepath.Join(h.state, "*"))
	if err != nil {
		h.t.Fatal(err)
	}
	if h.hasClock {
		files = append(files, filepath.Join(h.bin, "clock"))
	}
	for _, file := range files {
		s[file] = read(h.t, file)
	}
	return s
}

func (h *host) restore(s state) {
	h.t.Helper()
	for file := range h.snapshot() {
		if _, ok := s[file]; !ok {
			remove(h.t, file)
		}
	}
	for file, content := range s {
		h.write(file, content, 0o600)
	}
}

// With every tool, whatever may differ must have differed once: what has been fixed leaves the list.
func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(windowsScripts.dir)
	if code == 0 && os.Getenv("REQUIRE_ALL") == "1" && !filtered() {
		for _, d := range mayDiffer {
			if !shown.differences[d.why] && !d.slow {
				os.Stderr.WriteString("FAIL: no test showed this difference; take it from the list: " + d.why + "\n")
				code = 1
			}
		}
	}
	os.Exit(code)
}

func filtered() bool {
	return flag.Lookup("test.run").Value.String() != ""
}
