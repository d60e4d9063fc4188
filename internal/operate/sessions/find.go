// Package sessions finds the sessions that an operator means, and shows them.
package sessions

import (
	"context"
	"slices"
	"time"

	"dcv-session-broker/internal/operate/api"
	"dcv-session-broker/internal/session"
)

// A Selection selects the sessions that meet all fields that are set; an empty one selects all.
type Selection struct {
	IDs         []string
	Owner, Host string
	State       session.State
	// OlderThan is the least age, since the creation by the host's clock, until now by the broker's. A session whose creation time is not known does
	// not meet it.
	OlderThan time.Duration
}

// Find returns those sessions, and the IDs that no session has.
func Find(ctx context.Context, client *api.Client, s Selection) (found []api.Session, missing []string, err error) {
	all, err := client.DescribeSessions(ctx, api.Query{IDs: s.IDs, Owner: s.Owner, Host: s.Host})
	if err != nil {
		return nil, nil, err
	}
	known, now := map[string]bool{}, client.Now()
	for _, one := range all {
		known[one.ID] = true
		if s.State != "" && one.State != s.State {
			continue
		}
		if created := api.Time(one.CreationTime); s.OlderThan > 0 && (created.IsZero() || now.Sub(created) <= s.OlderThan) {
			continue
		}
		found = append(found, one)
	}
	for _, id := range s.IDs {
		if !known[id] && !slices.Contains(missing, id) {
			missing = append(missing, id)
		}
	}
	return found, missing, nil
}
