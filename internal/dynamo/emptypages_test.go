package dynamo_test

import (
	"context"
	"maps"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// emptyPages is a client whose every page is preceded by an empty one: DynamoDB
// may answer a page without an item that is not the last ("Paginating table query
// results", developer guide).
type emptyPages struct{ *dynamodb.Client }

// emptyPageKey is in the LastEvaluatedKey of an empty page, next to the key from
// which the page behind it goes on.
const emptyPageKey = "the empty page was read"

func (c emptyPages) Query(ctx context.Context, in *dynamodb.QueryInput, opts ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	next, read := behindEmptyPage(in.ExclusiveStartKey)
	if !read {
		return &dynamodb.QueryOutput{LastEvaluatedKey: next}, nil
	}
	page := *in
	page.ExclusiveStartKey = next
	return c.Client.Query(ctx, &page, opts...)
}

func (c emptyPages) Scan(ctx context.Context, in *dynamodb.ScanInput, opts ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	next, read := behindEmptyPage(in.ExclusiveStartKey)
	if !read {
		return &dynamodb.ScanOutput{LastEvaluatedKey: next}, nil
	}
	page := *in
	page.ExclusiveStartKey = next
	return c.Client.Scan(ctx, &page, opts...)
}

// behindEmptyPage is the key to go on from: with the mark, if the empty page is
// still to be answered, else without it.
func behindEmptyPage(start map[string]types.AttributeValue) (next map[string]types.AttributeValue, read bool) {
	if next = maps.Clone(start); next == nil {
		next = map[string]types.AttributeValue{}
	}
	if _, read = next[emptyPageKey]; read {
		if delete(next, emptyPageKey); len(next) == 0 {
			return nil, true
		}
		return next, true
	}
	next[emptyPageKey] = &types.AttributeValueMemberBOOL{Value: true}
	return next, false
}
