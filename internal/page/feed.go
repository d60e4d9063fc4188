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
	maxItems    = 5000 // of one kind: what is beyond is left out, and counted
	maxRemoved  = 2000 // that are still remembered: who is behind those begins again
	maxReaders  = 20
	itemsAFrame = 500
)

// An Item is something on the page: a session, a host, what the page is about.
type Item struct {
	Kind, ID string
	Value    any // has a JSON form
}

// About is the item of the kind "about", which has no ID: what a page has to know of
// its server.
type About struct {
	Local      bool     // hosts are simulated, and the control API makes them fail
	Broker     string   // whose sessions these are, for people
	NeedsToken bool     // the API wants one
	Explains   bool     // sessions' stories are told at length
	Missing    string   `json:",omitempty"` // what cannot be shown, and why
	Address    string   `json:",omitempty"` // of the API, if it is not the page's server
	Arguments  []string `json:",omitempty"` // with which dcvbroker finds the broker, if it is not --url of the page's server
}

// A Source says what there is, the most important items of a kind first.
type Source func(context.Context) ([]Item, error)

// A Feed tells pages what there is, and what has changed since. It keeps no queue
// for a page: it knows when each item last changed, and a page is told what has
// changed since the version that it has. So a page that reads slowly misses what
// came between and costs nothing.
type Feed struct {
	source     Source
	gap, every time.Duration
	epoch      string
	now        func() time.Time

	collecting sync.Mutex // held while the source is asked
	collected  time.Time  // when it was last asked, whatever it said
	took       time.Duration

	mu        sync.Mutex
	version   uint64
	items     map[[2]string]*list.Element // of *stamped
	order     *list.List                  // of *stamped, the latest change last
	removed   int                         // of order, how many are of items that are gone
	forgotten uint64                      // the version of the latest of those that is not in order any more
	leftOut   map[string]int              // by kind
	knownAt   time.Time                   // when the source last answered
	problem   string                      // why it has not since
	readers   int
	poke      chan struct{} // closed when there may be something new
	dirty     bool          // there may be
	closed    bool
}

// stamped is an item, or, without a value, that it is gone.
type stamped struct {
	Kind    string
	ID      string
	Value   json.RawMessage `json:",omitempty"`
	version uint64
	seen    uint64 // the collection that had it last
}

// NewFeed makes a feed whose epoch tells it from those of other starts. While
// somebody reads, the source is asked after each Poke and otherwise every so often,
// never more often than the gap says, nor for more than a third of the time.
func NewFeed(epoch string, gap, every time.Duration, now func() time.Time, source Source) *Feed {
	return &Feed{
		source: source, gap: gap, every: every, epoch: epoch, now: now,
		items: map[[2]string]*list.Element{}, order: list.New(), poke: make(chan struct{}),
	}
}

// Poke says that there may be something new.
func (f *Feed) Poke() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dirty = true
	if f.readers > 0 && !f.closed {
		close(f.poke)
		f.poke = make(chan struct{})
	}
}

// Close ends what is read. A server waits for its readers when it ends.
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

// collect asks the source, if its time has come. Several readers share an answer.
func (f *Feed) collect(ctx context.Context) {
	f.collecting.Lock()
	defer f.collecting.Unlock()
	f.mu.Lock()
	dirty := f.dirty
	f.dirty = false // what comes now may be missed
	f.mu.Unlock()
	since := time.Since(f.collected)
	if since < f.rest() || !dirty && since < f.every {
		f.again(dirty)
		return
	}
	began := time.Now()
	items, err := f.source(ctx)
	if ctx.Err() != nil {
		f.again(true) // the reader has gone: the next one asks
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

// again leaves a poke to the next collection.
func (f *Feed) again(dirty bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dirty = f.dirty || dirty
}

// rest is how long the source is left alone after it was asked.
func (f *Feed) rest() time.Duration { return max(f.gap, 2*f.took) }

// take makes the feed what the source says.
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
			value = []byte(`null`) // as far as the page goes, it is not there
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

// set notes what an item is, or, with nil, that it is gone.
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
