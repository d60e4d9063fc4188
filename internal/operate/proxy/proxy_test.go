package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// numbered returns the tokens 1, 2, and so on, each until it is refused.
type numbered struct {
	mu     sync.Mutex
	issued int
	down   error
}

func (n *numbered) Token(_ context.Context, refused string) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.down != nil {
		return "", n.down
	}
	if n.issued == 0 || refused == fmt.Sprint("t0ken-", n.issued) {
		n.issued++
	}
	return fmt.Sprint("t0ken-", n.issued), nil
}

func (n *numbered) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.issued
}

// A passing is a proxy that runs in front of an API.
type passing struct {
	*numbered
	api, server *httptest.Server
	mu          sync.Mutex
	lines       []string
}

func start(t *testing.T, api http.HandlerFunc) *passing {
	t.Helper()
	p := &passing{numbered: &numbered{}, api: httptest.NewServer(api)}
	t.Cleanup(p.api.Close)
	t.Cleanup(p.api.CloseClientConnections) // a test that has failed may have left a call open, for which Close would wait
	proxy := &Proxy{URL: p.api.URL, HTTP: p.api.Client(), Tokens: p.numbered, LocalOnly: true, Now: time.Now, Log: func(line string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.lines = append(p.lines, line)
	}}
	p.server = httptest.NewServer(proxy.Handler())
	t.Cleanup(p.server.Close)
	return p
}

func (p *passing) send(t *testing.T, method, path string, body io.Reader, headers ...string) (status int, header http.Header, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.server.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := p.server.Client().Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(content)
}

func (p *passing) post(t *testing.T, path string) (int, string) {
	t.Helper()
	status, _, answer := p.send(t, http.MethodPost, path, strings.NewReader("[]"))
	return status, answer
}

// log returns the log, after checking that it contains no token.
func (p *passing) log(t *testing.T) string {
	t.Helper()
	hung := time.AfterFunc(time.Minute, func() {
		t.Error("a call does not end")
		p.api.CloseClientConnections()
	})
	defer hung.Stop()
	p.server.Close() // a line may follow its answer
	p.mu.Lock()
	defer p.mu.Unlock()
	all := strings.Join(p.lines, "\n")
	if strings.Contains(all, "t0ken") {
		t.Errorf("it shows a token:\n%s", all)
	}
	return all
}

// Passed on are a request's body, Content-Type and query, and an answer's status, body, Content-Type and Retry-After.
func TestProxyPassesOnlyTheseParts(t *testing.T) {
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Set-Cookie", "a=b")
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, r.Method, r.RequestURI, r.Header.Get("Content-Type"), r.Header.Get("Authorization"), r.Header.Get("Cookie"), len(body))
	})
	many := strings.Repeat("x", 100_000)
	status, h, answer := p.send(t, http.MethodPost, "/deleteSessions?dryRun=true&a=%26", io.MultiReader(strings.NewReader(many)), // chunked
		"Content-Type", "application/json; charset=utf-8", "Authorization", "Bearer of-the-client", "Cookie", "c=d")
	if want := "POST/deleteSessions?dryRun=true&a=%26application/json; charset=utf-8Bearer t0ken-1100000"; answer != want {
		t.Errorf("%q, not %q", answer, want)
	}
	if status != http.StatusTooManyRequests || h.Get("Content-Type") != "application/problem+json" || h.Get("Retry-After") != "7" || h.Get("Set-Cookie") != "" {
		t.Errorf("%d, %v", status, h)
	}
	if got := p.log(t); !strings.HasSuffix(got, ` POST "/deleteSessions": 429`) {
		t.Errorf("log: %s", got)
	}
}

func TestOtherPathsAre404(t *testing.T) {
	p := start(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("it passed on %s %s", r.Method, r.RequestURI) })
	paths := []string{"/", "//deleteSessions", "/deleteSessions/", "/a/../deleteSessions", "/deletesessions", "/local/hosts"}
	for _, path := range paths {
		if status, answer := p.post(t, path); status != http.StatusNotFound || !strings.Contains(answer, "ask Session Manager's broker") {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	if status, _, _ := p.send(t, http.MethodGet, "/describeSessions", nil); status != http.StatusNotFound {
		t.Errorf("GET: %d", status)
	}
	if lines := strings.Count(p.log(t), ": 404: "); lines != len(paths)+1 || p.count() != 0 {
		t.Errorf("%d lines for %d calls, %d tokens:\n%s", lines, len(paths)+1, p.count(), p.log(t))
	}
}

func TestBodyBeyondTheAPIsIsRefused(t *testing.T) {
	const sixMB = 6 << 20
	taken := 0
	p := start(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		taken = len(body)
	})
	status, _, _ := p.send(t, http.MethodPost, "/deleteSessions", bytes.NewReader(make([]byte, sixMB)))
	if status != http.StatusOK || taken != sixMB {
		t.Errorf("%d, %d bytes", status, taken)
	}
	taken = 0
	status, _, answer := p.send(t, http.MethodPost, "/deleteSessions", bytes.NewReader(make([]byte, sixMB+1)))
	if status != http.StatusRequestEntityTooLarge || taken != 0 || !strings.Contains(answer, "Too Large") {
		t.Errorf("%d, %d bytes: %s", status, taken, answer)
	}
	wantLog(t, p, ": 413: ")
}

// The client learns that there is no answer, and why.
func TestNoAnswerIs502(t *testing.T) {
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/deleteSessions" {
			_, _ = w.Write(make([]byte, 17<<20))
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"Sessions\": [")
		conn.Close()
	})
	if status, answer := p.post(t, "/describeSessions"); status != http.StatusBadGateway || !strings.Contains(answer, "EOF") {
		t.Errorf("an answer that was cut off: %d %s", status, answer)
	}
	if status, answer := p.post(t, "/deleteSessions"); status != http.StatusBadGateway || !strings.Contains(answer, "more than 16777216 bytes") {
		t.Errorf("an answer without an end: %d %.100s", status, answer)
	}
	p.api.Close()
	if status, answer := p.post(t, "/describeSessions"); status != http.StatusBadGateway || !strings.Contains(answer, "connection refused") {
		t.Errorf("no API: %d %s", status, answer)
	}
	p.numbered.down = errors.New("https://login.example.com answered 401, invalid_client")
	if status, answer := p.post(t, "/describeSessions"); status != http.StatusBadGateway || !strings.Contains(answer, "get an access token: https://login.example.com answered 401, invalid_client") {
		t.Errorf("no token: %d %s", status, answer)
	}
	wantLog(t, p, "EOF", "connection refused", "invalid_client")
}

// A call whose client has closed the connection is not logged as unanswered by the broker.
func TestClientThatHasGone(t *testing.T) {
	arrived := make(chan struct{})
	p := start(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		close(arrived)
		<-r.Context().Done()
	})
	ctx, hangUp := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.server.URL+"/deleteSessions", strings.NewReader("[]"))
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-arrived; hangUp() }()
	if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
		resp.Body.Close()
		t.Errorf("it had an answer: %d", resp.StatusCode)
	}
	wantLog(t, p, "the client has gone; the broker may have carried it out")
}

func wantLog(t *testing.T, p *passing, parts ...string) {
	t.Helper()
	got := p.log(t)
	for _, part := range parts {
		if !strings.Contains(got, part) {
			t.Errorf("the log lacks %q:\n%s", part, got)
		}
	}
}

// If new tokens are refused, calls at the same time share one new token.
func TestCallsAtTheSameTimeGetOneNewToken(t *testing.T) {
	second, judged := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	p := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer t0ken-2" && !held.Swap(true) {
			_, _ = io.ReadAll(r.Body) // else the end of the connection would not end the context
			close(second)
			select {
			case <-judged:
			case <-r.Context().Done():
			}
		}
		w.WriteHeader(http.StatusUnauthorized)
	})
	first := make(chan struct{})
	go func() {
		defer close(first)
		if status, _ := p.post(t, "/describeSessions"); status != http.StatusUnauthorized {
			t.Errorf("the first: %d", status)
		}
	}()
	select {
	case <-second: // the first call has a new token and does not know yet that this is refused, too
	case <-first:
		t.Fatal("no call has had a new token")
	}
	if status, _ := p.post(t, "/describeSessions"); status != http.StatusUnauthorized {
		t.Errorf("the second: %d", status)
	}
	close(judged)
	<-first
	if p.count() != 2 {
		t.Errorf("%d tokens were issued", p.count())
	}
}
