package stream

import (
	"strconv"

	"dcv-session-broker/internal/session"
)

// A streamRecord is what is used of a record of the table's stream (EventBridge
// user guide, "Amazon DynamoDB stream as a source", example event).
type streamRecord struct {
	EventID string `json:"eventID"`
	Change  struct {
		NewImage map[string]struct {
			S    *string
			N    *string
			BOOL *bool
		}
	} `json:"dynamodb"`
}

// record is the record as it was after the change. Attributes of kinds that no
// session has are left out.
func (r streamRecord) record() session.Record {
	image := make(session.Record, len(r.Change.NewImage))
	for attr, v := range r.Change.NewImage {
		switch {
		case v.S != nil:
			image[attr] = *v.S
		case v.BOOL != nil:
			image[attr] = *v.BOOL
		case v.N != nil:
			if n, err := strconv.ParseInt(*v.N, 10, 64); err == nil {
				image[attr] = n
			}
		}
	}
	return image
}
