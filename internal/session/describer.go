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
	// Owned lists an owner's records by ID, those after the ID `after` ("" for
	// the first), at most limit; more tells whether there may be others behind,
	// and then there is one record at least. They have what Describer shows or
	// decides by, and may lack the rest.
	Owned(ctx context.Context, owner, after string, limit int) (records []Record, more bool, err error)
	// All lists all records in an order of the table's own, which stays the
	// same, after that of the ID `after`, whose record may be gone; limit and
	// more as with Owned.
	All(ctx context.Context, after string, limit int) (records []Record, more bool, err error)
}

// Getter reads records as they are, not as an index may still show them.
type Getter interface {
	// Get reads the records of the IDs, which are distinct; those that do not
	// exist are absent. In no order.
	Get(ctx context.Context, ids []string) ([]Record, error)
}

// getByID reads the records of the IDs, of which each may be there more than once.
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
	// readAhead is how many IDs are read together at least: as many as one call
	// of the table takes.
	readAhead = 100
	// maxReads bounds the work for one page, should the table be full of what
	// is not shown.
	maxReads = 10
)

// A Describer shows sessions, DELETED ones until they expire. The table may
// have those for longer.
type Describer struct {
	Reader Reader
	Notes  HostNotes
	Now    func() time.Time
}

// A Query says which sessions are asked for: those that meet all of it.
type Query struct {
	// IDs are the only ones asked for, if there are any.
	IDs []string
	// Owner is whose sessions are asked for, if not empty.
	Owner string
	// HostID is the host on which they live, or are to be closed, if not empty.
	HostID string
	// Details asks for all that the table has of them, and for LastSeenAt.
	Details bool
	// Limit is the most sessions of a page, 1 or more.
	Limit int
	// After is the Next of the page before, "" for the first. With IDs it is
	// one of them.
	After string
}

// A Page is some of the sessions asked for. With fewer than the limit, even
// none, another may follow.
type Page struct {
	Sessions []Session
	// LastSeenAt, with Details, is when the newest inventory was sent that is known
	// to have had the session, by its ID; zero if none is.
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
