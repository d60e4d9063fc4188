package dynamo

import (
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/session"
)

// Item converts a record to an item.
func Item(r session.Record) map[string]types.AttributeValue {
	item := make(map[string]types.AttributeValue, len(r))
	for attr, v := range r {
		item[attr] = attributeValue(v)
	}
	return item
}

// Record converts an item to a record; nil stays nil. It leaves out types that a Record
// cannot hold (lists, fractions...). This system does not write them, and since writes
// change only named attributes, and put back only those that the domain knows, they
// stay unchanged in the table.
func Record(item map[string]types.AttributeValue) session.Record {
	if item == nil {
		return nil
	}
	r := make(session.Record, len(item))
	for attr, v := range item {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			r[attr] = v.Value
		case *types.AttributeValueMemberN:
			if n, err := strconv.ParseInt(v.Value, 10, 64); err == nil {
				r[attr] = n
			}
		case *types.AttributeValueMemberBOOL:
			r[attr] = v.Value
		}
	}
	return r
}

func attributeValue(v any) types.AttributeValue {
	switch v := v.(type) {
	case string:
		return &types.AttributeValueMemberS{Value: v}
	case int64:
		return &types.AttributeValueMemberN{Value: strconv.FormatInt(v, 10)}
	case bool:
		return &types.AttributeValueMemberBOOL{Value: v}
	}
	panic(fmt.Sprintf("dynamo: a record holds no %T", v))
}
