package session

import (
	"context"
	"iter"
	"time"
)

// Index finds records by other things than their ID. It may show a record as
// it was a moment ago: what is decided by it is written on condition.
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

// OpenIndex finds the deletions that have not ended.
type OpenIndex interface {
	// Open lists records of a shard, whenever they are due: the soonest due
	// first, at most limit of them. Only their State, Confirmation, CloseUntil,
	// DeletionRequestedAt, Attempts, CloseAt and ClosingSince need be there.
	Open(ctx context.Context, shard string, limit int) ([]Record, error)
}
