package system

import (
	"encoding/json"
	"net/http"
	"time"

	"dcv-session-broker/internal/session"
)

// A knownHost is a host's record in the Hosts table.
type knownHost struct {
	session.HostNote
	session.Silence
}

// look adds the routes through which an operator's commands read what they read from
// the tables, logs and template of a stack.
func (sys *System) look(handle func(pattern string, f func(*http.Request) (any, error))) {
	handle("GET /local/inventories", func(r *http.Request) (any, error) {
		_, ids, notes, err := sys.noted(r.Context())
		if err != nil {
			return nil, err
		}
		silences, err := sys.store.hosts().Silences(r.Context(), ids)
		known := map[string]knownHost{}
		for id := range silences {
			known[id] = knownHost{notes[id], silences[id]}
		}
		return known, err
	})
	handle("GET /local/sessions/{session}", func(r *http.Request) (any, error) {
		record, err := sys.store.get(r.Context(), r.PathValue("session"))
		if err == nil && record == nil {
			err = errNoRecord
		}
		return record, err
	})
	handle("GET /local/deletions", func(r *http.Request) (any, error) {
		open := []session.Record{}
		for _, shard := range session.Shards() {
			due, err := sys.store.index().Due(r.Context(), shard, lastTime, maxOpen)
			if err != nil {
				return nil, err
			}
			for _, d := range due { // the index does not have all attributes
				record, err := sys.store.get(r.Context(), d.Session().ID)
				if err != nil {
					return nil, err
				}
				if record != nil {
					open = append(open, record)
				}
			}
		}
		return open, nil
	})
	handle("GET /local/log", func(r *http.Request) (any, error) {
		q := r.URL.Query()
		return sys.kept.about(q.Get("session"), q["request"]), nil
	})
	handle("GET /local/template", func(*http.Request) (any, error) {
		documents := map[string]json.RawMessage{}
		for _, d := range sys.template.Documents() {
			documents[d.LogicalID] = json.RawMessage(d.Content)
		}
		return map[string]any{"Now": sys.now(), "Parameters": sys.template.Parameters(), "Documents": documents}, nil
	})
}

// lastTime is after every lease.
var lastTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// maxOpen is how many open deletions of one shard are shown at most.
const maxOpen = 1000
