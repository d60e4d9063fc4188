package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"dcv-session-broker/internal/session"
)

// Control implements session.HostNotes by the control API of the system on one machine, which tells of all hosts.
type Control struct {
	HTTP *http.Client
	URL  string
}

// Notes implements session.HostNotes.
func (c Control) Notes(ctx context.Context, _ []string) (map[string]session.HostNote, error) {
	const path = "/local/inventories"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return nil, fmt.Errorf("GET %s: %d %s", path, resp.StatusCode, said)
	}
	var notes map[string]session.HostNote
	if err := json.NewDecoder(resp.Body).Decode(&notes); err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	return notes, nil
}
