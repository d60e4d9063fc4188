package session_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dcv-session-broker/internal/session"
)

// source parses the package's files by name, without its tests.
func source(t *testing.T) map[string]*ast.File {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]*ast.File{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = f
	}
	return files
}

func isRules(file string) bool { return strings.HasPrefix(file, "rules_") }

// All code that makes a Write is in a file of rules, and nothing there reads, writes or
// logs.
func TestRulesAreInFilesOfRules(t *testing.T) {
	rules := 0
	for name, f := range source(t) {
		for _, decl := range f.Decls {
			switch fn, ok := decl.(*ast.FuncDecl); {
			case !ok:
			case !isRules(name):
				if returnsWrite(fn) {
					t.Errorf("%s: %s returns a Write: it is a rule, and belongs into a file rules_*.go", name, fn.Name.Name)
				}
			case takesContext(fn):
				t.Errorf("%s: %s takes a context: it is not a rule", name, fn.Name.Name)
			case returnsWrite(fn):
				rules++
			}
		}
		if !isRules(name) {
			ast.Inspect(f, func(n ast.Node) bool {
				if lit, ok := n.(*ast.CompositeLit); ok && len(lit.Elts) > 0 && isNamed(lit.Type, "Write") {
					t.Errorf("%s makes a Write by itself: that is a rule, and belongs into a file rules_*.go", name)
				}
				return true
			})
		}
	}
	if rules < 20 {
		t.Errorf("%d rules found: is this test blind?", rules)
	}
}

func returnsWrite(fn *ast.FuncDecl) bool {
	return fn.Type.Results != nil && slices.ContainsFunc(fn.Type.Results.List, func(f *ast.Field) bool {
		if list, ok := f.Type.(*ast.ArrayType); ok {
			return isNamed(list.Elt, "Write")
		}
		return isNamed(f.Type, "Write")
	})
}

func takesContext(fn *ast.FuncDecl) bool {
	return slices.ContainsFunc(fn.Type.Params.List, func(f *ast.Field) bool {
		selector, ok := f.Type.(*ast.SelectorExpr)
		return ok && selector.Sel.Name == "Context"
	})
}

func isNamed(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// A file is short enough to be read as a whole.
func TestNoFileIsLongerThan350Lines(t *testing.T) {
	for name := range source(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(string(text), "\n"); lines > 350 {
			t.Errorf("%s has %d lines", name, lines)
		}
	}
}

// walk is a line of the package comment's list of files.
var walk = regexp.MustCompile(`(?m)^\t((?:functions|internal)/\S+)(?: +(\w+)(?:, (\w+))?)`)

// The files that the package comment lists for one session are few and short, and have
// the functions that it names.
func TestTheFilesOfOneSessionExist(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "session.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	steps := walk.FindAllStringSubmatch(f.Doc.Text(), -1)
	if len(steps) < 15 || len(steps) > 20 {
		t.Errorf("%d files", len(steps))
	}
	for _, step := range steps {
		text, err := os.ReadFile(filepath.Join("../..", step[1]))
		if err != nil {
			t.Error(err)
			continue
		}
		if lines := strings.Count(string(text), "\n"); lines > 350 {
			t.Errorf("%s has %d lines", step[1], lines)
		}
		for _, name := range step[2:] {
			if name != "" && strings.HasSuffix(step[1], ".go") && !regexp.MustCompile(`(?m)^(func (\(.*?\) )?|\t)`+name+`\(`).Match(text) {
				t.Errorf("%s has no %s", step[1], name)
			}
		}
	}
}

// attributes are the constants Attr..., by name.
func attributes(t *testing.T) map[string]string {
	t.Helper()
	values := map[string]string{}
	for _, f := range source(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Attr") {
				return true
			}
			if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
				values[spec.Names[0].Name], _ = strconv.Unquote(lit.Value)
			}
			return true
		})
	}
	return values
}

// An attribute that a rule sets belongs to a session's listing, which every inventory
// writes again, or to its deletion. The next mark removes every attribute of a deletion
// that it does not set itself.
func TestEveryAttributeIsOfTheListingOrOfTheDeletion(t *testing.T) {
	listing := session.Listed(session.Session{ID: "s1", DCVID: "console", Name: "name", FirstSeenAt: t0})
	known := map[string]bool{"ObservedAt": true}
	for attr := range listing {
		known[attr] = true
	}
	for _, attr := range session.DeletionAttrs {
		if known[attr] && attr != "State" { // each of the two sets it
			t.Errorf("%s belongs to the listing: a mark must not remove it", attr)
		}
		known[attr] = true
	}
	for _, attr := range session.CancelAttrs {
		if known[attr] {
			t.Errorf("%s outlasts the deletion: it must not be in another list", attr)
		}
		known[attr] = true
	}
	values := attributes(t)
	for name, attr := range values {
		if !known[attr] {
			t.Errorf("%s is in no list: if a rule sets it, the next mark must remove it (deletionAttrs)", name)
		}
	}
	if len(values) < 25 {
		t.Errorf("%d attributes found: is this test blind?", len(values))
	}
	for file, f := range source(t) {
		if isRules(file) {
			ast.Inspect(f, func(n ast.Node) bool {
				for _, name := range namesAttributes(n) {
					if lit, ok := name.(*ast.BasicLit); ok && lit.Kind == token.STRING {
						t.Errorf("%s sets %s without its constant", file, lit.Value)
					}
				}
				return true
			})
		}
	}
}

// namesAttributes returns the expressions that name an attribute that a rule sets: set(w,
// name, v), w.Set[name] or Record{name: v}.
func namesAttributes(n ast.Node) (names []ast.Expr) {
	switch n := n.(type) {
	case *ast.CallExpr:
		if isNamed(n.Fun, "set") && len(n.Args) == 3 {
			names = append(names, n.Args[1])
		}
	case *ast.IndexExpr:
		names = append(names, n.Index)
	case *ast.CompositeLit:
		if isNamed(n.Type, "Record") {
			for _, e := range n.Elts {
				names = append(names, e.(*ast.KeyValueExpr).Key)
			}
		}
	}
	return names
}
