// Package proxy passes calls of clients that have no access token on to the API, with the token of whoever started it.
package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"dcv-session-broker/internal/operate/token"
	"dcv-session-broker/internal/page"
)

// A Proxy adds a token to each call that it passes on. Whoever reaches it can do what the token allows.
type Proxy struct {
	// URL is the API's address, without a / at the end.
	URL    string
	HTTP   *http.Client
	Tokens token.Source
	// LocalOnly refuses calls of other machines, and those for another name than this machine's.
	LocalOnly bool
	// Log takes a line for each call.
	Log func(line string)
	Now func() time.Time

	mu sync.Mutex
	// refusedAt is when the API last refused a token that was new.
	refusedAt time.Time
}

const (
	// maxBody is more than the API takes: Lambda takes 6 MB.
	maxBody = 6 << 20
	// tokenPause is how long no new token is fetched after one was refused: each is billed, and clients try again at once.
	tokenPause = time.Minute
)

var errBrowser = errors.New("this does not answer to browsers")

// Handler passes on what the API has, and nothing else.
func (p *Proxy) Handler() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/deleteSessions", "/describeSessions", "/cancelDeletions"} {
		mux.HandleFunc("POST "+path, p.pass)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		p.refuse(w, r, http.StatusNotFound, "the broker has POST /deleteSessions, /describeSessions and /cancelDeletions; ask Session Manager's broker for the rest")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.guard(r); err != nil {
			p.refuse(w, r, http.StatusForbidden, err.Error())
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// guard refuses what a page has a browser send: with a POST every browser says whose page it is.
func (p *Proxy) guard(r *http.Request) error {
	if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		return errBrowser
	}
	if p.LocalOnly {
		return page.Guard(r)
	}
	return nil
}

func (p *Proxy) pass(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		p.refuse(w, r, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	}
	if err != nil {
		p.refuse(w, r, http.StatusBadRequest, "the request cannot be read")
		return
	}
	resp, err := p.call(r, body)
	if err != nil { // its text names the issuer, or the API; it has no token and no secret
		p.refuse(w, r, http.StatusBadGateway, err.Error())
		return
	}
	defer resp.Body.Close()
	for _, name := range []string{"Content-Type", "Retry-After"} {
		if value := resp.Header.Get(name); value != "" {
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(w, resp.Body); err != nil {
		p.log(r, resp.StatusCode, fmt.Sprintf(", and the answer was cut off: %v", err))
		return
	}
	p.log(r, resp.StatusCode, "")
}

// call calls the API, and once more with a new token where that answers 401.
func (p *Proxy) call(r *http.Request, body []byte) (*http.Response, error) {
	bearer, err := p.Tokens.Token(r.Context(), "")
	if err != nil {
		return nil, fmt.Errorf("get an access token: %w", err)
	}
	resp, err := p.once(r, body, bearer)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || p.paused() {
		return resp, err
	}
	resp.Body.Close()
	if bearer, err = p.Tokens.Token(r.Context(), bearer); err != nil {
		return nil, fmt.Errorf("get an access token: %w", err)
	}
	resp, err = p.once(r, body, bearer)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		p.mu.Lock()
		p.refusedAt = p.Now()
		p.mu.Unlock()
	}
	return resp, err
}

func (p *Proxy) paused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Now().Sub(p.refusedAt) < tokenPause
}

// once sends the request as it came, its query too, without which a dry run would be none. Of its headers only its type goes on.
func (p *Proxy) once(r *http.Request, body []byte, bearer string) (*http.Response, error) {
	address := p.URL + r.URL.Path
	if r.URL.RawQuery != "" {
		address += "?" + r.URL.RawQuery
	}
	request, err := http.NewRequestWithContext(r.Context(), http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if kind := r.Header.Get("Content-Type"); kind != "" {
		request.Header.Set("Content-Type", kind)
	}
	request.Header.Set("Authorization", "Bearer "+bearer)
	return p.HTTP.Do(request)
}

func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
	p.log(r, status, ": "+message)
}

func (p *Proxy) log(r *http.Request, status int, rest string) {
	p.Log(fmt.Sprintf("%s %s %s %q: %d%s", p.Now().UTC().Format("2006-01-02T15:04:05Z"), r.RemoteAddr, r.Method, r.URL.Path, status, rest))
}
