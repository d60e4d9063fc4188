// Package endedsessions is the function that announces what becomes of sessions:
// their ends, and before that deletions with a grace period, how their close time
// moves, and that they are cancelled. It reads the Sessions table, and changes
// nothing.
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
type Settings struct{ SessionsTable, Stack, IndexStep string }

// ReadSettings reads them; env keeps what is wrong with them.
func ReadSettings(env *awsenv.Environment) Settings {
	return Settings{SessionsTable: env.Text("SESSIONS_TABLE"), Stack: env.Text("STACK"), IndexStep: env.IndexStep()}
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
// writes that are announced and a few more, to the event bus.
type Handler struct {
	Index  session.Index
	Getter session.Getter
	Stack  string
	Log    *slog.Logger
}

// readTime bounds what is read of the host: a table that hangs must not cost
// the announcement.
const readTime = 10 * time.Second

// Handle answers a detail for each record that is announced. A pipe gives a function its batch as
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
		switch {
		case err != nil:
			e.Log.Error("nothing is announced: a stream record is not understood", "EventId", d.ID, "SessionId", d.SessionID, "Cause", err)
			continue
		case d.DetailType == "":
			continue
		}
		log := e.Log.With("SessionId", d.SessionID, "HostId", d.HostID, "Owner", d.Owner, "RequestId", d.RequestID)
		if d.DetailType != Ended {
			log.Info(logged[d.DetailType], "EventId", d.ID, "CloseAt", d.CloseAt)
			details = append(details, d)
			continue
		}
		if d.HostEmpty, err = e.hostEmpty(ctx, d.HostID); err != nil {
			log.Warn("whether the host is empty cannot be read: the session's end is announced without it", "Cause", err)
		}
		if d.HostEmpty != nil {
			log = log.With("HostEmpty", *d.HostEmpty)
		}
		log.Info(logged[Ended], "EventId", d.ID, "Confirmation", d.Confirmation)
		details = append(details, d)
	}
	return details, nil
}

// read gives what it could read with an error, too. The detail of a write that is
// not announced has no detail-type.
func (e *Handler) read(text json.RawMessage) (Detail, error) {
	// A pipe shows a stream's record as Lambda does (EventBridge user guide, "Amazon
	// DynamoDB stream as a source", example event).
	var shown events.DynamoDBEventRecord
	if err := json.Unmarshal(text, &shown); err != nil {
		return Detail{ID: shown.EventID}, fmt.Errorf("stream record: %w", err)
	}
	old := sessionstream.ReadRecord(shown.Change.OldImage).Session()
	now := sessionstream.ReadRecord(shown.Change.NewImage).Session()
	d := detailOf(shown.EventID, e.Stack, old, now)
	switch {
	case d.ID == "":
		return d, errors.New("stream record without an eventID")
	case now.ID == "" || d.DetailType == "" && !old.Waits():
		return d, fmt.Errorf("stream record %s shows nothing that is announced", d.ID)
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
