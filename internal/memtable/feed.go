package memtable

import (
	"context"
	"fmt"
	"time"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/streamevent"
)

// A Change is what happened to one record. Its records are not to be changed.
type Change struct {
	// Sequence sorts as text, in the order of the changes.
	Sequence  string
	EventName string // streamevent.Insert, Modify or Remove
	Expired   bool   // removed by Sweep
	Old, New  session.Record
}

// A Feed gives the changes of a table one by one, each to each feed. All are in
// one order, so those of one record are too.
//
// The feed is a list of which every Feed holds its own place. So writers never
// wait for readers, nothing is lost however slow a reader is, and what all have
// read is left to the garbage collector. One Feed is for one goroutine.
type Feed struct{ next *entry }

type entry struct {
	filled chan struct{} // closed once change and next are there
	change Change
	next   *entry
}

func newEntry() *entry { return &entry{filled: make(chan struct{})} }

// Feed gives all changes from now on.
func (t *Table) Feed() *Feed {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &Feed{next: t.last}
}

// note adds a change to the feed, with the lock held.
func (t *Table) note(c Change) {
	t.changes++
	// DynamoDB's are decimal numbers of 21 digits or more.
	c.Sequence = fmt.Sprintf("1%020d", t.changes)
	filled := t.last
	filled.change, filled.next = c, newEntry()
	t.last = filled.next
	close(filled.filled)
}

// Next waits for the next change. Its error is the context's.
func (f *Feed) Next(ctx context.Context) (Change, error) {
	select {
	case <-f.next.filled:
		return f.take(), nil
	default:
	}
	select {
	case <-f.next.filled:
		return f.take(), nil
	case <-ctx.Done():
		return Change{}, ctx.Err()
	}
}

// Ready is the changes that are there already.
func (f *Feed) Ready() []Change {
	var ready []Change
	for {
		select {
		case <-f.next.filled:
			ready = append(ready, f.take())
		default:
			return ready
		}
	}
}

func (f *Feed) take() Change {
	c := f.next.change
	f.next = f.next.next
	return c
}

// Event is the change as Lambda shows it, of the stream with that ARN.
func (c Change) Event(at time.Time, streamARN string) streamevent.Record {
	one := c.New
	if one == nil {
		one = c.Old
	}
	event := streamevent.New(c.EventName, streamARN, streamevent.Data{
		ApproximateCreationDateTime: float64(at.Unix()),
		Keys:                        streamevent.ItemOf(session.Record{session.AttrSessionID: one[session.AttrSessionID]}),
		NewImage:                    streamevent.ItemOf(c.New),
		OldImage:                    streamevent.ItemOf(c.Old),
		SequenceNumber:              c.Sequence,
		StreamViewType:              "NEW_AND_OLD_IMAGES",
	})
	if c.Expired {
		event.UserIdentity = streamevent.TimeToLive()
	}
	return event
}
