// Package deletion deletes sessions that somebody has seen, and follows what becomes of them.
package deletion

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"dcv-session-broker/internal/operate/api"
	"dcv-session-broker/internal/session"
)

// A Status is what is known of one session's deletion.
type Status string

const (
	NotSent      Status = "not requested"
	Open         Status = "DELETING"
	Ended        Status = "DELETED"
	Unsuccessful Status = "unsuccessful"
	// Unanswered: it was asked for, and whether it was recorded is not known.
	Unanswered Status = "unanswered"
)

// An Item is one session, as it was seen, and what became of it.
type Item struct {
	Seen    api.Session
	Status  Status
	Why     string    // of an Unsuccessful or Unanswered one; of an Open one what its record says
	CloseAt time.Time // zero without a grace period
}

// A Request says how sessions are deleted.
type Request struct {
	Grace           *time.Duration // nil leaves it to the stack
	Message, Reason string
	Force           bool
}

// entry asks for the session that was seen, and for no other that has its ID by now.
func (r Request) entry(seen api.Session) api.Entry {
	e := api.Entry{
		SessionID: seen.ID, Owner: seen.Owner, Force: r.Force, Message: r.Message, Reason: r.Reason,
		HostID: seen.HostID(), CreationTime: seen.CreationTime,
	}
	if r.Grace != nil {
		seconds := int64(*r.Grace / time.Second)
		e.GracePeriodSeconds = &seconds
	}
	return e
}

func (r Request) entries(seen []api.Session) (all []api.Entry) {
	for _, s := range seen {
		all = append(all, r.entry(s))
	}
	return all
}

// A Deleter deletes sessions through the API, in requests of at most Batch.
type Deleter struct {
	API   *api.Client
	Batch int
}

// DryRun has the outcome that the request would have for each session.
func (d *Deleter) DryRun(ctx context.Context, r Request, seen []api.Session) ([]api.Outcome, error) {
	return d.API.DeleteSessions(ctx, r.entries(seen), d.Batch, true)
}

// Start requests the deletions. There is an item for each session even where there is an error: of those that were
// requested before it.
func (d *Deleter) Start(ctx context.Context, r Request, seen []api.Session) ([]*Item, error) {
	outcomes, err := d.API.DeleteSessions(ctx, r.entries(seen), d.Batch, false)
	var items, doubtful []*Item
	for i, s := range seen {
		item := &Item{Seen: s, Status: NotSent}
		items = append(items, item)
		if i >= len(outcomes) {
			continue
		}
		o := outcomes[i]
		item.CloseAt, item.Why = o.CloseAt, o.Reason
		switch {
		case o.Accepted:
			item.Status = Open
		case o.Unknown:
			item.Status = Unanswered
			doubtful = append(doubtful, item)
		default:
			item.Status = Unsuccessful
			if o.Repeated || o.Reason == session.NotFound {
				doubtful = append(doubtful, item)
			}
		}
	}
	// Where an answer was lost, or the session is gone, its record tells more. If it cannot be read, they stay as they are.
	if now, lookErr := d.describe(ctx, doubtful); lookErr == nil {
		for _, item := range doubtful {
			s, known := now[item.Seen.ID]
			item.settle(s, known)
		}
	}
	return items, err
}

// settle says of a deletion that was not accepted, as far as is known, what its record tells.
func (item *Item) settle(now api.Session, known bool) {
	switch {
	case !known:
	case now.State == session.Deleted && now.Owner == item.Seen.Owner:
		item.Status, item.Why = Ended, ""
	case replaced(item.Seen, now):
		item.Status = Unsuccessful
		item.Why = fmt.Sprintf("another session has its ID now, of %s, created at %s; that one was not deleted", now.Owner, now.CreationTime)
	case (now.State == session.Deleting || now.Waits()) && item.Status == Unanswered:
		// This request's, or another's: it is being deleted.
		item.Status, item.Why, item.CloseAt = Open, now.StateReason, api.Time(now.CloseAt)
	}
}

// Look brings the open items to what their records say.
func (d *Deleter) Look(ctx context.Context, items []*Item) error {
	var open []*Item
	for _, item := range items {
		if item.Status == Open {
			open = append(open, item)
		}
	}
	now, err := d.describe(ctx, open)
	if err != nil {
		return fmt.Errorf("see how the deletions go, which go on: %w", err)
	}
	for _, item := range open {
		s, known := now[item.Seen.ID]
		item.follow(s, known)
	}
	return nil
}

// follow says what becomes of a deletion that was accepted.
func (item *Item) follow(now api.Session, known bool) {
	switch {
	case !known:
		item.Status, item.Why = Unsuccessful, "it has no record any more, and was never seen to end"
	case now.State == session.Deleted, replaced(item.Seen, now): // it had to end before another could be listed
		item.Status, item.Why = Ended, ""
	case now.State == session.Deleting, now.Waits():
		item.Why, item.CloseAt = now.StateReason, api.Time(now.CloseAt)
	case now.State == session.Unknown:
		item.Status, item.Why = Unsuccessful, cmp.Or(now.StateReason, "its host is silent")+" (UNKNOWN)"
	default:
		item.Status, item.Why = Unsuccessful, fmt.Sprintf("it is %s again: its deletion was cancelled, or, forced, did not reach its host", now.State)
	}
}

// replaced tells whether the record is of another session than the one that was seen. Where one of the two times has no
// decimals, hosts compare them to the second.
func replaced(seen, now api.Session) bool {
	if seen.HostID() != "" && now.HostID() != "" && seen.HostID() != now.HostID() {
		return true
	}
	before, after := api.Time(seen.CreationTime), api.Time(now.CreationTime)
	return !before.IsZero() && !after.IsZero() && before.Unix() != after.Unix()
}

func (d *Deleter) describe(ctx context.Context, items []*Item) (map[string]api.Session, error) {
	if len(items) == 0 {
		return nil, nil
	}
	var ids []string
	for _, item := range items {
		ids = append(ids, item.Seen.ID)
	}
	all, err := d.API.DescribeSessions(ctx, api.Query{IDs: ids})
	if err != nil {
		return nil, err
	}
	byID := map[string]api.Session{}
	for _, s := range all {
		byID[s.ID] = s
	}
	return byID, nil
}

// Count is how many items have one of the statuses.
func Count(items []*Item, statuses ...Status) (n int) {
	for _, item := range items {
		if slices.Contains(statuses, item.Status) {
			n++
		}
	}
	return n
}

// LatestClose is when the last of the open items is closed; the zero time if all are being closed.
func LatestClose(items []*Item) (latest time.Time) {
	for _, item := range items {
		if item.Status == Open && item.CloseAt.After(latest) {
			latest = item.CloseAt
		}
	}
	return latest
}
