// Package streamevent has the form of Lambda's events about changes of the table's
// records, for all stores. (Lambda developer guide, "Using AWS Lambda with Amazon
// DynamoDB", example event; "Tutorial: Process TTL deletes" for the user identity.)
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

// An Event is the input of a function.
type Event struct {
	Records []Record `json:"Records"`
}

// A Record is one change. The filters of an event source match single records.
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

// New returns the record of a change in the stream with that ARN, for a store without a
// DynamoDB stream. It computes the size.
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

// A UserIdentity is set if DynamoDB itself removed the record.
type UserIdentity struct {
	Type        string `json:"type"`
	PrincipalID string `json:"principalId"`
}

// TimeToLive returns the identity under which DynamoDB removes expired records.
func TimeToLive() *UserIdentity {
	return &UserIdentity{Type: "Service", PrincipalID: "dynamodb.amazonaws.com"}
}

// An Item is attribute names to values, each under the name of its type:
// {"State": {"S": "READY"}, "Attempts": {"N": "1"}, "Force": {"BOOL": true}}.
type Item map[string]map[string]any

// ItemOf converts a record to an Item; nil stays nil.
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

// Record converts an item to a record, without types that no rule uses; nil stays nil.
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

// size returns about the size that DynamoDB has: names and texts by their bytes
// (developer guide, "Item sizes and formats").
func (item Item) size() int64 {
	n := 0
	for attr, value := range item {
		text, _ := value["S"].(string)
		n += len(attr) + max(1, len(text))
	}
	return int64(n)
}
