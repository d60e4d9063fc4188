package dynamo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"dcv-session-broker/internal/session"
)

// HostsAPI is the part of *dynamodb.Client that Hosts uses.
type HostsAPI interface {
	QueryAPI
	batchGetAPI
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	BatchWriteItem(context.Context, *dynamodb.BatchWriteItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchWriteItemOutput, error)
}

// Hosts is the Hosts table, with one small item for each host.
//
//	HostId (key)
//	InventorySentAt, InventoryId  the newest inventory that was applied
//	AnsweredAt                    when its answer was read
//	AnsweredLane                  with AnsweredAt the key of the sparse index
//	                              by-answered; removed from silent hosts
//	Platform                      the document's step that answered
//	ExpiresAt                     of silent hosts: when the item may be removed
//	AskedAt                       of silent hosts: when EC2 was last asked
//	OwnerTag, OwnerTagReadAt      the instance's tag DcvOwner, "" without one, and
//	                              when EC2 reported it
//	CompleteAt, OccupiedAt, EmptySince  see session.HostNote
//
// The item "fleet" has the last inventory that was sent to all hosts, as
// InventorySentAt, and the two before it, as LastButOneSentAt and LastButTwoSentAt; and
// the last host of the last walk, as WalkedTo.
//
// The item "refused-<HostId>" notes that a deletion was refused because of that host:
// AnsweredAt is when. Until EC2 has been asked it has its own AnsweredLane.
type Hosts struct {
	Client HostsAPI
	Table  string
}

const (
	answeredShard = "0"
	fleet         = session.FleetKey
)

// RecordInventorySent implements session.HostTable.
func (t Hosts) RecordInventorySent(ctx context.Context, at time.Time) error {
	_, err := t.update(ctx, fleet,
		"SET LastButTwoSentAt = if_not_exists(LastButOneSentAt, :never), "+
			"LastButOneSentAt = if_not_exists(InventorySentAt, :never), InventorySentAt = :at",
		"attribute_not_exists(InventorySentAt) OR InventorySentAt <= :apart",
		map[string]any{
			":at":    session.FormatTime(at),
			":apart": session.FormatTime(at.Add(-session.SentApart)),
			":never": session.FormatTime(time.Time{}),
		})
	return err
}

// lastInventories are the attributes of the last inventories, the newest first.
var lastInventories = []string{"InventorySentAt", "LastButOneSentAt", "LastButTwoSentAt"}

// LastInventories implements session.HostTable.
func (t Hosts) LastInventories(ctx context.Context) (sent []time.Time, err error) {
	err = t.items(ctx, []string{fleet}, func(_ string, r session.Record) {
		for _, attr := range lastInventories {
			if at := timeIn(r, attr); !at.IsZero() {
				sent = append(sent, at)
			}
		}
	})
	return sent, err
}

// ForgetInventory implements session.HostTable: a conditional write, and further ones
// if it is not the newest. Each older one moves up.
func (t Hosts) ForgetInventory(ctx context.Context, at time.Time) error {
	for n, attr := range lastInventories {
		values := map[string]any{":at": session.FormatTime(at), ":never": session.FormatTime(time.Time{})}
		update := "SET LastButTwoSentAt = :never"
		for m := n; m+1 < len(lastInventories); m++ {
			update += fmt.Sprintf(", %s = if_not_exists(%s, :never)", lastInventories[m], lastInventories[m+1])
		}
		if met, err := t.update(ctx, fleet, update, attr+" = :at", values); met || err != nil {
			return err
		}
	}
	return nil
}

// Newest implements session.HostTable: ⌈N/100⌉ calls.
func (t Hosts) Newest(ctx context.Context, hostIDs []string) (map[string]time.Time, error) {
	return t.times(ctx, possibleHosts(hostIDs), "InventorySentAt")
}

// Notes implements session.HostNotes: ⌈N/100⌉ calls.
func (t Hosts) Notes(ctx context.Context, hostIDs []string) (map[string]session.HostNote, error) {
	notes := map[string]session.HostNote{}
	err := t.items(ctx, possibleHosts(hostIDs), func(id string, r session.Record) {
		notes[id] = session.HostNote{
			SentAt: timeIn(r, "InventorySentAt"), CompleteAt: timeIn(r, "CompleteAt"),
			OccupiedAt: timeIn(r, "OccupiedAt"), EmptySince: timeIn(r, "EmptySince"),
		}
	})
	return notes, err
}

// times returns an attribute of the items that have it.
func (t Hosts) times(ctx context.Context, ids []string, attr string) (map[string]time.Time, error) {
	times := map[string]time.Time{}
	err := t.items(ctx, ids, func(id string, r session.Record) {
		if at := timeIn(r, attr); !at.IsZero() {
			times[id] = at
		}
	})
	return times, err
}

// possibleHosts returns the IDs that a host can have.
func possibleHosts(ids []string) []string {
	if !slices.ContainsFunc(ids, cannotBeHost) {
		return ids
	}
	return slices.DeleteFunc(slices.Clone(ids), cannotBeHost)
}

func cannotBeHost(id string) bool { return !canBeKey(id) || !session.IsHostID(id) }

// timeIn returns a time of an item. One that cannot be parsed counts as missing, as in
// a session's record.
func timeIn(r session.Record, attr string) time.Time {
	text, _ := r[attr].(string)
	at, err := time.Parse(session.TimeFormat, text)
	if err != nil {
		return time.Time{}
	}
	return at
}

// items reads the existing items of the IDs.
func (t Hosts) items(ctx context.Context, ids []string, do func(id string, r session.Record)) error {
	for some := range slices.Chunk(ids, maxKeys) {
		var keys []map[string]types.AttributeValue
		for _, id := range some {
			keys = append(keys, map[string]types.AttributeValue{"HostId": attributeValue(id)})
		}
		found, err := batchGet(ctx, t.Client, t.Table, keys, firstPause)
		if err != nil {
			return fmt.Errorf("hosts: %w", err)
		}
		for _, item := range found {
			r := Record(item)
			id, _ := r["HostId"].(string)
			do(id, r)
		}
	}
	return nil
}

// RecordAnswer implements session.HostTable: one conditional write, whose answer has the
// tag, and another one if the answer is not the newest and does not show an empty host.
func (t Hosts) RecordAnswer(ctx context.Context, a session.HostAnswer) (fresh bool, tag session.OwnerTag, err error) {
	said := " REMOVE ExpiresAt, EmptySince" // it is not known which sessions run, so the host does not count as empty
	switch {
	case a.Sessions > 0:
		said = ", OccupiedAt = :sent REMOVE ExpiresAt, EmptySince"
	case a.Complete:
		said = ", EmptySince = if_not_exists(EmptySince, :sent) REMOVE ExpiresAt"
	}
	if a.Complete {
		said = ", CompleteAt = :sent" + said
	}
	fresh, old, err := t.updateHostOf(ctx, a.HostID,
		"SET InventorySentAt = :sent, InventoryId = :id, AnsweredAt = :at, AnsweredLane = :lane, Platform = :platform"+said,
		"attribute_not_exists(InventorySentAt) OR InventorySentAt < :sent OR InventorySentAt = :sent AND attribute_exists(AnsweredLane)",
		map[string]any{
			":sent": session.FormatTime(a.SentAt), ":id": a.InventoryID, ":at": session.FormatTime(a.At),
			":lane": answeredShard, ":platform": a.Platform,
		})
	if fresh || err != nil || a.Sessions == 0 && a.Complete {
		return fresh, ownerTagIn(old), err
	}
	// The host may have run it after a newer one that found it empty.
	_, err = t.updateHost(ctx, a.HostID, "REMOVE EmptySince", "attribute_exists(EmptySince)", nil)
	return false, session.OwnerTag{}, err
}

// RecordOwnerTag implements session.HostTable.
func (t Hosts) RecordOwnerTag(ctx context.Context, hostID string, tag session.OwnerTag) error {
	_, err := t.updateHost(ctx, hostID, "SET OwnerTag = :owner, OwnerTagReadAt = :at",
		"attribute_exists(HostId) AND (attribute_not_exists(OwnerTagReadAt) OR OwnerTagReadAt <= :at)",
		map[string]any{":owner": tag.Owner, ":at": session.FormatTime(tag.ReadAt)})
	return err
}

func ownerTagIn(r session.Record) session.OwnerTag {
	owner, _ := r["OwnerTag"].(string)
	return session.OwnerTag{Owner: owner, ReadAt: timeIn(r, "OwnerTagReadAt")}
}

// MarkSilent implements session.HostTable.
func (t Hosts) MarkSilent(ctx context.Context, hostID string, before time.Time) (marked bool, err error) {
	return t.updateHost(ctx, hostID, "REMOVE AnsweredLane SET ExpiresAt = :expires", "AnsweredAt < :before",
		map[string]any{":before": session.FormatTime(before), ":expires": before.Add(session.KeepUnknown).Unix()})
}

// AddHost implements session.HostTable.
func (t Hosts) AddHost(ctx context.Context, hostID string, then time.Time) error {
	_, err := t.updateHost(ctx, hostID, "SET AnsweredAt = :then, AnsweredLane = :lane", "attribute_not_exists(HostId)",
		map[string]any{":then": session.FormatTime(then), ":lane": answeredShard})
	return err
}

// updateHost updates a host's item.
func (t Hosts) updateHost(ctx context.Context, hostID, update, condition string, values map[string]any) (met bool, err error) {
	met, _, err = t.updateHostOf(ctx, hostID, update, condition, values)
	return met, err
}

// updateHostOf is updateHost, and also returns the old item.
func (t Hosts) updateHostOf(ctx context.Context, hostID, update, condition string, values map[string]any) (met bool, old session.Record, err error) {
	if cannotBeHost(hostID) {
		return false, nil, fmt.Errorf("no host can have the ID %.50q", hostID)
	}
	return t.updateOf(ctx, hostID, update, condition, values)
}

// update updates an item, and tells whether the condition was met.
func (t Hosts) update(ctx context.Context, key, update, condition string, values map[string]any) (met bool, err error) {
	met, _, err = t.updateOf(ctx, key, update, condition, values)
	return met, err
}

func (t Hosts) updateOf(ctx context.Context, key, update, condition string, values map[string]any) (met bool, old session.Record, err error) {
	in := &dynamodb.UpdateItemInput{
		TableName:        aws.String(t.Table),
		Key:              map[string]types.AttributeValue{"HostId": attributeValue(key)},
		UpdateExpression: aws.String(update),
		ReturnValues:     types.ReturnValueAllOld, // costs nothing (API reference, UpdateItem)
	}
	if condition != "" {
		in.ConditionExpression = aws.String(condition)
	}
	if len(values) > 0 { // DynamoDB refuses an empty map
		in.ExpressionAttributeValues = map[string]types.AttributeValue{}
	}
	for name, v := range values {
		in.ExpressionAttributeValues[name] = attributeValue(v)
	}
	out, err := t.Client.UpdateItem(ctx, in)
	if unmet := (*types.ConditionalCheckFailedException)(nil); errors.As(err, &unmet) {
		return false, nil, nil
	}
	if err != nil {
		return false, nil, fmt.Errorf("host %s: %w", key, err)
	}
	return true, Record(out.Attributes), nil
}

// AnsweredBefore implements session.HostTable: the first entries of the index by-answered.
func (t Hosts) AnsweredBefore(ctx context.Context, before time.Time, limit int) (hostIDs []string, err error) {
	records, err := query(ctx, t.Client, t.Table, &dynamodb.QueryInput{
		IndexName:              aws.String("by-answered"),
		KeyConditionExpression: aws.String("AnsweredLane = :lane AND AnsweredAt < :before"),
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":lane":   attributeValue(answeredShard),
			":before": attributeValue(session.FormatTime(before)),
		},
	}, limit)
	for _, r := range records {
		if id, ok := r["HostId"].(string); ok {
			hostIDs = append(hostIDs, id)
		}
	}
	return hostIDs, err
}
