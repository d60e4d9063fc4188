package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// tableOf is the Sessions table as one invocation uses it: the writes of a call land one
// by one, those of one record in order, and others' writes land between them.
type tableOf struct {
	w   *world
	inv *invocation
}

func (t tableOf) Write(ctx context.Context, writes []session.Write) []session.Result {
	results := make([]session.Result, len(writes))
	if len(writes) == 0 {
		return results
	}
	t.w.counts(&t.inv.calls.writes)
	if t.inv.older {
		writes = withoutNew(writes)
	}
	left := make([]int, len(writes))
	for i := range left {
		left[i] = i
	}
	land := func() bool {
		count := len(left)
		if count > 1 && t.w.dice.chance(40*percent) {
			count = 1
		}
		for range count {
			at := t.w.dice.below(len(left))
			for before, i := range left[:at] {
				if writes[i].SessionID == writes[left[at]].SessionID {
					at = before
					break
				}
			}
			i := left[at]
			left = slices.Delete(left, at, at+1)
			results[i] = t.w.landWrite(t.inv, ctx, writes[i])
		}
		return len(left) == 0
	}
	torn := func() {
		for _, i := range left {
			if t.w.dice.chance(50 * percent) {
				t.w.say(t.inv, "its write to %s lands all the same", writes[i].SessionID)
				t.w.write1(t.inv, writes[i])
			}
		}
	}
	t.w.park(t.inv, ctx, "write "+writes[0].SessionID, land, torn)
	return results
}

// landWrite returns the result of one write, as package dynamo would.
func (w *world) landWrite(inv *invocation, ctx context.Context, write session.Write) session.Result {
	fails := func(f fault, kind error) session.Result {
		inv.faulty = true
		w.say(inv, "FAULT: %s: %s", f, describeWrite(write))
		return session.Result{Err: fmt.Errorf("session %s: %w: %s", write.SessionID, kind, f)}
	}
	switch {
	case ctx.Err() != nil:
		if w.dice.chance(50 * percent) {
			w.write1(inv, write)
		}
		return fails(slowCall, session.ErrUnclear)
	case w.meets(tableRefuses):
		return fails(tableRefuses, session.ErrNotWritten)
	case w.meets(tableSilent):
		return fails(tableSilent, session.ErrUnclear)
	case w.meets(tableAnswerLost):
		w.write1(inv, write)
		return fails(tableAnswerLost, session.ErrUnclear)
	case w.meets(tableTriedTwice):
		inv.faulty = true
		w.say(inv, "FAULT: %s: %s", tableTriedTwice, describeWrite(write))
		w.write1(inv, write)
		again := w.write1(inv, write)
		again.MayLand = true
		return again
	case w.meets(tableTriedLate):
		inv.faulty = true
		w.say(inv, "FAULT: %s: %s", tableTriedLate, describeWrite(write))
		w.landLater(inv, write)
		now := w.write1(inv, write)
		now.MayLand = true
		return now
	case w.meets(tableLate):
		w.landLater(inv, write)
		return fails(tableLate, session.ErrUnclear)
	}
	res := w.write1(inv, write)
	if res.Err != nil {
		if n := w.changes[write.SessionID]; n != inv.beaten[write.SessionID] { // others have changed it since the last try
			inv.unmet[write.SessionID]++
			inv.beaten[write.SessionID] = n
		}
		w.say(inv, "%s: condition not met", describeWrite(write))
	} else {
		w.say(inv, "%s", describeWrite(write))
	}
	return res
}

func (w *world) landLater(inv *invocation, write session.Write) {
	w.late = append(w.late, happening{w.now().Add(w.dice.between(0, oneOf(w.dice, latest))), func() {
		w.say(inv, "its late write lands now: %s", describeWrite(write))
		w.write1(inv, write)
	}})
}

// latest is how long after the end of its caller's wait a write may land: most land soon,
// and some only after others have read and written the record many times.
var latest = []time.Duration{2 * time.Second, 2 * time.Second, 70 * time.Second}

// write1 makes a write land, and checks what it changed. An older function sees in the
// answer only what it knows.
func (w *world) write1(inv *invocation, write session.Write) session.Result {
	res := w.table.Write(context.Background(), []session.Write{write})[0]
	w.look(inv)
	res.Old = inv.shows(res.Old)
	return res
}

// look follows the table's feed.
func (w *world) look(inv *invocation) {
	for _, c := range w.newChanges(w.now()) {
		w.changed(inv, c.Old, c.New)
		w.stream(changedID(c), c)
	}
}

// describeWrite formats what a write sets, if there is a transcript.
func describeWrite(write session.Write) lazyWrite { return lazyWrite{write} }

type lazyWrite struct{ session.Write }

func (l lazyWrite) String() string {
	var what []string
	for _, attr := range []string{
		session.AttrState, session.AttrAttemptID, session.AttrConfirmation, session.AttrNextAttemptAt,
		session.AttrAttemptFailedAt, session.AttrRepeatedAt, session.AttrCloseUntil, session.AttrStateReason, session.AttrObservedAt,
	} {
		if v, there := l.Set[attr]; there {
			what = append(what, fmt.Sprintf("%s=%v", attr, v))
		}
	}
	kind := "write"
	if l.New {
		kind = "new"
	}
	return kind + " " + l.SessionID + " " + strings.Join(what, " ")
}

// indexOf is the table's indexes as an invocation uses them. They may show a record as it
// was a moment ago.
type indexOf tableOf

// A version is a record as it was until some time; nil: there was none.
type version struct {
	old   session.Record
	until time.Time
}

// shown returns all records as an index shows them now, each with the host under which it
// is listed. Records that it does not show are nil.
func (w *world) shown(inv *invocation, behind time.Duration) (all []session.Record, liveHosts []string) {
	all, liveHosts = w.records(), w.all.liveHosts
	own := false
	since := w.now().Add(-behind)
	for i, r := range w.records() {
		v := w.all.versions[i]
		if v.until.After(since) && w.meets(indexStale) {
			id := recordID(r)
			if inv.stale == nil {
				inv.stale = map[string]bool{}
			}
			inv.stale[id] = true
			w.say(inv, "FAULT: %s: %s is as before its last change", indexStale, id)
			if !own {
				all, liveHosts, own = slices.Clone(all), slices.Clone(liveHosts), true
			}
			all[i], liveHosts[i] = v.old, liveHostOf(v.old)
		}
	}
	return all, liveHosts
}

// query shows records as they are, or were no longer ago than behind, as the index of
// that attribute shows them. The fault of a query about one host is a fault of that host only.
func (x indexOf) query(ctx context.Context, what, attr, hostID string, behind time.Duration, fits func(r session.Record, liveHost string) bool) (found []session.Record, err error) {
	x.w.counts(&x.inv.calls.reads)
	x.w.park(x.inv, ctx, what, func() bool {
		faulty := x.inv.faulty
		if err = x.w.readFault(x.inv, ctx, what); err != nil && hostID != "" && x.inv.function == "host-events" && x.inv.ctx.Err() == nil {
			if x.inv.faulty = faulty; x.inv.faultyOf == nil {
				x.inv.faultyOf = map[string]bool{}
			}
			x.inv.faultyOf[hostID] = true
		}
		if err == nil {
			all, liveHosts := x.w.shown(x.inv, behind)
			for i, r := range all {
				if r != nil && fits(r, liveHosts[i]) {
					found = append(found, x.inv.shows(memtable.Shown(attr, r)))
				}
			}
			x.w.say(x.inv, "%s: %d records", what, len(found))
		}
		return true
	}, nil)
	return found, err
}

func (x indexOf) Due(ctx context.Context, shard string, now time.Time, limit int) ([]session.Record, error) {
	if shard == "0" {
		x.w.counts(&x.inv.calls.rounds)
	}
	found, err := x.leased(ctx, "query by-lease, due, "+shard, shard, session.FormatTime(now), limit)
	x.w.pageIsBounded(x.inv, limit, 250, len(found))
	return found, err
}

func (x indexOf) Open(ctx context.Context, shard string, limit int) ([]session.Record, error) {
	return x.leased(ctx, "query by-lease, open, "+shard, shard, "~", limit) // sorts behind every time
}

// leased reads the index due. If it is minutes behind, no times are promised: a deletion
// is tried again, and given up, when the index shows it. It may also show outdated
// records, for which no write lands.
func (x indexOf) leased(ctx context.Context, what, shard, until string, limit int) ([]session.Record, error) {
	if !x.inv.knows(shard) {
		return nil, nil
	}
	due, err := x.query(ctx, what, session.AttrDueShard, "", x.w.setup.dueStaleFor, func(r session.Record, _ string) bool {
		next, leased := r[session.AttrNextAttemptAt].(string)
		return r[session.AttrDueShard] == shard && leased && next <= until
	})
	slices.SortStableFunc(due, func(a, b session.Record) int {
		return strings.Compare(a[session.AttrNextAttemptAt].(string), b[session.AttrNextAttemptAt].(string))
	})
	return due[:min(len(due), limit)], err
}

// onHost is a page of the index by-live-host.
func (x indexOf) onHost(ctx context.Context, hostID, after string, limit int) (records []session.Record, more bool, err error) {
	records, err = x.query(ctx, strings.TrimSpace("query by-live-host "+hostID+" "+after), session.AttrLiveHostID, hostID, x.w.setup.staleFor, func(r session.Record, liveHost string) bool {
		return liveHost == hostID && recordID(r) > after
	})
	slices.SortFunc(records, func(a, b session.Record) int {
		return strings.Compare(a[session.AttrSessionID].(string), b[session.AttrSessionID].(string))
	})
	if limit = min(limit, x.w.setup.hostPage); len(records) > limit {
		records, more = records[:limit], true
	}
	return records, more, err
}

func (x indexOf) OnHost(ctx context.Context, hostID, after string, limit int) (_ []session.Record, more bool, _ error) {
	records, more, err := x.onHost(ctx, hostID, after, limit)
	x.w.pageIsBounded(x.inv, limit, 250, len(records))
	if newest, err := x.w.hostTable.Newest(context.Background(), []string{hostID}); err == nil {
		if x.inv.looked == nil {
			x.inv.looked = map[string]time.Time{}
		}
		x.inv.looked[hostID] = newest[hostID]
	}
	return records, more, err
}

func (x indexOf) HostsAfter(ctx context.Context, hostID string, limit int) (hostIDs []string, err error) {
	if x.inv.older { // the version before did not walk over hosts
		return nil, nil
	}
	_, err = x.query(ctx, "scan by-live-host after "+hostID, session.AttrLiveHostID, "", x.w.setup.staleFor, func(_ session.Record, liveHost string) bool {
		if liveHost > hostID && !slices.Contains(hostIDs, liveHost) {
			hostIDs = append(hostIDs, liveHost)
		}
		return false
	})
	slices.Sort(hostIDs)
	x.w.pageIsBounded(x.inv, limit, 50, len(hostIDs))
	return hostIDs[:min(len(hostIDs), 1+x.w.dice.below(3))], err
}

var errTable = errors.New("the table does not answer")

func (w *world) readFault(inv *invocation, ctx context.Context, what string) error {
	return w.fails(inv, ctx, what, readFails, errTable)
}
