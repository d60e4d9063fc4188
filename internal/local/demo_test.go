package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/local/system"
)

// startSystem starts the system on a directory of hosts, with an empty table.
func startSystem(t *testing.T, dir string) http.Handler {
	t.Helper()
	sys, err := system.New(t.Context(), system.Options{
		Template: "../../template.yaml", Dir: dir,
		Every: map[string]time.Duration{"deletions": -1, "inventory": -1, "idle": -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	return sys.Handler()
}

func get(t *testing.T, api http.Handler, path string, into any) (text string) {
	t.Helper()
	text, err := call(t.Context(), api, http.MethodGet, path, "")
	if err == nil && into != nil {
		err = json.Unmarshal([]byte(text), into)
	}
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDemoFleetIsWhatTheWelcomeSays(t *testing.T) {
	api := startSystem(t, t.TempDir())
	if err := startDemoFleet(t.Context(), api); err != nil {
		t.Fatal(err)
	}
	var hosts []fleet.Host
	get(t, api, "/local/hosts", &hosts)
	var running []string
	for _, h := range hosts {
		for _, s := range h.Sessions {
			running = append(running, fmt.Sprint(h.HostID, " ", s.ID, " ", s.Owner, " ", s.Type, " ", s.Connections))
		}
	}
	if want := []string{
		"i-0a1b2c3d4e5f60001 SessionId123 user1 virtual 0",
		"i-0a1b2c3d4e5f60001 design-review user2 virtual 0",
		"i-0a1b2c3d4e5f60002 console user3 console 1",
		"i-0a1b2c3d4e5f60003 render-7 user1 virtual 1",
		"i-0a1b2c3d4e5f60003 unlisted user4 virtual 0",
	}; !slices.Equal(running, want) {
		t.Errorf("running: %q", running)
	}

	var records []struct{ SessionId string }
	get(t, api, "/local/sessions", &records)
	var listed []string
	for _, r := range records {
		listed = append(listed, r.SessionId)
	}
	slices.Sort(listed)
	if want := []string{"SessionId123", "console-i-0a1b2c3d4e5f60002", "design-review", "render-7"}; !slices.Equal(listed, want) {
		t.Errorf("listed: %q", listed)
	}
}

// README.md's commands under "What to try", in their order, do what it says.
func TestWhatReadmeHasToTry(t *testing.T) {
	sys, err := system.New(t.Context(), system.Options{
		Template: "../../template.yaml", Dir: t.TempDir(),
		Every: map[string]time.Duration{"deletions": -1, "inventory": -1, "idle": -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	api := sys.Handler()
	if err := startDemoFleet(t.Context(), api); err != nil {
		t.Fatal(err)
	}
	readme := read(t, "README.md")
	_, toTry, _ := strings.Cut(readme, "\n## What to try\n")
	toTry, _, _ = strings.Cut(toTry, "\n## ")
	steps := curl.FindAllStringSubmatch(toTry, -1)
	if len(steps) != strings.Count(toTry, "curl ") || len(steps) != 11 || strings.Count(toTry, "\n```sh try\n") != strings.Count(readme, "\n```sh try\n") {
		t.Fatalf("%d steps: %q", len(steps), steps)
	}
	do := func(n int) {
		t.Helper()
		method := steps[n][1]
		body := strings.ReplaceAll(steps[n][3], `"GracePeriodSeconds": 60`, `"GracePeriodSeconds": 3600`) // this machine may be busy
		if method == "" {
			method = http.MethodGet
			if body != "" {
				method = http.MethodPost
			}
		}
		r := httptest.NewRequestWithContext(t.Context(), method, steps[n][2], strings.NewReader(body))
		r.RemoteAddr = "127.0.0.1:0"
		r.Host = "127.0.0.1"
		w := httptest.NewRecorder()
		if api.ServeHTTP(w, r); w.Code/100 != 2 {
			t.Fatalf("%q: %d %s", steps[n][0], w.Code, w.Body)
		}
	}
	until := func(what string, there func() bool) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Minute); !there(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) { // reached only if something is broken
				t.Fatal(what)
			}
		}
	}
	record := func(id, attr string) any {
		var records []map[string]any
		get(t, api, "/local/sessions", &records)
		for _, r := range records {
			if r["SessionId"] == id {
				return r[attr]
			}
		}
		return nil
	}
	is := func(id, state string) {
		t.Helper()
		until(id+" is not "+state, func() bool { return record(id, "State") == state })
	}
	do(0)
	do(1)
	do(2)
	is("unlisted", "READY")
	do(3)
	is("design-review", "READY") // a ghost
	do(4)
	is("design-review", "DELETED")
	do(5)
	shown := func(id, text string) func() bool {
		return func() bool {
			var notices []fleet.Notice
			get(t, api, "/local/notices", &notices)
			return slices.ContainsFunc(notices, func(n fleet.Notice) bool {
				return n.SessionID == id && n.Shown && strings.Contains(n.Text, text)
			})
		}
	}
	for id, dcvID := range map[string]string{"console-i-0a1b2c3d4e5f60002": "console", "render-7": "render-7"} {
		until(id+"'s user is not shown the message", shown(dcvID, "Please save your work."))
		until(id+"'s user is not warned", func() bool { return record(id, "Warning") == "warned (zenity)" })
	}
	do(6)
	do(7)
	is("render-7", "READY")
	until("user1 is not told", shown("render-7", "will not be closed"))
	sys.Advance(time.Hour)
	if _, err := sys.Invoke(t.Context(), "cleanup", []byte(`{"task": "deletions"}`)); err != nil {
		t.Fatal(err)
	}
	is("console-i-0a1b2c3d4e5f60002", "DELETED")
	is("render-7", "READY")
	do(8)
	do(9)
	until("the command has not ended", func() bool {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`{"InstanceId": "i-0a1b2c3d4e5f60003"}`))
		r.Header.Set("X-Amz-Target", "AmazonSSM.ListCommandInvocations")
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		w := httptest.NewRecorder()
		sys.SystemsManager().ServeHTTP(w, r)
		all := w.Body.String()
		return strings.Contains(all, "close ") && !strings.Contains(all, `"InProgress"`) && !strings.Contains(all, `"Pending"`)
	})
	do(10)
	sys.Advance(3 * time.Minute)
	is("render-7", "DELETING") // stuck
	if _, err := sys.Invoke(t.Context(), "cleanup", []byte(`{"task": "deletions"}`)); err != nil {
		t.Fatal(err)
	}
	is("render-7", "DELETED")
	if got := record("render-7", "Confirmation"); got != "absent" {
		t.Errorf("render-7 is %v: it was not stuck", got)
	}
}

// curl matches a call in README.md: method, path and body.
var curl = regexp.MustCompile(`(?s)curl -s (?:-X (\w+) )?http://127\.0\.0\.1:8080(\S+)(?: -H '[^']*')?(?: -d '([^']*)')?`)

func TestWhatAnEarlierStartLeftIsFound(t *testing.T) {
	dir := t.TempDir()
	want := func(api http.Handler, want state) {
		t.Helper()
		if got, err := find(t.Context(), api); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v, not %+v", got, err, want)
		}
	}
	first := startSystem(t, dir)
	want(first, state{})
	if _, err := call(t.Context(), first, http.MethodPut, "/local/hosts/i-00000000000000001/sessions/mine", `{"Owner": "user1"}`); err != nil {
		t.Fatal(err)
	}
	want(first, state{Hosts: 1, Running: 1, Records: 1})
	want(startSystem(t, dir), state{Hosts: 1, Running: 1}) // the table is in memory
}

func TestDemoFleetThatCannotBeStartedIsAnError(t *testing.T) {
	refusing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	if err := startDemoFleet(t.Context(), refusing); err == nil || !strings.Contains(err.Error(), "PUT /local/hosts") {
		t.Error(err)
	}
	if _, err := find(t.Context(), refusing); err == nil || !strings.Contains(err.Error(), "GET /local/hosts") {
		t.Error(err)
	}
}
