package dynamodblocal

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"

	"dcv-session-broker/internal/streamevent"
)

// event converts a stream's record to the form of Lambda's event.
func (r *StreamReader) event(record types.Record) streamevent.Record {
	e := streamevent.Record{
		EventID:        aws.ToString(record.EventID),
		EventName:      string(record.EventName),
		EventVersion:   aws.ToString(record.EventVersion),
		EventSource:    aws.ToString(record.EventSource),
		AWSRegion:      aws.ToString(record.AwsRegion),
		EventSourceARN: r.StreamARN,
	}
	if who := record.UserIdentity; who != nil {
		e.UserIdentity = &streamevent.UserIdentity{Type: aws.ToString(who.Type), PrincipalID: aws.ToString(who.PrincipalId)}
	}
	d := record.Dynamodb
	if d == nil {
		return e
	}
	e.DynamoDB = streamevent.Data{
		Keys:           item(d.Keys),
		NewImage:       item(d.NewImage),
		OldImage:       item(d.OldImage),
		SequenceNumber: aws.ToString(d.SequenceNumber),
		SizeBytes:      aws.ToInt64(d.SizeBytes),
		StreamViewType: string(d.StreamViewType),
	}
	if at := d.ApproximateCreationDateTime; at != nil {
		e.DynamoDB.ApproximateCreationDateTime = float64(at.Unix())
	}
	return e
}

func item(attributes map[string]types.AttributeValue) streamevent.Item {
	if attributes == nil {
		return nil
	}
	out := make(streamevent.Item, len(attributes))
	for attr, v := range attributes {
		out[attr] = value(v)
	}
	return out
}

// value converts an attribute of any type, also of types that the system does not
// write.
func value(v types.AttributeValue) map[string]any {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return map[string]any{"S": v.Value}
	case *types.AttributeValueMemberN:
		return map[string]any{"N": v.Value}
	case *types.AttributeValueMemberBOOL:
		return map[string]any{"BOOL": v.Value}
	case *types.AttributeValueMemberNULL:
		return map[string]any{"NULL": v.Value}
	case *types.AttributeValueMemberB:
		return map[string]any{"B": v.Value}
	case *types.AttributeValueMemberSS:
		return map[string]any{"SS": v.Value}
	case *types.AttributeValueMemberNS:
		return map[string]any{"NS": v.Value}
	case *types.AttributeValueMemberBS:
		return map[string]any{"BS": v.Value}
	case *types.AttributeValueMemberM:
		return map[string]any{"M": item(v.Value)}
	case *types.AttributeValueMemberL:
		list := make([]map[string]any, len(v.Value))
		for i, one := range v.Value {
			list[i] = value(one)
		}
		return map[string]any{"L": list}
	}
	return nil
}
