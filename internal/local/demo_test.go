package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/local/broker"
	"dcv-session-broker/internal/local/fleet"
)

// system starts the broker on a directory of hosts, with an empty table.
func system(t *testing.T, dir string) http.Handler {
	t.Helper()
	b, err := broker.New(t.Context(), broker.Options{
		Template: "../../template.yaml", Dir: dir,
		Every: map[string]time.Duration{"deletions": -1, "inventory": -1, "idle": -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b.Handler()
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
	api := system(t, t.TempDir())
	if err := startDemoFleet(t.Context(), api); err != nil {
		t.Fatal(err)
	}
	var hosts []fleet.Host
	get(t, api, "/local/hosts", &hosts)
	var running []string
	for _, h := range hosts {
		for _, s := range h.Sessions {
			running = append(running, h.HostID+" "+s.ID+" "+s.Owner+" "+s.Type)
		}
	}
	if want := []string{
		"i-0a1b2c3d4e5f60001 SessionId123 user1 virtual",
		"i-0a1b2c3d4e5f60001 design-review user2 virtual",
		"i-0a1b2c3d4e5f60002 console user3 console",
		"i-0a1b2c3d4e5f60003 render-7 user1 virtual",
		"i-0a1b2c3d4e5f60003 unlisted user4 virtual",
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

func TestSystemStartedBeforeKeepsWhatItHas(t *testing.T) {
	dir := t.TempDir()
	first := system(t, dir)
	if _, err := call(t.Context(), first, http.MethodPut, "/local/hosts/i-00000000000000001/sessions/mine", `{"Owner": "user1"}`); err != nil {
		t.Fatal(err)
	}
	hosts, sessions := get(t, first, "/local/hosts", nil), get(t, first, "/local/sessions", nil)
	if err := startDemoFleet(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if get(t, first, "/local/hosts", nil) != hosts || get(t, first, "/local/sessions", nil) != sessions {
		t.Error("the demo fleet was added")
	}

	again := system(t, dir) // the hosts of before, and nothing in the table
	if err := startDemoFleet(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if got := get(t, again, "/local/hosts", nil); got != hosts {
		t.Errorf("%s, not %s", got, hosts)
	}
}

func TestDemoFleetThatCannotBeStartedIsAnError(t *testing.T) {
	for broken, answer := range map[string]int{http.MethodGet: http.StatusForbidden, http.MethodPut: http.StatusBadRequest} {
		api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == broken {
				w.WriteHeader(answer)
			}
			w.Write([]byte("[]"))
		})
		if err := startDemoFleet(t.Context(), api); err == nil || !strings.Contains(err.Error(), broken+" /local/hosts") {
			t.Errorf("%s fails: %v", broken, err)
		}
	}
}
