// Package page is the page on which one watches a broker and works with it: static
// files that are served as they are, a Feed that tells the page what there is, and
// the guard that keeps other sites from calling whoever serves it. What there is
// comes from whoever makes the Feed: the local system, or `dcvbroker page`, which
// reads a stack.
package page

import (
	"embed"
	"io/fs"
	"net/http"
	"time"

	"dcv-session-broker/internal/session"
)

//go:embed static
var files embed.FS

// policy lets the page load and call what its own server has, and nothing else. No
// text can become markup or a script: that would take an inline script, or a sink
// that trusted types refuse.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Register adds the page to what a server has: itself at /, its parts under /page/.
func Register(mux *http.ServeMux) {
	static, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // the name is valid
	}
	parts := http.FileServerFS(static)
	serve := func(w http.ResponseWriter, r *http.Request) {
		if err := Guard(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache")
		parts.ServeHTTP(w, r)
	}
	mux.HandleFunc("GET /{$}", serve)
	mux.Handle("GET /page/", http.StripPrefix("/page", http.HandlerFunc(serve)))
}

// Inventories is what a host's inventories said: a part of an item of the kind "host".
type Inventories struct {
	SentAt     time.Time `json:",omitzero"`
	CompleteAt time.Time `json:",omitzero"`
	EmptySince time.Time `json:",omitzero"`
}

// InventoriesOf is the part of the note that the page shows.
func InventoriesOf(n session.HostNote) Inventories {
	return Inventories{SentAt: n.SentAt, CompleteAt: n.CompleteAt, EmptySince: n.EmptySince}
}
