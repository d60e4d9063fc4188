package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dcv-session-broker/internal/bench/standin"
)

// settings are the latencies with which batches are measured: those of a near region, and
// lower ones of both services.
var settings = []standin.Latency{
	{Table: 5 * time.Millisecond, SystemsManager: 40 * time.Millisecond},
	{Table: 2 * time.Millisecond, SystemsManager: 20 * time.Millisecond},
}

type batchSize struct{ n, hosts int }

var batchSizes = []batchSize{{1, 1}, {25, 1}, {25, 10}, {100, 1}, {100, 10}, {100, 100}, {1000, 1}, {1000, 10}, {1000, 100}}

// A batchResult is one cell: a contender, a size, a setting.
type batchResult struct {
	wall   time.Duration // the fastest round's
	median time.Duration // of all rounds
	calls  int
	cpu    time.Duration // a session's
	// spread is the time from the first to the last of the table's calls.
	spread time.Duration
}

// measureBatches measures how every contender deletes batches of every size, one after
// the other in the same minute.
func measureBatches(ctx context.Context, r *report, server *standin.Server, contenders []*contender, quick bool) error {
	results := map[string]map[string]batchResult{} // by size, then by contender
	for i, setting := range settings {
		if quick && i > 0 {
			continue
		}
		ideal := setting.Table + setting.SystemsManager
		label := fmt.Sprintf("%d + %d ms", setting.Table.Milliseconds(), setting.SystemsManager.Milliseconds())
		head := []string{"sessions, hosts", "calls: ⌈N/25⌉ + ⌈H/50⌉"}
		for _, c := range contenders {
			head = append(head, c.name)
		}
		var rows [][]string
		for _, size := range batchSizes {
			if quick && (size.n > 100 || size.hosts == 1) {
				continue
			}
			results[label+key(size)] = map[string]batchResult{}
			fewest := (size.n+24)/25 + (size.hosts+49)/50
			row := []string{fmt.Sprintf("%d, %d", size.n, size.hosts), fmt.Sprint(fewest)}
			all, err := measureBatch(ctx, server, contenders, setting, size, quick)
			if err != nil {
				return err
			}
			for i, c := range contenders {
				if all[i].calls == 0 {
					row = append(row, "")
					continue
				}
				results[label+key(size)][c.name] = all[i]
				ratio := float64(all[i].wall) / float64(ideal)
				row = append(row, fmt.Sprintf("%s (%s, median %s, %d calls)", times(ratio), ms(all[i].wall), ms(all[i].median), all[i].calls))
				if !c.slow || size == (batchSize{100, 10}) {
					r.ratio(fmt.Sprintf("wall, %s, N=%d H=%d, %s", label, size.n, size.hosts, c.name), ratio)
				}
				if !c.slow && size == (batchSize{1000, 100}) {
					r.ratio(fmt.Sprintf("median wall, %s, N=%d H=%d, %s", label, size.n, size.hosts, c.name), float64(all[i].median)/float64(ideal))
				}
				if !c.slow {
					r.count(fmt.Sprintf("calls, N=%d H=%d, %s, %s", size.n, size.hosts, label, c.name), float64(all[i].calls))
				}
			}
			rows = append(rows, row)
		}
		r.say("\n### A batch, as a multiple of one table and one command round trip (%s), fastest rounds\n\n%s", label, table(head, rows))
		r.brief["batch "+label] = table(head, rows)
	}

	largest := batchSize{1000, 100}
	if quick {
		largest = batchSize{100, 10}
	}
	label := fmt.Sprintf("%d + %d ms", settings[0].Table.Milliseconds(), settings[0].SystemsManager.Milliseconds())
	ours := results[label+key(largest)][contenders[0].name]
	var rows [][]string
	for _, c := range contenders {
		other := results[label+key(largest)][c.name]
		wall, cpu := float64(other.wall)/float64(ours.wall), float64(other.cpu)/float64(ours.cpu)
		ideal := float64(settings[0].Table + settings[0].SystemsManager)
		rows = append(rows, []string{
			c.name, times(wall), times(cpu), ms(other.wall) + ", " + ms(other.median),
			times(float64(other.wall)/ideal) + ", " + times(float64(other.median)/ideal), fmt.Sprint(other.cpu.Microseconds()) + " µs",
		})
		if c != contenders[0] {
			r.ratio(fmt.Sprintf("wall of %s against this system, N=%d", c.name, largest.n), wall)
			r.ratio(fmt.Sprintf("CPU of %s against this system, N=%d", c.name, largest.n), cpu)
		}
		r.chart.add(c.name, other.wall, wall)
		r.chart.title = fmt.Sprintf("Deleting %d sessions on %d hosts: wall time (%s)", largest.n, largest.hosts, label)
		r.cost.note(c, largest, other)
	}
	head := []string{fmt.Sprintf("N = %d, H = %d", largest.n, largest.hosts), "wall", "CPU a session", "wall: fastest, median", "of the two round trips", "CPU a session"}
	r.say("\n### Against this system, %s\n\n%s", label, table(head, rows))
	spread := fmt.Sprintf("The first and the last of the calls that mark 1,000 sessions are %s apart.\n", ms(ours.spread))
	r.say("%s", spread)
	r.brief["spread"] = spread
	r.brief["against"] = table(head, rows)
	return nil
}

func key(size batchSize) string { return fmt.Sprintf(" %d/%d", size.n, size.hosts) }

func measureBatch(ctx context.Context, server *standin.Server, contenders []*contender, setting standin.Latency, size batchSize, quick bool) ([]batchResult, error) {
	results := make([]batchResult, len(contenders))
	walls := make([][]time.Duration, len(contenders))
	repeats := 9
	if quick {
		repeats = 3
	} else if size.n == 1000 {
		repeats = 15
	}
	// A round of each, then the next round: other load of the machine affects all
	// contenders.
	spent := make([]time.Duration, len(contenders))
	spreads := make([][]time.Duration, len(contenders))
	for round := range repeats {
		for i, c := range contenders {
			switch {
			case c.slow && size.n == 1000 && (size.hosts != 100 || round > 0):
				continue // it makes one call a session, whatever the number of hosts
			case c.slow && size.n == 100 && (size.hosts != 10 || round > 0), c.slow && round > 2:
				continue
			}
			server.Begin(setting)
			before, err := c.cpu()
			if err != nil {
				return nil, err
			}
			wall, err := c.delete(ctx, server, size.n, size.hosts)
			if err != nil {
				return nil, err
			}
			after, err := c.cpu()
			if err != nil {
				return nil, err
			}
			spent[i] += after - before
			walls[i] = append(walls[i], wall)
			spreads[i] = append(spreads[i], server.Spread())
			calls := 0
			for _, n := range server.Calls() {
				calls += n
			}
			// A call that a busy machine answers too late is sent again.
			if len(walls[i]) == 1 || calls < results[i].calls {
				results[i].calls = calls
			}
		}
	}
	for i := range contenders {
		if len(walls[i]) > 0 {
			// Other load of the machine can only add time: take the fastest round of
			// each.
			results[i].wall, results[i].median, results[i].spread = slices.Min(walls[i]), median(walls[i]), slices.Min(spreads[i])
			results[i].cpu = spent[i] / time.Duration(len(walls[i])*size.n)
		}
	}
	return results, nil
}
