package session_test

import (
	"context"
	"testing"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// Promise 7: a mark that had no answer may land after all that follows, its own
// put-back among it. Then nobody is told that nothing was changed.
func TestMarkThatMayLandIsNotCertain(t *testing.T) {
	for name, tc := range map[string]struct {
		record  session.Record
		entry   session.Entry
		refused bool
	}{
		"its host refuses":                     {ready("s1", alice, hostA), entry("s1", alice), true},
		"there is no such session":             {ready("s2", alice, hostA), entry("s1", alice), false},
		"it is another's":                      {ready("s1", alice, hostA), entry("s1", mallory), false},
		"forced, and there is no such session": {ready("s2", alice, hostA), forced("s1", alice), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.record)
			if tc.refused {
				w.hosts.refuses[hostA] = offline
			}
			w.table.fault = onWrite(1, lostBefore)
			w.expect(request("r1", t0, tc.entry), session.ReasonUnclear)
			w.is(tc.record["SessionId"].(string), tc.record) // as far as is known
		})
	}
}

// The same for the SDK's own tries, which the table reports.
func TestMarkThatTheTableTriedTwiceIsNotCertain(t *testing.T) {
	w := newWorld(t, ready("s1", alice, hostA))
	w.hosts.refuses[hostA] = offline
	d := w.deleter()
	d.Table = mayLand{w.table.Table}
	answers, err := d.Delete(context.Background(), request("r1", t0, entry("s1", alice)))
	if err != nil || answers[0].FailureReason != session.ReasonUnclear {
		t.Errorf("%v, %v", answers, err)
	}
	w.is("s1", ready("s1", alice, hostA))
}

// mayLand is a table whose every write was tried before without an answer.
type mayLand struct{ *memtable.Table }

func (m mayLand) Write(ctx context.Context, writes []session.Write) []session.Result {
	results := m.Table.Write(ctx, writes)
	for i := range results {
		results[i].MayLand = true
	}
	return results
}
