package page

import (
	"bytes"
	"container/list"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// The bounds of a Feed.
const (
	maxItems    = 5000 // of one kind: further items are only counted
	maxRemoved  = 2000 // removed items that are remembered: a page with an older version begins again
	maxReaders  = 20
	itemsAFrame = 500
)

// An Item is a session, a host, or the description of the system.
type Item struct {
	Kind, ID string
	Value    any // has a JSON form
}

// About is the item of the kind "about", which has no ID: it describes the system to
// the page.
type About struct {
	Local      bool     // hosts are simulated, and the control API makes them fail
	Broker     string   // the broker's name for people
	NeedsToken bool     // the API requires a token
	Explains   bool     // the server can explain a session's story
	Missing    string   `json:",omitempty"` // what cannot be shown, and why
	Address    string   `json:",omitempty"` // the API's, if it is not the page's server
	Arguments  []string `json:",omitempty"` // the flags by which dcvbroker finds the broker, if not --url of the page's server
}

// A Source returns all items, the most important of a kind first.
type Source func(context.Context) ([]Item, error)

// A Feed sends items and their changes to pages. It keeps no queue for a page: it knows
// the version of each item's last change, and sends a page the items that changed after
// the page's version. So a page that reads slowly misses intermediate changes and costs
// nothing.
type Feed struct {
	source     Source
	gap, every time.Duration
	epoch      string
	now        func() time.Time

	collecting sync.Mutex // held while the source is read
	collected  time.Time  // when it was last read, also if it failed
	took       time.Duration

	mu        sync.Mutex
	version   uint64
	items     map[[2]string]*list.Element // of *stamped
	order     *list.List                  // of *stamped, the latest change last
	removed   int                         // how many entries of order are removed items
	forgotten uint64                      // the version of the newest removed item that is no longer in order
	leftOut   map[string]int              // by kind
	knownAt   time.Time                   // when the source last answered
	problem   string                      // why it has failed since
	readers   int
	poke      chan struct{} // closed when there may be changes
	dirty     bool          // there may be changes
	closed    bool
}

// stamped is an item with its version; without a value the item is removed.
type stamped struct {
	Kind    string
	ID      string
	Value   json.RawMessage `json:",omitempty"`
	version uint64
	seen    uint64 // the last collection that had it
}

// NewFeed makes a feed. Its epoch distinguishes it from those of other starts. While a
// page is open, it reads the source after each Poke and at the interval every, but at
// most once in each gap, and for at most a third of the time.
func NewFeed(epoch string, gap, every time.Duration, now func() time.Time, source Source) *Feed {
	return &Feed{
		source: source, gap: gap, every: every, epoch: epoch, now: now,
		items: map[[2]string]*list.Element{}, order: list.New(), poke: make(chan struct{}),
	}
}

// Poke says that there may be changes.
func (f *Feed) Poke() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dirty = true
	if f.readers > 0 && !f.closed {
		close(f.poke)
		f.poke = make(chan struct{})
	}
}

// Close ends all streams, for which a server's Shutdown would wait.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		close(f.poke)
	}
}

var (
	errTooManyReaders = errors.New("too many pages are open")
	errClosed         = errors.New("the server ends")
)

func (f *Feed) enter() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return errClosed
	case f.readers >= maxReaders:
		return errTooManyReaders
	}
	f.readers++
	return nil
}

func (f *Feed) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers--
}

// collect reads the source if it is time. Several readers share the result.
func (f *Feed) collect(ctx context.Context) {
	f.collecting.Lock()
	defer f.collecting.Unlock()
	f.mu.Lock()
	dirty := f.dirty
	f.dirty = false // a later change may be missed
	f.mu.Unlock()
	since := time.Since(f.collected)
	if since < f.rest() || !dirty && since < f.every {
		f.again(dirty)
		return
	}
	began := time.Now()
	items, err := f.source(ctx)
	if ctx.Err() != nil {
		f.again(true) // the reader has gone: the next one reads
		return
	}
	f.collected, f.took = time.Now(), time.Since(began)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.problem = err.Error()
		return
	}
	f.problem, f.knownAt = "", f.now()
	f.take(items)
}

// again keeps a poke for the next collection.
func (f *Feed) again(dirty bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dirty = f.dirty || dirty
}

// rest returns the pause after a read of the source.
func (f *Feed) rest() time.Duration { return max(f.gap, 2*f.took) }

// take updates the feed to the source's items.
func (f *Feed) take(items []Item) {
	f.leftOut = map[string]int{}
	of := map[string]int{}
	f.version++
	collection := f.version
	for _, item := range items {
		if of[item.Kind]++; of[item.Kind] > maxItems {
			f.leftOut[item.Kind]++
			continue
		}
		value, err := json.Marshal(item.Value)
		if err != nil {
			value = []byte(`null`) // the page does not show it
		}
		f.set(item.Kind, item.ID, value, collection)
	}
	var gone []*stamped
	for e := f.order.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*stamped); s.Value != nil && s.seen != collection {
			gone = append(gone, s)
		}
	}
	for _, s := range gone {
		f.set(s.Kind, s.ID, nil, collection)
	}
	for e := f.order.Front(); e != nil && f.removed > maxRemoved; {
		next := e.Next()
		if s := e.Value.(*stamped); s.Value == nil {
			f.forgotten = s.version
			f.order.Remove(e)
			delete(f.items, [2]string{s.Kind, s.ID})
			f.removed--
		}
		e = next
	}
}

// set sets an item's value, or, with nil, removes it.
func (f *Feed) set(kind, id string, value []byte, collection uint64) {
	key := [2]string{kind, id}
	if e := f.items[key]; e != nil {
		s := e.Value.(*stamped)
		s.seen = collection
		if bytes.Equal(s.Value, value) {
			return
		}
		f.order.Remove(e)
		if s.Value == nil {
			f.removed--
		}
	}
	if value == nil {
		f.removed++
	}
	f.version++
	f.items[key] = f.order.PushBack(&stamped{kind, id, value, f.version, collection})
}
