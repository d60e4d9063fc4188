package page

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// A frame is one event of the stream.
type frame struct {
	Epoch   string         // a new one means that the server was started again
	Whole   bool           `json:",omitempty"` // the page must drop what it has
	More    bool           `json:",omitempty"` // another frame follows immediately
	Version uint64         // the page's version after this frame
	Now     time.Time      // the broker's clock
	KnownAt time.Time      // when the source last answered
	Problem string         `json:",omitempty"` // why it has failed since
	LeftOut map[string]int `json:",omitempty"` // the number of items beyond the bound, by kind
	Items   []*stamped
}

// heartbeat is the longest time between two frames.
const heartbeat = 5 * time.Second

// writeTimeout is how long a page may take to read a frame.
const writeTimeout = 10 * time.Second

// Stream sends the feed as server-sent events: first all items, in frames of at most
// 500, then the changes. It closes the connection of a page that has not read a frame
// within writeTimeout; the page reconnects.
func (f *Feed) Stream(w http.ResponseWriter, r *http.Request) {
	if err := f.enter(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer f.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	out := http.NewResponseController(w)
	var has place
	for {
		f.mu.Lock()
		poke, closed := f.poke, f.closed
		f.mu.Unlock()
		if closed {
			return
		}
		f.collect(r.Context())
		for more := true; more; {
			next := f.after(&has)
			more = next.More
			_ = out.SetWriteDeadline(time.Now().Add(writeTimeout)) // a server without deadlines has another bound
			data, err := json.Marshal(next)
			if err != nil {
				return
			}
			if _, err := fmt.Fprintf(w, "event: frame\ndata: %s\n\n", data); err != nil {
				return
			}
			if err := out.Flush(); err != nil {
				return
			}
		}
		select {
		case <-r.Context().Done():
			return
		case <-poke:
		case <-time.After(min(f.every, heartbeat)):
		}
		if !sleep(r, min(f.pause(), heartbeat)) {
			return
		}
	}
}

// pause returns the time until the source is read next.
func (f *Feed) pause() time.Duration {
	f.mu.Lock()
	dirty := f.dirty
	f.mu.Unlock()
	if !dirty {
		return 0
	}
	f.collecting.Lock()
	defer f.collecting.Unlock()
	return f.rest() - time.Since(f.collected)
}

// sleep waits, and tells whether the reader is still connected.
func sleep(r *http.Request, d time.Duration) bool {
	select {
	case <-r.Context().Done():
		return false
	case <-time.After(d):
		return true
	}
}

// place is a page's position in the feed.
type place struct {
	version uint64 // the page's version
	whole   uint64 // the version at which it was last told to begin again
}

// after returns the changes that a page lacks, the oldest first, as many as fit in one frame.
func (f *Feed) after(has *place) frame {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := frame{
		Epoch: f.epoch, Version: f.version, Now: f.now(), KnownAt: f.knownAt, Problem: f.problem, LeftOut: f.leftOut, Items: []*stamped{},
	}
	// Items that were removed before the page began again do not matter.
	if next.Whole = has.version == 0 || f.forgotten > max(has.version, has.whole); next.Whole {
		*has = place{0, f.version}
	}
	e := f.order.Back()
	for e != nil && e.Value.(*stamped).version > has.version {
		e = e.Prev()
	}
	if e == nil {
		e = f.order.Front()
	} else {
		e = e.Next()
	}
	for ; e != nil; e = e.Next() {
		if len(next.Items) == itemsAFrame {
			next.More, next.Version = true, next.Items[itemsAFrame-1].version
			break
		}
		next.Items = append(next.Items, e.Value.(*stamped))
	}
	has.version = next.Version
	return next
}
