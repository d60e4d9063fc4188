// Package endedsessions is the function that announces the ends of sessions. It
// reads the Sessions table, and changes nothing.
package endedsessions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/events/sessionstream"
	"dcv-session-broker/internal/session"
)

// Settings are what template.yaml sets for the function.
type Settings struct{ SessionsTable, Stack string }

// ReadSettings reads them; env keeps what is wrong with them.
func ReadSettings(env *awsenv.Environment) Settings {
	return Settings{SessionsTable: env.Text("SESSIONS_TABLE"), Stack: env.Text("STACK")}
}

// Parts are what the function needs from outside.
type Parts struct {
	Index  session.Index
	Getter session.Getter
	Log    *slog.Logger
}

// New makes the function.
func New(p Parts, s Settings) *Handler {
	return &Handler{Index: p.Index, Getter: p.Getter, Stack: s.Stack, Log: p.Log}
}

// A Handler is the enrichment of the pipe from the stream, filtered to the
// writes that end a session, to the event bus.
type Handler struct {
	Index  session.Index
	Getter session.Getter
	Stack  string
	Log    *slog.Logger
}

// A Detail announces the end of a session. What is not known, or was not so, is
// left out. Times are as the table has them: RFC 3339, UTC, with milliseconds.
type Detail struct {
	// ID is that of the stream's record: the same, however often this end is
	// announced.
	ID        string `json:"Id"`
	Stack     string
	SessionID string `json:"SessionId"`
	// DCVSessionID is the session's ID on its host, where that differs.
	DCVSessionID string `json:"DcvSessionId,omitempty"`
	Owner        string
	HostID       string `json:"HostId,omitempty"`
	Name         string `json:",omitempty"`
	Type         string `json:",omitempty"`
	// CreationTime is as the host reported it; with the ID it names the
	// incarnation.
	CreationTime string `json:",omitempty"`

	Confirmation session.Confirmation
	StateReason  string `json:",omitempty"`
	RequestID    string `json:"RequestId,omitempty"`
	// RequestedBy is whom the request's token speaks for; dcv-session-broker if
	// nobody asked for it.
	RequestedBy string `json:",omitempty"`
	Force       bool

	RequestedAt string `json:",omitempty"`
	GivenUpAt   string `json:",omitempty"`
	ConfirmedAt string `json:",omitempty"`
	DeletedAt   string `json:",omitempty"`

	// HostEmpty tells whether the table then had nothing more on the host, no
	// session that lives and no deletion that is open; nil if that could not be
	// read.
	HostEmpty *bool `json:",omitempty"`
}

// readTime bounds what is read of the host: a table that hangs must not cost
// the announcement.
const readTime = 10 * time.Second

// Handle answers a detail for each record. A pipe gives a function its batch as
// an array, of whatever size, and puts each element of the answered array on
// the bus, or nothing for an empty one (EventBridge user guide, "Amazon
// EventBridge Pipes batching and concurrency" and "Amazon EventBridge Pipes
// event enrichment").
//
// An error would bring the batch again, until it is too old, and hold up what
// is behind it. So a record that cannot be understood, and will not be then
// either, is left out, and said to be.
func (e *Handler) Handle(ctx context.Context, records []json.RawMessage) ([]Detail, error) {
	details := make([]Detail, 0, len(records)) // nil would be no array
	for _, text := range records {
		d, err := e.read(text)
		if err != nil {
			e.Log.Error("session's end not announced: its stream record is not understood",
				"EventId", d.ID, "SessionId", d.SessionID, "Cause", err)
			continue
		}
		log := e.Log.With("SessionId", d.SessionID, "HostId", d.HostID, "Owner", d.Owner, "RequestId", d.RequestID)
		if d.HostEmpty, err = e.hostEmpty(ctx, d.HostID); err != nil {
			log.Warn("whether the host is empty cannot be read: the session's end is announced without it", "Cause", err)
		}
		if d.HostEmpty != nil {
			log = log.With("HostEmpty", *d.HostEmpty)
		}
		log.Info("session's end goes to the event bus", "EventId", d.ID, "Confirmation", d.Confirmation)
		details = append(details, d)
	}
	return details, nil
}

// read gives what it could read with an error, too.
func (e *Handler) read(text json.RawMessage) (Detail, error) {
	// A pipe shows a stream's record as Lambda does (EventBridge user guide, "Amazon
	// DynamoDB stream as a source", example event).
	var shown events.DynamoDBEventRecord
	if err := json.Unmarshal(text, &shown); err != nil {
		return Detail{ID: shown.EventID}, fmt.Errorf("stream record: %w", err)
	}
	s := sessionstream.ReadRecord(shown.Change.NewImage).Session()
	d := Detail{
		ID: shown.EventID, Stack: e.Stack,
		SessionID: s.ID, DCVSessionID: s.DCVID, Owner: s.Owner, HostID: s.HostID, Name: s.Name, Type: s.Type, CreationTime: s.CreationTime,
		Confirmation: s.Confirmation, StateReason: s.StateReason,
		RequestID: s.DeletionRequestID, RequestedBy: s.DeletionRequestedBy, Force: s.Force,
		RequestedAt: timeText(s.DeletionRequestedAt), GivenUpAt: timeText(s.GivenUpAt),
		ConfirmedAt: timeText(s.ConfirmedAt), DeletedAt: timeText(s.DeletedAt),
	}
	switch {
	case d.ID == "":
		return d, errors.New("stream record without an eventID")
	case s.ID == "" || s.State != session.Deleted:
		return d, fmt.Errorf("stream record %s does not show a session that has ended", d.ID)
	}
	return d, nil
}

func (e *Handler) hostEmpty(ctx context.Context, hostID string) (*bool, error) {
	if hostID == "" { // nothing says that it ever had one
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	empty, err := session.HostEmpty(ctx, e.Index, e.Getter, hostID)
	if err != nil {
		return nil, err
	}
	return &empty, nil
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return session.FormatTime(t)
}
