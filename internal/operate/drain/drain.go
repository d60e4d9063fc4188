// Package drain deletes all sessions of a host, also those that start meanwhile, until the host reports that none runs.
package drain

import (
	"context"
	"fmt"
	"time"

	"dcv-session-broker/internal/operate/api"
	"dcv-session-broker/internal/operate/deletion"
	"dcv-session-broker/internal/session"
)

// A Drain empties one host.
type Drain struct {
	Host     string
	Deleter  *deletion.Deleter
	Request  deletion.Request
	Notes    session.HostNotes
	Progress *deletion.Progress
	// Timeout counts from the start, or from the latest close time of the first deletions. Sessions that start later do
	// not prolong it.
	Timeout time.Duration
	// Pause is the wait between two looks.
	Pause time.Duration
	Now   func() time.Time

	items []*deletion.Item
	asked map[incarnation]bool
	// emptySince is the time since which no session was seen on the host, by the broker's clock, which inventories are
	// stamped with. It is zero while there is one.
	emptySince time.Time
}

// An incarnation is one session under an ID, which a newer session may take.
type incarnation struct{ id, created string }

// Run deletes the sessions that were shown, and then every other one on the host, until the host's newest inventory is
// complete, has no session, and was sent after the last one ended. timedOut is true if the time-out passed. failed is how
// many deletions were unsuccessful; Run ends after a failure.
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
			return 0, false, fmt.Errorf("list the sessions of %s, whose deletions go on: %w", d.Host, err)
		}
		d.leave(seen)
		open := deletion.Count(d.items, deletion.Open)
		if d.emptySince.IsZero() || before != open {
			d.Progress.Show(d.items)
		}
		failed := deletion.Count(d.items, deletion.Unsuccessful, deletion.Unanswered)
		if failed > 0 && open == 0 {
			return failed, false, nil
		}
		switch {
		case open > 0 || len(seen) > 0:
			d.emptySince = time.Time{}
		case d.emptySince.IsZero():
			if d.emptySince, err = d.Deleter.API.Answered(); err != nil {
				return 0, false, err
			}
		}
		if !d.emptySince.IsZero() {
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

// Listed tells whether the last look found a session on the host.
func (d *Drain) Listed() bool { return d.emptySince.IsZero() }

// leave counts a session as ended that could not be deleted because it was gone or replaced.
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

// request deletes the sessions that are new.
func (d *Drain) request(ctx context.Context, seen []api.Session) error {
	var fresh []api.Session
	for _, s := range seen {
		one := incarnation{s.ID, s.CreationTime}
		if s.State != session.Deleted && !d.asked[one] { // a session that was removed by force is still being closed
			d.asked[one] = true
			fresh = append(fresh, s)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if len(d.items) > 0 {
		for _, s := range fresh {
			d.Progress.Say(fmt.Sprintf("%s started meanwhile: it is deleted, too", s.ID))
		}
	}
	items, err := d.Deleter.Start(ctx, d.Request, fresh)
	d.items = append(d.items, items...)
	return err
}

// empty tells whether an inventory sent after the last session ended is complete and has no session.
func (d *Drain) empty(ctx context.Context) (bool, error) {
	notes, err := d.Notes.Notes(ctx, []string{d.Host})
	if err != nil {
		return false, fmt.Errorf("read the inventories of %s: %w", d.Host, err)
	}
	note := notes[d.Host]
	if note.SentAt.After(d.emptySince) && !note.EmptySince.IsZero() {
		return true, nil
	}
	line := "no session is listed; waiting for a complete inventory sent after " + d.emptySince.Local().Format(time.TimeOnly)
	switch {
	case !note.SentAt.After(d.emptySince):
	case note.CompleteAt.Before(note.SentAt):
		line += ". The one of " + note.SentAt.Local().Format(time.TimeOnly) + " was not complete"
	default:
		line += ". The one of " + note.SentAt.Local().Format(time.TimeOnly) + " has sessions that are not listed yet, or cannot be"
	}
	d.Progress.Line(line)
	return false, nil
}
