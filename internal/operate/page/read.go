package page

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	shown "dcv-session-broker/internal/page"

	"dcv-session-broker/internal/operate/api"
	"dcv-session-broker/internal/session"
)

// A host is a host on the page.
type host struct {
	HostID string `json:"HostId"`
	shown.Inventories
}

// read reads sessions and hosts in the form that the page shows. It records the changes since the last read for the
// sessions' stories.
func (p *Page) read(ctx context.Context) ([]shown.Item, error) {
	all, err := p.API.DescribeSessions(ctx, api.Query{})
	if err != nil {
		return nil, err
	}
	// Living sessions come first, so that a bound does not leave them out.
	slices.SortStableFunc(all, func(a, b api.Session) int { return cmp.Compare(ended(a), ended(b)) })
	about := p.About
	var items []shown.Item
	var hostIDs []string
	now := map[string]session.Session{}
	for _, s := range all {
		record := recordOf(s)
		items = append(items, shown.Item{Kind: "session", ID: s.ID, Value: record})
		now[s.ID] = record.Session()
		if id := s.HostID(); id != "" && ended(s) == 0 {
			hostIDs = append(hostIDs, id)
		}
	}
	slices.Sort(hostIDs)
	hostIDs = slices.Compact(hostIDs)
	notes := map[string]session.HostNote{}
	if p.Notes != nil {
		if notes, err = p.Notes.Notes(ctx, hostIDs); err != nil {
			about.Missing = fmt.Sprintf("when hosts last answered: %v", err)
		}
	}
	for _, id := range hostIDs {
		items = append(items, shown.Item{Kind: "host", ID: id, Value: host{id, shown.InventoriesOf(notes[id])}})
	}
	p.tell(now)
	return append(items, shown.Item{Kind: "about", Value: about}), nil
}

func (p *Page) tell(now map[string]session.Session) {
	at := p.API.Now()
	if p.last != nil {
		for id, is := range now {
			if was := p.last[id]; was != is {
				p.stories.Changed(at, "", was, is)
			}
		}
		for id, was := range p.last {
			if _, there := now[id]; !there {
				p.stories.Changed(at, "", was, session.Session{})
			}
		}
	}
	p.last = now
}

func ended(s api.Session) int {
	if s.State == session.Deleted {
		return 1
	}
	return 0
}

// recordOf returns a session's record, as far as the API shows it.
func recordOf(s api.Session) session.Record {
	state := s.State
	// Until the close time the API shows the state before the deletion.
	if s.Waits() {
		state = session.Deleting
	}
	r := session.Record{session.AttrNumOfConnections: s.NumOfConnections}
	for attr, text := range map[string]string{
		session.AttrSessionID: s.ID, session.AttrName: s.Name, session.AttrOwner: s.Owner, session.AttrHostID: s.HostID(),
		session.AttrType: strings.ToLower(s.Type), session.AttrState: string(state), session.AttrStateReason: s.StateReason,
		session.AttrCreationTime: s.CreationTime, session.AttrDeletionRequestedAt: s.DeletionRequestedAt,
		session.AttrDeletionRequestedBy: s.DeletionRequestedBy, session.AttrDeletionRequestID: s.DeletionRequestID,
		session.AttrDeletionReason: s.DeletionReason, session.AttrCloseAt: s.CloseAt, session.AttrWarning: s.Warning,
		session.AttrAttemptedAt: s.AttemptedAt, session.AttrNextAttemptAt: s.NextAttemptAt, session.AttrConfirmation: string(s.Confirmation),
	} {
		if text != "" {
			r[attr] = text
		}
	}
	if s.Attempts > 0 {
		r[session.AttrAttempts] = s.Attempts
	}
	return r
}
