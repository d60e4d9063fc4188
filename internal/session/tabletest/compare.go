package tabletest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"dcv-session-broker/internal/session"
)

// Compare applies the same random operations to two tables and wants the same outcomes,
// records, indexes, pages and change feeds. There are few operations, and few different
// records, attributes and values, so that writes affect each other.
func Compare(t *testing.T, newOne, newOther func(TB) Subject) {
	rapid.Check(t, func(t *rapid.T) {
		c := &comparison{t: t, one: newOne(t), other: newOther(t)}
		for _, sessionID := range ids {
			if rapid.IntRange(0, 3).Draw(t, "there") > 0 {
				record := genRecord.Draw(t, "record")
				record[id] = sessionID
				c.put(record)
			}
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"write", "write", "write", "put", "delete", "read"}).Draw(t, "step") {
			case "put":
				c.put(genRecord.Draw(t, "record"))
			case "delete":
				sessionID := genID.Draw(t, "id")
				c.one.Delete(sessionID)
				c.other.Delete(sessionID)
			case "write":
				c.write(rapid.SliceOfN(genWrite, 1, 8).Draw(t, "writes"))
			case "read":
				c.read()
			}
		}
		// Between the writes the old images were compared.
		for _, sessionID := range ids {
			one, other := c.one.Get(sessionID), c.other.Get(sessionID)
			if (one == nil) != (other == nil) {
				t.Fatalf("record %s: %v, %v", sessionID, one, other)
			}
			c.same("record "+sessionID, one, other)
		}
		c.read()
		wantChanges(t, c.one.Changes(), c.other.Changes())
	})
}

type comparison struct {
	t          *rapid.T
	one, other Subject
}

func (c *comparison) same(what string, one, other any) {
	c.t.Helper()
	if diff := cmp.Diff(one, other, cmpopts.EquateEmpty()); diff != "" {
		c.t.Fatalf("%s (-one +other):\n%s", what, diff)
	}
}

func (c *comparison) put(record session.Record) {
	c.one.Put(record)
	c.other.Put(record)
}

func (c *comparison) write(writes []session.Write) {
	a, b := c.one.Write(c.t.Context(), writes), c.other.Write(c.t.Context(), writes)
	c.same("outcomes", outcomes(a), outcomes(b))
}

// read compares everything that can be read.
func (c *comparison) read() {
	for _, shard := range texts[session.AttrDueShard] {
		now, limit := genTime.Draw(c.t, "now"), rapid.IntRange(1, 5).Draw(c.t, "limit")
		c.same(fmt.Sprintf("due in shard %s", shard), c.due(c.one, shard, now, limit), c.due(c.other, shard, now, limit))
	}
	for _, hostID := range slices.Concat(texts[session.AttrLiveHostID], unfitKeys) {
		c.same(fmt.Sprintf("on host %.20q", hostID), c.onHost(c.one, hostID), c.onHost(c.other, hostID))
	}
	limit := rapid.IntRange(1, 3).Draw(c.t, "limit")
	for _, owner := range slices.Concat(texts[session.AttrOwner], unfitKeys) {
		c.same(fmt.Sprintf("owned by %.20q", owner), c.owned(c.one, owner, limit), c.owned(c.other, owner, limit))
	}
	c.same("hosts", c.hosts(c.one, limit), c.hosts(c.other, limit))
	c.same("all", c.all(c.one, limit), c.all(c.other, limit))
	asked := rapid.SliceOfDistinct(genAnyID, rapid.ID[string]).Draw(c.t, "asked for")
	c.same("got", c.got(c.one, asked), c.got(c.other, asked))
}

func (c *comparison) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("%v", err)
	}
}

// due compares the first records of a shard. Records that are due at the same moment have
// no order, so if the limit cuts between them, any of them is valid.
func (c *comparison) due(s Subject, shard string, now time.Time, limit int) (list []string) {
	records, err := s.Index.Due(c.t.Context(), shard, now, limit)
	c.must(err)
	at := func(r session.Record) string { return r[session.AttrNextAttemptAt].(string) }
	for i, r := range records {
		if i > 0 && at(r) < at(records[i-1]) {
			c.t.Fatalf("due in shard %s: %s after %s", shard, at(r), at(records[i-1]))
		}
		if len(records) == limit && at(r) == at(records[limit-1]) {
			list = append(list, at(r))
		} else {
			list = append(list, at(r)+" "+text(r))
		}
	}
	slices.Sort(list)
	return list
}

func (c *comparison) onHost(s Subject, hostID string) []session.Record {
	return c.walk(2, func(ctx context.Context, after string) ([]session.Record, bool, error) {
		return s.Index.OnHost(ctx, hostID, after, 2)
	})
}

// hosts is a walk over all hosts, which are in no order that two tables share.
func (c *comparison) hosts(s Subject, limit int) (list []string) {
	for place := ""; ; place = list[len(list)-1] {
		hostIDs, err := s.Hosts.HostsAfter(c.t.Context(), place, limit)
		c.must(err)
		if len(hostIDs) > limit || len(list) > len(ids)+len(oddIDs) {
			c.t.Fatalf("%d hosts after %.20q, at most %d, and %d before", len(hostIDs), place, limit, len(list))
		}
		if len(hostIDs) == 0 {
			slices.Sort(list)
			return list
		}
		list = append(list, hostIDs...)
	}
}

// owned compares the attributes that the index has in every case.
func (c *comparison) owned(s Subject, owner string, limit int) (list []string) {
	for _, r := range c.walk(limit, func(ctx context.Context, after string) ([]session.Record, bool, error) {
		return s.Reader.Owned(ctx, owner, after, limit)
	}) {
		list = append(list, text(session.Record{
			id: r[id], session.AttrOwner: r[session.AttrOwner], session.AttrState: r[session.AttrState],
		}))
	}
	return list
}

// all is in no order that two tables share.
func (c *comparison) all(s Subject, limit int) (list []string) {
	for _, r := range c.walk(limit, func(ctx context.Context, after string) ([]session.Record, bool, error) {
		return s.Reader.All(ctx, after, limit)
	}) {
		list = append(list, text(r))
	}
	slices.Sort(list)
	return list
}

func (c *comparison) got(s Subject, asked []string) (list []string) {
	records, err := s.Reader.Get(c.t.Context(), asked)
	c.must(err)
	for _, r := range records {
		list = append(list, text(r))
	}
	slices.Sort(list)
	return list
}

// walk reads a listing page by page to its end.
func (c *comparison) walk(limit int, page func(ctx context.Context, after string) ([]session.Record, bool, error)) (all []session.Record) {
	for after, n := "", 0; ; n++ {
		records, more, err := page(c.t.Context(), after)
		c.must(err)
		if len(records) > limit || more && len(records) == 0 || n > len(ids)+len(oddIDs) {
			c.t.Fatalf("page %d has %d records of at most %d, more: %v", n, len(records), limit, more)
		}
		all = append(all, records...)
		if !more {
			return all
		}
		after = all[len(all)-1][id].(string)
	}
}

// text is a record in a form that sorts.
func text(r session.Record) string {
	var attrs []string
	for attr, v := range r {
		attrs = append(attrs, fmt.Sprintf("%s=%T(%v)", attr, v, v))
	}
	slices.Sort(attrs)
	return strings.Join(attrs, " ")
}

func outcomes(results []session.Result) []outcome {
	list := make([]outcome, len(results))
	for i, r := range results {
		list[i] = outcome{kind(r.Err), r.Old}
	}
	return list
}

// wantChanges compares change feeds record by record: between records there
// need be no order.
func wantChanges(t TB, want, got []Change) {
	t.Helper()
	if diff := cmp.Diff(byRecord(want), byRecord(got)); diff != "" {
		t.Fatalf("change feed (-want +got):\n%s", diff)
	}
}

func byRecord(changes []Change) map[string][]Change {
	of := make(map[string][]Change)
	for _, c := range changes {
		some := c.New
		if some == nil {
			some = c.Old
		}
		sessionID := fmt.Sprint(some[id])
		of[sessionID] = append(of[sessionID], c)
	}
	return of
}
