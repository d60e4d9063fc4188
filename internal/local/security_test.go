package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// README.md says under "Security" how much bad input is tried.
func TestReadmeSaysHowMuchBadInputIsTried(t *testing.T) {
	_, security, _ := strings.Cut(read(t, "../../README.md"), "\n## Security\n")
	security, _, _ = strings.Cut(security, "\n## ")
	inputs := regexp.MustCompile(`fuzztime[ =]"\$\{FUZZTIME:-(\d+)x\}"`).FindStringSubmatch(read(t, "../../.ci/go/fuzz"))
	if inputs == nil || inputs[1] != "5000" || strings.Count(security, "5,000 inputs each") != 3 {
		t.Errorf("README.md does not say that a fuzz target has %q inputs", inputs)
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
			t.Errorf("README.md does not say: %s", told)
		}
	}
	for file, figure := range map[string]struct{ of, told string }{
		"../httpapi/deletesessions/delete_test.go": {"TestWhatMayMeanADryRunIsNone", "| %d spellings of `dryRun` |"},
		"../runcommand/documents/hostile_test.go":  {"hostileIDs", "| %d session IDs that mean something to "},
		"../runcommand/unpack_test.go":             {"TestUnpackingIsBounded", "| %d packed answers that unpack to "},
	} {
		if told := fmt.Sprintf(figure.told, elements(t, file, figure.of)); !strings.Contains(security, told) {
			t.Errorf("README.md does not say: %s", told)
		}
	}
	_, ways, _ := strings.Cut(read(t, "../../.ci/template/authorization_test.py"), "\nBREAKAGES = [\n")
	ways, _, _ = strings.Cut(ways, "\n]\n")
	if told := fmt.Sprintf("| %d ways in which a template lets somebody in |", len(regexp.MustCompile(`(?m)^    \("`).FindAllString(ways, -1))); !strings.Contains(security, told) {
		t.Errorf("README.md does not say: %s", told)
	}
}

// elements is how many elements the first list, or map, has that a file's declaration of that name has in it.
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
