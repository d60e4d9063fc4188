// Package endedsessions is the function that announces changes of sessions: their ends,
// deletions with a grace period, changes of their close time, and cancels. It reads the
// Sessions table, and changes nothing.
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

// ReadSettings reads the settings; env collects their faults.
func ReadSettings(env *awsenv.Environment) Settings {
	return Settings{SessionsTable: env.Text("SESSIONS_TABLE"), Stack: env.Text("STACK"), IndexStep: env.IndexStep()}
}

// Parts are the function's dependencies.
type Parts struct {
	Index  session.Index
	Getter session.Getter
	Log    *slog.Logger
}

// New makes the function.
func New(p Parts, s Settings) *Handler {
	return &Handler{Index: p.Index, Getter: p.Getter, Stack: s.Stack, Log: p.Log}
}

// A Handler is the enrichment of the pipe from the stream to the event bus. The pipe's
// filter passes the writes that are announced and a few more.
type Handler struct {
	Index  session.Index
	Getter session.Getter
	Stack  string
	Log    *slog.Logger
}

// readTime bounds the read about the host: a table that hangs must not prevent the
// announcement.
const readTime = 10 * time.Second

// Handle returns a detail for each record that is announced. A pipe gives a function its batch as
// an array, of whatever size, and puts each element of the answered array on the bus, or nothing
// for an empty one (EventBridge user guide, "Amazon EventBridge Pipes batching and concurrency"
// and "Amazon EventBridge Pipes event enrichment").
//
// An error would repeat the batch until it is too old, and delay later records. So a
// record that cannot be understood is left out, and logged.
func (e *Handler) Handle(ctx context.Context, records []json.RawMessage) ([]Detail, error) {
	details := make([]Detail, 0, len(records)) // nil would not be an array
	for _, text := range records {
		d, err := e.read(text)
		switch {
		case err != nil:
			e.Log.Error("stream record not understood: nothing is announced", "EventId", d.ID, "SessionId", d.SessionID, "Cause", err)
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
			log.Warn("failed to read whether the host is empty: the session's end is announced without it", "Cause", err)
		}
		if d.HostEmpty != nil {
			log = log.With("HostEmpty", *d.HostEmpty)
		}
		log.Info(logged[Ended], "EventId", d.ID, "Confirmation", d.Confirmation)
		details = append(details, d)
	}
	return details, nil
}

// read returns what it could read also with an error. The detail of a write that is not
// announced has no detail-type.
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
	if hostID == "" { // the record has no host
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
