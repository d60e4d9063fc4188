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

// QueryAPI is the part of *dynamodb.Client that Index uses.
type QueryAPI interface {
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
}

// An Index queries the indexes of the Sessions table of that name.
type Index struct {
	Client QueryAPI
	Table  string
	Step   IndexStep
}

// An IndexStep is how far the indexes of a table have been moved: template.yaml's
// parameter of that name, "0" to "4". Each step makes or deletes one index, as an update
// of a table can. Functions use the new ones one step after they were made, so that the
// index that a function uses exists at its own step, the one before and the one after:
// while the stack is updated or rolled back, and while an index fills. "" is "4", the
// step of a new stack.
type IndexStep string

// ByLease returns the name of the index of deletions that have not ended, by their lease.
func (s IndexStep) ByLease() string {
	if s == "0" || s == "1" {
		return "due"
	}
	return "by-lease"
}

// ByHost returns the name of the index of living sessions by host.
func (s IndexStep) ByHost() string {
	if s == "0" || s == "1" || s == "2" {
		return "by-host"
	}
	return "by-live-host"
}

// Due implements session.Index: the first entries of a shard of the index by-lease.
func (x Index) Due(ctx context.Context, shard string, now time.Time, limit int) ([]session.Record, error) {
	return query(ctx, x.Client, x.Table, &dynamodb.QueryInput{
		IndexName:              aws.String(x.Step.ByLease()),
		KeyConditionExpression: aws.String("#shard = :lane AND #next <= :now"),
		ExpressionAttributeNames: map[string]string{
			"#shard": session.AttrDueShard,
			"#next":  session.AttrNextAttemptAt,
		},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":lane": attributeValue(shard),
			":now":  attributeValue(session.FormatTime(now)),
		},
	}, limit)
}

// Open implements session.OpenIndex: the first entries of a shard of the index by-lease.
func (x Index) Open(ctx context.Context, shard string, limit int) ([]session.Record, error) {
	return query(ctx, x.Client, x.Table, &dynamodb.QueryInput{
		IndexName:              aws.String(x.Step.ByLease()),
		KeyConditionExpression: aws.String("#shard = :lane"),
		ProjectionExpression:   aws.String("#id, #shard, #next, #state, #requested, #attempts, #closeAt, #since"),
		ExpressionAttributeNames: map[string]string{
			"#id":        session.AttrSessionID,
			"#shard":     session.AttrDueShard,
			"#next":      session.AttrNextAttemptAt,
			"#state":     session.AttrState,
			"#requested": session.AttrDeletionRequestedAt,
			"#attempts":  session.AttrAttempts,
			"#closeAt":   session.AttrCloseAt,
			"#since":     session.AttrClosingSince,
		},
		ExpressionAttributeValues: map[string]types.AttributeValue{":lane": attributeValue(shard)},
	}, limit)
}

// OnHost implements session.Index: one page of a collection of the index
// by-live-host, a megabyte at most.
func (x Index) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	if !canBeKey(hostID) {
		return nil, false, ctx.Err()
	}
	return collection{x.Step.ByHost(), session.AttrLiveHostID, hostID}.page(ctx, x.Client, x.Table, after, limit)
}

// A collection is the items with one value of an attribute, in an index whose keys are
// that attribute and the session's ID.
type collection struct{ index, attr, value string }

// page reads the items after that ID.
func (c collection) page(ctx context.Context, client QueryAPI, table, after string, limit int) ([]session.Record, bool, error) {
	in := &dynamodb.QueryInput{
		TableName:                 aws.String(table),
		IndexName:                 aws.String(c.index),
		KeyConditionExpression:    aws.String("#key = :key"),
		ExpressionAttributeNames:  map[string]string{"#key": c.attr},
		ExpressionAttributeValues: map[string]types.AttributeValue{":key": attributeValue(c.value)},
		Limit:                     aws.Int32(int32(limit)),
	}
	if after != "" {
		in.KeyConditionExpression = aws.String("#key = :key AND #id > :after")
		in.ExpressionAttributeNames["#id"] = session.AttrSessionID
		in.ExpressionAttributeValues[":after"] = attributeValue(after)
	}
	return page(func() ([]map[string]types.AttributeValue, map[string]types.AttributeValue, error) {
		out, err := client.Query(ctx, in)
		if err != nil {
			return nil, nil, fmt.Errorf("query index %s: %w", c.index, err)
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
		return out.Items, out.LastEvaluatedKey, nil
	})
}

// query reads up to limit records, page by page.
func query(ctx context.Context, client QueryAPI, table string, in *dynamodb.QueryInput, limit int) ([]session.Record, error) {
	in.TableName = aws.String(table)
	in.Limit = aws.Int32(int32(limit))
	var records []session.Record
	for pages := dynamodb.NewQueryPaginator(client, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("query index %s: %w", *in.IndexName, err)
		}
		for _, item := range page.Items {
			records = append(records, Record(item))
		}
		if len(records) >= limit {
			return records[:limit], nil
		}
	}
	return records, nil
}
