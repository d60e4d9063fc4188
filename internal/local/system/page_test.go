package system

import (
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/page"
	"dcv-session-broker/internal/session"
)

// Each action on a host has its button, and there are no others.
func TestThePageHasAButtonForEachFault(t *testing.T) {
	text, err := os.ReadFile("../../page/static/faults.js")
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?:does|undoes): "([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
		has[m[1]] = true
	}
	if want := slices.Sorted(maps.Keys(hostActions)); !slices.Equal(slices.Sorted(maps.Keys(has)), want) {
		t.Errorf("the page has %v, the control API %v", slices.Sorted(maps.Keys(has)), want)
	}
}

// A host shows which faults it has, for the buttons that undo these.
func TestHostsSayWhatIsWrongWithThem(t *testing.T) {
	c := newControlled(t)
	c.want(200, http.MethodPut, "/local/hosts/"+host1+"/sessions/a", `{"Owner": "user1"}`)
	text, _ := os.ReadFile("../../page/static/faults.js")
	for _, m := range regexp.MustCompile(`does: "([^"]+)", undoes: "([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
		faults := func() []string {
			hosts, err := c.system.fleet.Hosts()
			if err != nil {
				t.Fatal(err)
			}
			return hosts[0].Faults
		}
		c.want(204, http.MethodPost, "/local/hosts/"+host1+"/"+m[1], "")
		if got := faults(); !slices.Equal(got, []string{m[1]}) {
			t.Errorf("after %s: %v", m[1], got)
		}
		c.want(204, http.MethodPost, "/local/hosts/"+host1+"/"+m[2], "")
		if got := faults(); len(got) != 0 {
			t.Errorf("after %s: %v", m[2], got)
		}
	}
}

func TestThePageShowsSessionsThatLiveFirst(t *testing.T) {
	c := newControlled(t)
	c.want(200, http.MethodPut, "/local/hosts/"+host1+"/sessions/b", `{"Owner": "user1"}`)
	over := session.Record{session.AttrSessionID: "a", session.AttrHostID: host1, session.AttrState: string(session.Deleted)}
	if err := c.system.store.put(t.Context(), over); err != nil {
		t.Fatal(err)
	}
	c.want(200, http.MethodPost, "/describeSessions", "")
	items, err := c.system.onPage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var sessions []string
	kinds := map[string]int{}
	for _, item := range items {
		if kinds[item.Kind]++; item.Kind == "session" {
			sessions = append(sessions, item.ID)
		}
	}
	if !slices.Equal(sessions, []string{"b", "a"}) || kinds["host"] != 1 || kinds["calls"] == 0 || items[0].Kind != "about" {
		t.Errorf("%v, %v", sessions, kinds)
	}
	if about := items[0].Value.(page.About); !about.Local || about.NeedsToken {
		t.Errorf("%+v", about)
	}
}

func TestTheClockIsSetOn(t *testing.T) {
	c := newControlled(t)
	before := c.system.now()
	c.want(200, http.MethodPost, "/local/clock", `{"Ahead": "2h"}`)
	if ahead := c.system.now().Sub(before); ahead.Hours() < 2 || ahead.Hours() > 3 {
		t.Errorf("%v ahead", ahead)
	}
	for _, bad := range []string{"", `{"Ahead": "-1m"}`, `{"Ahead": "25h"}`, `{"Ahed": "1m"}`, `{"Ahead": "soon"}`} {
		c.want(400, http.MethodPost, "/local/clock", bad)
	}
}

// A jump of the clock does not look like a cleanup that does not run, and hides no event.
func TestDeletionsThatAJumpMakesDueAreTriedAgain(t *testing.T) {
	sys, err := New(t.Context(), Options{
		Template: "../../../template.yaml", Dir: t.TempDir(), Every: map[string]time.Duration{"deletions": time.Hour, "inventory": -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	c := &controlled{t, sys, sys.Handler(), ""}
	c.want(200, http.MethodPut, "/local/hosts/"+host1+"/sessions/a", `{"Owner": "user1"}`)
	c.want(204, http.MethodPost, "/local/hosts/"+host1+"/silence", "")
	c.want(200, http.MethodPost, "/deleteSessions", `[{"SessionId": "a", "Owner": "user1"}]`)
	c.want(200, http.MethodPost, "/local/clock", `{"Ahead": "3m"}`)
	record, err := sys.store.get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if s := record.Session(); s.Attempts != 2 || !s.NextAttemptAt.After(sys.now()) || !strings.Contains(s.StateReason, "DeliveryTimedOut") {
		t.Errorf("attempt %d, the next at %v, %s", s.Attempts, s.NextAttemptAt, s.StateReason)
	}
}

// The control API, including the page's stream, refuses other sites.
func TestTheControlAPIRefusesOtherSites(t *testing.T) {
	c := newControlled(t)
	for _, path := range []string{"/local/hosts", "/local/events", "/local/stories/a", "/"} {
		for header, value := range map[string]string{"Origin": "http://site.example", "Sec-Fetch-Site": "cross-site"} {
			if w := c.with(http.MethodGet, path, http.Header{header: {value}}); w.Code != http.StatusForbidden {
				t.Errorf("GET %s with %s: %d", path, header, w.Code)
			}
		}
	}
	if w := c.with(http.MethodPost, "/local/hosts/"+host1+"/stop", http.Header{"Origin": {"null"}}); w.Code != http.StatusForbidden {
		t.Errorf("a fault from another site: %d", w.Code)
	}
}
