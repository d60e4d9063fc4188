package records

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"dcv-session-broker/internal/session"
)

// A Local reads the system on one machine, through its control API.
type Local struct {
	HTTP *http.Client
	URL  string
	SystemsManager
}

// Get implements session.Getter.
func (l Local) Get(ctx context.Context, ids []string) (records []session.Record, err error) {
	for _, id := range ids {
		var r map[string]any
		found, err := l.get(ctx, "/local/sessions/"+url.PathEscape(id), &r)
		if err != nil {
			return nil, err
		}
		if found {
			records = append(records, record(r))
		}
	}
	return records, nil
}

// Open implements System.
func (l Local) Open(ctx context.Context) (records []session.Record, all bool, err error) {
	var open []map[string]any
	_, err = l.get(ctx, "/local/deletions", &open)
	for _, r := range open {
		records = append(records, record(r))
	}
	return records, true, err
}

// Host implements System.
func (l Local) Host(ctx context.Context, hostID string) (h Host, known bool, err error) {
	hosts, err := l.hosts(ctx)
	h, known = hosts[hostID]
	return h, known, err
}

// HostIDs implements System.
func (l Local) HostIDs(ctx context.Context) ([]string, error) {
	var hosts []struct {
		ID string `json:"HostId"`
	}
	_, err := l.get(ctx, "/local/hosts", &hosts)
	var ids []string
	for _, h := range hosts[:min(len(hosts), maxHosts)] {
		ids = append(ids, h.ID)
	}
	return ids, err
}

// Notes implements session.HostNotes. It returns all hosts.
func (l Local) Notes(ctx context.Context, _ []string) (map[string]session.HostNote, error) {
	hosts, err := l.hosts(ctx)
	notes := map[string]session.HostNote{}
	for id, h := range hosts {
		notes[id] = h.HostNote
	}
	return notes, err
}

func (l Local) hosts(ctx context.Context) (hosts map[string]Host, err error) {
	_, err = l.get(ctx, "/local/inventories", &hosts)
	return hosts, err
}

// Lines implements System.
func (l Local) Lines(ctx context.Context, about Search) (lines []Line, missing []string) {
	var all []json.RawMessage
	_, err := l.get(ctx, "/local/log?"+url.Values{"session": {about.SessionID}, "request": about.RequestIDs}.Encode(), &all)
	if err != nil {
		return nil, []string{"the functions' log: " + err.Error()}
	}
	for _, text := range all {
		for _, line := range parseLine(text, "") {
			if line.At.Before(about.From) {
				continue
			}
			line.Function, _ = line.Attributes["Function"].(string)
			delete(line.Attributes, "Function")
			lines = append(lines, line)
		}
	}
	slices.SortStableFunc(lines, func(a, b Line) int { return a.At.Compare(b.At) })
	return lines, nil
}

// Clock implements System.
func (l Local) Clock(ctx context.Context) (func() time.Time, error) {
	s, err := l.Settings(ctx)
	return s.Clock(), err
}

// GiveUpAfter implements System: every record there has a TryUntil.
func (l Local) GiveUpAfter() time.Duration { return 0 }

// Settings holds the parameters of the system's template, and the documents that its hosts run, by logical ID.
type Settings struct {
	Now        time.Time
	Parameters map[string]string
	Documents  map[string]json.RawMessage
}

// Settings reads them.
func (l Local) Settings(ctx context.Context) (s Settings, err error) {
	_, err = l.get(ctx, "/local/template", &s)
	return s, err
}

// Clock returns the system's clock, which may be ahead of this machine's. It is exact only right after Settings were
// read.
func (s Settings) Clock() func() time.Time {
	ahead := time.Until(s.Now)
	return func() time.Time { return time.Now().Add(ahead) }
}

// get calls the control API. found is false if it answers 404.
func (l Local) get(ctx context.Context, path string, into any) (found bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL+path, http.NoBody)
	if err != nil {
		return false, err
	}
	resp, err := l.HTTP.Do(r)
	if err != nil {
		return false, fmt.Errorf("%w: is the system there? make run starts it. For a stack give --stack NAME", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	var refusal struct{ Message string }
	switch {
	case err != nil:
		return false, fmt.Errorf("GET %s: %w", path, err)
	case resp.StatusCode == http.StatusNotFound && json.Unmarshal(body, &refusal) == nil && refusal.Message == "the table has no such session":
		return false, nil
	case resp.StatusCode != http.StatusOK:
		return false, fmt.Errorf("GET %s: %d %.200s: is %s the system on one machine, and of this program's release? For an API in AWS name its stack: --stack NAME",
			path, resp.StatusCode, body, l.URL)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return false, fmt.Errorf("GET %s: %w", path, err)
	}
	return true, nil
}

// record converts a record from JSON, which does not distinguish the table's kinds of numbers.
func record(r map[string]any) session.Record {
	for attr, v := range r {
		if n, isNumber := v.(json.Number); isNumber {
			whole, err := strconv.ParseInt(n.String(), 10, 64)
			if err != nil {
				delete(r, attr)
				continue
			}
			r[attr] = whole
		}
	}
	return r
}
