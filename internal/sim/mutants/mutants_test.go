package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each bug still applies to the current source and gives valid Go. A bug that no longer
// applies proves nothing.
func TestEveryBugStillFits(t *testing.T) {
	named := map[string]bool{}
	ofPromise := map[int]int{}
	for _, m := range mutants {
		if named[m.name] {
			t.Errorf("%s: there are two of that name", m.name)
		}
		named[m.name] = true
		ofPromise[m.promise]++
		source, err := os.ReadFile(filepath.Join("../../..", m.file))
		if err != nil {
			t.Fatal(err)
		}
		mutated, err := m.apply(string(source))
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
			continue
		}
		if mutated == string(source) || m.why == "" {
			t.Errorf("%s: changes nothing, or has no reason", m.name)
		}
		if m.file == theTemplate {
			continue // a script
		}
		if _, err := parser.ParseFile(token.NewFileSet(), m.file, mutated, parser.SkipObjectResolution); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
	for promise := 1; promise <= 12; promise++ {
		if ofPromise[promise] == 0 {
			t.Errorf("no bug breaks promise %d", promise)
		}
	}
	if len(mutants) < 30 {
		t.Errorf("only %d bugs", len(mutants))
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if told := fmt.Sprintf("`make mutants` puts %d bugs", len(mutants)); !strings.Contains(string(readme), told) {
		t.Errorf("README.md does not say: %s", told)
	}
}

// CAUGHT.md says what catches each bug. It names all bugs, and no others.
func TestCaughtNamesTheBugs(t *testing.T) {
	told, err := os.ReadFile("CAUGHT.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := formatCaught(readCaught(string(told))); string(told) != want {
		t.Errorf("CAUGHT.md differs from what KEEP=1 make mutants writes (ONLY='^$' runs no bug): (-file +written)\n%s",
			cmp.Diff(strings.Split(string(told), "\n"), strings.Split(want, "\n")))
	}
}
