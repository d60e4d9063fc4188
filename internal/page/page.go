// Package page is the page that shows a broker's sessions and manages them: static
// files, a Feed that sends the page its data, and a guard that refuses other sites. The
// source of the Feed is the local system, or `dcvbroker page`, which reads a stack.
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

// policy allows the page to load from and call only its own server. Text cannot become
// markup or a script: inline scripts are forbidden, and trusted types refuse the sinks.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Register adds the page to a server: the page at /, its parts under /page/.
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

// Inventories is the part of a host's item that its inventories set.
type Inventories struct {
	SentAt     time.Time `json:",omitzero"`
	CompleteAt time.Time `json:",omitzero"`
	EmptySince time.Time `json:",omitzero"`
}

// InventoriesOf returns the part of the note that the page shows.
func InventoriesOf(n session.HostNote) Inventories {
	return Inventories{SentAt: n.SentAt, CompleteAt: n.CompleteAt, EmptySince: n.EmptySince}
}
