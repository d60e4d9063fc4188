package story

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"dcv-session-broker/internal/operate/records"
	"dcv-session-broker/internal/session"
)

// A Match is a session that an unknown ID may mean.
type Match struct {
	SessionID string `json:"SessionId"`
	Owner     string
	HostID    string `json:"HostId"`
	State     session.State
}

// hostAtEnd matches an ID that ends with a host's ID.
var hostAtEnd = regexp.MustCompile(`^(.+)-((?:i|mi)-(?:[0-9a-f]{17}|[0-9a-f]{8}))$`)

// maxMatches is how many matches are named.
const maxMatches = 20

// unknown makes the story of a session without a record: which sessions the ID may mean, and what functions have
// logged.
func (t *Teller) unknown(ctx context.Context, story *Story) error {
	story.Summary = fmt.Sprintf("There is no record of %s.", story.SessionID)
	story.Why = []string{
		"No inventory has listed a session of this ID, or its record has expired: that of a DELETED session is kept for two days, that of an UNKNOWN one for 30.",
	}
	hosts, err := t.System.HostIDs(ctx)
	if err != nil {
		story.missing("the names <ID>-<HostId> of the hosts", err)
	}
	var ids []string
	if name := hostAtEnd.FindStringSubmatch(story.SessionID); name != nil {
		ids = append(ids, name[1])
	}
	for _, host := range hosts {
		ids = append(ids, story.SessionID+"-"+host)
	}
	found, err := t.System.Get(ctx, ids)
	if err != nil {
		return fmt.Errorf("look for %s under its host's ID: %w", story.SessionID, err)
	}
	for _, r := range found {
		s := r.Session()
		if len(story.Matches) == maxMatches {
			story.NotLookedAt = append(story.NotLookedAt, fmt.Sprintf("%d more sessions that may be meant", len(found)-maxMatches))
			break
		}
		story.Matches = append(story.Matches, Match{s.ID, s.Owner, s.HostID, s.State})
	}
	t.addLines(ctx, story, records.Search{SessionID: story.SessionID, To: t.Now().Add(time.Minute)})
	story.Do = append(story.Do, "The automatic console of a host is listed as console-<HostId>, and a session whose ID another host had first as <ID>-<HostId>. "+
		"All sessions: dcvbroker get")
	if len(story.Happened) > 0 {
		story.Why = []string{"Its record is gone: it has expired, or was removed. What functions have logged of it is above."}
	}
	return nil
}
