package contract_test

import (
	"slices"
	"strings"
	"testing"

	"dcv-session-broker/internal/httpapi/contract/contracttest"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template/templatetest"
)

func TestRoutesAreTheTemplates(t *testing.T) {
	deployed := templatetest.Load(t, nil)
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
	// Not an enum: a client that was generated with one fails on a new state.
	text := contracttest.Document().Components.Schemas["Session"].Value.Properties["State"].Value.Description
	for _, s := range []session.State{session.Creating, session.Ready, session.Deleting, session.Deleted, session.Unknown} {
		if !strings.Contains(text, string(s)) {
			t.Errorf("Session.State does not tell of %s: %s", s, text)
		}
	}
}
