package memtable_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/session/tabletest"
)

func TestConformance(t *testing.T) { tabletest.Run(t, tabletest.Memory) }

func TestAllIsSorted(t *testing.T) {
	table := memtable.New()
	var want []session.Record
	for _, id := range []string{"B", "a", "b", "b1", "é"} {
		want = append(want, session.Record{"SessionId": id, "Owner": "o-" + id})
	}
	for _, i := range []int{3, 0, 4, 2, 1} {
		table.Put(want[i])
	}
	if diff := cmp.Diff(want, table.All()); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
}

func TestRecordsAreCopies(t *testing.T) {
	table := memtable.New()
	record := session.Record{"SessionId": "a", "State": "READY"}
	table.Put(record)
	record["State"] = "changed"
	table.Get("a")["State"] = "changed"
	table.All()[0]["State"] = "changed"
	if got := table.Get("a")["State"]; got != "READY" {
		t.Errorf("the record has State %v", got)
	}
}

func TestSweep(t *testing.T) {
	now := time.Date(2026, 11, 23, 19, 1, 2, 0, time.UTC)
	table := memtable.New()
	for id, expires := range map[string]any{
		"over":     now.Unix() - 1,
		"long-ago": now.AddDate(-5, 0, 0).Unix() + 1,
		"now":      now.Unix(),
		"later":    now.Unix() + 1,
		"zero":     int64(0),
		"text":     "1",
		"none":     nil,
	} {
		r := session.Record{"SessionId": id}
		if expires != nil {
			r["ExpiresAt"] = expires
		}
		table.Put(r)
	}
	feed := table.Feed()
	if n := table.Sweep(now); n != 2 {
		t.Errorf("%d records swept, want 2", n)
	}
	var swept []string
	for _, c := range feed.Ready() {
		if !c.Expired || c.EventName != "REMOVE" || c.New != nil {
			t.Errorf("the feed shows %+v", c)
		}
		swept = append(swept, c.Old.Session().ID)
	}
	if diff := cmp.Diff([]string{"long-ago", "over"}, swept); diff != "" {
		t.Errorf("swept (-want +got):\n%s", diff)
	}
	if left := len(table.All()); left != 5 {
		t.Errorf("%d records left, want 5", left)
	}
}
