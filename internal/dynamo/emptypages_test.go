package dynamo_test

import (
	"context"
	"maps"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// emptyPages is a client that answers an empty page before each page: DynamoDB may
// answer a page without items that is not the last ("Paginating table query results",
// developer guide).
type emptyPages struct{ *dynamodb.Client }

// emptyPageKey marks the LastEvaluatedKey of an empty page, which also has the key
// where the next page begins.
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

// behindEmptyPage returns the next start key: with the mark if the empty page must
// still be answered, otherwise without it.
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
