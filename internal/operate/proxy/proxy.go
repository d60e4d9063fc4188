// Package proxy passes calls of clients without an access token on to the API, with the token of the user who started
// it.
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

// A Proxy adds a token to each call that it passes on. Whoever can connect to it can do what the token allows.
type Proxy struct {
	// URL is the API's address, without a / at the end.
	URL    string
	HTTP   *http.Client
	Tokens token.Source
	// LocalOnly refuses calls from other machines, and those to another name than this machine's.
	LocalOnly bool
	// Log receives a line for each call.
	Log func(line string)
	Now func() time.Time

	mu sync.Mutex
	// renewedAt is when a token was last replaced because the API refused it.
	renewedAt time.Time
}

const (
	// maxBody is more than the API takes: Lambda takes 6 MB.
	maxBody = 6 << 20
	// maxAnswer is more than Lambda answers.
	maxAnswer = 16 << 20
	// tokenPause is the least time between two replacements of a refused token: each is billed, and clients repeat a
	// refused call immediately.
	tokenPause = time.Minute
)

var errBrowser = errors.New("this does not answer browsers")

// Handler passes on only the API's calls.
func (p *Proxy) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := p.guard(r); err != nil {
			p.refuse(w, r, http.StatusForbidden, err.Error())
			return
		}
		// Compared as it is: an http.ServeMux would redirect other spellings of a path, without a line in the log.
		switch r.Method + " " + r.URL.Path {
		case "POST /deleteSessions", "POST /describeSessions", "POST /cancelDeletions":
			p.pass(w, r)
		default:
			p.refuse(w, r, http.StatusNotFound, "the broker has POST /deleteSessions, /describeSessions and /cancelDeletions; ask Session Manager's broker for the rest")
		}
	})
}

// guard refuses requests that a web page sends: with a POST every browser names the page's origin.
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
	got, err := p.call(r, body)
	if err != nil && r.Context().Err() != nil {
		err = errors.New("the client has gone; the broker may have carried it out")
	}
	if err != nil { // its text names the issuer or the API, and has no token or secret
		p.refuse(w, r, http.StatusBadGateway, err.Error())
		return
	}
	for _, name := range []string{"Content-Type", "Retry-After"} {
		if value := got.header.Get(name); value != "" {
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(got.status)
	rest := ""
	if _, err := w.Write(got.body); err != nil {
		rest = fmt.Sprintf(", which the client did not take: %v", err)
	}
	p.log(r, got.status, rest)
}

// An answer is read completely before it is passed on: the client would take a cut one for complete.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call calls the API, and once more with a new token where that answers 401.
func (p *Proxy) call(r *http.Request, body []byte) (*answer, error) {
	bearer, err := p.token(r, "")
	if err != nil {
		return nil, err
	}
	got, err := p.once(r, body, bearer)
	if err != nil || got.status != http.StatusUnauthorized {
		return got, err
	}
	newer, err := p.newer(r, bearer)
	if err != nil {
		return nil, err
	}
	if newer == bearer {
		return got, nil
	}
	return p.once(r, body, newer)
}

// newer returns a token in place of a refused one, or the same one within tokenPause.
func (p *Proxy) newer(r *http.Request, refused string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Another call may have replaced the token meanwhile.
	bearer, err := p.token(r, "")
	if err != nil || p.Now().Sub(p.renewedAt) < tokenPause {
		return bearer, err
	}
	if bearer, err = p.token(r, refused); err == nil {
		p.renewedAt = p.Now()
	}
	return bearer, err
}

func (p *Proxy) token(r *http.Request, refused string) (string, error) {
	bearer, err := p.Tokens.Token(r.Context(), refused)
	if err != nil {
		return "", fmt.Errorf("get an access token: %w", err)
	}
	return bearer, nil
}

// once sends the request unchanged, with its query, which makes it a dry run. Of the headers it sends only
// Content-Type.
func (p *Proxy) once(r *http.Request, body []byte, bearer string) (*answer, error) {
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
	resp, err := p.HTTP.Do(request)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer of %s was cut off: %w", p.URL, err)
	case len(got) > maxAnswer:
		return nil, fmt.Errorf("the answer of %s has more than %d bytes", p.URL, maxAnswer)
	}
	return &answer{resp.StatusCode, resp.Header, got}, nil
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
