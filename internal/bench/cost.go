package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"time"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
)

// costs computes the cost of a million deletions from the earlier counts and
// measurements.
type costs struct {
	batch    batchSize
	perBatch []noted
	back     map[int]backNoted
	units    float64         // write units a deletion, all three writes with the indexes'
	markOnly float64         // those of the mark alone
	logged   map[int]float64 // bytes of logs a deletion, by sessions a request
	audited  float64         // bytes of the audit trail a deletion
}

type noted struct {
	contender *contender
	cpu       time.Duration // a session
	waits     func(n int) time.Duration
	reads     float64 // a session
}

type backNoted struct{ batches, streamBatches, queueCalls, sessions float64 }

// note keeps the counts and times from which the cost of a contender is computed.
func (c *costs) note(who *contender, size batchSize, result batchResult) {
	l := settings[0]
	once := l.Table + l.SystemsManager
	n := noted{contender: who, cpu: result.cpu}
	switch {
	case who.ours:
		n.waits = func(int) time.Duration { return once }
	case who.slow:
		n.reads, n.waits = 1, func(n int) time.Duration { return time.Duration(n) * (once + l.Table) }
	default:
		n.reads, n.waits = 1, func(int) time.Duration { return once + l.Table }
	}
	c.batch, c.perBatch = size, append(c.perBatch, n)
}

func (c *costs) wayBack(hosts int, w *wayBack, sessions, queueCalls float64) {
	if c.back == nil {
		c.back = map[int]backNoted{}
	}
	c.back[hosts] = backNoted{float64(w.batches.Load()), float64(w.streamBatches.Load()), queueCalls, sessions}
}

// billed returns the billed duration of an event for a function with that memory: it
// waits, and computes with its share of a processor.
func billed(waits, cpu time.Duration, megabytes float64) time.Duration {
	return waits + time.Duration(float64(cpu)*max(1, processorAt/megabytes))
}

func invocation(waits, cpu time.Duration, megabytes float64) float64 {
	return lambdaRequest + billed(waits, cpu, megabytes).Seconds()*megabytes/1024*lambdaGBSecond
}

// memories returns the megabytes of each function.
func memories(t *template.Template) map[string]float64 {
	of := map[string]float64{}
	for _, f := range t.Functions() {
		of[f.Name] = float64(f.MemoryMB)
	}
	return of
}

// measureUnits counts the write units of a deletion, from the changes that its
// mark, its confirmation and its end make to the record.
func measureUnits(ctx context.Context, r *report) error {
	t, err := template.Load(templateFile, nil)
	if err != nil {
		return err
	}
	var spec template.Table
	for _, s := range t.Tables() {
		if s.LogicalID == "SessionsTable" {
			spec = s
		}
	}
	rec := records(1, 1)[0]
	s := rec.Session()
	table := memtable.New()
	table.Put(rec)
	feed := table.Feed()
	// A host takes a second: in the same millisecond, the index keys that are times would
	// not change.
	marked := time.Now()
	later := func(d time.Duration) func() time.Time { return func() time.Time { return marked.Add(d) } }
	req := session.Request{
		ID: "11111111-2222-4333-8444-555555555555", By: "1234567890abcdefghijklmnop", At: marked,
		Entries: []session.Entry{{SessionID: s.ID, Owner: s.Owner}},
	}
	d := &session.Deleter{Table: table, Closer: obedient{}, GiveUp: time.Hour, ForceMode: session.Purge, Log: quiet}
	if _, err := d.Delete(ctx, req); err != nil {
		return err
	}
	(&session.Confirmer{Table: table, Now: later(time.Second), Log: quiet}).Apply(ctx, []session.Report{
		{HostID: s.HostID, AttemptID: req.ID, SessionID: s.ID, Outcome: session.OutcomeClosed},
	})
	(&session.Finisher{Table: table, Now: later(2 * time.Second), Log: quiet}).Finish(ctx, []session.Record{table.Get(s.ID)})
	changes := feed.Ready()
	if len(changes) != 3 {
		return fmt.Errorf("a deletion made %d changes, not 3", len(changes))
	}
	for i, change := range changes {
		units := writeUnits(spec, change.Old, change.New)
		if i == 0 {
			r.cost.markOnly = units
		}
		r.cost.units += units
	}
	r.count("write units of a deletion, indexes included", r.cost.units)
	return nil
}

// writeUnits returns the write units of a change of an item: one for each kilobyte, of
// the larger of its two images, in the table and in each index that has it; an index
// whose key changes is written twice (DynamoDB developer guide, "Using Global Secondary
// Indexes", provisioned throughput considerations).
func writeUnits(spec template.Table, old, made session.Record) (units float64) {
	units = kilobytes(old, made)
	for _, index := range spec.Indexes {
		shown := func(r session.Record) session.Record {
			for _, key := range []string{index.Key.Hash, index.Key.Range} {
				if _, there := r[key]; key != "" && !there {
					return nil // not in a sparse index
				}
			}
			if index.Projection == "ALL" {
				return r
			}
			image := session.Record{}
			for _, attr := range append([]string{session.AttrSessionID, index.Key.Hash, index.Key.Range}, index.NonKey...) {
				if v, there := r[attr]; there {
					image[attr] = v
				}
			}
			return image
		}
		before, after := shown(old), shown(made)
		switch {
		case maps.Equal(before, after):
		case before != nil && after != nil && (before[index.Key.Hash] != after[index.Key.Hash] || before[index.Key.Range] != after[index.Key.Range]):
			units += kilobytes(before, nil) + kilobytes(nil, after)
		default:
			units += kilobytes(before, after)
		}
	}
	return units
}

func kilobytes(images ...session.Record) float64 {
	largest := 0
	for _, r := range images {
		size := 0
		for attr, v := range r {
			size += len(attr) + len(fmt.Sprint(v))
		}
		largest = max(largest, size)
	}
	return math.Ceil(float64(largest) / 1024)
}

// announcement returns the cost of announcing one session's end: the pipe, its function,
// which reads an index and then the table for a session, and the event. The audit trail's
// copy is not counted.
func announcement(megabytes float64) float64 {
	const reads = 0.5 + 1 // the first may be a moment behind, the second may not
	return pipeRequest + customEvent + reads*readUnit + invocation(2*settings[0].Table, 2*time.Millisecond, megabytes)
}

// reportCosts reports the sums.
func reportCosts(r *report) error {
	c := &r.cost
	t, err := template.Load(templateFile, nil)
	if err != nil {
		return err
	}
	of := memories(t)
	memory, backMemory, announceMemory := of["delete-sessions"], of["host-events"], of["ended-sessions"]
	const million = 1e6
	var rows [][]string
	for _, n := range requestSizes {
		requests := million / float64(n)
		var own float64
		for _, who := range c.perBatch {
			work := requests * invocation(who.waits(n), who.cpu*time.Duration(n), memory)
			api := requests * httpRequest
			writes := million * writeUnit // into a table without indexes
			back, announced := 0.0, 0.0
			name := who.contender.name
			if who.contender.ours {
				writes = million * c.units * writeUnit
				b := c.back[50]
				if n == 1 { // its host has only this one to tell of
					b = c.back[1]
					b.sessions = 1
				}
				l := settings[0]
				back = million / b.sessions * (b.queueCalls*sqsRequest +
					b.batches*invocation(l.Table+l.SystemsManager, 2*time.Millisecond, backMemory) +
					b.streamBatches*invocation(l.Table, 2*time.Millisecond, backMemory))
				announced = million * announcement(announceMemory)
				name += ", with the way back"
			}
			logs := 0.0
			if who.contender.ours {
				logs = million * c.logged[n] / 1e9 * logGigabyte
			}
			total := api + work + writes + back + announced + logs + million*who.reads*readUnit
			if who.contender.ours {
				own = total
			}
			rows = append(rows, []string{
				fmt.Sprint(n), name, dollars(total), times(total / own), dollars(api), dollars(work), dollars(writes + million*who.reads*readUnit), dollars(back), dollars(announced), dollars(logs),
			})
			if !who.contender.ours {
				r.ratio(fmt.Sprintf("cost of %s against this system, N=%d", who.contender.name, n), total/own)
			}
		}
	}
	head := []string{"sessions a request", "", "total", "of this system's", "API", "function", "table", "way back", "announcement", "logs"}
	r.say("\n### A million deletions, list prices of %s\n\n%s\nThe baselines mark in a table without indexes, and nothing more happens: no confirmation, no end, no second attempt. A deletion here takes %.0f write units, %.0f of them its mark, the others its confirmation and its end, each with its indexes. The audit trail is not counted: it keeps %.0f bytes of each announcement, which are %s a million. A token costs %s, as much as %.0f single deletions.",
		pricesOf, table(head, rows), c.units, c.markOnly, c.audited, dollars(million*c.audited/1e9*logGigabyte), dollars(cognitoToken), cognitoToken/(c.units*writeUnit+httpRequest+lambdaRequest))
	r.brief["cost"] = table(head, rows)
	return nil
}

func dollars(x float64) string {
	if x < 0.1 {
		return fmt.Sprintf("$%.4f", x)
	}
	return fmt.Sprintf("$%.2f", x)
}
