package memtable

import (
	"context"
	"fmt"
	"time"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/streamevent"
)

// A Change is one change of a record. Its records must not be modified.
type Change struct {
	// Sequence sorts as text, in the order of the changes.
	Sequence  string
	EventName string // streamevent.Insert, Modify or Remove
	Expired   bool   // removed by Sweep
	Old, New  session.Record
}

// A Feed returns the changes of a table one by one. Each Feed returns all of them, in
// the same order.
//
// The changes are a list, in which every Feed has its own position. So writers never
// wait for readers, a slow reader loses nothing, and the garbage collector removes what
// all have read. One Feed is for one goroutine.
type Feed struct{ next *entry }

type entry struct {
	filled chan struct{} // closed when change and next are set
	change Change
	next   *entry
}

func newEntry() *entry { return &entry{filled: make(chan struct{})} }

// Feed returns a feed of all changes from now on.
func (t *Table) Feed() *Feed {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &Feed{next: t.last}
}

// note adds a change to the feed. The lock must be held.
func (t *Table) note(c Change) {
	t.changes++
	// DynamoDB's are decimal numbers of 21 digits or more.
	c.Sequence = fmt.Sprintf("1%020d", t.changes)
	filled := t.last
	filled.change, filled.next = c, newEntry()
	t.last = filled.next
	close(filled.filled)
}

// Next waits for the next change. The only error is the context's.
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

// Ready returns the changes that Next would return without waiting.
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

// Event returns the change in the form of Lambda's event, for the stream with that ARN.
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
