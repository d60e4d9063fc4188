// Package deletion deletes sessions that were shown to a user, and follows their deletions to the end.
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

// A Status says how far one session's deletion is.
type Status string

const (
	NotSent      Status = "not requested"
	Open         Status = "DELETING"
	Ended        Status = "DELETED"
	Unsuccessful Status = "unsuccessful"
	// Unanswered: the request had no answer, so it is not known whether the deletion was recorded.
	Unanswered Status = "unanswered"
)

// An Item is one session as it was shown, and the state of its deletion.
type Item struct {
	Seen    api.Session
	Status  Status
	Why     string    // why it is Unsuccessful or Unanswered; the StateReason of an Open one
	CloseAt time.Time // zero without a grace period
}

// A Request says how sessions are deleted.
type Request struct {
	Grace           *time.Duration // nil leaves it to the stack
	Message, Reason string
	Force           bool
}

// entry asks for the session that was shown, not for a newer one with its ID.
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

// DryRun returns the outcome that the request would have for each session.
func (d *Deleter) DryRun(ctx context.Context, r Request, seen []api.Session) ([]api.Outcome, error) {
	return d.API.DeleteSessions(ctx, r.entries(seen), d.Batch, true)
}

// Start requests the deletions. It returns an item for each session, on an error too: then sessions that were not
// requested are NotSent.
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
			if o.Repeated || o.Reason == session.NotFound || session.OtherSession(o.Reason) {
				doubtful = append(doubtful, item)
			}
		}
	}
	// Where an answer was lost, or the session is gone, the record says more. If it cannot be read, the items stay
	// unchanged.
	if now, lookErr := d.describe(ctx, doubtful); lookErr == nil {
		for _, item := range doubtful {
			s, known := now[item.Seen.ID]
			item.settle(s, known)
		}
	}
	return items, err
}

// settle takes the status of a deletion that was not accepted from the session's record, if there is one.
func (item *Item) settle(now api.Session, known bool) {
	switch {
	case !known:
	case now.State == session.Deleted && now.Owner == item.Seen.Owner:
		item.Status, item.Why = Ended, ""
	case replaced(item.Seen, now):
		item.Status = Unsuccessful
		item.Why = fmt.Sprintf("another session has its ID now, of %s, created at %s; that one was not deleted", now.Owner, now.CreationTime)
	case (now.State == session.Deleting || now.Waits()) && item.Status == Unanswered:
		// It is being deleted, by this request or another.
		item.Status, item.Why, item.CloseAt = Open, now.StateReason, api.Time(now.CloseAt)
	}
}

// Look updates the open items from their records.
func (d *Deleter) Look(ctx context.Context, items []*Item) error {
	var open []*Item
	for _, item := range items {
		if item.Status == Open {
			open = append(open, item)
		}
	}
	now, err := d.describe(ctx, open)
	if err != nil {
		return fmt.Errorf("read the state of the deletions, which go on: %w", err)
	}
	for _, item := range open {
		s, known := now[item.Seen.ID]
		item.follow(s, known)
	}
	return nil
}

// follow takes the status of a deletion that was accepted from the session's record.
func (item *Item) follow(now api.Session, known bool) {
	switch {
	case !known:
		item.Status, item.Why = Unsuccessful, "its record is gone, and its end was not seen"
	case now.State == session.Deleted, replaced(item.Seen, now): // the old one ended before the new one was listed
		item.Status, item.Why = Ended, ""
	case now.State == session.Deleting, now.Waits():
		item.Why, item.CloseAt = now.StateReason, api.Time(now.CloseAt)
	case now.State == session.Unknown:
		item.Status, item.Why = Unsuccessful, cmp.Or(now.StateReason, "its host is silent")+" (UNKNOWN)"
	default:
		item.Status, item.Why = Unsuccessful, fmt.Sprintf("it is %s again: its deletion was cancelled, or, forced, did not reach its host", now.State)
	}
}

// replaced tells whether the record is of another session than the one that was shown. If one of the two times has no
// decimals, they are compared to the second, as hosts do.
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

// Count returns how many items have one of the statuses.
func Count(items []*Item, statuses ...Status) (n int) {
	for _, item := range items {
		if slices.Contains(statuses, item.Status) {
			n++
		}
	}
	return n
}

// LatestClose returns the latest close time of the open items, or the zero time if all are being closed.
func LatestClose(items []*Item) (latest time.Time) {
	for _, item := range items {
		if item.Status == Open && item.CloseAt.After(latest) {
			latest = item.CloseAt
		}
	}
	return latest
}
