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
	due := t.where(func(r session.Record) bool {
		next, leased := r[session.AttrNextAttemptAt].(string)
		return r[session.AttrDueLane] == lane && leased && next <= session.FormatTime(now)
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
