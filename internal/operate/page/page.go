// Package page serves the page of internal/page on this machine for a stack or any API. It reads describeSessions and the
// Hosts table at a bounded rate, and passes the page's requests on with the token of the user who started it.
package page

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	shown "dcv-session-broker/internal/page"

	"dcv-session-broker/internal/operate/api"
	"dcv-session-broker/internal/session"
)

// Options say which system a page shows.
type Options struct {
	API   *api.Client
	About shown.About
	// Notes reads the Hosts table; nil if there is none.
	Notes session.HostNotes
	// Explain returns a session's story as dcvbroker explain does; nil if the system has none.
	Explain func(ctx context.Context, sessionID string) (string, error)
	// Every is how often the sessions are read while the page is open.
	Every time.Duration
}

// A Page answers only requests that carry its Secret, which New makes.
type Page struct {
	Options
	Secret  string
	feed    *shown.Feed
	stories shown.Stories
	last    map[string]session.Session // the result of the last read
}

// gap is the least time between two reads.
const gap = 2 * time.Second

// New makes a page. It reads nothing before a browser opens the page.
func New(o Options) *Page {
	random := func() string {
		b := make([]byte, 32)
		_, _ = rand.Read(b) // never fails
		return base64.RawURLEncoding.EncodeToString(b)
	}
	p := &Page{Options: o, Secret: random()}
	p.feed = shown.NewFeed(random(), gap, o.Every, o.API.Now, p.read)
	return p
}

// Close ends the reads.
func (p *Page) Close() { p.feed.Close() }

// Handler serves the page and its calls. Everything except the page's own files needs the secret. Every request must use one
// of this machine's names and must not come from another site's page.
func (p *Page) Handler() http.Handler {
	mux := http.NewServeMux()
	shown.Register(mux)
	guarded := func(pattern string, h http.HandlerFunc) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			if err := shown.Guard(r); err != nil {
				refuse(w, http.StatusForbidden, err.Error())
				return
			}
			given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if subtle.ConstantTimeCompare([]byte(given), []byte(p.Secret)) != 1 {
				refuse(w, http.StatusUnauthorized, "open the address that dcvbroker page printed")
				return
			}
			h(w, r)
		})
	}
	guarded("GET /local/events", p.feed.Stream)
	guarded("GET /local/stories/{session}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, p.stories.Of(r.PathValue("session")))
	})
	guarded("GET /local/explanations/{session}", p.explain)
	guarded("POST /deleteSessions", p.pass)
	guarded("POST /cancelDeletions", p.pass)
	return mux
}

// maxBody is more than all sessions of one host need.
const maxBody = 1 << 20

// pass passes a request on to the API, with its caller's token.
func (p *Page) pass(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil || !json.Valid(body) {
		refuse(w, http.StatusBadRequest, "the request cannot be read")
		return
	}
	path := r.URL.Path
	switch r.URL.RawQuery {
	case "":
	case "dryRun=true":
		path += "?dryRun=true"
	default:
		refuse(w, http.StatusBadRequest, "the query can be dryRun=true")
		return
	}
	var got json.RawMessage
	err = p.API.Send(r.Context(), path, json.RawMessage(body), &got)
	p.feed.Poke()
	if refused := (*api.RefusedError)(nil); errors.As(err, &refused) && refused.Status == http.StatusBadRequest {
		refuse(w, http.StatusBadRequest, refused.Message)
		return
	}
	if err != nil {
		refuse(w, http.StatusBadGateway, err.Error())
		return
	}
	answer(w, got)
}

func (p *Page) explain(w http.ResponseWriter, r *http.Request) {
	if p.Explain == nil {
		refuse(w, http.StatusNotFound, "this system cannot be asked for a session's story")
		return
	}
	text, err := p.Explain(r.Context(), r.PathValue("session"))
	if err != nil {
		refuse(w, http.StatusBadGateway, err.Error())
		return
	}
	answer(w, map[string]string{"Text": text})
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"message": message})
}
