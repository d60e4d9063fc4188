package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the table under "What StateReason says" is about: the files that make reasons, and where a reason stands in them.
var (
	makeReasons = []string{
		"../session/*.go", "../events/hostevents/*.go", "../runcommand/*.go", "../local/agent/*.go", "../local/fleet/agent.go",
		"../runcommand/documents/*.sh", "../runcommand/documents/shared/*.awk",
	}
	reasonsIn = map[string]*regexp.Regexp{
		"../session/rules_due.go":                    regexp.MustCompile(`Sprintf\("([^"]+)"`),
		"../session/confirmer.go":                    regexp.MustCompile(`r\.Reason = "([^"]+)"`),
		"../events/hostevents/hostevents.go":         regexp.MustCompile(`"(The host[^"]+) \("\+howItEnded`),
		"../runcommand/isolate.go":                   regexp.MustCompile(`(?:return |Reason: )"((?:is|may|runs|was) [^"]+)"`),
		"../runcommand/documents/close.sh":           regexp.MustCompile(`"failed", "([^"]+)"\)`),
		"../runcommand/documents/shared/closing.awk": regexp.MustCompile(`(?:return|:) "(dcv [^"]+)"`),
		"../runcommand/documents/shared/dcv.awk":     regexp.MustCompile(`(?:words|whyBlank) = (?:code[^?]*\? )?"([^"]{4,})"`),
	}
	reasonRow = regexp.MustCompile(`(?m)^\| (\*.+?\*) \| .+ \|$`)
	fragment  = regexp.MustCompile(`\*([^*]+)\*`)
)

// Whoever is on call finds each reason that a record can have, and no other.
func TestRunbookHasTheReasons(t *testing.T) {
	_, table, found := strings.Cut(read(t, "../../README.md"), "\n### What StateReason says\n")
	if !found {
		t.Fatal("README.md does not say what StateReason says")
	}
	table, _, _ = strings.Cut(table, "\n### ")
	var told []string
	for _, row := range reasonRow.FindAllStringSubmatch(table, -1) {
		for _, f := range fragment.FindAllStringSubmatch(row[1], -1) {
			told = append(told, f[1])
		}
	}
	var sources strings.Builder
	for _, pattern := range makeReasons {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				sources.WriteString(read(t, file))
			}
		}
	}
	for _, f := range told {
		if !strings.Contains(sources.String(), strings.TrimSpace(f)) {
			t.Errorf("README.md explains *%s*, which nothing says", f)
		}
	}
	for file, reasons := range reasonsIn {
		all := reasons.FindAllStringSubmatch(read(t, file), -1)
		if len(all) == 0 {
			t.Errorf("%s has no reasons any more", file)
		}
		for _, reason := range all {
			if !slices.ContainsFunc(told, func(f string) bool { return strings.Contains(reason[1], strings.TrimSpace(f)) }) {
				t.Errorf("README.md does not explain %q of %s", reason[1], file)
			}
		}
	}
}
