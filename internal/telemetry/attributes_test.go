package telemetry_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/telemetry"
)

// Every attribute that a function's code names is in the list, and the list has no
// other. The scenarios compare the lines that are really written with it.
func TestAttributesAreTheListed(t *testing.T) {
	used := map[string]bool{"InvocationId": true}
	metrics := map[string]bool{}
	eachFile(t, func(path string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && !strings.HasSuffix(path, "metric.go") {
				metrics[id.Name] = true
			}
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"Debug", "Info", "Warn", "Error", "With"}, method.Sel.Name) {
				return true
			}
			args := call.Args
			if method.Sel.Name == "Error" && len(args) == 0 {
				return true // an error's text
			}
			if method.Sel.Name != "With" {
				args = args[1:] // the message
			}
			for i := 0; i < len(args); i++ {
				if text, ok := args[i].(*ast.BasicLit); ok && text.Kind == token.STRING {
					name, err := strconv.Unquote(text.Value)
					if err != nil {
						t.Fatal(err)
					}
					if telemetry.Attributes[name] == "" && name != "Metric" { // no line shows it
						t.Errorf("%s: attribute %s is not in telemetry.Attributes", path, name)
					}
					used[name] = true
					i++ // its value
				}
			}
			return true
		})
	})
	for name := range telemetry.Attributes {
		if !used[name] && !slices.Contains([]string{"AfterSeconds", "SessionList"}, name) { // built before it is logged
			t.Errorf("no line has the attribute %s", name)
		}
	}
	for _, m := range session.Metrics {
		if !metrics[string(m)] {
			t.Errorf("nothing measures %s", m)
		}
	}
}

// eachFile parses the files of the functions.
func eachFile(t *testing.T, do func(path string, file *ast.File)) {
	t.Helper()
	for _, root := range []string{"../../functions", "../../internal"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() && slices.Contains([]string{"local", "sim", "testdata", "telemetry"}, entry.Name()) {
				return filepath.SkipDir
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err == nil {
				do(path, file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
