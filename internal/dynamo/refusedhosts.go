package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/session"
)

const (
	refusedShard = "refused"
	// maxPuts a call is BatchWriteItem's own limit.
	maxPuts = 25
)

// RecordRefused implements session.RefusedHostNotes: N hosts are ⌈N/25⌉ parallel calls.
func (t Hosts) RecordRefused(ctx context.Context, hostIDs []string, at time.Time) error {
	var puts []types.WriteRequest
	for _, id := range hostIDs {
		if cannotBeHost(id) || !canBeKey(session.RefusedKeyPrefix+id) {
			continue
		}
		puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: map[string]types.AttributeValue{
			"HostId":       attributeValue(session.RefusedKeyPrefix + id),
			"AnsweredLane": attributeValue(refusedShard),
			"AnsweredAt":   attributeValue(session.FormatTime(at)),
			"ExpiresAt":    attributeValue(at.Add(session.KeepRefused).Unix()),
		}}})
	}
	var (
		calls sync.WaitGroup
		mu    sync.Mutex
		errs  []error
	)
	for batch := range slices.Chunk(puts, maxPuts) {
		calls.Go(func() {
			err := t.put(ctx, batch)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	calls.Wait()
	return errors.Join(errs...)
}

// put puts up to 25 items. It repeats items that the table was too busy for, since the
// call succeeds without them.
func (t Hosts) put(ctx context.Context, batch []types.WriteRequest) error {
	return untilProcessed(ctx, len(batch), firstPause, func() (left int, err error) {
		out, err := t.Client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{t.Table: batch}})
		if err != nil {
			return 0, fmt.Errorf("note %d refused hosts: %w", len(batch), err)
		}
		batch = out.UnprocessedItems[t.Table]
		return len(batch), nil
	})
}

// RefusedHosts implements session.RefusedHosts: the first entries of a shard of the
// index by-answered.
func (t Hosts) RefusedHosts(ctx context.Context, limit int) (hosts []session.RefusedHost, err error) {
	records, err := query(ctx, t.Client, t.Table, &dynamodb.QueryInput{
		IndexName:                 aws.String("by-answered"),
		KeyConditionExpression:    aws.String("AnsweredLane = :lane"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":lane": attributeValue(refusedShard)},
	}, limit)
	for _, r := range records {
		id, _ := r["HostId"].(string)
		hosts = append(hosts, session.RefusedHost{HostID: strings.TrimPrefix(id, session.RefusedKeyPrefix), At: timeIn(r, "AnsweredAt")})
	}
	return hosts, err
}

// ForgetRefused implements session.RefusedHosts. The item is removed when it expires.
func (t Hosts) ForgetRefused(ctx context.Context, noted session.RefusedHost) error {
	_, err := t.update(ctx, session.RefusedKeyPrefix+noted.HostID, "REMOVE AnsweredLane", "AnsweredAt = :at", map[string]any{":at": session.FormatTime(noted.At)})
	return err
}
