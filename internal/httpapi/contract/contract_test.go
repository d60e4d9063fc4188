package contract_test

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"dcv-session-broker/internal/httpapi/contract/contracttest"
	"dcv-session-broker/internal/local/template"
	"dcv-session-broker/internal/session"
)

func deployed(t *testing.T) *template.Template {
	t.Helper()
	tpl, err := template.Load("../../../template.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	return tpl
}

func TestRoutesAreTheTemplates(t *testing.T) {
	var want []string
	for _, f := range deployed(t).Functions() {
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

func schema(t *testing.T, names ...string) *openapi3.Schema {
	t.Helper()
	ref := contracttest.Document().Components.Schemas[names[0]]
	for _, name := range names[1:] {
		ref = ref.Value.Properties[name]
	}
	if ref == nil {
		t.Fatalf("the contract has no %s", strings.Join(names, "."))
	}
	return ref.Value
}

func body(t *testing.T, path string) *openapi3.Schema {
	t.Helper()
	return contracttest.Document().Paths.Value(path).Post.RequestBody.Value.Content["application/json"].Schema.Value
}

func TestLimitsAreTheCodes(t *testing.T) {
	entries := deployed(t).Parameters()["MaxBatchSize"]
	for what, limit := range map[string]struct{ got, want string }{
		"entries in a request": {strconv.FormatUint(*body(t, "/deleteSessions").MaxItems, 10), entries},
		"bytes of an ID":       {strconv.FormatUint(*schema(t, "SessionId").MaxLength, 10), strconv.Itoa(session.MaxIDBytes)},
	} {
		if limit.got != limit.want {
			t.Errorf("%s: the contract says %s, the code %s", what, limit.got, limit.want)
		}
	}
}

func TestStatesAreTheCodes(t *testing.T) {
	// Not an enum: a client that was generated with one fails on a state that is new.
	text := schema(t, "Session", "State").Description
	for _, s := range []session.State{session.Creating, session.Ready, session.Deleting, session.Deleted, session.Unknown} {
		if !strings.Contains(text, string(s)) {
			t.Errorf("Session.State does not tell of %s: %s", s, text)
		}
	}
}

// The contract, and what checks it, would make every cold start longer.
func TestNoFunctionBringsTheContract(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "dcv-session-broker/functions/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "dcv-session-broker/internal/httpapi\n") {
		t.Fatalf("not the functions: %.300s", out)
	}
	for dep := range strings.Lines(string(out)) {
		if strings.Contains(dep, "/httpapi/contract") || strings.Contains(dep, "kin-openapi") || strings.Contains(dep, "/internal/local") {
			t.Errorf("a function brings %s", dep)
		}
	}
}
