package session

import (
	"context"
	"iter"
	"time"
)

// Index finds records by other things than their ID. It may show a record as
// it was a moment ago: what is decided by it is written on condition.
//
// The table's own indexes show some attributes only, since each index that shows
// an attribute is written, and paid for, when it changes. WholeIndex shows all:
// what an index lacks would be taken for what the record lacks.
type Index interface {
	// Due lists records of a shard whose NextAttemptAt is not after now, the
	// longest due first, at most limit of them.
	Due(ctx context.Context, shard string, now time.Time, limit int) ([]Record, error)
	HostIndex
}

// HostIndex finds the records that live on a host.
type HostIndex interface {
	// OnHost lists records that live on a host by ID, those after the ID `after`
	// ("" for the first), at most limit; more tells whether there may be others
	// behind, and then there is one record at least.
	OnHost(ctx context.Context, hostID, after string, limit int) (records []Record, more bool, err error)
}

// hostPage is how many records of a host are in memory at one time. A host that
// does well has fewer.
const hostPage = 250

// onHost lists all records that live on a host, page by page. An error is the
// last that it yields.
func onHost(ctx context.Context, index Index, hostID string) iter.Seq2[[]Record, error] {
	return func(yield func([]Record, error) bool) {
		after := ""
		for more := true; more; {
			var (
				records []Record
				err     error
			)
			records, more, err = index.OnHost(ctx, hostID, after, hostPage)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(records) == 0 || !yield(records, nil) {
				return
			}
			after = records[len(records)-1].text(AttrSessionID)
		}
	}
}

// What the table's indexes show of a record, in addition to the keys of the table and the
// index.
var (
	// AttrsByLease is what OpenDeletionGauge counts by. Nothing of it changes when a
	// deletion is confirmed.
	AttrsByLease = []string{AttrState, AttrDeletionRequestedAt, AttrAttempts, AttrCloseAt, AttrClosingSince}
	// AttrsByHost is all that a READY session has: what inventories compare and rules
	// decide by. Of what deletions change there is State alone, by which WholeIndex
	// knows which records to read.
	AttrsByHost = []string{
		AttrOwner, AttrHostID, AttrDCVSessionID, AttrName, AttrType, AttrCreationTime, AttrNumOfConnections, AttrLastDisconnectionTime,
		AttrState, AttrFirstSeenAt, AttrObservedAt, AttrCancelledAt, AttrCancelledBy, AttrNoticeAt,
	}
	// AttrsByOwner is what describeSessions answers or decides by.
	AttrsByOwner = []string{
		AttrHostID, AttrName, AttrType, AttrState, AttrStateReason, AttrCreationTime, AttrNumOfConnections, AttrLastDisconnectionTime, AttrExpiresAt,
	}
)

// A WholeIndex shows what an index finds as it is in the table, where the index may
// lack something of it: of a deletion.
type WholeIndex struct {
	Index
	Getter Getter
}

// Due implements Index. What is not due any more is left out.
func (x WholeIndex) Due(ctx context.Context, shard string, now time.Time, limit int) ([]Record, error) {
	shown, err := x.Index.Due(ctx, shard, now, limit)
	if err != nil {
		return nil, err
	}
	return lookUp(ctx, x.Getter, shown, func(r Record) bool {
		next := r.text(AttrNextAttemptAt)
		return r.text(AttrDueShard) == shard && next != "" && next <= FormatTime(now)
	})
}

// OnHost implements Index.
func (x WholeIndex) OnHost(ctx context.Context, hostID, after string, limit int) ([]Record, bool, error) {
	return wholeOnHost(ctx, x.Index, x.Getter, hostID, after, limit)
}

// wholeOnHost is OnHost with whole records: one that the index does not show as READY
// is read from the table, and left out if it does not live on the host any more.
func wholeOnHost(ctx context.Context, index HostIndex, getter Getter, hostID, after string, limit int) (records []Record, more bool, err error) {
	for {
		shown, more, err := index.OnHost(ctx, hostID, after, limit)
		if err != nil || len(shown) == 0 {
			return nil, more, err
		}
		var changed []Record
		for _, r := range shown {
			if State(r.text(AttrState)) != Ready {
				changed = append(changed, r)
			}
		}
		lives := func(r Record) bool { return r.text(AttrLiveHostID) == hostID }
		if changed, err = lookUp(ctx, getter, changed, lives); err != nil {
			return nil, false, err
		}
		whole := make(map[string]Record, len(changed))
		for _, r := range changed {
			whole[r.text(AttrSessionID)] = r
		}
		for _, r := range shown {
			if State(r.text(AttrState)) != Ready {
				r = whole[r.text(AttrSessionID)]
			}
			if r != nil {
				records = append(records, r)
			}
		}
		if len(records) > 0 || !more {
			return records, more, nil
		}
		after = shown[len(shown)-1].text(AttrSessionID)
	}
}

// lookUp reads the records that an index shows, and keeps their order and those that
// are still meant.
func lookUp(ctx context.Context, getter Getter, shown []Record, meant func(Record) bool) (records []Record, err error) {
	if len(shown) == 0 {
		return nil, nil
	}
	ids := make([]string, len(shown))
	for i, r := range shown {
		ids[i] = r.text(AttrSessionID)
	}
	known, err := getByID(ctx, getter, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if r := known[id]; r != nil && meant(r) {
			records = append(records, r)
		}
	}
	return records, nil
}

// OpenIndex finds the deletions that have not ended.
type OpenIndex interface {
	// Open lists records of a shard, whenever they are due: the soonest due
	// first, at most limit of them. They have AttrsByLease, and may lack the rest.
	Open(ctx context.Context, shard string, limit int) ([]Record, error)
}
