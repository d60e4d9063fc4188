package page_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/local/system"
	"dcv-session-broker/internal/operate/api"
	"dcv-session-broker/internal/operate/page"
	"dcv-session-broker/internal/operate/token"
)

const host = "i-00000000000000001"

// open starts a system on one machine with a session of each ID, and a page that reads its API.
func open(t *testing.T, ids ...string) (p *page.Page, url, system string) {
	t.Helper()
	address := start(t, ids...)
	p = page.New(page.Options{
		API:   &api.Client{URL: address, HTTP: http.DefaultClient, Tokens: token.Given("s3cret")},
		Every: time.Hour,
	})
	t.Cleanup(p.Close)
	server := httptest.NewServer(p.Handler())
	t.Cleanup(server.Close)
	return p, server.URL, address
}

func start(t *testing.T, ids ...string) (address string) {
	sys, err := system.New(t.Context(), system.Options{
		Template: "../../../template.yaml", Dir: t.TempDir(), Token: "s3cret",
		Every: map[string]time.Duration{"deletions": -1, "inventory": -1, "idle": -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	server := httptest.NewServer(sys.Handler())
	t.Cleanup(server.Close)
	for _, id := range ids {
		status, body := ask(t, http.MethodPut, server.URL+"/local/hosts/"+host+"/sessions/"+id, `{"Owner": "user1"}`, nil)
		if status != http.StatusOK {
			t.Fatal(body)
		}
	}
	return server.URL
}

func ask(t *testing.T, method, url, body string, change func(*http.Request)) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("Content-Type") == "text/event-stream" {
		return resp.StatusCode, "" // it does not end
	}
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(content)
}

// Another site, another user of the machine, and a DNS name that points at the machine can delete nothing and read
// nothing.
func TestOnlyThePageIsAnswered(t *testing.T) {
	p, url, broker := open(t, "a")
	with := func(secret string, more func(*http.Request)) func(*http.Request) {
		return func(r *http.Request) {
			if secret != "" {
				r.Header.Set("Authorization", "Bearer "+secret)
			}
			if more != nil {
				more(r)
			}
		}
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"no secret":             {with("", nil), http.StatusUnauthorized},
		"another secret":        {with("A"+p.Secret[1:]+"A", nil), http.StatusUnauthorized},
		"a part of it":          {with(p.Secret[:20], nil), http.StatusUnauthorized},
		"the API's own token":   {with("s3cret", nil), http.StatusUnauthorized},
		"in another place":      {with("", header("Cookie", "secret="+p.Secret)), http.StatusUnauthorized},
		"another site":          {with(p.Secret, header("Origin", "http://site.example")), http.StatusForbidden},
		"another port":          {with(p.Secret, header("Origin", "http://127.0.0.1:1")), http.StatusForbidden},
		"a sandboxed document":  {with(p.Secret, header("Origin", "null")), http.StatusForbidden},
		"a link somewhere else": {with(p.Secret, header("Sec-Fetch-Site", "cross-site")), http.StatusForbidden},
		"a rebound name":        {with(p.Secret, func(r *http.Request) { r.Host = "rebound.example:8080" }), http.StatusForbidden},
	} {
		for _, call := range [][2]string{
			{http.MethodPost, "/deleteSessions"}, {http.MethodPost, "/cancelDeletions"}, {http.MethodGet, "/local/events"},
			{http.MethodGet, "/local/stories/a"}, {http.MethodGet, "/local/explanations/a"},
		} {
			status, body := ask(t, call[0], url+call[1], `[{"SessionId": "a", "Owner": "user1"}]`, c.change)
			if status != c.want || strings.Contains(body, p.Secret) {
				t.Errorf("%s, %s: %d %s", name, call[1], status, body)
			}
		}
	}
	if _, records := ask(t, http.MethodGet, broker+"/local/sessions", "", nil); !strings.Contains(records, `"State":"READY"`) {
		t.Error(records)
	}
	if status, body := ask(t, http.MethodGet, url, "", nil); status != http.StatusOK || strings.Contains(body, p.Secret) {
		t.Errorf("the page itself: %d", status)
	}
}

func TestWhatThePageAsksForIsPassedOn(t *testing.T) {
	p, url, broker := open(t, "a", "b")
	mine := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+p.Secret) }
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/deleteSessions?dryRun=true", `[{"SessionId": "a", "Owner": "user1"}]`, 200, `"DryRun":true`},
		{"/deleteSessions", `[{"SessionId": "a", "Owner": "user1", "GracePeriodSeconds": 600}]`, 200, `"CloseAt"`},
		{"/cancelDeletions", `[{"SessionId": "a", "Owner": "user1"}]`, 200, `"State":"READY"`},
		{"/deleteSessions", `[{"SessionId": "b", "Owner": "user2"}]`, 200, `does not exist`},
		{"/deleteSessions", `[{"SessionId": "", "Owner": "user2"}]`, 400, `SessionId`},
		{"/deleteSessions", `[{`, 400, `cannot be read`},
		{"/deleteSessions?dryrun=1", `[]`, 400, `dryRun=true`},
	} {
		status, answer := ask(t, http.MethodPost, url+c.path, c.body, mine)
		if status != c.status || !strings.Contains(answer, c.want) {
			t.Errorf("%s %s: %d %s", c.path, c.body, status, answer)
		}
	}
	if _, records := ask(t, http.MethodGet, broker+"/local/sessions", "", nil); strings.Count(records, `"State":"READY"`) != 2 {
		t.Error(records)
	}
}

// The page receives the sessions of describeSessions, a deletion with a grace period as an open one, and keeps each
// change.
func TestThePageIsToldOfTheStack(t *testing.T) {
	p, url, broker := open(t, "a", "b")
	mine := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+p.Secret) }
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/local/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	mine(r)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func() (items map[string]map[string]any) {
		for lines.Scan() {
			data, is := strings.CutPrefix(lines.Text(), "data: ")
			if !is {
				continue
			}
			var frame struct {
				Items []struct {
					Kind, ID string
					Value    map[string]any
				}
			}
			if err := json.Unmarshal([]byte(data), &frame); err != nil {
				t.Fatal(err)
			}
			items = map[string]map[string]any{}
			for _, item := range frame.Items {
				items[item.Kind+" "+item.ID] = item.Value
			}
			if len(items) > 0 {
				return items
			}
		}
		t.Fatal("the stream has ended")
		return nil
	}
	first := next()
	if a := first["session a"]; a["State"] != "READY" || a["Owner"] != "user1" || a["HostId"] != host || first["host "+host] == nil || first["about "]["Local"] != false {
		t.Errorf("%v", first)
	}
	// First without the page, then through it, which makes the page read again.
	if status, body := ask(t, http.MethodPost, broker+"/deleteSessions", `[{"SessionId": "a", "Owner": "user1", "GracePeriodSeconds": 600}]`, func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer s3cret")
	}); status != http.StatusOK {
		t.Fatal(body)
	}
	ask(t, http.MethodPost, url+"/deleteSessions?dryRun=true", `[{"SessionId": "b", "Owner": "user1"}]`, mine)
	a := next()["session a"]
	for a == nil { // something else has changed
		a = next()["session a"]
	}
	if a["State"] != "DELETING" || a["CloseAt"] == nil || a["Attempts"] != nil {
		t.Errorf("%v", a)
	}
	if _, story := ask(t, http.MethodGet, url+"/local/stories/a", "", mine); !strings.Contains(story, "its deletion is requested by local") {
		t.Error(story)
	}
	if _, story := ask(t, http.MethodGet, url+"/local/stories/b", "", mine); strings.TrimSpace(story) != "[]" {
		t.Error(story)
	}
}

// Two starts have two secrets of 32 random bytes.
func TestSecretsAreNew(t *testing.T) {
	seen := map[string]bool{}
	for range 3 {
		secret := page.New(page.Options{}).Secret
		if len(secret) != 43 || seen[secret] {
			t.Error(fmt.Sprint(secret))
		}
		seen[secret] = true
	}
}
