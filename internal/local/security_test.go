package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const securityPage = "../../.github/SECURITY.md"

// The numbers of bad inputs in SECURITY.md are correct.
func TestSecurityPageSaysHowMuchBadInputIsTried(t *testing.T) {
	security := read(t, securityPage)
	inputs := regexp.MustCompile(`fuzztime[ =]"\$\{FUZZTIME:-(\d+)x\}"`).FindStringSubmatch(read(t, "../../.ci/go/fuzz"))
	if inputs == nil || inputs[1] != "5000" || strings.Count(security, "5,000 inputs each") != 3 {
		t.Errorf("SECURITY.md does not say that a fuzz target has %q inputs", inputs)
	}
	target := regexp.MustCompile(`(?m)^func Fuzz`)
	for against, root := range map[string]string{"API": "../httpapi", "hosts": "../runcommand", "events": "../events"} {
		targets := 0
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, "_test.go") {
				targets += len(target.FindAllString(read(t, path), -1))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if told := fmt.Sprintf("| %s | %d fuzz targets: ", against, targets); !strings.Contains(security, told) {
			t.Errorf("SECURITY.md does not say: %s", told)
		}
	}
	for file, figure := range map[string]struct{ of, told string }{
		"../httpapi/deletesessions/delete_test.go": {"TestMisspelledDryRunsAreRefused", "| %d spellings of `dryRun` |"},
		"../runcommand/documents/hostile_test.go":  {"hostileIDs", "| %d session IDs that mean something to "},
		"../runcommand/unpack_test.go":             {"TestUnpackingIsBounded", "| %d packed answers that unpack to "},
	} {
		if told := fmt.Sprintf(figure.told, elements(t, file, figure.of)); !strings.Contains(security, told) {
			t.Errorf("SECURITY.md does not say: %s", told)
		}
	}
	_, ways, _ := strings.Cut(read(t, "../../.ci/template/authorization_test.py"), "\nBREAKAGES = [\n")
	ways, _, _ = strings.Cut(ways, "\n]\n")
	if told := fmt.Sprintf("| %d ways in which a template lets somebody in |", len(regexp.MustCompile(`(?m)^    \("`).FindAllString(ways, -1))); !strings.Contains(security, told) {
		t.Errorf("SECURITY.md does not say: %s", told)
	}
}

// elements returns the number of elements of the first list or map in a file's declaration of that name.
func elements(t *testing.T, file, name string) int {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	first := func(n ast.Node) bool {
		if list, is := n.(*ast.CompositeLit); is && count == 0 {
			count = len(list.Elts)
		}
		return count == 0
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == name {
				ast.Inspect(n, first)
			}
			return false
		case *ast.ValueSpec:
			if n.Names[0].Name == name {
				ast.Inspect(n, first)
			}
		}
		return true
	})
	return count
}

// The tests that documents name exist, and so do the stories and faults that SECURITY.md
// names.
func TestDocumentsNameWhatThereIs(t *testing.T) {
	security := read(t, securityPage)
	var tests strings.Builder
	documents := map[string]string{
		securityPage:                    security,
		"../../.github/CONTRIBUTING.md": read(t, "../../.github/CONTRIBUTING.md"),
		"../../README.md":               read(t, "../../README.md"),
	}
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		switch {
		case err != nil:
		case strings.HasSuffix(path, "_test.go"):
			tests.WriteString(read(t, path))
		case strings.HasSuffix(path, ".md"):
			documents[path] = read(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	anyTest := regexp.MustCompile(`\b((?:Test|Fuzz)[A-Z]\w+)\b`)
	for path, text := range documents {
		for _, name := range anyTest.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(tests.String(), "\nfunc "+name[1]+"(") {
				t.Errorf("%s names %s, which is not there", path, name[1])
			}
		}
	}
	named := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(security, -1)
	stories := regexp.MustCompile("`(\\w+\\.txtar)`").FindAllStringSubmatch(security, -1)
	faults := regexp.MustCompile(`\*(host [a-z]+)\*`).FindAllStringSubmatch(security, -1)
	if len(named) < 30 || len(stories) < 5 || len(faults) != 2 {
		t.Errorf("it names %d tests, %d stories and %d faults: this does not read it rightly", len(named), len(stories), len(faults))
	}
	for _, name := range stories {
		if _, err := os.Stat("system/testdata/" + name[1]); err != nil {
			t.Error(err)
		}
	}
	for _, name := range faults {
		if !strings.Contains(read(t, "../sim/faults.go"), `"`+name[1]+`"`) {
			t.Errorf("the simulation has no fault %q", name[1])
		}
	}
}
