package contract_test

import (
	"go/build"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dcv-session-broker/internal/httpapi/contract/contracttest"
	"dcv-session-broker/internal/local/template"
	"dcv-session-broker/internal/session"
)

func TestRoutesAreTheTemplates(t *testing.T) {
	deployed, err := template.Load("../../../template.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, f := range deployed.Functions() {
		for _, r := range f.Routes {
			want = append(want, r.Method+" "+r.Path)
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(contracttest.Routes())); !slices.Equal(got, want) {
		t.Errorf("the contract has %v, template.yaml %v", got, want)
	}
}

func TestEveryOperationNeedsAToken(t *testing.T) {
	doc := contracttest.Document()
	if len(doc.Security) != 1 || doc.Security[0]["bearerAuth"] == nil {
		t.Errorf("security: %v", doc.Security)
	}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.Security != nil {
				t.Errorf("%s %s has a security of its own", method, path)
			}
		}
	}
}

func TestStatesAreTheCodes(t *testing.T) {
	// Not an enum: a client that was generated with one fails on a state that is new.
	text := contracttest.Document().Components.Schemas["Session"].Value.Properties["State"].Value.Description
	for _, s := range []session.State{session.Creating, session.Ready, session.Deleting, session.Deleted, session.Unknown} {
		if !strings.Contains(text, string(s)) {
			t.Errorf("Session.State does not tell of %s: %s", s, text)
		}
	}
}

// Each of these would make every cold start longer: the contract and what checks it, the system on one machine, and the
// operator's tool with its clients and the SDK's search for credentials.
func TestNoFunctionBringsTheContract(t *testing.T) {
	const module, sdk = "dcv-session-broker/", "github.com/aws/aws-sdk-go-v2/"
	seen := map[string]bool{}
	var visit func(path string)
	visit = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		// Not by go list, whose files go test does not know: it would take an old result for a new one.
		pkg, err := build.ImportDir(filepath.Join("../../..", strings.TrimPrefix(path, module)), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, imported := range pkg.Imports {
			if slices.ContainsFunc([]string{
				module + "internal/httpapi/contract", "github.com/getkin/kin-openapi", module + "internal/local", module + "internal/operate",
				sdk + "config", sdk + "service/cloudformation", sdk + "service/cognitoidentityprovider", sdk + "service/sqs",
			}, func(prefix string) bool { return strings.HasPrefix(imported, prefix) }) {
				t.Errorf("%s, of which a function is made, imports %s", path, imported)
			}
			if strings.HasPrefix(imported, module) {
				visit(imported)
			}
		}
	}
	mains, err := filepath.Glob("../../../functions/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, main := range mains {
		visit(module + "functions/" + filepath.Base(main))
	}
	if !seen[module+"internal/httpapi"] {
		t.Errorf("not the functions: %v", seen)
	}
}
