// Package drain ends all that runs on a host, and what comes up there meanwhile, until the host itself says that nothing does.
package drain

import (
	"context"
	"fmt"
	"time"

	"dcv-session-broker/internal/operate/api"
	"dcv-session-broker/internal/operate/deletion"
	"dcv-session-broker/internal/session"
)

// A Drain is of one host.
type Drain struct {
	Host     string
	Deleter  *deletion.Deleter
	Request  deletion.Request
	Notes    session.HostNotes
	Progress *deletion.Progress
	// Timeout counts from the start, or from the latest close time of what is deleted first. What comes up later does not prolong it.
	Timeout time.Duration
	// Pause is between two looks.
	Pause time.Duration
	Now   func() time.Time
	// Clock has the broker's clock, by which inventories are sent; nil if the API's answers tell it.
	Clock func(context.Context) (now func() time.Time, err error)

	items []*deletion.Item
	asked map[incarnation]bool
	// quiet is since when nothing has lived on the host, as far as was seen, by the broker's clock; zero while something does.
	quiet time.Time
}

// An incarnation is a session as it was seen: another one may take its ID.
type incarnation struct{ id, created string }

// Run deletes what was seen, and then whatever lives on the host, until the newest inventory of the host is complete, has no
// session, and was sent after the last one ended. timedOut is true if that takes too long, and failed how many deletions
// were unsuccessful, after which it does not go on.
func (d *Drain) Run(ctx context.Context, seen []api.Session) (failed int, timedOut bool, err error) {
	defer d.Progress.Finish()
	d.asked = map[incarnation]bool{}
	from := d.Now() // when the time-out begins
	var first []*deletion.Item
	for {
		before := deletion.Count(d.items, deletion.Open)
		if err := d.request(ctx, seen); err != nil {
			return 0, false, err
		}
		if first == nil {
			first = d.items
		}
		if err := d.Deleter.Look(ctx, d.items); err != nil {
			return 0, false, err
		}
		if seen, err = d.Deleter.API.DescribeSessions(ctx, api.Query{Host: d.Host}); err != nil {
			return 0, false, fmt.Errorf("see what lives on %s, whose deletions go on: %w", d.Host, err)
		}
		d.leave(seen)
		open := deletion.Count(d.items, deletion.Open)
		if d.quiet.IsZero() || before != open {
			d.Progress.Show(d.items)
		}
		failed := deletion.Count(d.items, deletion.Unsuccessful, deletion.Unanswered)
		if failed > 0 && open == 0 {
			return failed, false, nil
		}
		switch {
		case open > 0 || len(seen) > 0:
			d.quiet = time.Time{}
		case d.quiet.IsZero():
			if d.quiet, err = d.brokersTime(ctx); err != nil {
				return 0, false, err
			}
		}
		if !d.quiet.IsZero() {
			empty, err := d.empty(ctx)
			if empty || err != nil {
				return 0, false, err
			}
		}
		from = deletion.Later(from, deletion.LatestClose(first))
		if d.Now().After(from.Add(d.Timeout)) {
			d.Progress.StillOpen(d.items)
			return failed, true, nil
		}
		if err := deletion.Sleep(ctx, d.Pause); err != nil {
			return 0, false, err
		}
	}
}

func (d *Drain) brokersTime(ctx context.Context) (time.Time, error) {
	if d.Clock == nil {
		return d.Deleter.API.Answered()
	}
	now, err := d.Clock(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the broker's clock: %w", err)
	}
	return now(), nil
}

// leave counts as ended what could not be deleted since it was gone: from the host, or replaced by another session of its ID.
func (d *Drain) leave(seen []api.Session) {
	live := map[incarnation]bool{}
	for _, s := range seen {
		live[incarnation{s.ID, s.CreationTime}] = true
	}
	for _, item := range d.items {
		failed := item.Status == deletion.Unsuccessful || item.Status == deletion.Unanswered
		if failed && !live[incarnation{item.Seen.ID, item.Seen.CreationTime}] {
			item.Status, item.Why = deletion.Ended, ""
		}
	}
}

// request deletes what is new.
func (d *Drain) request(ctx context.Context, seen []api.Session) error {
	var fresh []api.Session
	for _, s := range seen {
		one := incarnation{s.ID, s.CreationTime}
		if s.State != session.Deleted && !d.asked[one] { // one that was removed by force is still being closed
			d.asked[one] = true
			fresh = append(fresh, s)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if len(d.items) > 0 {
		for _, s := range fresh {
			d.Progress.Say(fmt.Sprintf("%s came up meanwhile: it is deleted, too", s.ID))
		}
	}
	items, err := d.Deleter.Start(ctx, d.Request, fresh)
	d.items = append(d.items, items...)
	return err
}

// empty tells whether the host has said that nothing runs on it, since nothing lives there.
func (d *Drain) empty(ctx context.Context) (bool, error) {
	notes, err := d.Notes.Notes(ctx, []string{d.Host})
	if err != nil {
		return false, fmt.Errorf("read what inventories say of %s: %w", d.Host, err)
	}
	note := notes[d.Host]
	if note.SentAt.After(d.quiet) && !note.EmptySince.IsZero() {
		return true, nil
	}
	line := "nothing lives there; waiting for a complete inventory sent after " + d.quiet.Format(time.TimeOnly)
	switch {
	case !note.SentAt.After(d.quiet):
	case note.CompleteAt.Before(note.SentAt):
		line += ". The one of " + note.SentAt.Local().Format(time.TimeOnly) + " was not complete"
	default:
		line += ". The one of " + note.SentAt.Local().Format(time.TimeOnly) + " has sessions that are not listed yet, or cannot be"
	}
	d.Progress.Line(line)
	return false, nil
}
