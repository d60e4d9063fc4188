package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
)

// lastFile has the figures of the last run that was kept. Only ratios and
// counts: times would say more of the machine than of the system.
const lastFile = "internal/bench/last.json"

// noise is how far a ratio may move without meaning anything, on a machine that
// does other things too. A count may not move at all.
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

// moved tells, a line each, what is not as it was. Figures that this run did
// not measure are left out if it was a quick one.
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
