package system

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/streamevent"
)

// toldSteps starts a system and keeps the Steps.
func toldSteps(t *testing.T) (c *controlled, told func() []string) {
	t.Helper()
	var (
		mu  sync.Mutex
		all []string
	)
	sys, err := New(t.Context(), Options{
		Template: "../../../template.yaml", Dir: t.TempDir(),
		Every: map[string]time.Duration{"deletions": -1, "inventory": -1, "idle": -1},
		Steps: func(s Step) {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, fmt.Sprintf("%s: %s %s %s %s>%s %s", s.By, s.SessionID, s.HostID, s.Owner, s.From, s.To, s.Why))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	return &controlled{t: t, system: sys, api: sys.Handler()}, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

func wantTold(t *testing.T, told func() []string, want ...string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		got := told()
		missing := slices.DeleteFunc(slices.Clone(want), func(w string) bool {
			return slices.ContainsFunc(got, func(g string) bool { return strings.Contains(g, w) })
		})
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not told: %q\nin:\n%s", missing, strings.Join(got, "\n"))
		}
	}
}

func TestStepsSayWhoActs(t *testing.T) {
	c, told := toldSteps(t)
	start := func(host, id string) {
		t.Helper()
		c.want(http.StatusOK, http.MethodPut, "/local/hosts/"+host+"/sessions/"+id, `{"Owner": "user1"}`)
	}
	start(host1, "one")
	start(host1, "two")
	c.want(http.StatusOK, http.MethodPost, "/deleteSessions", `[{"SessionId": "one", "Owner": "user2"}, {"SessionId": "one", "Owner": "user1"}]`)
	const two = " two " + host1 + " user1 "
	wantTold(t, told,
		"control API: one "+host1+"  > the session starts",
		"control API: one "+host1+" user1 >READY ",
		"delete-sessions: one "+host1+" user1 READY>DELETING ",
		"host-events: one "+host1+" user1 DELETING>DELETING confirmed: closed",
		"session-stream: one "+host1+" user1 DELETING>DELETED closed",
	)

	c.want(http.StatusOK, http.MethodPost, "/deleteSessions", `[{"SessionId": "two", "Owner": "user1", "GracePeriodSeconds": 600, "Message": "Bye."}]`)
	wantTold(t, told, "delete-sessions:"+two+"READY>DELETING closes at ", "host-events:"+two+"DELETING>DELETING notice: nobody")
	c.want(http.StatusOK, http.MethodPost, "/cancelDeletions", `[{"SessionId": "two", "Owner": "user1"}]`)
	wantTold(t, told, "cancel-deletions:"+two+"DELETING>READY cancelled")

	c.want(http.StatusNoContent, http.MethodPost, "/local/hosts/"+host1+"/disconnect", "")
	c.want(http.StatusOK, http.MethodPost, "/deleteSessions", `[{"SessionId": "two", "Owner": "user1"}]`)
	wantTold(t, told, "delete-sessions:"+two+"DELETING>READY taken back: refused")
	c.want(http.StatusNoContent, http.MethodPost, "/local/hosts/"+host1+"/reconnect", "")

	c.want(http.StatusNoContent, http.MethodPost, "/local/hosts/"+host1+"/break", "")
	c.want(http.StatusOK, http.MethodPost, "/deleteSessions", `[{"SessionId": "two", "Owner": "user1"}]`)
	wantTold(t, told, "control API:  "+host1+"  > break", "host-events:"+two+"DELETING>DELETING Could not connect to the DCV server: ")
	c.want(http.StatusNoContent, http.MethodPost, "/local/hosts/"+host1+"/mend", "")
	c.system.Advance(3 * time.Minute)
	c.want(http.StatusNoContent, http.MethodPost, "/local/cleanup/deletions", "")
	wantTold(t, told, "control API:    > cleanup: deletions", "cleanup:"+two+"DELETING>DELETING close attempt 2", "session-stream:"+two+"DELETING>DELETED closed")

	c.want(http.StatusNoContent, http.MethodDelete, "/local/sessions/two", "")
	wantTold(t, told, "control API: two   > record removed", "control API:"+two+"DELETED> ")
	c.want(http.StatusOK, http.MethodPost, "/local/clock", `{"Ahead": "1h"}`)
	if all := told(); !slices.ContainsFunc(all, regexp.MustCompile(`^control API: .* clock set to \d\d:\d\d:\d\d$`).MatchString) {
		t.Errorf("not told that the clock was set:\n%s", strings.Join(all, "\n"))
	}
	for _, step := range told() {
		if strings.HasPrefix(step, ": ") {
			t.Errorf("nobody did it: %s", step)
		}
	}
	kept := func() int {
		c.system.writers.mu.Lock()
		defer c.system.writers.mu.Unlock()
		return len(c.system.writers.writes)
	}
	for deadline := time.Now().Add(5 * time.Minute); kept() > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("writes of %d sessions are still kept", kept())
		}
	}
}

// Each start reads the stream of a kept table from the beginning.
func TestChangesOfAnEarlierStartAreNotTold(t *testing.T) {
	c, told := toldSteps(t)
	listed := streamevent.ItemOf(session.Record{session.AttrSessionID: "old", session.AttrState: "READY"})
	for _, at := range []time.Time{c.system.started.Add(-2 * time.Second), c.system.started.Add(2 * time.Second)} {
		c.system.tellChange(streamevent.New(streamevent.Insert, "", streamevent.Data{
			ApproximateCreationDateTime: float64(at.Unix()), Keys: listed, NewImage: listed,
		}))
	}
	if got := told(); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestEachActionOfTheControlAPIIsTold(t *testing.T) {
	source, err := os.ReadFile("control.go")
	if err != nil {
		t.Fatal(err)
	}
	patterns := regexp.MustCompile(`handle\("((?:PUT|POST|DELETE) [^"]+)"`).FindAllSubmatch(source, -1)
	for _, p := range patterns {
		if _, told := actions[string(p[1])]; !told && string(p[1]) != "DELETE /local/calls" {
			t.Errorf("%s is told of by nothing", p[1])
		}
	}
	if len(patterns) != len(actions)+1 {
		t.Errorf("%d patterns, %d actions and a call that forgets calls", len(patterns), len(actions))
	}
}
