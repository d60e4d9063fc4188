// Package streamevent is the form in which Lambda shows a function what
// happened to a record of the table, whichever store it happened in. (Lambda
// developer guide, "Using AWS Lambda with Amazon DynamoDB", example event;
// "Tutorial: Process TTL deletes" for the user identity.)
package streamevent

import (
	"fmt"
	"strconv"
	"strings"

	"dcv-session-broker/internal/session"
)

// What can happen to a record.
const (
	Insert = "INSERT"
	Modify = "MODIFY"
	Remove = "REMOVE"
)

// An Event is what a function is invoked with.
type Event struct {
	Records []Record `json:"Records"`
}

// A Record is one change; alone it is what the filters of an event source are
// matched with.
type Record struct {
	EventID        string        `json:"eventID"`
	EventName      string        `json:"eventName"`
	EventVersion   string        `json:"eventVersion"`
	EventSource    string        `json:"eventSource"`
	AWSRegion      string        `json:"awsRegion"`
	DynamoDB       Data          `json:"dynamodb"`
	EventSourceARN string        `json:"eventSourceARN"`
	UserIdentity   *UserIdentity `json:"userIdentity,omitempty"`
}

// Data is the change itself.
type Data struct {
	// Seconds since 1970.
	ApproximateCreationDateTime float64 `json:"ApproximateCreationDateTime"`

	Keys           Item   `json:"Keys"`
	NewImage       Item   `json:"NewImage,omitempty"`
	OldImage       Item   `json:"OldImage,omitempty"`
	SequenceNumber string `json:"SequenceNumber"`
	SizeBytes      int64  `json:"SizeBytes"`
	StreamViewType string `json:"StreamViewType"`
}

// New is the record of a change in the stream with that ARN, for a store that
// has no stream of DynamoDB's. It works out the size.
func New(eventName, streamARN string, d Data) Record {
	d.SizeBytes = d.Keys.size() + d.NewImage.size() + d.OldImage.size()
	region := ""
	if parts := strings.Split(streamARN, ":"); len(parts) > 3 {
		region = parts[3]
	}
	return Record{
		EventID:        d.SequenceNumber,
		EventName:      eventName,
		EventVersion:   "1.1",
		EventSource:    "aws:dynamodb",
		AWSRegion:      region,
		DynamoDB:       d,
		EventSourceARN: streamARN,
	}
}

// A UserIdentity is there when DynamoDB itself removed the record.
type UserIdentity struct {
	Type        string `json:"type"`
	PrincipalID string `json:"principalId"`
}

// TimeToLive is the identity under which expired records are removed.
func TimeToLive() *UserIdentity {
	return &UserIdentity{Type: "Service", PrincipalID: "dynamodb.amazonaws.com"}
}

// An Item is attribute names to values, each under the name of its type:
// {"State": {"S": "READY"}, "Attempts": {"N": "1"}, "Force": {"BOOL": true}}.
type Item map[string]map[string]any

// ItemOf is the record as an Item; nil stays nil.
func ItemOf(r session.Record) Item {
	if r == nil {
		return nil
	}
	item := make(Item, len(r))
	for attr, v := range r {
		switch v := v.(type) {
		case string:
			item[attr] = map[string]any{"S": v}
		case int64:
			item[attr] = map[string]any{"N": strconv.FormatInt(v, 10)}
		case bool:
			item[attr] = map[string]any{"BOOL": v}
		default:
			panic(fmt.Sprintf("streamevent: a record holds no %T", v))
		}
	}
	return item
}

// Record is the item as a record, without what no rule uses; nil stays nil.
func (item Item) Record() session.Record {
	if item == nil {
		return nil
	}
	r := make(session.Record, len(item))
	for attr, typed := range item {
		for kind, v := range typed {
			switch text, _ := v.(string); kind {
			case "S", "BOOL":
				r[attr] = v
			case "N":
				if n, err := strconv.ParseInt(text, 10, 64); err == nil {
					r[attr] = n
				}
			}
		}
	}
	return r
}

// size is roughly DynamoDB's: names and texts by their bytes (developer guide,
// "Item sizes and formats").
func (item Item) size() int64 {
	n := 0
	for attr, value := range item {
		text, _ := value["S"].(string)
		n += len(attr) + max(1, len(text))
	}
	return int64(n)
}
