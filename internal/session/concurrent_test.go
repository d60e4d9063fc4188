package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// Several requests for one session at the same time, in every order of their writes and
// calls, where the host accepts or refuses each command, and some writes fail: a deletion
// that was answered DELETING is not taken back (promise 2), and a request that was
// answered that nothing was changed has changed nothing (promise 7).
func TestConcurrentRequestsAreAllAnsweredTruly(t *testing.T) {
	normal, byForce := entry("s1", alice), forced("s1", alice)
	for _, tc := range []struct {
		name    string
		record  session.Record
		faults  int
		entries []session.Entry
	}{
		{"two", listedRecord, 1, []session.Entry{normal, normal}},
		{"two, one of them forced", listedRecord, 1, []session.Entry{normal, byForce}},
		{"two after a failed attempt", failedRecord, 1, []session.Entry{normal, normal}},
		{"two after it was given up", with(givenUpRecord, "DeletionRequestId", "r0", "AttemptId", "r0"), 1, []session.Entry{normal, normal}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			explore(t, func(c *choices) string { return concurrentStory(c, tc.record, tc.faults, tc.entries) })
		})
	}
}

func TestManyConcurrentRequestsAreAllAnsweredTruly(t *testing.T) {
	normal, byForce := entry("s1", alice), forced("s1", alice)
	for _, entries := range [][]session.Entry{
		{normal, normal, normal},
		{normal, normal, byForce},
		{normal, normal, normal, normal},
	} {
		for _, record := range []session.Record{listedRecord, failedRecord} {
			sample(t, 500, func(c *choices) string { return concurrentStory(c, record, 3, entries) })
		}
	}
}

func concurrentStory(c *choices, record session.Record, faultsLeft int, entries []session.Entry) (wrong string) {
	shared := memtable.New()
	shared.Put(record)
	feed := shared.Feed()
	reasons := make([]string, len(entries))
	sentTo := make([]*hosts, len(entries))

	var calls []func(step func())
	for i, e := range entries {
		calls = append(calls, func(step func()) {
			name := fmt.Sprintf("r%d", i+2)
			tab := &table{Table: shared}
			tab.before = func(int, session.Write) { step() }
			tab.fault = func(_ int, w session.Write) fault {
				what := none
				if faultsLeft > 0 {
					if what = fault(c.choose(4)); what != none {
						faultsLeft--
					}
				}
				c.note("%s %s: %s", name, kind(w), []string{"as the record says", "refused", "lost before", "lost after"}[what])
				return what
			}
			h := &hosts{refuses: map[string]string{}}
			sentTo[i] = h
			h.before = func() {
				step()
				if c.choose(2) == 1 {
					h.refuses[hostA] = offline
				}
				c.note("%s asks the host: refused %v", name, len(h.refuses) > 0)
			}
			d := &session.Deleter{Table: tab, Closer: h, RefusedHosts: memtable.NewHosts(), GiveUp: giveUp, Log: slog.New(slog.DiscardHandler)}
			answers, err := d.Delete(context.Background(), request(name, at(float64(30+i)), e))
			if errors.Is(err, session.ErrTableDown) {
				reasons[i] = session.ReasonUnclear
			} else {
				reasons[i] = answers[0].FailureReason
			}
			c.note("%s is answered %q", name, reasons[i])
		})
	}

	told := false // that it is DELETING
	concurrently(c.choose, func(ended int) {
		for _, change := range feed.Ready() {
			if told && change.New["State"] != "DELETING" {
				wrong = fmt.Sprintf("somebody was told DELETING, and then it became %v", change.New["State"])
			}
		}
		if ended >= 0 && reasons[ended] == "" {
			told = true
			if now := shared.Get("s1"); wrong == "" && (now["State"] != "DELETING" || now["NextAttemptAt"] == nil) {
				wrong = "a request is answered DELETING, and the record is not"
			}
		}
	}, calls...)
	if wrong != "" {
		return wrong
	}
	return leftovers(record, shared.Get("s1"), reasons, sentTo)
}

// leftovers returns what requests have changed that were all answered that nothing was
// changed.
func leftovers(before, after session.Record, reasons []string, sentTo []*hosts) string {
	changers := 0
	for i, reason := range reasons {
		name := fmt.Sprintf("r%d", i+2)
		switch {
		case reason == "" || reason == session.ReasonUnclear:
			changers++
		case len(sentTo[i].sent) > 0:
			return name + " was told that nothing was changed, but its command was sent"
		case after["DeletionRequestId"] == name || after["AttemptId"] == name:
			return name + " was told that nothing was changed, but the record is full of it"
		case !strings.Contains(reason, "othing was changed"):
			return name + " was told something odd"
		}
	}
	if diff := cmp.Diff(before, after); changers == 0 && diff != "" {
		return "all were told that nothing was changed, but:\n" + diff
	}
	return ""
}

// The two main orders: the second request finds the open deletion and records its repeat
// before, or after, the first one takes the deletion back.
func TestRepeatBeforeThePutBackKeepsTheDeletion(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.hosts.refuses[hostA] = offline
	w.hosts.before = func() {
		w.hosts.before = nil
		w.expect(request("r2", at(1), entry("s1", alice)), "")
	}
	w.expect(request("r1", t0, entry("s1", alice)), "")
	w.wrote("mark", "mark", "repeat", "put back", "fail")
	w.has("s1", "State", "DELETING", "AttemptId", "r1", "RepeatedAt", session.FormatTime(at(1)), "StateReason", "The host "+offline+".")
}

func TestRepeatAfterThePutBackBeginsItsOwnDeletion(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.hosts.refuses[hostA] = offline
	w.table.before = func(_ int, wr session.Write) {
		if kind(wr) != "repeat" {
			return
		}
		// The first request's put-back lands right before the second's repeat.
		w.table.Table.Write(context.Background(), []session.Write{session.PutBack(listedRecord, request("r1", t0))})
	}
	w.table.Table.Write(context.Background(), []session.Write{session.Mark(entry("s1", alice), request("r1", t0))})
	w.expect(request("r2", at(1), entry("s1", alice)), refusal(hostA))
	w.wrote("mark", "repeat", "mark", "put back")
	w.is("s1", listedRecord)
}

func TestRefusedDeletionThatIsForcedMeanwhileIsEnding(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.hosts.refuses[hostA] = offline
	w.hosts.before = func() {
		w.expect(request("r2", at(1), forced("s1", alice)), "")
	}
	w.expect(request("r1", t0, entry("s1", alice)), "")
	w.has("s1", "DeletionRequestId", "r2", "Confirmation", "forced", "StateReason", nil)
}
