package session

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Reader reads records for queries.
type Reader interface {
	Getter
	HostIndex
	// Owned lists an owner's records by ID: those after the ID `after` ("" for the
	// first), at most limit. more tells whether there may be others; then there is at
	// least one record. The records have what Describer shows or decides by, and may
	// lack the rest.
	Owned(ctx context.Context, owner, after string, limit int) (records []Record, more bool, err error)
	// All lists all records in the table's own order, which does not change: those
	// after the ID `after`, whose record may be gone. limit and more are as with Owned.
	All(ctx context.Context, after string, limit int) (records []Record, more bool, err error)
}

// Getter reads the current records. An index may show older ones.
type Getter interface {
	// Get reads the records of these distinct IDs, in no order. Those that do not exist
	// are absent.
	Get(ctx context.Context, ids []string) ([]Record, error)
}

// getByID reads the records of the IDs, which may repeat.
func getByID(ctx context.Context, getter Getter, ids []string) (map[string]Record, error) {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	records, err := getter.Get(ctx, slices.Compact(ids))
	if err != nil {
		return nil, err
	}
	byID := make(map[string]Record, len(records))
	for _, r := range records {
		byID[r.text(AttrSessionID)] = r
	}
	return byID, nil
}

const (
	// readAhead is how many IDs are read together at least: as many as one call of the
	// table accepts.
	readAhead = 100
	// maxReads bounds the work for one page, in case most of the table is not shown.
	maxReads = 10
)

// A Describer shows sessions. It shows DELETED ones until they expire, though the table
// may keep them longer.
type Describer struct {
	Reader Reader
	Notes  HostNotes
	Now    func() time.Time
}

// A Query selects the sessions that meet all of its fields.
type Query struct {
	// IDs, if there are any, are the only ones selected.
	IDs []string
	// Owner, if not empty, is whose sessions are selected.
	Owner string
	// HostID, if not empty, is the host on which they live, or are to be closed.
	HostID string
	// Details asks for all attributes of the record, and for LastSeenAt.
	Details bool
	// Limit is the most sessions of a page, 1 or more.
	Limit int
	// After is the Next of the page before, "" for the first. With IDs it is one of
	// these.
	After string
}

// A Page has some of the selected sessions. If it has fewer than the limit, or none,
// there may still be another page.
type Page struct {
	Sessions []Session
	// LastSeenAt, with Details, has by session ID when the newest inventory was sent
	// that is known to have had the session. It is zero if none is known.
	LastSeenAt map[string]time.Time
	// Next is the ID of the last session looked at, "" if none is left.
	Next string
}

// Describe returns a page of a query's sessions: in the order of the IDs, if there are
// any, otherwise in an order of the table. A session that meets the query during all
// pages is shown once.
func (d *Describer) Describe(ctx context.Context, q Query) (Page, error) {
	page, err := d.page(ctx, q)
	if err != nil {
		return Page{}, fmt.Errorf("read the sessions table: %w", err)
	}
	if q.Details {
		if page.LastSeenAt, err = lastSeen(ctx, d.Notes, page.Sessions); err != nil {
			return Page{}, fmt.Errorf("read when hosts were seen: %w", err)
		}
	}
	return page, nil
}

func (d *Describer) page(ctx context.Context, q Query) (Page, error) {
	now := d.Now()
	page := Page{Next: q.After}
	for range maxReads {
		seen, more, err := d.look(ctx, q, page.Next, q.Limit-len(page.Sessions))
		if err != nil {
			return Page{}, err
		}
		for _, s := range seen {
			if len(page.Sessions) == q.Limit {
				return page, nil
			}
			page.Next = s.ID
			if q.meets(s) && !s.expired(now) {
				page.Sessions = append(page.Sessions, s.shown(now))
			}
		}
		if !more {
			page.Next = ""
			return page, nil
		}
		if len(page.Sessions) == q.Limit {
			return page, nil
		}
	}
	return page, nil
}

// look reads the records after an ID. A session that does not exist has only its ID.
func (d *Describer) look(ctx context.Context, q Query, after string, limit int) (seen []Session, more bool, err error) {
	var records []Record
	switch {
	case len(q.IDs) > 0:
		return d.lookUp(ctx, q.IDs, after, limit)
	case q.HostID != "":
		if q.Owner != "" {
			limit = max(limit, readAhead) // most may be other owners'
		}
		records, more, err = wholeOnHost(ctx, d.Reader, d.Reader, q.HostID, after, limit)
	case q.Owner != "":
		records, more, err = d.Reader.Owned(ctx, q.Owner, after, limit)
		if err == nil {
			seen, err = d.inTable(ctx, records, q.Details)
		}
		return seen, more, err
	default:
		records, more, err = d.Reader.All(ctx, after, limit)
	}
	for _, r := range records {
		seen = append(seen, r.Session())
	}
	return seen, more, err
}

func (d *Describer) lookUp(ctx context.Context, ids []string, after string, limit int) (seen []Session, more bool, err error) {
	ids = distinct(ids)
	ids = ids[slices.Index(ids, after)+1:]
	some := ids[:min(len(ids), max(limit, readAhead))]
	if len(some) == 0 {
		return nil, false, nil
	}
	known, err := getByID(ctx, d.Reader, some)
	if err != nil {
		return nil, false, err
	}
	for _, id := range some {
		s := known[id].Session()
		s.ID = id
		seen = append(seen, s)
	}
	return seen, len(some) < len(ids), nil
}

// shown returns the session as describeSessions shows it: while its deletion waits for
// its close time it can be used, and has its earlier state, with the time and the
// reason.
func (s Session) shown(now time.Time) Session {
	if s.Waits() && now.Before(s.CloseAt) {
		s.State = s.StateBefore
		s.StateReason = fmt.Sprintf(reasonWaits, s.CloseAt.UTC().Format(time.RFC3339))
		if s.DeletionReason != "" {
			s.StateReason += " Reason: " + s.DeletionReason
		}
	}
	return s
}

// inTable returns the sessions of records from the index by-owner, which lacks
// attributes: it reads all of them from the table, or those whose deletion may wait.
func (d *Describer) inTable(ctx context.Context, shown []Record, all bool) (seen []Session, err error) {
	var (
		ids []string
		at  []int
	)
	for i, r := range shown {
		seen = append(seen, r.Session())
		if all || seen[i].State == Deleting {
			ids, at = append(ids, seen[i].ID), append(at, i)
		}
	}
	if len(ids) == 0 {
		return seen, nil
	}
	read, _, err := d.lookUp(ctx, ids, "", len(ids))
	if err != nil {
		return nil, err
	}
	for i, s := range read {
		seen[at[i]] = s
	}
	return seen, nil
}

func distinct(ids []string) []string {
	seen := make(map[string]bool, len(ids))
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		again := seen[id]
		seen[id] = true
		return again
	})
}

// meets is false for a session that does not exist: it has no state.
func (q Query) meets(s Session) bool {
	return s.State != "" && (q.Owner == "" || s.Owner == q.Owner) && (q.HostID == "" || s.LiveHostID == q.HostID)
}
