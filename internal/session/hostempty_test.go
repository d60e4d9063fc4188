package session_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// shownOnHost is an index with its own content, which can differ from the table.
type shownOnHost struct {
	session.Index
	records []session.Record
	err     error
}

func (x shownOnHost) OnHost(context.Context, string, string, int) ([]session.Record, bool, error) {
	return x.records, false, x.err
}

// lookups is a reader that counts, or fails.
type lookups struct {
	memtable.Reader
	calls int
	err   error
}

func (r *lookups) Get(ctx context.Context, ids []string) ([]session.Record, error) {
	if r.calls++; r.err != nil {
		return nil, r.err
	}
	return r.Reader.Get(ctx, ids)
}

// over is a record that has left the index.
func over(r session.Record) session.Record {
	return with(r, "State", "DELETED", "LiveHostId", nil, "NextAttemptAt", nil, "DueLane", nil)
}

func TestHostIsEmptyByTheTable(t *testing.T) {
	named := func(id string, r session.Record) session.Record { return with(r, "SessionId", id) }
	for name, tc := range map[string]struct {
		shown, table []session.Record
		want         bool
	}{
		"nothing there":    {nil, nil, true},
		"one that lives":   {[]session.Record{listedRecord}, []session.Record{listedRecord}, false},
		"an open deletion": {[]session.Record{confirmedRecord}, []session.Record{confirmedRecord}, false},
		"one given up":     {[]session.Record{givenUpRecord}, []session.Record{givenUpRecord}, false},
		"one that is over": {[]session.Record{confirmedRecord}, []session.Record{over(confirmedRecord)}, true},
		"one that is gone": {[]session.Record{listedRecord}, nil, true},
		"one that moved":   {[]session.Record{listedRecord}, []session.Record{with(listedRecord, "HostId", hostB, "LiveHostId", hostB)}, true},
		"one to close by force": {
			[]session.Record{listedRecord}, []session.Record{with(listedRecord, "State", "DELETED", "CloseUntil", session.FormatTime(at(600)))}, false,
		},
		"one that is over, one that lives": {
			[]session.Record{named("s1", confirmedRecord), named("s2", listedRecord)},
			[]session.Record{over(named("s1", confirmedRecord)), named("s2", listedRecord)}, false,
		},
	} {
		w := newWorld(t, tc.table...)
		got, err := session.HostEmpty(t.Context(), shownOnHost{records: tc.shown}, memtable.Reader{Table: w.table.Table}, listedRecord["HostId"].(string))
		if got != tc.want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// Two sessions end together: the announcement of the last one finds the host empty,
// although the index still shows both.
func TestLastOfTwoThatEndTogetherFindsItsHostEmpty(t *testing.T) {
	one, other := with(confirmedRecord, "SessionId", "s1"), with(confirmedRecord, "SessionId", "s2")
	index, host := shownOnHost{records: []session.Record{one, other}}, one["HostId"].(string)
	w := newWorld(t, over(one), other)
	if empty, err := session.HostEmpty(t.Context(), index, memtable.Reader{Table: w.table.Table}, host); empty || err != nil {
		t.Errorf("the other has not ended: %v, %v", empty, err)
	}
	w.table.Put(over(other))
	if empty, err := session.HostEmpty(t.Context(), index, memtable.Reader{Table: w.table.Table}, host); !empty || err != nil {
		t.Errorf("both have ended: %v, %v", empty, err)
	}
}

// A host with many sessions costs one look, not one for each.
func TestFullHostCostsOneQuery(t *testing.T) {
	var records []session.Record
	for n := range 500 {
		records = append(records, with(listedRecord, "SessionId", fmt.Sprint("s", n)))
	}
	w := newWorld(t, records...)
	reader := &lookups{Reader: memtable.Reader{Table: w.table.Table}}
	if empty, err := session.HostEmpty(t.Context(), shownOnHost{records: records}, reader, listedRecord["HostId"].(string)); empty || err != nil || reader.calls != 1 {
		t.Errorf("%v, %v, %d lookups", empty, err, reader.calls)
	}
}

func TestHostEmptyFailsIfTheTableCannotBeRead(t *testing.T) {
	broken := errors.New("table gone")
	for name, tc := range map[string]struct {
		index  shownOnHost
		reader *lookups
	}{
		"index": {shownOnHost{err: broken}, &lookups{}},
		"table": {shownOnHost{records: []session.Record{listedRecord}}, &lookups{err: broken}},
	} {
		if empty, err := session.HostEmpty(t.Context(), tc.index, tc.reader, "h"); empty || !errors.Is(err, broken) {
			t.Errorf("%s: %v, %v", name, empty, err)
		}
	}
}
