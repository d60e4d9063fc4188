package system

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/session"
)

const (
	host1       = "i-00000000000000001"
	host2       = "i-00000000000000002"
	unknownHost = "i-0ffffffffffffffff" // a host that does not exist
)

// A controlled system has no schedules.
type controlled struct {
	t      *testing.T
	system *System
	api    http.Handler
	dir    string
}

func newControlled(t *testing.T) *controlled {
	t.Helper()
	dir := t.TempDir()
	sys, err := New(t.Context(), Options{
		Template: "../../../template.yaml", Dir: dir,
		Every: map[string]time.Duration{"deletions": -1, "inventory": -1, "idle": -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	return &controlled{t, sys, sys.Handler(), dir}
}

func (c *controlled) from(remoteAddr, method, path, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(c.t.Context(), method, path, strings.NewReader(body))
	r.RemoteAddr = remoteAddr
	r.Host = "127.0.0.1:8080"
	w := httptest.NewRecorder()
	c.api.ServeHTTP(w, r)
	return w
}

// with sends a request with headers that browsers send.
func (c *controlled) with(method, path string, headers http.Header) *httptest.ResponseRecorder {
	short, cancel := context.WithTimeout(c.t.Context(), time.Minute) // a stream does not end
	defer cancel()
	r, w := httptest.NewRequestWithContext(short, method, path, nil), httptest.NewRecorder()
	r.RemoteAddr, r.Host, r.Header = "127.0.0.1:4711", "127.0.0.1:8080", headers
	c.api.ServeHTTP(w, r)
	return w
}

func (c *controlled) ask(method, path, body string) *httptest.ResponseRecorder {
	return c.from("127.0.0.1:4711", method, path, body)
}

// want sends a request, checks the answer's status, and returns the body.
func (c *controlled) want(status int, method, path, body string) string {
	c.t.Helper()
	w := c.ask(method, path, body)
	got := strings.TrimSpace(w.Body.String())
	if w.Code != status {
		c.t.Errorf("%s %s: %d %s, not %d", method, path, w.Code, got, status)
	}
	switch kind := w.Header().Get("Content-Type"); {
	case status == http.StatusNoContent && got != "", status != http.StatusNoContent && kind != "application/json":
		c.t.Errorf("%s %s: %q (%s)", method, path, got, kind)
	}
	return got
}

// wantRefused also checks that the answer has the form of an error.
func (c *controlled) wantRefused(status int, method, path, body string) {
	c.t.Helper()
	var said struct {
		Message string `json:"message"`
	}
	got := c.want(status, method, path, body)
	if err := json.Unmarshal([]byte(got), &said); err != nil || said.Message == "" {
		c.t.Errorf("%s %s: %s", method, path, got)
	}
}

func (c *controlled) put(host, sessionID, body string) string {
	c.t.Helper()
	return c.want(http.StatusOK, http.MethodPut, "/local/hosts/"+host+"/sessions/"+sessionID, body)
}

// hosts returns "STATE SESSION..." by host.
func (c *controlled) hosts() map[string]string {
	c.t.Helper()
	var hosts []fleet.Host
	if err := json.Unmarshal([]byte(c.want(http.StatusOK, http.MethodGet, "/local/hosts", "")), &hosts); err != nil {
		c.t.Fatal(err)
	}
	all := map[string]string{}
	for _, h := range hosts {
		line := []string{string(h.State)}
		for _, s := range h.Sessions {
			line = append(line, s.ID)
		}
		all[h.HostID] = strings.Join(line, " ")
	}
	return all
}

// listed returns the table's records: "KEY on HOST", and the session's ID there if it is another.
func (c *controlled) listed() (all []string) {
	c.t.Helper()
	var records []map[string]any
	if err := json.Unmarshal([]byte(c.want(http.StatusOK, http.MethodGet, "/local/sessions", "")), &records); err != nil {
		c.t.Fatal(err)
	}
	for _, r := range records {
		line := r[session.AttrSessionID].(string) + " on " + r[session.AttrHostID].(string)
		if dcvID, ok := r[session.AttrDCVSessionID].(string); ok {
			line += " as " + dcvID
		}
		all = append(all, line)
	}
	slices.Sort(all)
	return all
}

func (c *controlled) wantListed(want ...string) {
	c.t.Helper()
	if got := c.listed(); !slices.Equal(got, want) {
		c.t.Errorf("listed: %q, not %q", got, want)
	}
}

func TestControlAPIAnswersToThisMachineOnly(t *testing.T) {
	c := newControlled(t)
	c.put(host1, "s-1", `{"Owner": "user1"}`)
	for _, address := range []string{"192.0.2.1:4711", "10.0.0.1:4711", "[2001:db8::1]:4711", "0.0.0.0:4711", "localhost:4711", "127.0.0.1", "@", ""} {
		for _, call := range [][3]string{
			{"GET", "/local/hosts"}, {"GET", "/local/sessions"}, {"GET", "/local/calls"}, {"DELETE", "/local/calls"},
			{"PUT", "/local/hosts/" + host2 + "/sessions/s-2", `{"Owner": "user1"}`},
			{"DELETE", "/local/hosts/" + host1 + "/sessions/s-1"},
			{"DELETE", "/local/sessions/s-1"},
			{"POST", "/local/hosts/" + host1 + "/stop"}, {"POST", "/local/cleanup/deletions"},
		} {
			w := c.from(address, call[0], call[1], call[2])
			wantMessage(t, w, http.StatusForbidden, "this answers to this machine only")
		}
	}
	if hosts := c.hosts(); len(hosts) != 1 || hosts[host1] != "running s-1" {
		t.Errorf("something was done all the same: %v", hosts)
	}
	for _, address := range []string{"127.0.0.1:4711", "127.8.9.10:4711", "[::1]:4711", "[::ffff:127.0.0.1]:4711"} {
		if w := c.from(address, http.MethodGet, "/local/hosts", ""); w.Code != http.StatusOK {
			t.Errorf("%s: %d", address, w.Code)
		}
	}
}

func TestEmptyAnswersAreEmptyLists(t *testing.T) {
	c := newControlled(t)
	for path, want := range map[string]string{"/local/hosts": "[]", "/local/sessions": "[]", "/local/calls": "{}"} {
		if got := c.want(http.StatusOK, http.MethodGet, path, ""); got != want {
			t.Errorf("%s: %s, not %s", path, got, want)
		}
	}
}

func TestEveryActionOnAHost(t *testing.T) {
	c := newControlled(t)
	c.put(host1, "s-1", `{"Owner": "user1"}`)
	c.put(host2, "s-2", `{"Owner": "user1"}`)

	// The effects that hosts does not show are in the host's files.
	kept := func(what string) func() string {
		return func() string {
			var host map[string]any
			text, err := os.ReadFile(filepath.Join(c.dir, "hosts", host1, "host.json"))
			if err == nil {
				err = json.Unmarshal(text, &host)
			}
			if err != nil {
				t.Fatal(err)
			}
			if host[what] == true || host["AgentFault"] == what || host["EmptyList"] == what {
				return what
			}
			return ""
		}
	}
	shown := func() string { return c.hosts()[host1] }
	ill := func(file string) func() string {
		return func() string {
			if _, err := os.Stat(filepath.Join(c.system.fleet.StateDir(host1), file)); err == nil {
				return file
			}
			return ""
		}
	}
	for _, step := range []struct {
		action string
		see    func() string
		want   string
	}{
		{"disconnect", shown, "unreachable s-1"},
		{"disconnect", shown, "unreachable s-1"}, // twice is no error
		{"reconnect", shown, "running s-1"},
		{"silence", shown, "unreachable s-1"},
		{"silence", kept("Silent"), "Silent"},
		{"speak", shown, "running s-1"},
		{"untag", kept("Untagged"), "Untagged"},
		{"tag", kept("Untagged"), ""},
		{"stop-when-empty", kept("StopsWhenEmpty"), "StopsWhenEmpty"},
		{"keep-when-empty", kept("StopsWhenEmpty"), ""},
		{"lose-events", kept("LosesEvents"), "LosesEvents"},
		{"deliver-events", kept("LosesEvents"), ""},
		{"unmanage", shown, "unreachable s-1"},
		{"manage", shown, "running s-1"},
		{"take-profile", kept("NoProfile"), "NoProfile"},
		{"give-profile", kept("NoProfile"), ""},
		{"downgrade", kept("OldAgent"), "OldAgent"},
		{"upgrade", kept("OldAgent"), ""},
		{"make-noise", kept("Noisy"), "Noisy"},
		{"stop-noise", kept("Noisy"), ""},
		{"no-exec", kept("no-exec"), "no-exec"},
		{"fill-disk", kept("fill-disk"), "fill-disk"},
		{"kill-worker", kept("kill-worker"), "kill-worker"},
		{"mend-agent", kept("kill-worker"), ""},
		{"break", ill("broken"), "broken"},
		{"mend", ill("broken"), ""},
		{"mute", ill("mute"), "mute"},
		{"mend", ill("mute"), ""},
		{"flood", ill("flood"), "flood"},
		{"mend", ill("flood"), ""},
		{"none-as-text", ill("none"), "none"},
		{"none-as-nothing", kept("none-as-nothing"), "none-as-nothing"},
		{"none-as-newline", kept("none-as-newline"), "none-as-newline"},
		{"none-as-list", ill("none"), ""},
		{"hibernate", shown, "stopped s-1"},
		{"start", shown, "running s-1"},
		{"stop", shown, "stopped"},
		{"start", shown, "running"},
		{"terminate", shown, ""},
	} {
		c.want(http.StatusNoContent, http.MethodPost, "/local/hosts/"+host1+"/"+step.action, "")
		if got := step.see(); got != step.want {
			t.Errorf("after %s: %q, not %q", step.action, got, step.want)
		}
		if got := c.hosts()[host2]; got != "running s-2" {
			t.Errorf("after %s: the other host is %q", step.action, got)
		}
	}
}

func TestMissingObjectIsNotFound(t *testing.T) {
	c := newControlled(t)
	c.put(host1, "s-1", `{"Owner": "user1"}`)
	for _, call := range [][2]string{
		{"POST", "/local/hosts/" + host1 + "/explode"},
		{"POST", "/local/hosts/" + unknownHost + "/explode"},
		{"DELETE", "/local/hosts/" + host1 + "/sessions/s-2"},
		{"DELETE", "/local/hosts/" + unknownHost + "/sessions/s-1"},
		{"DELETE", "/local/sessions/s-2"},
		{"POST", "/local/cleanup/windows"},
		{"GET", "/local/hosts/" + host1},
		{"POST", "/local/hosts"},
		{"GET", "/local/"},
		{"GET", "/local/nothing"},
	} {
		c.wantRefused(http.StatusNotFound, call[0], call[1], "")
	}
	for action := range hostActions {
		c.wantRefused(http.StatusNotFound, http.MethodPost, "/local/hosts/"+unknownHost+"/"+action, "")
	}
}

func TestABodyThatIsNoRuleIsRefused(t *testing.T) {
	c := newControlled(t)
	for _, body := range []string{"", "{", "{}", "[]", `{"task": "inventory"}`} {
		if got := c.want(http.StatusBadRequest, http.MethodPost, "/local/cleanup/close", body); !strings.Contains(got, "must be a rule") {
			t.Errorf("%q: %s", body, got)
		}
	}
}

func TestCallsAreCountedUntilTheyAreForgotten(t *testing.T) {
	c := newControlled(t)
	c.want(http.StatusOK, http.MethodPost, "/deleteSessions", `[{"SessionId": "s-1", "Owner": "user1"}]`)
	if got, want := c.want(http.StatusOK, http.MethodGet, "/local/calls", ""), `{"delete-sessions":{"table:Write":1}}`; got != want {
		t.Errorf("%s, not %s", got, want)
	}
	c.want(http.StatusNoContent, http.MethodDelete, "/local/calls", "")
	if got := c.want(http.StatusOK, http.MethodGet, "/local/calls", ""); got != "{}" {
		t.Errorf("after DELETE: %s", got)
	}
}

func TestEveryTaskOfCleanupCanBeRun(t *testing.T) {
	c := newControlled(t)
	for _, task := range []string{"deletions", "inventory"} { // idle: TestIdleTaskSaysThatItIsOff
		c.want(http.StatusNoContent, http.MethodPost, "/local/cleanup/"+task, "")
	}
}

func TestHostsShowWhatWasDoneToThem(t *testing.T) {
	c := newControlled(t)
	c.put(host1, "s-1", `{"Owner": "user1"}`)
	faults := func(want ...string) {
		t.Helper()
		var hosts []fleet.Host
		if err := json.Unmarshal([]byte(c.want(http.StatusOK, http.MethodGet, "/local/hosts", "")), &hosts); err != nil || !slices.Equal(hosts[0].Faults, want) {
			t.Errorf("faults %q, want %q (%v)", hosts[0].Faults, want, err)
		}
	}
	faults()
	all := []string{"disconnect", "silence", "lose-events", "untag", "break", "mute", "flood", "make-noise", "kill-worker", "none-as-nothing"}
	for n, fault := range all {
		c.want(http.StatusNoContent, http.MethodPost, "/local/hosts/"+host1+"/"+fault, "")
		faults(all[:n+1]...)
	}
	for _, undo := range []string{"reconnect", "speak", "deliver-events", "tag", "mend", "stop-noise", "mend-agent", "none-as-list"} {
		c.want(http.StatusNoContent, http.MethodPost, "/local/hosts/"+host1+"/"+undo, "")
	}
	faults()
}

func TestWrongMethodIsToldFromWrongPath(t *testing.T) {
	c := newControlled(t)
	c.put(host1, "s-1", `{"Owner": "user1"}`)
	for _, path := range []string{"/local/cleanup/inventory", "/local/hosts/" + host1 + "/stop"} {
		c.wantRefused(http.StatusMethodNotAllowed, http.MethodGet, path, "")
		c.wantRefused(http.StatusMethodNotAllowed, http.MethodPut, path, "")
	}
	if got := c.hosts()[host1]; got != "running s-1" {
		t.Errorf("the host is %q", got)
	}
}

// The task idle says so if idle closing is off, and nothing if it is on.
func TestIdleTaskSaysThatItIsOff(t *testing.T) {
	c := newControlled(t)
	if got := c.want(http.StatusOK, http.MethodPost, "/local/cleanup/idle", ""); !strings.Contains(got, "CLOSE_IDLE_AFTER") {
		t.Errorf("%s", got)
	}
	if got := c.want(http.StatusOK, http.MethodPost, "/local/cleanup/stop", ""); !strings.Contains(got, "STOP_EMPTY_AFTER") {
		t.Errorf("%s", got)
	}
	sys, err := New(t.Context(), Options{
		Template: "../../../template.yaml", Dir: t.TempDir(), Parameters: map[string]string{"CloseIdleAfterMinutes": "1"},
		Every: map[string]time.Duration{"deletions": -1, "inventory": -1, "idle": -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	c.system, c.api = sys, sys.Handler()
	c.want(http.StatusNoContent, http.MethodPost, "/local/cleanup/idle", "")
}
