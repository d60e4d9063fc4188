package dynamo

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/session"
)

// QueryAPI is what Index calls of *dynamodb.Client.
type QueryAPI interface {
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// An Index is the indexes of the Sessions table of that name.
type Index struct {
	Client QueryAPI
	Table  string
}

// Due implements session.Index: the first entries of a shard of the index due.
func (x Index) Due(ctx context.Context, shard string, now time.Time, limit int) ([]session.Record, error) {
	return x.query(ctx, &dynamodb.QueryInput{
		IndexName:              aws.String("due"),
		KeyConditionExpression: aws.String("#lane = :lane AND #next <= :now"),
		ExpressionAttributeNames: map[string]string{
			"#lane": session.AttrDueShard,
			"#next": session.AttrNextAttemptAt,
		},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":lane": attributeValue(shard),
			":now":  attributeValue(session.FormatTime(now)),
		},
	}, limit)
}

// Open implements session.OpenIndex: the first entries of a shard of the index due.
func (x Index) Open(ctx context.Context, shard string, limit int) ([]session.Record, error) {
	return x.query(ctx, &dynamodb.QueryInput{
		IndexName:              aws.String("due"),
		KeyConditionExpression: aws.String("#lane = :lane"),
		ProjectionExpression:   aws.String("#state, #confirmation, #until, #requested"),
		ExpressionAttributeNames: map[string]string{
			"#lane":         session.AttrDueShard,
			"#state":        session.AttrState,
			"#confirmation": session.AttrConfirmation,
			"#until":        session.AttrCloseUntil,
			"#requested":    session.AttrDeletionRequestedAt,
		},
		ExpressionAttributeValues: map[string]types.AttributeValue{":lane": attributeValue(shard)},
	}, limit)
}

// OnHost implements session.Index: a whole collection of the index by-host.
func (x Index) OnHost(ctx context.Context, hostID string) ([]session.Record, error) {
	if !canBeKey(hostID) {
		return nil, ctx.Err()
	}
	return x.query(ctx, &dynamodb.QueryInput{
		IndexName:                 aws.String("by-host"),
		KeyConditionExpression:    aws.String("#host = :host"),
		ExpressionAttributeNames:  map[string]string{"#host": session.AttrLiveHostID},
		ExpressionAttributeValues: map[string]types.AttributeValue{":host": attributeValue(hostID)},
	}, 0)
}

// query reads up to limit records, or with 0 all, page by page.
func (x Index) query(ctx context.Context, in *dynamodb.QueryInput, limit int) ([]session.Record, error) {
	in.TableName = aws.String(x.Table)
	if limit > 0 {
		in.Limit = aws.Int32(int32(limit))
	}
	var records []session.Record
	for pages := dynamodb.NewQueryPaginator(x.Client, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("query index %s: %w", *in.IndexName, err)
		}
		for _, item := range page.Items {
			records = append(records, Record(item))
		}
		if limit > 0 && len(records) >= limit {
			return records[:limit], nil
		}
	}
	return records, nil
}
