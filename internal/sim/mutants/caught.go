package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// caughtFile has a row for each bug: what caught it, and after how many seeds.
const caughtFile = "internal/sim/mutants/CAUGHT.md"

const caughtHead = "# Deliberate bugs, and what catches them\n\n" +
	"`make mutants` puts each of them into the code in turn (the tree stays as it is) and runs the simulation until a promise is\n" +
	"broken; `KEEP=1 make mutants` writes this table. A bug can break another promise before the one that it is meant to break.\n\n" +
	"| bug | promise it breaks | promise that caught it | seeds |\n" +
	"| --- | --- | --- | --- |\n"

// A caught is what is kept of a bug's verdict.
type caught struct {
	promise string // that caught it
	seeds   string
}

var caughtRow = regexp.MustCompile(`(?m)^\| (.+) \| (\d+) \| (\d+) \| (\d+) \|$`)

// readCaught has the rows by the bug's name.
func readCaught(text string) map[string]caught {
	rows := map[string]caught{}
	for _, row := range caughtRow.FindAllStringSubmatch(text, -1) {
		rows[row[1]] = caught{promise: row[3], seeds: row[4]}
	}
	return rows
}

// formatCaught is the file: a row for each bug, by promise.
func formatCaught(rows map[string]caught) string {
	var b strings.Builder
	b.WriteString(caughtHead)
	byPromise := slices.SortedStableFunc(slices.Values(mutants), func(a, b mutant) int { return a.promise - b.promise })
	for _, m := range byPromise {
		row, ok := rows[m.name]
		if !ok {
			row = caught{promise: "not run", seeds: "-"}
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %s |\n", m.name, m.promise, row.promise, row.seeds)
	}
	return b.String()
}

// keep writes the verdicts into the file. Bugs that were not chosen, or not
// caught, keep the rows that they have.
func (r *runner) keep(chosen []mutant, verdicts []verdict) error {
	path := filepath.Join(r.root, caughtFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	rows := readCaught(string(text))
	for i, v := range verdicts {
		if _, err := strconv.Atoi(v.seeds); v.err == nil && err == nil {
			rows[chosen[i].name] = caught{promise: v.caught, seeds: v.seeds}
		}
	}
	return os.WriteFile(path, []byte(formatCaught(rows)), 0o644)
}
