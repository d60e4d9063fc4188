package session

import (
	"context"
	"iter"
	"time"
)

// Index finds records by other attributes than their ID. It may show a record as it was
// a moment ago, so writes that depend on it are conditional.
//
// The table's own indexes show only some attributes, since a change of an attribute is
// a paid write in each index that shows it. WholeIndex shows all: otherwise an
// attribute that the index lacks would count as missing in the record.
type Index interface {
	// Due lists records of a shard whose NextAttemptAt is not after now, the
	// longest due first, at most limit of them.
	Due(ctx context.Context, shard string, now time.Time, limit int) ([]Record, error)
	HostIndex
}

// HostIndex finds the records that live on a host.
type HostIndex interface {
	// OnHost lists records that live on a host by ID: those after the ID `after` (""
	// for the first), at most limit. more tells whether there may be others; then there
	// is at least one record.
	OnHost(ctx context.Context, hostID, after string, limit int) (records []Record, more bool, err error)
}

// hostPage is how many records of a host are in memory at one time. A normal host has
// fewer.
const hostPage = 250

// onHost lists all records that live on a host, page by page. It yields nothing after
// an error.
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

// The attributes that the table's indexes show, in addition to the keys of the table and
// the index.
var (
	// AttrsByLease are for OpenDeletionGauge. A confirmation changes none of them.
	AttrsByLease = []string{AttrState, AttrDeletionRequestedAt, AttrAttempts, AttrCloseAt, AttrClosingSince}
	// AttrsByHost are all attributes of a READY session, which inventories compare and
	// rules use. The only attribute among them that deletions change is State: it shows
	// WholeIndex which records to read.
	AttrsByHost = []string{
		AttrOwner, AttrHostID, AttrDCVSessionID, AttrName, AttrType, AttrCreationTime, AttrNumOfConnections, AttrLastDisconnectionTime,
		AttrState, AttrFirstSeenAt, AttrObservedAt, AttrCancelledAt, AttrCancelledBy, AttrNoticeAt,
	}
	// AttrsByOwner are what describeSessions returns or decides by.
	AttrsByOwner = []string{
		AttrHostID, AttrName, AttrType, AttrState, AttrStateReason, AttrCreationTime, AttrNumOfConnections, AttrLastDisconnectionTime, AttrExpiresAt,
	}
)

// A WholeIndex returns the records that an index finds. It reads those with a deletion
// from the table, since the index lacks some of their attributes.
type WholeIndex struct {
	Index
	Getter Getter
}

// Due implements Index. It leaves out records that are no longer due.
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

// wholeOnHost is OnHost with whole records. It reads a record from the table if the
// index does not show it as READY, and leaves it out if it no longer lives on the host.
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

// lookUp reads the records that an index shows, in their order, and leaves out those
// that no longer match.
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
	// Open lists records of a shard, due or not: the earliest due first, at most limit
	// of them. They have AttrsByLease, and may lack the rest.
	Open(ctx context.Context, shard string, limit int) ([]Record, error)
}
