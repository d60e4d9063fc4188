package page

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// A frame is one event of the stream.
type frame struct {
	Epoch   string         // another one: the server was started again
	Whole   bool           `json:",omitempty"` // what the page has is to be forgotten
	More    bool           `json:",omitempty"` // another frame follows now
	Version uint64         // what the page has with this frame
	Now     time.Time      // the broker's clock
	KnownAt time.Time      // when the source last answered
	Problem string         `json:",omitempty"` // why it has not since
	LeftOut map[string]int `json:",omitempty"` // by kind, what is beyond the bound
	Items   []*stamped
}

// heartbeat is how often a page is told that the server is there, at least.
const heartbeat = 5 * time.Second

// writeWithin is how long a page may take to read a frame.
const writeWithin = 10 * time.Second

// Stream is the feed as server-sent events: the whole in frames of at most 500
// items, then what changes. A page that has not read a frame in ten seconds is cut
// off, and comes back.
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
			_ = out.SetWriteDeadline(time.Now().Add(writeWithin)) // a server without deadlines has its own bound
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

// pause is how long the source is still to be left alone, if it is to be asked.
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

// sleep tells whether the reader is still there after that time.
func sleep(r *http.Request, d time.Duration) bool {
	select {
	case <-r.Context().Done():
		return false
	case <-time.After(d):
		return true
	}
}

// place is how far a page is.
type place struct {
	version uint64 // what it has
	whole   uint64 // the version at which it was last told to begin again
}

// after is what a page lacks, the oldest changes first, as much as one frame holds.
func (f *Feed) after(has *place) frame {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := frame{
		Epoch: f.epoch, Version: f.version, Now: f.now(), KnownAt: f.knownAt, Problem: f.problem, LeftOut: f.leftOut, Items: []*stamped{},
	}
	// What went before a page began again, it never had.
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
