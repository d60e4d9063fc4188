// Package streamrecord reads what the stream of the Sessions table shows.
package streamrecord

import (
	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/session"
)

// Read reads an item's image. Attributes of kinds that no rule uses are left
// out; a removed item has no image.
func Read(image map[string]events.DynamoDBAttributeValue) session.Record {
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
