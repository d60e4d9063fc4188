package runbook_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the table under "What StateReason says" is about: the files that make reasons, and where a reason stands in them.
var (
	makeReasons = []string{
		"../../session/*.go", "../../events/hostevents/*.go", "../../runcommand/*.go", "../../local/agent/*.go", "../../local/fleet/agent.go",
		"../../runcommand/documents/*.sh", "../../runcommand/documents/shared/*.awk",
	}
	reasonsIn = map[string]*regexp.Regexp{
		"../../session/rules_due.go":                    regexp.MustCompile(`Sprintf\("([^"]+)"`),
		"../../session/confirmer.go":                    regexp.MustCompile(`r\.Reason = "([^"]+)"`),
		"../../events/hostevents/answer.go":             regexp.MustCompile(`"(The host[^"]+) \("\+howItEnded`),
		"../../runcommand/isolate.go":                   regexp.MustCompile(`(?:return |Reason: )"((?:is|may|runs|was) [^"]+)"`),
		"../../runcommand/documents/close.sh":           regexp.MustCompile(`"failed", "([^"]+)"\)`),
		"../../runcommand/documents/shared/closing.awk": regexp.MustCompile(`(?:return|:) "(dcv [^"]+)"`),
		"../../runcommand/documents/shared/dcv.awk":     regexp.MustCompile(`(?:words|whyBlank) = (?:code[^?]*\? )?"([^"]{4,})"`),
	}
	// What the table under "Bounds" is about: the files that log, and lines which say that a bound was reached.
	reachBounds = []string{"../../session/*.go", "../../events/hostevents/*.go", "../../events/cleanup/*.go"}
	atBound     = regexp.MustCompile(`(?:Warn|Info)\("([^"]*(?:bound|the next run (?:looks|goes|asks)|more hosts|due still)[^"]*)"`)

	reasonRow = regexp.MustCompile(`(?m)^\| (\*.+?\*) \| .+ \|$`)
	fragment  = regexp.MustCompile(`\*([^*]+)\*`)
)

// Whoever is on call finds each reason that a record can have, and no other.
func TestRunbookHasTheReasons(t *testing.T) {
	_, table, found := strings.Cut(read(t, "../RUNBOOK.md"), "\n## What StateReason says\n")
	if !found {
		t.Fatal("RUNBOOK.md does not say what StateReason says")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	var told []string
	for _, row := range reasonRow.FindAllStringSubmatch(table, -1) {
		for _, f := range fragment.FindAllStringSubmatch(row[1], -1) {
			told = append(told, f[1])
		}
	}
	sources := readAll(t, makeReasons)
	for _, f := range told {
		if !strings.Contains(sources, strings.TrimSpace(f)) {
			t.Errorf("RUNBOOK.md explains *%s*, which nothing says", f)
		}
	}
	for file, reasons := range reasonsIn {
		all := reasons.FindAllStringSubmatch(read(t, file), -1)
		if len(all) == 0 {
			t.Errorf("%s has no reasons any more", file)
		}
		for _, reason := range all {
			if !slices.ContainsFunc(told, func(f string) bool { return strings.Contains(reason[1], strings.TrimSpace(f)) }) {
				t.Errorf("RUNBOOK.md does not explain %q of %s", reason[1], file)
			}
		}
	}
}

// Promise 11: whoever reads of a bound finds its log line, and the other way round.
func TestRunbookHasTheBounds(t *testing.T) {
	_, table, found := strings.Cut(read(t, "../RUNBOOK.md"), "\n## Bounds\n")
	if !found {
		t.Fatal("RUNBOOK.md does not say which bounds there are")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	sources := readAll(t, reachBounds)
	var told []string
	for _, f := range fragment.FindAllStringSubmatch(table, -1) {
		told = append(told, f[1])
		if !strings.Contains(sources, f[1]) {
			t.Errorf("RUNBOOK.md has the log line *%s*, which nothing writes", f[1])
		}
	}
	lines := atBound.FindAllStringSubmatch(sources, -1)
	if len(lines) == 0 {
		t.Error("no line tells of a bound")
	}
	for _, line := range lines {
		if !slices.ContainsFunc(told, func(f string) bool { return strings.Contains(line[1], f) }) {
			t.Errorf("RUNBOOK.md does not tell which bound this line is about: %q", line[1])
		}
	}
}

// readAll is the text of all files of those names, without tests.
func readAll(t *testing.T, patterns []string) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				all.WriteString(read(t, file))
			}
		}
	}
	return all.String()
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
