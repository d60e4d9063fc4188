package runbook_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"dcv-session-broker/internal/session"
)

const reasonsFile = "../../session/reasons.go"

// The packages that write reasons.
var writers = []string{"../../session/*.go", "../../runcommand/*.go", "../../events/hostevents/*.go", "../../events/cleanup/*.go"}

// Sentences there that are neither reasons nor texts of a log or an error.
var noReasons = []string{
	// Placeholders in a reason, or texts between two of them.
	"(none is recorded)", "an unknown time", " Last: ", " Reason: ", "Systems Manager: ",
	// Messages on users' screens (rules_grace.go).
	"This session will be closed at %s UTC, ", "in less than a minute.", "in 1 minute.", "in %d minutes.",
	"This session will not be closed. You can go on working.",
	// The results of a rule's run (RuleDeed).
	"would delete", "left alone: it has changed since it was read", "not recorded", "not certain that it was recorded",
	// Texts of other programs.
	"aws.ssm/EC2 Command Invocation Status-change Notification", "aws.ec2/EC2 Instance State-change Notification",
	"\n---Output truncated---", "\n---Error truncated----", "Step execution skipped",
}

// Files with the faults of a request, or of a rule's event.
var noWriters = []string{"../../session/graceperiod.go", "../../events/cleanup/rule.go"}

var (
	isSentence = regexp.MustCompile(`[a-z,:] [a-zA-Z%]`)
	// Functions whose sentences are for operators and programmers.
	takesSentences = []string{"Debug", "Info", "Warn", "Error", "Errorf", "New", "panic", "MustCompile"}
)

// Every reason in a record or an answer is a constant of one file, so that the list is complete.
func TestReasonsAreConstantsOfOneFile(t *testing.T) {
	for file, f := range parsed(t, writers) {
		if file == reasonsFile || slices.Contains(noWriters, file) {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				name := called(n)
				if name == "set" && len(n.Args) == 3 && isOneOf(n.Args[1], "AttrStateReason", "AttrWarning") {
					isNoLiteral(t, file, n.Args[2])
				}
				return !slices.Contains(takesSentences, name)
			case *ast.KeyValueExpr:
				if isOneOf(n.Key, "Reason", "reason") {
					isNoLiteral(t, file, n.Value)
				}
			case *ast.ImportSpec:
				return false
			case *ast.Field:
				return n.Tag == nil
			case *ast.BasicLit:
				if text, _ := strconv.Unquote(n.Value); n.Kind == token.STRING && isSentence.MatchString(text) && !slices.Contains(noReasons, text) {
					t.Errorf("%s has %q: if it is a reason, it belongs into reasons.go", file, text)
				}
			}
			return true
		})
	}
}

func called(call *ast.CallExpr) string {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		return fun.Name
	case *ast.SelectorExpr:
		return fun.Sel.Name
	}
	return ""
}

func isOneOf(e ast.Expr, names ...string) bool {
	id, ok := e.(*ast.Ident)
	return ok && slices.Contains(names, id.Name)
}

func isNoLiteral(t *testing.T, file string, e ast.Expr) {
	t.Helper()
	if lit, ok := e.(*ast.BasicLit); ok {
		t.Errorf("%s gives the reason %s: it belongs into reasons.go", file, lit.Value)
	}
}

// reasons returns the constants of reasons.go in the runbook's form: "…" for what differs.
func reasons(t *testing.T) (all []string) {
	t.Helper()
	for _, f := range parsed(t, []string{reasonsFile}) {
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok {
				for _, value := range spec.Values {
					all = append(all, strings.TrimSpace(verb.ReplaceAllString(constant(t, value), "…")))
				}
			}
			return true
		})
	}
	return all
}

var verb = regexp.MustCompile(`%[sd]`)

func constant(t *testing.T, e ast.Expr) string {
	t.Helper()
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		if err != nil {
			t.Fatal(err)
		}
		return text
	case *ast.BinaryExpr:
		return constant(t, e.X) + constant(t, e.Y)
	case *ast.Ident:
		switch e.Name {
		case "FleetTagKey":
			return session.FleetTagKey
		case "OwnerTagKey":
			return session.OwnerTagKey
		}
	}
	t.Fatalf("reasons.go has a constant that this test cannot read: %T", e)
	return ""
}

// parsed returns the parsed files of those names, without tests.
func parsed(t *testing.T, patterns []string) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	for _, pattern := range patterns {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
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
	}
	return files
}
