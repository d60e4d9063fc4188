// Package documents_test runs the scripts of the command documents, as template.yaml has them, against the stand-in dcv
// command of package fleet: those for Linux under every sh and awk that a host may have, those for Windows under PowerShell 7.
// What is compared is what a script prints and what is left on the host; how it does so does not matter.
package documents_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	hostID = "i-0123456789abcdef0"
	never  = "99999999999" // a voidAfter that no clock passes
)

// A host is a machine with one sh, one awk and one DCV server.
type host struct {
	t     *testing.T
	shell []string
	bin   string // found before anything else on the script's PATH
	state string // the stand-in's server

	oldAgent bool   // pastes the parameters into the script
	dir      string // where the script runs
	env      []string
	stdin    string
	mayWarn  bool              // on standard error
	edit     *strings.Replacer // of the Linux script, or nil

	// twin: what runs here runs on a Windows host in the same state too, and both must say the same.
	twin         bool
	everyTwin    bool // in each case, not only in the first
	compared     bool // there was one
	hasClock     bool
	clockStep    int
	noSleeps     bool
	quickTimeout bool
}

// shim puts a command before the real one.
func (h *host) shim(name, script string) {
	h.write(filepath.Join(h.bin, name), "#!/bin/sh\n"+script+"\n", 0o700)
}

// wrapDcv puts shell commands before every call of dcv. They know it as "real" and the session's file as "file".
func (h *host) wrapDcv(script string) {
	original := filepath.Join(h.bin, "real-dcv")
	if err := os.Rename(filepath.Join(h.bin, "dcv"), original); err != nil {
		h.t.Fatal(err)
	}
	h.shim("dcv", `real() { `+original+` "$@"; }
file=$DCV_STATE/$(printf %s "${2:-}" | od -An -v -tx1 | tr -d ' \n').json
`+script+`
real "$@"`)
}

// clock makes the host's time start here, and every look at it the given number of seconds later than the last.
func (h *host) clock(start, step int) {
	h.hasClock, h.clockStep = true, step
	counter := filepath.Join(h.bin, "clock")
	h.write(counter, strconv.Itoa(start)+"\n", 0o600)
	h.shim("date", fmt.Sprintf(`[ "$1" != -u ] || exec `+program(h.t, "date")+` "$@"
read -r now <%[1]s; echo "$now"; echo $((now + %d)) >%[1]s`, counter, step))
}

// noSleep makes the script's waits take no time.
func (h *host) noSleep() {
	h.noSleeps = true
	h.sleeps()
}

// sleeps writes the host's sleep. Who sleeps long is a dcv that hangs: with shortTimeout its time is over then.
// timeout is told of that when it waits: a signal that comes before, when it does not know its child yet, only ends timeout.
func (h *host) sleeps() {
	var script string
	if h.noSleeps {
		script += `[ "$1" != 1 ] || exit 0` + "\n"
	}
	if h.quickTimeout {
		script += `if [ "$1" -ge 300 ]; then
  if [ -n "${TIMEOUT_PID:-}" ]; then
    until read -r _ _ state _ <"/proc/$TIMEOUT_PID/stat" && [ "$state" = S ]; do :; done
    kill -ALRM "$TIMEOUT_PID"
  fi
  [ -z "${TEST_HANGS:-}" ] || : >"$TEST_HANGS"
fi
`
	}
	h.shim("sleep", script+"exec "+program(h.t, "sleep")+` "$@"`)
}

func (h *host) write(path, content string, mode os.FileMode) {
	h.t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		h.t.Fatal(err)
	}
}

// server writes a file that makes the stand-in's server ill.
func (h *host) server(file, content string) { h.write(filepath.Join(h.state, file), content, 0o600) }

// fileOf is the name of a session's file, as the stand-in explains it.
func fileOf(id string) string {
	name := hex.EncodeToString([]byte(id))
	if len(name) > 240 {
		name = fmt.Sprintf("sha256-%x", sha256.Sum256([]byte(id)))
	}
	return name
}

// session starts a session, printed as dcv prints it, blanks included.
func (h *host) session(id, created string) {
	quoted, err := json.Marshal(id)
	if err != nil {
		h.t.Fatal(err)
	}
	h.server(fileOf(id)+".json", described(string(quoted), created))
}

func described(quotedID, created string) string {
	return fmt.Sprintf(`{
    "id" : %s,
    "owner" : "user1",
    "num-of-connections" : 0,
    "creation-time" : %q,
    "last-disconnection-time" : "",
    "licenses" : [
        { "product" : "dcv", "status" : "LICENSED", "id" : "none", "creation-time" : "2001-01-01T00:00:00Z" },
        { "product" : "dcv-gl", "seats" : [ -1.5e+3, true, null, {}, [] ] }
    ],
    "name" : "\"creation-time\" : \"2002-02-02T00:00:00Z\" \\",
    "x11-display" : ":1"
}
`, quotedID, created)
}

// sessions are the IDs of the sessions that are still there, in order.
func (h *host) sessions() []string {
	h.t.Helper()
	files, err := filepath.Glob(filepath.Join(h.state, "*.json"))
	if err != nil {
		h.t.Fatal(err)
	}
	ids := []string{}
	for _, file := range files {
		var session struct{ ID string }
		text, err := os.ReadFile(file)
		if err != nil {
			h.t.Fatal(err)
		}
		if err := json.Unmarshal(text, &session); err != nil {
			h.t.Fatal(err)
		}
		ids = append(ids, session.ID)
	}
	slices.Sort(ids)
	return ids
}

// A line is what the script prints about one session.
type line struct {
	ID     string `json:"id"`
	Result string `json:"result"`
	Reason string `json:"reason"`
}

var reasonPattern = regexp.MustCompile(`^[ !#-%'-;=?-\[\]-~]{1,80}$`)

// closes runs the script with this group for this host and gives its lines in the order of their IDs. Whatever
// happened, they are JSON, a failure has a reason that is fit to be stored, and the exit code is 0.
func (h *host) closes(asked ...string) []line {
	h.t.Helper()
	return h.run(hostID+"="+strings.Join(asked, ","), never)
}

func (h *host) run(sessions, voidAfter string) []line {
	h.t.Helper()
	lines := h.runUnsorted(sessions, voidAfter)
	slices.SortFunc(lines, func(a, b line) int { return cmp.Compare(a.ID, b.ID) })
	return lines
}

func (h *host) runUnsorted(sessions, voidAfter string) []line {
	h.t.Helper()
	lines := []line{}
	for text := range strings.Lines(h.execute("CloseDocument", map[string]string{"sessions": sessions, "voidAfter": voidAfter})) {
		var l line
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&l); err != nil || decoder.More() {
			h.t.Fatalf("not one JSON object: %q: %v", text, err)
		}
		if !slices.Contains([]string{"closed", "absent", "replaced", "expired", "failed"}, l.Result) ||
			(l.Result == "failed") != (l.Reason != "") || l.Reason != "" && !reasonPattern.MatchString(l.Reason) {
			h.t.Errorf("not a line for the broker: %s", text)
		}
		lines = append(lines, l)
	}
	return lines
}

// execute runs a document's step as the agent does and gives what it printed. Whatever happened, its exit code is 0.
func (h *host) execute(document string, parameters map[string]string) string {
	h.t.Helper()
	d := documentOf(h.t, document)
	env := slices.Clone(h.env)
	if !slices.ContainsFunc(h.env, func(v string) bool { return strings.HasPrefix(v, "AWS_SSM_INSTANCE_ID=") }) {
		env = append(env, "AWS_SSM_INSTANCE_ID="+hostID)
	}
	linux, windows := d.script(h.t, "linux"), d.script(h.t, "windows")
	broken := false
	parameters = d.complete(parameters)
	for name, value := range parameters {
		broken = broken || name == "sessions" && !d.Parameters[name].AllowedPattern.MatchString(value)
		if h.oldAgent {
			linux = strings.ReplaceAll(linux, "{{ "+name+" }}", value)
			windows = strings.ReplaceAll(windows, "{{ "+name+" }}", value)
		} else {
			env = append(env, "SSM_"+name+"="+value)
		}
	}
	if !h.hasTwin() {
		return h.runLinux(linux, env)
	}
	before, answers := h.snapshot(), h.answers()
	onLinux := answer{text: h.runLinux(linux, env), left: h.sessions()}
	after := h.snapshot()
	h.restore(before)
	onWindows := answer{text: h.runWindows(windows, env), left: h.sessions()}
	h.restore(after)
	h.compare(document, answers, broken, onLinux, onWindows)
	return onLinux.text
}

// hasTwin is for all cases of a test where everything is run, else for the first, and for hosts that have not many
// sessions: Windows hosts have one. A case takes PowerShell several times as long as sh.
func (h *host) hasTwin() bool {
	if !h.twin || os.Getenv("REQUIRE_ALL") != "1" && (h.compared && !h.everyTwin || len(h.sessions()) > 30) {
		return false
	}
	h.compared = true
	return true
}

func (h *host) runLinux(script string, env []string) string {
	h.t.Helper()
	if h.edit != nil {
		script = h.edit.Replace(script)
	}
	if !h.quickTimeout { // a busy machine may take longer for a call, or until a program has read its message
		script = strings.NewReplacer("timeout -k 1 7 ", "timeout -k 1 300 ", "for pause in 1 1 1 1 1;", "for pause in "+strings.Repeat("1 ", 300)+";").Replace(script)
	}
	file := filepath.Join(h.t.TempDir(), "_script.sh")
	h.write(file, script, 0o600)
	// A script that hangs is killed; a loaded machine is given its time.
	ctx, cancel := context.WithTimeout(h.t.Context(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, h.shell[0], append(h.shell[1:], file)...)
	command.Env = append([]string{"PATH=" + h.bin + ":" + os.Getenv("PATH"), "DCV_STATE=" + h.state}, env...)
	command.Dir, command.WaitDelay = h.dir, time.Minute
	command.Stdin = strings.NewReader(h.stdin)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil || stderr.Len() > 0 && !h.mayWarn {
		h.t.Fatalf("the script: %v\n%s", err, &stderr)
	}
	return stdout.String()
}

// encoded is an ID as it stands in the parameter.
func encoded(id string) string {
	var b strings.Builder
	for _, c := range []byte(id) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// incarnation is the text in the parameter for a session that was created then, until the one for a session without a recorded
// incarnation.
func incarnation(id, created string) string { return encoded(id) + "@" + base36(created) }
func until(id, latest string) string        { return encoded(id) + "~" + base36(latest) }

func base36(at string) string {
	parsed, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		panic(err)
	}
	return strconv.FormatInt(parsed.UnixMicro(), 36)
}

// results are lines without their reasons, as `ID result` in one string.
func results(lines []line) string {
	texts := make([]string, len(lines))
	for i, l := range lines {
		texts[i] = l.ID + " " + l.Result
	}
	return strings.Join(texts, ", ")
}

func (h *host) want(lines []line, wanted string) {
	h.t.Helper()
	if got := results(lines); got != wanted {
		h.t.Errorf("the script said\n\t%s\nwanted\n\t%s\nin full: %+v", got, wanted, lines)
	}
}

func (h *host) wantSessions(ids ...string) {
	h.t.Helper()
	slices.Sort(ids)
	if got := h.sessions(); !slices.Equal(got, ids) {
		h.t.Errorf("left on the host: %q, wanted %q", got, ids)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return err == nil
}

// dcv is what the stand-in prints on this host.
func (h *host) dcv(args ...string) string {
	h.t.Helper()
	command := exec.CommandContext(h.t.Context(), filepath.Join(h.bin, "dcv"), args...)
	command.Env = []string{"PATH=" + h.bin + ":" + os.Getenv("PATH"), "DCV_STATE=" + h.state}
	text, err := command.Output()
	if err != nil {
		h.t.Fatalf("dcv %s: %v", strings.Join(args, " "), err)
	}
	return string(text)
}
