package runbook_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dcv-session-broker/internal/operate/runbook"
	"dcv-session-broker/internal/session"
)

var (
	// The scripts that close sessions and warn users.
	scriptsOfHosts = []string{
		"../../runcommand/documents/close.*", "../../runcommand/documents/notify.*", "../../runcommand/documents/shared/*",
	}
	// Where Systems Manager's statuses are, and its agent's texts about a script that it could not run.
	systemsManager = []string{"../../local/agent/output.go", "../../local/fleet/command.go", "../../local/fleet/agent_test.go"}
	// A reason in a script.
	inScripts = []*regexp.Regexp{
		regexp.MustCompile(`(?:fail|return|failed",|words =|whyBlank =|[?:]) "([^"=]*[a-z] [a-z][^"=]*)"`), // sh and awk
		regexp.MustCompile(`(?:throw|whyBlank =) '([^']*[a-z] [a-z][^']*)'`),                               // PowerShell
	}
	// For the table under "Bounds": the files that log, and the lines that say that a bound was reached.
	reachBounds = []string{"../../session/*.go", "../../events/hostevents/*.go", "../../events/cleanup/*.go"}
	atBound     = regexp.MustCompile(`(?:Warn|Info)\("([^"]*(?:bound|the next run (?:looks|goes|asks)|more hosts|still due)[^"]*)"`)

	fragment = regexp.MustCompile(`\*([^*]+)\*`)
	variable = regexp.MustCompile(`\$\w+`)
)

// The frame of a refused host's clause, which is no reason by itself.
const ofRefusedHost = "The host …."

// The runbook has exactly the reasons that the code writes.
func TestRunbookHasTheReasons(t *testing.T) {
	text := read(t, "../RUNBOOK.md")
	book, err := runbook.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	told := book.Phrases()
	written := append(reasons(t), string(session.OutcomeFailed)) // from a host that gives no reason
	for _, reason := range written {
		if !slices.Contains(told, reason) && reason != ofRefusedHost {
			t.Errorf("RUNBOOK.md has no row of %q (reasons.go)", reason)
		}
	}
	scripts := readAll(t, scriptsOfHosts)
	said := 0
	for _, pattern := range inScripts {
		for _, match := range pattern.FindAllStringSubmatch(scripts, -1) {
			said++
			reason := strings.TrimSpace(variable.ReplaceAllString(match[1], "…"))
			if _, ok := book.Advice(reason, "i-1"); !ok {
				t.Errorf("RUNBOOK.md has no row of %q, which a script says", reason)
			}
		}
	}
	if said < 40 {
		t.Errorf("%d reasons found in scripts: is this test blind?", said)
	}
	ofHosts := scripts
	for _, file := range systemsManager {
		ofHosts += read(t, file)
	}
	for _, phrase := range told {
		ofHost := strings.Trim(strings.TrimPrefix(phrase, "Systems Manager: "), "…) ")
		if !slices.Contains(written, phrase) && !strings.Contains(ofHosts, ofHost) {
			t.Errorf("RUNBOOK.md has a row of *%s*, which nothing says", phrase)
		}
	}
}

// Promise 11: the runbook names the log line of each bound, and each such log line is in the runbook.
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

// before is the text before the name of each.
var before = map[string]string{"widget": `"title": "`, "query": "/"}

// Each log line and each widget of the dashboard that the runbook names exists.
func TestRunbookQuotesWhatIsThere(t *testing.T) {
	text := read(t, "../RUNBOOK.md")
	deployed := read(t, "../../../template.yaml")
	for what, in := range map[string]string{"line": readAll(t, reachBounds), "widget": deployed, "query": deployed} {
		quoted := regexp.MustCompile(`[^-]`+what+`\s"([^"]+)"`).FindAllStringSubmatch(text, -1)
		if len(quoted) == 0 {
			t.Errorf("RUNBOOK.md quotes no %s", what)
		}
		for _, match := range quoted {
			if name := strings.Join(strings.Fields(match[1]), " "); !strings.Contains(in, before[what]+name) {
				t.Errorf("RUNBOOK.md has the %s %q, which is nowhere", what, name)
			}
		}
	}
}

// readAll returns the text of all files of those names, without tests.
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
