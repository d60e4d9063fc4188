// Package stream takes what the Sessions table's stream brings: confirmed
// deletions to be ended, and ended sessions to be announced. It stands apart
// from package events to keep what talks to Systems Manager out of its functions.
package stream

import (
	"context"
	"log/slog"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/session"
)

// SessionStream handles the stream of the Sessions table, filtered to deletions
// with a confirmation.
type SessionStream struct {
	Finisher *session.Finisher
	Log      *slog.Logger
}

// Handle ends the deletions that the stream shows as confirmed. What could not
// be written is reported, so that Lambda shows it again.
func (s *SessionStream) Handle(ctx context.Context, event events.DynamoDBEvent) (events.DynamoDBEventResponse, error) {
	seen := make([]session.Record, len(event.Records))
	for i, r := range event.Records {
		seen[i] = record(r.Change.NewImage)
	}
	response := events.DynamoDBEventResponse{}
	for i, err := range s.Finisher.Finish(ctx, seen) {
		if err != nil {
			s.Log.Warn("stream record is to be shown again", "SessionId", seen[i].Session().ID, "Cause", err,
				"Metric", session.Count(session.RecordsReturned, 1))
			response.BatchItemFailures = append(response.BatchItemFailures,
				events.DynamoDBBatchItemFailure{ItemIdentifier: event.Records[i].Change.SequenceNumber})
		}
	}
	return response, nil
}

// record reads an item's image. Attributes of kinds that no rule uses are left
// out; a removed item has no image.
func record(image map[string]events.DynamoDBAttributeValue) session.Record {
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
