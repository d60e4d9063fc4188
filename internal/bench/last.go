package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
)

// lastFile has the figures of the last run that was kept. Only ratios and counts: times
// depend more on the machine than on the system.
const lastFile = "internal/bench/last.json"

// noise is how far a ratio may differ on a machine with other load. A count must not
// differ at all.
const noise = 0.25

func readLast(path string) (map[string]float64, error) {
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var last map[string]float64
	return last, json.Unmarshal(text, &last)
}

func writeLast(path string, figures []figure) error {
	all := map[string]float64{}
	for _, f := range figures {
		all[f.name] = math.Round(f.value*1000) / 1000
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// limits are the limits that `make bench` checks, independent of the last run: figures by
// the beginning of their names, of this system unless they name another.
var limits = []struct {
	figure      string
	least, most float64
}{
	// The two round trips are 1. Beyond them there is processor time, on two
	// processors that the stand-in shares: half of it is the SDK's for the 43 calls
	// alone, which are measured too ("its calls alone").
	{"wall, 5 + 40 ms, N=1000 H=100, this system", 0, 1.5},
	{"median wall, 5 + 40 ms, N=1000 H=100, this system", 0, 1.6},
	{"wall of this system against its calls alone, N=1000", 0, 1.35},
	{"wall of Go, goroutines against this system, N=1000", 1, math.Inf(1)},
	{"wall of Go, sequential against this system, N=1000", 100, math.Inf(1)},
	{"wall of Python, boto3 against this system, N=1000", 100, math.Inf(1)},
	{"CPU of Go", 5, math.Inf(1)},
	{"CPU of Python", 5, math.Inf(1)},
	// A function that only makes the SDK's clients takes 1.25 of the processor time
	// of hello-world (2.73 to 2.2 ms). Most of the difference are tables of
	// endpoints, which the SDK fills before main (GODEBUG=inittrace=1: 0.22 ms for
	// DynamoDB, 0.12 ms for Systems Manager). Functions that answer requests open
	// their connections, too (0.35 ms), which the first answer needs; without
	// that, delete-sessions takes what the clients alone take.
	{"cold start against hello-world, the clients alone", 0, 1.3},
	{"cold start against hello-world, delete-sessions", 0, 1.4},
	{"cold start against hello-world, cancel-deletions", 0, 1.4},
	{"cold start against hello-world, describe-sessions", 0, 1.3},
	{"cold start against hello-world, session-stream", 0, 1.3},
	{"cold start against hello-world, ended-sessions", 0, 1.3},
	{"cold start against hello-world, host-events", 0, 1.6}, // these two also ask EC2
	{"cold start against hello-world, cleanup", 0, 1.6},
	{"processor time of a cold start against the clients alone, delete-sessions", 0, 1.2},
	{"processor time of a cold start against the clients alone, cancel-deletions", 0, 1.2},
	{"growth to 100000 records", 0, 1.2},
	{"Systems Manager reads for a command, 50 hosts", 0, 1},
	{"table calls for 25 confirmed sessions", 0, 1},
}

// over returns a line for each figure that is beyond its limit.
func (r *report) over() (lines []string) {
	for _, f := range r.figures {
		for _, l := range limits {
			if strings.HasPrefix(f.name, l.figure) && (f.value < l.least || f.value > l.most) {
				lines = append(lines, fmt.Sprintf("BEYOND   %s: %.3g, which has to be within %g and %g", f.name, f.value, l.least, l.most))
			}
		}
	}
	return lines
}

// beyond returns an error if there are such lines; a busy machine can cause them.
func beyond(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	return fmt.Errorf("%d figures are beyond their limits (is the machine busy with something else?)", len(lines))
}

// countsChanged returns an error if counts have changed, which the machine cannot cause.
func countsChanged(lines []string) error {
	for _, line := range lines {
		if strings.HasPrefix(line, "CHANGED") {
			return errors.New("counts have changed; if they should have, KEEP=1 keeps them")
		}
	}
	return nil
}

// moved returns a line for each figure that has changed. For a quick run, figures that it
// did not measure are left out.
func moved(last map[string]float64, figures []figure, quick bool) (lines []string) {
	measured := map[string]bool{}
	for _, f := range figures {
		measured[f.name] = true
		before, known := last[f.name]
		switch {
		case !known:
			lines = append(lines, fmt.Sprintf("new      %s: %.3g", f.name, f.value))
		case f.counted && math.Abs(f.value-before) > 1e-9:
			lines = append(lines, fmt.Sprintf("CHANGED  %s: %g, was %g", f.name, f.value, before))
		case !f.counted && math.Abs(f.value-before) > noise*math.Abs(before):
			lines = append(lines, fmt.Sprintf("moved    %s: %.3g, was %.3g (%+.0f %%)", f.name, f.value, before, 100*(f.value/before-1)))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(last)) {
		if !measured[name] && !quick {
			lines = append(lines, fmt.Sprintf("gone     %s, was %.3g", name, last[name]))
		}
	}
	return lines
}
