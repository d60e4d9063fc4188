package tabletest

import (
	"encoding/json"
	"fmt"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/streamevent"
)

// FromEvents is what a function sees of the changes, read as AWS's own Go
// library for functions reads it.
func FromEvents(records []streamevent.Record) ([]Change, error) {
	text, err := json.Marshal(streamevent.Event{Records: records})
	if err != nil {
		return nil, err
	}
	var event events.DynamoDBEvent
	if err := json.Unmarshal(text, &event); err != nil {
		return nil, fmt.Errorf("%w in %s", err, text)
	}
	var changes []Change
	for _, r := range event.Records {
		changes = append(changes, Change{r.EventName, record(r.Change.OldImage), record(r.Change.NewImage)})
	}
	return changes, nil
}

func record(image map[string]events.DynamoDBAttributeValue) session.Record {
	if image == nil {
		return nil
	}
	r := make(session.Record)
	for attr, v := range image {
		switch v.DataType() {
		case events.DataTypeString:
			r[attr] = v.String()
		case events.DataTypeNumber:
			n, err := v.Integer()
			if err != nil {
				r[attr] = err
				continue
			}
			r[attr] = n
		case events.DataTypeBoolean:
			r[attr] = v.Boolean()
		}
	}
	return r
}
