package system

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/session"
)

// A rule means no session that is created later than it: the answer to who started one comes in a later millisecond.
func TestSessionIsOlderThanTheAnswerThatItHasStarted(t *testing.T) {
	c := newControlled(t)
	for range 100 {
		var started struct{ CreationTime time.Time }
		if err := json.Unmarshal([]byte(c.put(host1, "s-1", `{"Owner": "user1"}`)), &started); err != nil {
			t.Fatal(err)
		}
		if now := session.Clock(c.system.now)(); !now.After(started.CreationTime) {
			t.Fatalf("answered at %s, created at %s", now, started.CreationTime)
		}
		c.want(http.StatusNoContent, http.MethodDelete, "/local/hosts/"+host1+"/sessions/s-1", "")
	}
}

func TestPutSessionStartsAndListsIt(t *testing.T) {
	c := newControlled(t)
	var started map[string]string
	if err := json.Unmarshal([]byte(c.put(host1, "s-1", `{"Owner": "user1"}`)), &started); err != nil {
		t.Fatal(err)
	}
	if _, err := time.Parse(time.RFC3339, started["CreationTime"]); err != nil || started["Id"] != "s-1" || started["Owner"] != "user1" || started["Type"] != "virtual" {
		t.Errorf("%v %v", started, err)
	}
	c.put(host1, "a%2Fb%20%C3%BC", `{"Owner": "user1", "Type": "console", "CreationTime": "2026-11-23T19:01:02Z"}`)
	c.wantListed("a/b ü on "+host1, "s-1 on "+host1)
	r, err := c.system.store.get(t.Context(), "a/b ü")
	if s := r.Session(); err != nil || s.Owner != "user1" || s.Type != "console" || s.CreationTime != "2026-11-23T19:01:02Z" || s.State != session.Ready || s.FirstSeenAt.IsZero() {
		t.Errorf("%v %v", r, err)
	}
	c.want(http.StatusNoContent, http.MethodDelete, "/local/hosts/"+host1+"/sessions/a%2Fb%20%C3%BC", "")
	if got := c.hosts()[host1]; got != "running s-1" {
		t.Errorf("the host is %q", got)
	}
	c.wantListed("a/b ü on "+host1, "s-1 on "+host1) // ended without the broker
	c.want(http.StatusNoContent, http.MethodDelete, "/local/sessions/a%2Fb%20%C3%BC", "")
	c.wantListed("s-1 on " + host1)
}

// A session that the control API lists has the ID that an inventory would give it.
func TestPutSessionIsListedAsByAnInventory(t *testing.T) {
	const likeAHost = "lab-i-0a1b2c3d4e5f60001" // like the ID of another host's console
	c := newControlled(t)
	c.put(host1, likeAHost, `{"Owner": "user1"}`)
	c.put(host1, "console", `{"Owner": "user1", "Type": "console"}`)
	c.put(host1, "s-1", `{"Owner": "user1"}`)
	c.put(host2, "s-1", `{"Owner": "user2"}`)
	want := []string{
		"console-" + host1 + " on " + host1 + " as console", likeAHost + "-" + host1 + " on " + host1 + " as " + likeAHost,
		"s-1 on " + host1, "s-1-" + host2 + " on " + host2 + " as s-1",
	}
	c.wantListed(want...)

	for _, id := range []string{likeAHost + "-" + host1, "console-" + host1, "s-1-" + host2} {
		c.want(http.StatusNoContent, http.MethodDelete, "/local/sessions/"+id, "")
	}
	c.want(http.StatusNoContent, http.MethodPost, "/local/cleanup/inventory", "")
	deadline := time.Now().Add(5 * time.Minute)
	for len(c.listed()) < len(want) && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	c.wantListed(want...)
}

// A session that is started under the ID of one that is being deleted does not cancel
// that deletion.
func TestPutSessionLeavesAnOpenDeletion(t *testing.T) {
	c := newControlled(t)
	for _, host := range []string{host1, host2} {
		c.put(host, "s-1", `{"Owner": "user1"}`)
		c.want(http.StatusNoContent, http.MethodPost, "/local/hosts/"+host+"/silence", "")
	}
	ids := []string{"s-1", "s-1-" + host2}
	c.want(http.StatusOK, http.MethodPost, "/deleteSessions",
		fmt.Sprintf(`[{"SessionId": %q, "Owner": "user1"}, {"SessionId": %q, "Owner": "user1"}]`, ids[0], ids[1]))
	for n, host := range []string{host1, host2} {
		before, err := c.system.store.get(t.Context(), ids[n])
		if err != nil || before.Session().State != session.Deleting {
			t.Fatal(before, err)
		}
		c.put(host, "s-1", `{"Owner": "user1"}`)
		if after, err := c.system.store.get(t.Context(), ids[n]); err != nil || after.Session() != before.Session() {
			t.Errorf("%v became %v (%v)", before, after, err)
		}
	}
}

func TestUnregisteredSessionRunsButIsNotInTheTable(t *testing.T) {
	c := newControlled(t)
	c.put(host1, "s-1", `{"Owner": "user1", "Registered": false}`)
	if got := c.hosts()[host1]; got != "running s-1" {
		t.Errorf("the host is %q", got)
	}
	c.wantListed()

	// It does not change an existing record under this ID, either.
	c.put(host1, "s-2", `{"Owner": "user1"}`)
	before, err := c.system.store.get(t.Context(), "s-2")
	if err != nil {
		t.Fatal(err)
	}
	c.put(host1, "s-2", `{"Owner": "user2", "Registered": false}`)
	if after, err := c.system.store.get(t.Context(), "s-2"); err != nil || after.Session() != before.Session() {
		t.Errorf("%v became %v (%v)", before, after, err)
	}
}

func TestSessionsOfOneIDOnTwoHostsAreBothListed(t *testing.T) {
	c := newControlled(t)
	c.put(host1, "s-1", `{"Owner": "user1"}`)
	c.put(host2, "s-1", `{"Owner": "user2"}`)
	both := []string{"s-1 on " + host1, "s-1-" + host2 + " on " + host2 + " as s-1"}
	c.wantListed(both...)
	c.put(host1, "s-1", `{"Owner": "user1"}`)
	c.put(host2, "s-1", `{"Owner": "user2"}`)
	c.wantListed(both...)
}

func TestAutomaticConsoleIsListedWithItsHost(t *testing.T) {
	c := newControlled(t)
	c.put(host1, "console", `{"Owner": "user1", "Type": "console"}`)
	c.put(host2, "console", `{"Owner": "user2", "Type": "console"}`)
	c.wantListed("console-"+host1+" on "+host1+" as console", "console-"+host2+" on "+host2+" as console")
}

func TestPutSessionRefusesWhatItCannotDo(t *testing.T) {
	c := newControlled(t)
	for _, body := range []string{
		``, `{}`, `{"Owner": ""}`, `{"Owner": 1}`, `{"Owner": "user1"`, `[]`, `"user1"`, `null`,
		`{"Owner": "user1", "Registred": false}`, `{"Owner": "user1", "Registered": "no"}`,
		`{"Owner": "user1", "Type": "windows"}`, `{"Owner": "user1", "CreationTime": "yesterday"}`,
	} {
		c.wantRefused(http.StatusBadRequest, http.MethodPut, "/local/hosts/"+host1+"/sessions/s-1", body)
	}
	for _, path := range []string{"no-host/sessions/s-1", "i-1/sessions/s-1", host1 + "/sessions/" + strings.Repeat("x", 129)} {
		c.wantRefused(http.StatusBadRequest, http.MethodPut, "/local/hosts/"+path, `{"Owner": "user1"}`)
	}
	if hosts := c.hosts(); len(hosts) != 0 {
		t.Errorf("there are hosts: %v", hosts)
	}
	c.put(host1, "s-1", `{"Owner": "user1"}`)
	c.want(http.StatusNoContent, http.MethodPost, "/local/hosts/"+host1+"/stop", "")
	c.wantRefused(http.StatusConflict, http.MethodPut, "/local/hosts/"+host1+"/sessions/s-2", `{"Owner": "user1"}`)
	c.wantListed("s-1 on " + host1)
}

// The host's dcv lists the connected users, and since when they have done nothing.
func TestConnectedUser(t *testing.T) {
	c := newControlled(t)
	c.put(host1, "s-1", `{"Owner": "user1"}`)
	session1 := "/local/hosts/" + host1 + "/sessions/s-1"
	file := filepath.Join(c.system.fleet.StateDir(host1), "732d31.connections")
	since := func() time.Duration {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var said []struct {
			At time.Time `json:"last-interaction-time"`
		}
		if err := json.Unmarshal(text, &said); err != nil || len(said) != 1 {
			t.Fatal(string(text), err)
		}
		return time.Since(said[0].At)
	}
	gone := func() {
		t.Helper()
		if _, err := os.Stat(file); !os.IsNotExist(err) {
			t.Errorf("somebody is connected: %v", err)
		}
	}
	c.want(http.StatusNoContent, http.MethodPut, session1+"/connections", "")
	if d := since(); d < 0 || d > 5*time.Minute {
		t.Errorf("away for %s", d)
	}
	c.want(http.StatusNoContent, http.MethodPut, session1+"/connections", `{"Away": "10m"}`)
	if d := since(); d < 10*time.Minute || d > 15*time.Minute {
		t.Errorf("away for %s", d)
	}
	for n, there := range []string{`Z"}`, `"Connections":1}`, `"Connections":2}`} {
		c.want(http.StatusNoContent, http.MethodPut, session1+"/connections", fmt.Sprintf(`{"Connections": %d}`, n))
		if got := c.want(http.StatusOK, http.MethodGet, "/local/hosts", ""); !strings.Contains(got, there) {
			t.Errorf("%d connections: %s", n, got)
		}
	}
	c.want(http.StatusNoContent, http.MethodPut, session1+"/connections", `{"Connections": 0}`)
	gone()
	c.want(http.StatusNoContent, http.MethodPut, session1+"/connections", "")
	for range 2 {
		c.want(http.StatusNoContent, http.MethodDelete, session1+"/connections", "")
		gone()
	}
	c.want(http.StatusNoContent, http.MethodPut, session1+"/connections", "")
	c.want(http.StatusNoContent, http.MethodDelete, session1, "") // the user goes with the session
	gone()
	for _, body := range []string{`{"Connections": -1}`, `{"Connections": 101}`, `{"Connections": "one"}`, `{"Away": "-1m"}`, `{"Away": "long"}`, `{"Gone": "1m"}`, `[]`} {
		c.wantRefused(http.StatusBadRequest, http.MethodPut, session1+"/connections", body)
	}
	c.wantRefused(http.StatusNotFound, http.MethodPut, session1+"/connections", "")
	c.wantRefused(http.StatusNotFound, http.MethodPut, "/local/hosts/"+unknownHost+"/sessions/s-1/connections", "")
}

// The notices of the control API are the windows on the host's screen.
func TestNoticesAreWhatUsersWereShown(t *testing.T) {
	c := newControlled(t)
	if got := c.want(http.StatusOK, http.MethodGet, "/local/notices", ""); got != "[]" {
		t.Errorf("before: %s", got)
	}
	c.put(host1, "console", `{"Owner": "user1", "Type": "console"}`)
	c.put(host2, "s-2", `{"Owner": "user2"}`)
	c.want(http.StatusNoContent, http.MethodPut, "/local/hosts/"+host1+"/sessions/console/connections", "")
	c.want(http.StatusOK, http.MethodPost, "/deleteSessions", fmt.Sprintf(`[
		{"SessionId": "console-%s", "Owner": "user1", "GracePeriodSeconds": 600, "Message": "Please <save>."},
		{"SessionId": "s-2", "Owner": "user2", "GracePeriodSeconds": 600, "Message": "Please <save>."}]`, host1))
	notices := func() (all []fleet.Notice) {
		t.Helper()
		if err := json.Unmarshal([]byte(c.want(http.StatusOK, http.MethodGet, "/local/notices", "")), &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	until := func(what string, there func([]fleet.Notice) bool) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Minute); !there(notices()); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) { // reached only if something is broken
				t.Fatal(what, notices())
			}
		}
	}
	until("nobody was warned", func(all []fleet.Notice) bool { return len(all) == 1 && all[0].Shown })
	n := notices()[0]
	if n.HostID != host1 || n.SessionID != "console" || n.Owner != "user1" || time.Since(n.At) > time.Minute || !strings.HasPrefix(n.Text, "Please <save>.\n") {
		t.Errorf("%+v", n)
	}
	c.want(http.StatusNoContent, http.MethodDelete, "/local/hosts/"+host1+"/sessions/console", "") // its screen goes with it
	until("a window without a screen", func(all []fleet.Notice) bool { return len(all) == 1 && !all[0].Shown })
}
