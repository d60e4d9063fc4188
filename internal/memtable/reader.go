package memtable

import (
	"context"
	"slices"

	"dcv-session-broker/internal/session"
)

// A Reader reads a Table, as dynamo.Reader does on DynamoDB.
type Reader struct{ Table *Table }

// Get implements session.Reader.
func (r Reader) Get(ctx context.Context, ids []string) ([]session.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var records []session.Record
	for _, id := range ids {
		if record := r.Table.Get(id); record != nil {
			records = append(records, record)
		}
	}
	return records, nil
}

// Owned implements session.Reader.
func (r Reader) Owned(ctx context.Context, owner, after string, limit int) ([]session.Record, bool, error) {
	owned := r.Table.by(session.AttrOwner, owner, all)
	return page(ctx, owned, after, limit)
}

// OnHost implements session.Reader.
func (r Reader) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	return r.Table.OnHost(ctx, hostID, after, limit)
}

// All implements session.Reader: in the order of the IDs.
func (r Reader) All(ctx context.Context, after string, limit int) ([]session.Record, bool, error) {
	return page(ctx, r.Table.All(), after, limit)
}

// page returns the records, which are sorted by ID, that come after the ID.
func page(ctx context.Context, records []session.Record, after string, limit int) ([]session.Record, bool, error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	records = slices.DeleteFunc(records, func(r session.Record) bool { return r[session.AttrSessionID].(string) <= after })
	return records[:min(len(records), limit)], len(records) > limit, nil
}
