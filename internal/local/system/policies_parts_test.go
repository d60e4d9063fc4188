package system

import (
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"dcv-session-broker/internal/events/cleanup"
	"dcv-session-broker/internal/events/endedsessions"
	"dcv-session-broker/internal/events/hostevents"
	"dcv-session-broker/internal/events/sessionstream"
	"dcv-session-broker/internal/httpapi/canceldeletions"
	"dcv-session-broker/internal/httpapi/deletesessions"
	"dcv-session-broker/internal/httpapi/describesessions"
	"dcv-session-broker/internal/template/templatetest"
)

// partsOf are the dependencies of the functions, and the operations of these that they
// do not use.
var partsOf = map[string]struct {
	of     reflect.Type
	unused []string
}{
	"cancel-deletions":  {reflect.TypeFor[canceldeletions.Parts](), []string{"Write, new"}},
	"delete-sessions":   {reflect.TypeFor[deletesessions.Parts](), []string{"Write, new"}},
	"describe-sessions": {reflect.TypeFor[describesessions.Parts](), nil},
	"host-events":       {reflect.TypeFor[hostevents.Parts](), []string{"Due", "AnsweredBefore"}},
	"session-stream":    {reflect.TypeFor[sessionstream.Parts](), []string{"Write, new"}},
	"ended-sessions":    {reflect.TypeFor[endedsessions.Parts](), []string{"Due"}},
	"cleanup":           {reflect.TypeFor[cleanup.Parts](), []string{"Write, new"}},
}

// operations returns the operations of a function's parts: of a table under the names
// in ofTables, of a client under IAM's names.
func operations(parts reflect.Type) (all []string) {
	for i := range parts.NumField() {
		part := parts.Field(i).Type
		if part.Kind() != reflect.Interface {
			continue
		}
		for m := range part.NumMethod() {
			method := part.Method(m)
			name := method.Name
			if in := method.Type.In(min(1, method.Type.NumIn()-1)); in.Kind() == reflect.Pointer && strings.HasSuffix(in.Elem().Name(), "Input") {
				name = path.Base(in.Elem().PkgPath()) + ":" + name
			}
			all = append(all, name)
			if name == "Write" {
				all = append(all, "Write, new")
			}
		}
	}
	return all
}

// withoutNodes leaves out the documents and nodes that a policy names: a function's
// parts do not show which ones it needs.
func withoutNodes(g grant) grant {
	if !strings.HasPrefix(g.Action, "dynamodb:") {
		return grant{Action: g.Action}
	}
	return g
}

// unlikeParts returns the differences between the operations of the functions' parts
// and what their roles allow.
func unlikeParts(t *testing.T, allowed, byLambda grants) []string {
	t.Helper()
	can, may := grants{}, grants{}
	for function, p := range partsOf {
		can.add(function)
		all := operations(p.of)
		for _, operation := range p.unused {
			if !slices.Contains(all, operation) {
				t.Errorf("%s cannot call %s anyway", function, operation)
			}
		}
		for _, operation := range all {
			if slices.Contains(p.unused, operation) {
				continue
			}
			some, known := ofTables[operation]
			if strings.Contains(operation, ":") {
				some, known = []grant{{Action: operation}}, true
			}
			if !known {
				t.Errorf("nobody knows what %s needs to be allowed", operation)
			}
			can.add(function, some...)
		}
	}
	for function, some := range allowed {
		may.add(function)
		for g := range some {
			if !byLambda[function][g] {
				may.add(function, withoutNodes(g))
			}
		}
	}
	return faults(can, may)
}

// A role allows exactly the operations of its function's parts. This test does not
// compare documents and nodes; policiesFit does that with the scenarios.
func TestRolesAllowWhatTheFunctionsPartsCanBeAsked(t *testing.T) {
	allowed, byLambda := given(t, templatetest.Load(t, map[string]string{"StopEmptyHosts": "true"}))
	for _, fault := range unlikeParts(t, allowed, byLambda) {
		t.Error(fault)
	}
	for what, broken := range map[string]struct{ function, action, instead, fault string }{
		"a call that is denied":         {"delete-sessions", "dynamodb:PartiQLUpdate", "dynamodb:PartiQLSelect", "needs, and is not allowed: dynamodb:PartiQLUpdate"},
		"an action that nobody uses":    {"host-events", "dynamodb:PartiQLInsert", "dynamodb:PartiQLDelete", "is allowed, and does not need: dynamodb:PartiQLDelete"},
		"a command that is denied":      {"cleanup", "ssm:SendCommand", "ssm:CancelCommand", "needs, and is not allowed: ssm:SendCommand"},
		"a host that cannot be stopped": {"cleanup", "ec2:StopInstances", "ec2:TerminateInstances", "needs, and is not allowed: ec2:StopInstances"},
	} {
		changed := maps.Clone(allowed)
		changed[broken.function] = map[grant]bool{}
		for g := range allowed[broken.function] {
			if g.Action == broken.action {
				g.Action = broken.instead
			}
			changed.add(broken.function, g)
		}
		if !strings.Contains(strings.Join(unlikeParts(t, changed, byLambda), "\n"), broken.function+" "+broken.fault) {
			t.Errorf("nobody noticed %s", what)
		}
	}
}
