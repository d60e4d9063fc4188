package page

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// A world is a feed's source.
type world struct {
	mu    sync.Mutex
	items []Item
	err   error
	asked int
}

func (w *world) source(context.Context) ([]Item, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	return w.items, w.err
}

func sessions(n int, value string) (items []Item) {
	for i := range n {
		items = append(items, Item{"session", fmt.Sprint("s", i), value})
	}
	return items
}

func newFeed(items ...Item) (*Feed, *world) {
	w := &world{items: items}
	return NewFeed("first", 0, time.Hour, time.Now, w.source), w
}

// look makes the feed read its source.
func look(f *Feed) {
	f.took = 0 // otherwise the feed would pause on a slow machine
	f.Poke()
	f.collect(context.Background())
}

// told looks, and returns the frames that a page then gets; held is the page's state.
func told(f *Feed, has *place, held map[string]string) (frames []frame) {
	look(f)
	for {
		next := f.after(has)
		if next.Whole {
			clear(held)
		}
		for _, item := range next.Items {
			if item.Value == nil {
				delete(held, item.ID)
			} else {
				held[item.ID] = string(item.Value)
			}
		}
		if frames = append(frames, next); !next.More {
			return frames
		}
	}
}

func TestAPageGetsTheChanges(t *testing.T) {
	f, w := newFeed(sessions(3, "READY")...)
	held, has := map[string]string{}, place{}
	if got := told(f, &has, held); len(got) != 1 || !got[0].Whole || len(held) != 3 {
		t.Fatalf("at first: %+v", got)
	}
	w.items = append(sessions(2, "READY"), Item{"host", "h", "running"})
	w.items[0].Value = "DELETING"
	got := told(f, &has, held)
	if len(got) != 1 || got[0].Whole || len(got[0].Items) != 3 || fmt.Sprint(held) != `map[h:"running" s0:"DELETING" s1:"READY"]` {
		t.Errorf("after a change, one more and one less: %+v, %v", got, held)
	}
	if got := told(f, &has, held); len(got[0].Items) != 0 {
		t.Errorf("nothing has changed: %+v", got)
	}
}

// Snapshots come in parts, and a page that lags behind gets fewer frames, not more.
func TestFramesAreBounded(t *testing.T) {
	f, w := newFeed(sessions(maxItems+7, "READY")...)
	held, has := map[string]string{}, place{}
	got := told(f, &has, held)
	if len(held) != maxItems || got[0].LeftOut["session"] != 7 {
		t.Errorf("%d items, %v left out", len(held), got[0].LeftOut)
	}
	for round := range 20 { // 20 changes of each item, of which the page sees one
		w.items = sessions(600, fmt.Sprint("round ", round))
		look(f)
	}
	got = append(got, told(f, &has, held)...)
	for _, next := range got {
		if len(next.Items) > itemsAFrame {
			t.Errorf("a frame of %d items", len(next.Items))
		}
	}
	if len(held) != 600 || held["s599"] != `"round 19"` {
		t.Errorf("%d, %s", len(held), held["s599"])
	}
	if f.order.Len() > 600+maxRemoved || f.order.Len() != len(f.items) {
		t.Errorf("%d items are remembered", f.order.Len())
	}
}

// A page that missed removals must begin again, also in the middle of a snapshot;
// another page need not.
func TestAPageThatIsTooFarBehindBeginsAgain(t *testing.T) {
	f, w := newFeed(sessions(maxItems, "READY")...)
	held, has := map[string]string{}, place{}
	told(f, &has, held)
	halfway := place{}
	if part := f.after(&halfway); !part.More {
		t.Fatalf("%+v", part)
	}
	w.items = sessions(10, "READY")
	look(f)
	if got := told(f, &has, held); !got[0].Whole || len(held) != 10 {
		t.Errorf("%d are held", len(held))
	}
	held = map[string]string{"s4000": "", "s499": ""}
	if got := told(f, &halfway, held); !got[0].Whole || len(held) != 10 {
		t.Errorf("in the middle: %d are held", len(held))
	}
	w.items = sessions(9, "READY")
	if got := told(f, &has, held); got[0].Whole || len(got[0].Items) != 1 {
		t.Errorf("a page that is up to date: %+v", got)
	}
}

func TestASourceThatFailsLeavesWhatWasKnown(t *testing.T) {
	f, w := newFeed(sessions(2, "READY")...)
	held, has := map[string]string{}, place{}
	knownAt := told(f, &has, held)[0].KnownAt
	w.err = errors.New("the table is away")
	got := told(f, &has, held)
	if len(held) != 2 || got[0].Problem != "the table is away" || !got[0].KnownAt.Equal(knownAt) {
		t.Errorf("%+v, %v", got, held)
	}
}

// For any number of pages, the source is read at the interval or after a poke, and
// never within the gap.
func TestPagesShareWhatIsAsked(t *testing.T) {
	for _, c := range []struct {
		gap   time.Duration
		pokes bool
		want  int
	}{{0, false, 1}, {0, true, 5}, {time.Hour, true, 1}} {
		w := &world{items: sessions(1, "READY")}
		f := NewFeed("e", c.gap, time.Hour, time.Now, w.source)
		for range 5 {
			if c.pokes {
				f.Poke()
			}
			f.took = 0
			f.collect(t.Context())
		}
		if w.asked != c.want {
			t.Errorf("%+v: asked %d times", c, w.asked)
		}
	}
}

// After a poke within the gap the source is read after the gap; a poke whose reader has gone is not lost, either.
func TestNoPokeIsLost(t *testing.T) {
	f, w := newFeed(sessions(1, "READY")...)
	look(f)
	f.Poke()
	f.gap = time.Hour
	f.collect(t.Context())
	f.gap, f.took = 0, 0
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	f.collect(gone)
	f.took = 0
	if f.collect(t.Context()); w.asked != 3 {
		t.Errorf("asked %d times", w.asked)
	}
}

func TestTheStream(t *testing.T) {
	f, w := newFeed(sessions(1, "READY")...)
	server := httptest.NewServer(http.HandlerFunc(f.Stream))
	defer server.Close()
	read := func() (status int, kind string, lines *bufio.Scanner) {
		resp, err := http.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		lines = bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		return resp.StatusCode, resp.Header.Get("Content-Type"), lines
	}
	next := func(lines *bufio.Scanner) (f frame) {
		for lines.Scan() {
			if data, is := strings.CutPrefix(lines.Text(), "data: "); is {
				if err := json.Unmarshal([]byte(data), &f); err != nil {
					t.Fatal(err)
				}
				return f
			}
		}
		t.Fatal("the stream has ended")
		return f
	}
	_, kind, lines := read()
	if kind != "text/event-stream" {
		t.Error(kind)
	}
	if first := next(lines); !first.Whole || first.Epoch != "first" || len(first.Items) != 1 {
		t.Errorf("%+v", first)
	}
	w.mu.Lock()
	w.items = sessions(2, "READY")
	w.mu.Unlock()
	f.Poke()
	if then := next(lines); then.Whole || len(then.Items) != 1 || then.Items[0].ID != "s1" {
		t.Errorf("%+v", then)
	}
	for range maxReaders - 1 {
		_, _, more := read()
		next(more)
	}
	if status, _, _ := read(); status != http.StatusServiceUnavailable {
		t.Errorf("one page too many: %d", status)
	}
	f.Close()
	for lines.Scan() { // to its end
	}
	if status, _, _ := read(); status != http.StatusServiceUnavailable {
		t.Errorf("after the end: %d", status)
	}
}
