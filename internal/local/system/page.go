package system

import (
	"context"
	"maps"
	"slices"
	"time"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/page"
	"dcv-session-broker/internal/session"
)

// The page's data is read only while a page is open: after each change of the table and
// of the hosts, and once a second, since hosts also change by themselves.
const (
	pageGap   = 100 * time.Millisecond
	pageEvery = time.Second
)

// The bounds of one host's sessions, and of all windows, on the page.
const (
	maxRunning = 100
	maxWindows = 500
)

// hostItem is a host on the page: what really runs there, and its last inventories.
type hostItem struct {
	fleet.Host
	page.Inventories
	MoreSessions int `json:",omitempty"` // how many are left out
}

// notOnPage are internal attributes of records.
var notOnPage = []string{session.AttrLiveHostID, session.AttrDueShard, session.AttrAttemptID, session.AttrNoticeID, session.AttrExpiresAt}

func (sys *System) newFeed() *page.Feed {
	return page.NewFeed(awsenv.NewID(), pageGap, pageEvery, sys.now, sys.onPage)
}

// onPage returns all that the page shows.
func (sys *System) onPage(ctx context.Context) ([]page.Item, error) {
	items := []page.Item{{Kind: "about", Value: page.About{Local: true, Broker: "this machine", NeedsToken: sys.opts.Token != ""}}}
	records, err := sys.store.all(ctx)
	if err != nil {
		return nil, err
	}
	// Living sessions come first, so that a bound does not leave them out.
	slices.SortStableFunc(records, func(a, b session.Record) int { return ended(a) - ended(b) })
	for _, r := range records {
		shown := maps.Clone(r)
		for _, attr := range notOnPage {
			delete(shown, attr)
		}
		items = append(items, page.Item{Kind: "session", ID: r.Session().ID, Value: shown})
	}
	hosts, _, notes, err := sys.noted(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range hosts {
		item := hostItem{Host: h, Inventories: page.InventoriesOf(notes[h.HostID])}
		if more := len(h.Sessions) - maxRunning; more > 0 {
			item.Sessions, item.MoreSessions = h.Sessions[:maxRunning], more
		}
		items = append(items, page.Item{Kind: "host", ID: h.HostID, Value: item})
	}
	windows, err := sys.fleet.Notices()
	if err != nil {
		return nil, err
	}
	for _, n := range windows[max(0, len(windows)-maxWindows):] {
		items = append(items, page.Item{Kind: "notice", ID: n.HostID + " " + n.At.Format(time.RFC3339) + " " + n.SessionID, Value: n})
	}
	for function, counts := range sys.calls.all() {
		items = append(items, page.Item{Kind: "calls", ID: function, Value: counts})
	}
	return items, nil
}

func ended(r session.Record) int {
	if r.Session().State == session.Deleted {
		return 1
	}
	return 0
}

// noted returns the hosts, their IDs, and their last inventories.
func (sys *System) noted(ctx context.Context) (hosts []fleet.Host, ids []string, notes map[string]session.HostNote, err error) {
	if hosts, err = sys.fleet.Hosts(); err != nil {
		return nil, nil, nil, err
	}
	for _, h := range hosts {
		ids = append(ids, h.HostID)
	}
	notes, err = sys.store.hosts().Notes(ctx, ids)
	return hosts, ids, notes, err
}

// EndStreams ends the pages' event streams, for which the server's Shutdown would wait.
func (sys *System) EndStreams() { sys.feed.Close() }
