package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dcv-session-broker/internal/local/system"
)

// An edh is Engineering Development Hub 26.8, as far as it deletes sessions (source/soca/cluster_manager/utils/
// dcv_broker_client.py and web_interface/api/v1/dcv/delete_virtual_desktop.py in awslabs/engineering-development-hub): it
// has one https address for all calls and sends no token, tries three times without a pause, accepts any 2xx, and then
// terminates the host in any case.
type edh struct {
	broker string
	http   *http.Client
}

func (e edh) post(path string, body any) (answer map[string]any, failed string) {
	content, err := json.Marshal(body)
	if err != nil {
		return nil, err.Error()
	}
	for range 3 {
		resp, err := e.http.Post(e.broker+path, "application/json", bytes.NewReader(content))
		if err != nil {
			failed = fmt.Sprintf("broker POST %s raised %v", path, err)
			continue
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch {
		case err != nil:
			failed = err.Error()
		case resp.StatusCode/100 != 2:
			failed = fmt.Sprintf("broker %s returned HTTP %d: %s", path, resp.StatusCode, got)
		default:
			if err := json.Unmarshal(got, &answer); err == nil {
				return answer, ""
			}
			failed = fmt.Sprintf("not JSON: %s", got)
		}
	}
	return nil, failed
}

// deleteDesktop ends the desktop whose session has that name or ID, and returns EDH's log.
func (e edh) deleteDesktop(name string, terminate func()) (says string) {
	defer terminate()
	described, failed := e.post("/describeSessions", map[string]any{})
	if failed != "" {
		return failed
	}
	sessions, _ := described["Sessions"].([]any)
	at := slices.IndexFunc(sessions, func(s any) bool {
		one := s.(map[string]any)
		return one["Name"] == name || one["Id"] == name
	})
	if at < 0 {
		return "Broker has no session matching " + name
	}
	found := sessions[at].(map[string]any)
	answer, failed := e.post("/deleteSessions", []any{map[string]any{"SessionId": found["Id"], "Owner": found["Owner"]}})
	if failed != "" {
		return failed
	}
	if successful, _ := answer["SuccessfulList"].([]any); len(successful) > 0 {
		return fmt.Sprint("ok: ", successful[0])
	}
	unsuccessful, _ := answer["UnsuccessfulList"].([]any)
	return fmt.Sprint("deleteSessions failed: ", unsuccessful[0].(map[string]any)["FailureReason"])
}

// A proxied system needs a token, which dcvbroker proxy adds.
type proxied struct {
	url, proxy     string
	issued         atomic.Int32
	refuse         atomic.Int32 // how many calls of the API are answered 401
	calls          atomic.Int32 // of the API
	ahead          atomic.Int64 // of the real time
	edh            edh
	askedOfAnother atomic.Int32 // of Session Manager's broker
}

func startProxy(t *testing.T) *proxied {
	t.Helper()
	c := &proxied{}
	_, c.url = startSystem(t, system.Options{Token: apiToken})
	front := before(t, c.url, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		if r.URL.Path == "/oauth2/token" {
			fmt.Fprintf(w, `{"access_token": "%s-%d", "token_type": "Bearer", "expires_in": 3600}`, apiToken, c.issued.Add(1))
			return
		}
		c.calls.Add(1)
		if c.refuse.Add(-1) >= 0 {
			http.Error(w, `{"message":"Unauthorized"}`, http.StatusUnauthorized)
			return
		}
		if r.Header.Get("Authorization") == fmt.Sprintf("Bearer %s-%d", apiToken, c.issued.Load()) {
			r.Header.Set("Authorization", "Bearer "+apiToken)
		}
		pass.ServeHTTP(w, r)
	})
	var said said
	env := map[string]string{"TOKEN_URL": front + "/oauth2/token", "CLIENT_ID": "edh", "CLIENT_SECRET": clientSecret}
	p := program{out: &said, err: &said, pause: time.Millisecond, getenv: func(name string) string { return env[name] },
		now: func() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }}
	ctx, interrupt := context.WithCancel(t.Context())
	status := make(chan int, 1)
	go func() { status <- p.run(ctx, []string{"proxy", "--url", front, "--listen", "127.0.0.1:0"}) }()
	for deadline := time.Now().Add(5 * time.Minute); !listening.MatchString(said.String()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(said.String())
		}
	}
	c.proxy = listening.FindString(said.String())
	t.Cleanup(func() {
		interrupt()
		if got := <-status; got != exitDone {
			t.Errorf("exit %d", got)
		}
		for _, secret := range []string{apiToken, clientSecret} {
			if strings.Contains(said.String(), secret) {
				t.Errorf("%s is shown:\n%s", secret, &said)
			}
		}
	})
	c.edh = c.behindHTTPS(t)
	return c
}

// behindHTTPS is the server in front of the proxy as in DEPLOYING.md: it has https, and passes other calls on to
// Session Manager's broker.
func (c *proxied) behindHTTPS(t *testing.T) edh {
	t.Helper()
	address, err := url.Parse(c.proxy)
	if err != nil {
		t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(address) }}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/deleteSessions" || r.URL.Path == "/describeSessions" {
			pass.ServeHTTP(w, r)
			return
		}
		c.askedOfAnother.Add(1)
	}))
	t.Cleanup(server.Close)
	return edh{server.URL, server.Client()}
}

// desktop starts a session on its own host, as EDH does, and returns the function that terminates the host.
func (c *proxied) desktop(t *testing.T, n int, id string) (host string, terminate func()) {
	t.Helper()
	call(t, http.MethodPut, c.url+"/local/hosts/"+hostOf(n)+"/sessions/"+id, `{"Owner": "user1"}`)
	return hostOf(n), func() { call(t, http.MethodPost, c.url+"/local/hosts/"+hostOf(n)+"/terminate", "") }
}

// EDH ends a desktop: the deletion ends although EDH terminates the host meanwhile.
func TestClientWithoutATokenDeletes(t *testing.T) {
	c := startProxy(t)
	_, terminate := c.desktop(t, 1, "desk-1")
	if got := c.edh.deleteDesktop("desk-1", terminate); got != "ok: map[SessionId:desk-1 State:DELETING]" {
		t.Error(got)
	}
	awaitRecord(t, c.url, "desk-1", `"State":"DELETED"`)

	// A desktop whose host is refused: EDH logs the reason, and terminates the host. The session ends without a deletion.
	host, terminate := c.desktop(t, 2, "desk-2")
	call(t, http.MethodPost, c.url+"/local/hosts/"+host+"/disconnect", "")
	if got := c.edh.deleteDesktop("desk-2", terminate); !strings.HasPrefix(got, "deleteSessions failed: ") || !strings.Contains(got, "not connected") {
		t.Error(got)
	}
	awaitRecord(t, c.url, "desk-2", `"State":"DELETED"`)
	wantIn(t, get(t, c.url+"/local/sessions/desk-2"), `"Confirmation":"host-gone"`, `"DeletionRequestedBy":"dcv-session-broker"`)

	if got := c.edh.deleteDesktop("desk-2", func() {}); got != "deleteSessions failed: The requested dcvSession does not exist" {
		t.Error(got)
	}
	if issued := c.issued.Load(); issued != 1 {
		t.Errorf("%d tokens were issued", issued)
	}
	// Its createSessions goes to Session Manager's broker.
	if c.edh.post("/createSessions", []any{}); c.askedOfAnother.Load() == 0 {
		t.Error("createSessions did not reach Session Manager's broker")
	}
}

// The proxy does not start if it cannot get a token.
func TestProxyDoesNotBeginWithoutAToken(t *testing.T) {
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, secret, _ := r.BasicAuth(); secret != clientSecret {
			http.Error(w, `{"error": "invalid_client"}`, http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"access_token": "%s", "expires_in": 3600}`, apiToken)
	}))
	defer issuer.Close()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"a wrong secret": {map[string]string{"TOKEN_URL": issuer.URL, "CLIENT_ID": "edh", "CLIENT_SECRET": "wr0ng"}, []string{"get an access token: " + issuer.URL + " answered 401, invalid_client"}},
		"no issuer":      {map[string]string{"TOKEN_URL": "http://127.0.0.1:1", "CLIENT_ID": "edh", "CLIENT_SECRET": clientSecret}, []string{"get an access token: ", "connection refused"}},
		"a taken port":   {map[string]string{"TOKEN_URL": issuer.URL, "CLIENT_ID": "edh", "CLIENT_SECRET": clientSecret}, []string{"address already in use (choose another address with --listen HOST:PORT)"}},
		"a fixed token":  {map[string]string{"TOKEN": apiToken}, []string{"note: the token in TOKEN is never replaced: after it has expired, every call is answered 502", "address already in use"}},
	} {
		var out strings.Builder
		p := program{out: &out, err: &out, now: time.Now, getenv: func(name string) string { return c.env[name] }}
		status := p.run(t.Context(), []string{"proxy", "--url", "http://127.0.0.1:1", "--listen", taken.Addr().String()})
		if said := out.String(); status != exitNotRun || listening.MatchString(said) || strings.Contains(said, "wr0ng") || strings.Contains(said, clientSecret) || strings.Contains(said, apiToken) {
			t.Errorf("%s: %d\n%s", name, status, said)
		}
		wantIn(t, out.String(), c.want...)
	}
}

// Without the broker EDH tries three times and still terminates the host.
func TestClientWithoutATokenGoesOnWithoutTheBroker(t *testing.T) {
	c := startProxy(t)
	_, terminate := c.desktop(t, 1, "desk-1")
	c.refuse.Store(1 << 20)
	if got := c.edh.deleteDesktop("desk-1", terminate); !strings.Contains(got, "returned HTTP 401") {
		t.Error(got)
	}
	awaitRecord(t, c.url, "desk-1", `"State":"DELETED"`)
	// Each new token is billed. If new ones are refused, too, the proxy gets one a minute.
	if issued, calls := c.issued.Load(), c.calls.Load(); issued != 2 || calls != 4 {
		t.Errorf("%d tokens were issued for %d calls", issued, calls)
	}
	c.ahead.Store(int64(61 * time.Second))
	if c.edh.post("/describeSessions", map[string]any{}); c.issued.Load() != 3 {
		t.Errorf("%d tokens were issued", c.issued.Load())
	}
}

// The proxy replaces the token before it expires, and once when the API refuses it; the client does not notice.
func TestProxyRenewsItsToken(t *testing.T) {
	c := startProxy(t)
	for range 3 {
		if _, failed := c.edh.post("/describeSessions", map[string]any{}); failed != "" || c.issued.Load() != 1 {
			t.Errorf("%d tokens were issued: %s", c.issued.Load(), failed)
		}
	}
	c.ahead.Store(int64(59*time.Minute + 30*time.Second))
	if _, failed := c.edh.post("/describeSessions", map[string]any{}); failed != "" || c.issued.Load() != 2 {
		t.Errorf("%d tokens were issued: %s", c.issued.Load(), failed)
	}
	c.refuse.Store(1)
	calls := c.calls.Load()
	if _, failed := c.edh.post("/describeSessions", map[string]any{}); failed != "" || c.issued.Load() != 3 || c.calls.Load() != calls+2 {
		t.Errorf("%d tokens were issued for %d calls: %s", c.issued.Load(), c.calls.Load()-calls, failed)
	}
}
