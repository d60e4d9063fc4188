package session

import (
	"context"
	"time"
)

// Index finds records by other things than their ID. It may show a record as
// it was a moment ago: what is decided by it is written on condition.
type Index interface {
	// Due lists records of a shard whose NextAttemptAt is not after now, the
	// longest due first, at most limit of them.
	Due(ctx context.Context, shard string, now time.Time, limit int) ([]Record, error)
	// OnHost lists all records that live on a host.
	OnHost(ctx context.Context, hostID string) ([]Record, error)
}

// OpenIndex finds the deletions that have not ended.
type OpenIndex interface {
	// Open lists records of a shard, whenever they are due: the soonest due
	// first, at most limit of them. Only their State, Confirmation, CloseUntil
	// and DeletionRequestedAt need be there.
	Open(ctx context.Context, shard string, limit int) ([]Record, error)
}
