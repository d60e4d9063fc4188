// Package sessionstream is the function behind the Sessions table's stream, and
// the only writer of DELETED.
package sessionstream

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/session"
)

// Settings are what template.yaml sets for the function.
type Settings struct{ SessionsTable string }

// ReadSettings reads the settings; env collects their faults.
func ReadSettings(env *awsenv.Environment) Settings {
	return Settings{SessionsTable: env.Text("SESSIONS_TABLE")}
}

// Parts are the function's dependencies.
type Parts struct {
	Table session.Table
	Now   func() time.Time
	Log   *slog.Logger
}

// New makes the function.
func New(p Parts) *Handler {
	p.Now = session.Clock(p.Now)
	return &Handler{Finisher: &session.Finisher{Table: p.Table, Now: p.Now, Log: p.Log}, Log: p.Log}
}

// A Handler handles the stream of the Sessions table, filtered to deletions
// with a confirmation.
type Handler struct {
	Finisher *session.Finisher
	Log      *slog.Logger
}

// Handle ends the deletions that the stream shows as confirmed. It reports records that
// could not be written, so that Lambda delivers them again.
func (s *Handler) Handle(ctx context.Context, event events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	seen := make([]session.Record, len(event.Records))
	for i, r := range event.Records {
		seen[i] = ReadRecord(r.Change.NewImage)
	}
	response := events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}} // not null
	for i, err := range s.Finisher.Finish(ctx, seen) {
		if err != nil {
			s.Log.Warn("stream record failed: Lambda delivers it again", "SessionId", seen[i].Session().ID, "Cause", err,
				"Metric", session.Count(session.RecordsReturned, 1))
			response.BatchItemFailures = append(response.BatchItemFailures,
				events.DynamoDBBatchItemFailure{ItemIdentifier: event.Records[i].Change.SequenceNumber})
		}
	}
	return response, nil
}

// ReadRecord reads an item's image. Attributes of kinds that no rule uses are left
// out; a removed item has no image.
func ReadRecord(image map[string]events.DynamoDBAttributeValue) session.Record {
	r := make(session.Record, len(image))
	for attr, v := range image {
		switch v.DataType() {
		case events.DataTypeString:
			r[attr] = v.String()
		case events.DataTypeBoolean:
			r[attr] = v.Boolean()
		case events.DataTypeNumber:
			if n, err := v.Integer(); err == nil {
				r[attr] = n
			}
		}
	}
	return r
}
