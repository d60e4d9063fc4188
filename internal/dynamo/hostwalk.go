package dynamo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/session"
)

// ScanAPI is the part of *dynamodb.Client that HostLister uses.
type ScanAPI interface {
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
}

// A HostLister lists the hosts in the index by-live-host of the Sessions table of that name.
type HostLister struct {
	Client ScanAPI
	Table  string
	Step   IndexStep
}

// lastSessionID sorts after every session's ID.
var lastSessionID = strings.Repeat("\U0010FFFF", session.MaxIDBytes/4+1)

// HostsAfter implements session.HostLister: the next page of a scan that is not empty.
// It begins after all sessions that the host could have: the start key is a position in
// the index, and need not be an item's.
func (x HostLister) HostsAfter(ctx context.Context, hostID string, limit int) (hostIDs []string, err error) {
	in := &dynamodb.ScanInput{
		TableName:                aws.String(x.Table),
		IndexName:                aws.String(x.Step.ByHost()),
		ProjectionExpression:     aws.String("#host"),
		ExpressionAttributeNames: map[string]string{"#host": session.AttrLiveHostID},
		Limit:                    aws.Int32(int32(limit)),
	}
	if hostID != "" {
		in.ExclusiveStartKey = map[string]types.AttributeValue{
			session.AttrLiveHostID: attributeValue(hostID), session.AttrSessionID: attributeValue(lastSessionID),
		}
	}
	records, _, err := page(func() ([]map[string]types.AttributeValue, map[string]types.AttributeValue, error) {
		out, err := x.Client.Scan(ctx, in)
		if err != nil {
			return nil, nil, fmt.Errorf("scan index %s: %w", *in.IndexName, err)
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
		return out.Items, out.LastEvaluatedKey, nil
	})
	for _, r := range records {
		id, _ := r[session.AttrLiveHostID].(string)
		if n := len(hostIDs); n == 0 || hostIDs[n-1] != id {
			hostIDs = append(hostIDs, id)
		}
	}
	return hostIDs, err
}

// WalkedTo implements session.HostWalk.
func (t Hosts) WalkedTo(ctx context.Context) (hostID string, err error) {
	err = t.items(ctx, []string{fleet}, func(_ string, r session.Record) { hostID, _ = r["WalkedTo"].(string) })
	return hostID, err
}

// RecordWalkedTo implements session.HostWalk.
func (t Hosts) RecordWalkedTo(ctx context.Context, hostID string) error {
	_, err := t.update(ctx, fleet, "SET WalkedTo = :host", "", map[string]any{":host": hostID})
	return err
}

// Silences implements session.HostWalk: ⌈N/100⌉ calls.
func (t Hosts) Silences(ctx context.Context, hostIDs []string) (map[string]session.Silence, error) {
	silences := map[string]session.Silence{}
	err := t.items(ctx, possibleHosts(hostIDs), func(id string, r session.Record) {
		_, answers := r["AnsweredLane"]
		silences[id] = session.Silence{Silent: !answers, AnsweredAt: timeIn(r, "AnsweredAt"), AskedAt: timeIn(r, "AskedAt"), OwnerTag: ownerTagIn(r)}
	})
	return silences, err
}

// RecordAsked implements session.HostWalk.
func (t Hosts) RecordAsked(ctx context.Context, hostID string, at time.Time) error {
	_, err := t.updateHost(ctx, hostID, "SET AskedAt = :at", "attribute_exists(HostId) AND attribute_not_exists(AnsweredLane)",
		map[string]any{":at": session.FormatTime(at)})
	return err
}
