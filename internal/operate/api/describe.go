package api

import (
	"context"
	"slices"
	"time"

	"dcv-session-broker/internal/session"
)

// A Session is one session in an answer of describeSessions with Details. Its JSON form has the API's names and leaves
// out unknown values.
type Session struct {
	ID                    string        `json:"Id"`
	Name                  string        `json:"Name,omitempty"`
	Owner                 string        `json:"Owner"`
	Server                *Server       `json:"Server,omitempty"`
	Type                  string        `json:"Type,omitempty"`
	State                 session.State `json:"State"`
	StateReason           string        `json:"StateReason,omitempty"`
	CreationTime          string        `json:"CreationTime,omitempty"` // as the host said it
	LastDisconnectionTime string        `json:"LastDisconnectionTime,omitempty"`
	NumOfConnections      int64         `json:"NumOfConnections"`

	DeletionRequestedAt string               `json:"DeletionRequestedAt,omitempty"`
	DeletionRequestedBy string               `json:"DeletionRequestedBy,omitempty"`
	DeletionRequestID   string               `json:"DeletionRequestId,omitempty"`
	DeletionReason      string               `json:"DeletionReason,omitempty"`
	CloseAt             string               `json:"CloseAt,omitempty"`
	Warning             string               `json:"Warning,omitempty"`
	Attempts            int64                `json:"Attempts,omitempty"`
	AttemptedAt         string               `json:"AttemptedAt,omitempty"`
	NextAttemptAt       string               `json:"NextAttemptAt,omitempty"`
	Confirmation        session.Confirmation `json:"Confirmation,omitempty"`
	LastSeenTime        string               `json:"LastSeenTime,omitempty"`
}

// A Server is the host of a session.
type Server struct {
	ID   string `json:"Id"`
	Tags []Tag  `json:"Tags,omitempty"`
}

// A Tag is a host's tag.
type Tag struct{ Key, Value string }

// HostID returns the managed node that the session is on, or "" if that is not known.
func (s Session) HostID() string {
	if s.Server == nil {
		return ""
	}
	return s.Server.ID
}

// Waits tells whether the session's deletion waits for its close time. Until then describeSessions shows the state before
// the deletion.
func (s Session) Waits() bool {
	return s.CloseAt != "" && s.Attempts == 0 && s.State != session.Deleting && s.State != session.Deleted
}

// Time parses a time of an answer. It returns the zero time if there is none.
func Time(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at
}

// A Query says which sessions to describe. Each field that is set narrows it.
type Query struct {
	IDs         []string
	Owner, Host string
}

// maxIDs is how many SessionIds one call may have.
const maxIDs = 1000

// DescribeSessions returns all sessions of a query, from all pages. If the query has IDs, they are in that order.
func (c *Client) DescribeSessions(ctx context.Context, q Query) (sessions []Session, err error) {
	type filter struct{ Key, Value string }
	type request struct {
		SessionIDs []string `json:"SessionIds,omitempty"`
		Filters    []filter `json:"Filters,omitempty"`
		Details    bool
		NextToken  string `json:",omitempty"`
	}
	var filters []filter
	if q.Owner != "" {
		filters = append(filters, filter{"owner", q.Owner})
	}
	if q.Host != "" {
		filters = append(filters, filter{"host", q.Host})
	}
	parts := [][]string{nil}
	if len(q.IDs) > 0 {
		parts = slices.Collect(slices.Chunk(q.IDs, maxIDs))
	}
	for _, ids := range parts {
		for next := ""; ; {
			var page struct {
				Sessions  []Session
				NextToken string
			}
			if _, err := c.post(ctx, "/describeSessions", request{ids, filters, true, next}, &page); err != nil {
				return nil, err
			}
			sessions = append(sessions, page.Sessions...)
			if next = page.NextToken; next == "" {
				break
			}
		}
	}
	return sessions, nil
}
