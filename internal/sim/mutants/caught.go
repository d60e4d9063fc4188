package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// caughtFile has a row for each bug: what caught it, and the number of seeds that it
// took.
const caughtFile = "internal/sim/mutants/CAUGHT.md"

const caughtHead = "# Deliberate bugs, and what catches them\n\n" +
	"`make mutants` puts each of them into the code in turn (the tree stays as it is) and runs the simulation until a promise is\n" +
	"broken; `KEEP=1 make mutants` writes this table. A bug can break another promise before the one that it is meant to break.\n" +
	"Where the simulation cannot see it, tests do.\n\n" +
	"| bug | promise it breaks | what caught it: a promise, or tests | seeds |\n" +
	"| --- | --- | --- | --- |\n"

// A caught is the recorded verdict on one bug.
type caught struct {
	by    string // a promise, or tests
	seeds string
}

var caughtRow = regexp.MustCompile(`(?m)^\| (.+) \| (\d+) \| (\d+|tests of \S+) \| (\d+|-) \|$`)

// readCaught has the rows by the bug's name.
func readCaught(text string) map[string]caught {
	rows := map[string]caught{}
	for _, row := range caughtRow.FindAllStringSubmatch(text, -1) {
		rows[row[1]] = caught{by: row[3], seeds: row[4]}
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
			row = caught{by: "not run", seeds: "-"}
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %s |\n", m.name, m.promise, row.by, row.seeds)
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
		if len(r.tests) == 0 && v.err == nil {
			rows[chosen[i].name] = caught{by: v.caught, seeds: v.seeds}
		}
	}
	return os.WriteFile(path, []byte(formatCaught(rows)), 0o644)
}
