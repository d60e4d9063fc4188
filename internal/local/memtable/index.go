package memtable

import (
	"cmp"
	"context"
	"slices"
	"time"

	"dcv-session-broker/internal/session"
)

// Due is session.Index's.
func (t *Table) Due(ctx context.Context, lane string, now time.Time, limit int) ([]session.Record, error) {
	return t.lane(ctx, lane, session.FormatTime(now), limit)
}

// Open is session.OpenIndex's.
func (t *Table) Open(ctx context.Context, lane string, limit int) ([]session.Record, error) {
	return t.lane(ctx, lane, "~", limit) // sorts behind every time
}

func (t *Table) lane(ctx context.Context, lane, until string, limit int) ([]session.Record, error) {
	due := t.where(func(r session.Record) bool {
		next, leased := r[session.AttrNextAttemptAt].(string)
		return r[session.AttrDueLane] == lane && leased && next <= until
	})
	slices.SortStableFunc(due, func(a, b session.Record) int {
		return cmp.Compare(a[session.AttrNextAttemptAt].(string), b[session.AttrNextAttemptAt].(string))
	})
	return due[:min(len(due), limit)], ctx.Err()
}

// OnHost is session.Index's.
func (t *Table) OnHost(ctx context.Context, hostID string) ([]session.Record, error) {
	return t.where(func(r session.Record) bool { return r[session.AttrLiveHostID] == hostID }), ctx.Err()
}

func (t *Table) where(fits func(session.Record) bool) []session.Record {
	return slices.DeleteFunc(t.All(), func(r session.Record) bool { return !fits(r) })
}
