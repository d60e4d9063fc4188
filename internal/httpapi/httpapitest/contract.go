package httpapitest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/getkin/kin-openapi/openapi3"
	gocmp "github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/httpapi/contract/contracttest"
)

// fields returns the JSON fields of a struct, and whether they are always present.
func fields(t reflect.Type) map[string]bool {
	all := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		all[cmp.Or(name, f.Name)] = !strings.Contains(options, "omit")
	}
	return all
}

// FieldsAreTheContracts compares the types of an operation's answers, by the names of
// their schemas, with the contract.
func FieldsAreTheContracts(t *testing.T, path string, bodies map[string]any) {
	t.Helper()
	doc := contracttest.Document()
	for name, answer := range bodies {
		if doc.Components.Schemas[name] == nil {
			t.Errorf("the contract has no %s", name)
			continue
		}
		schema := doc.Components.Schemas[name].Value
		want := map[string]bool{}
		for property := range schema.Properties {
			want[property] = slices.Contains(schema.Required, property)
		}
		if diff := gocmp.Diff(want, fields(reflect.TypeOf(answer))); diff != "" {
			t.Errorf("%s (-contract +code; true: always there):\n%s", name, diff)
		}
	}
	// The list above has every schema of an answer.
	for status, response := range doc.Paths.Value(path).Post.Responses.Map() {
		for _, name := range named(response.Value.Content["application/json"].Schema) {
			if _, ok := bodies[name]; !ok {
				t.Errorf("%s, %s: no type is given for %s", path, status, name)
			}
		}
	}
}

// named returns the schemas that a schema refers to.
func named(ref *openapi3.SchemaRef) []string {
	var all []string
	if ref.Ref != "" {
		all = append(all, ref.Ref[strings.LastIndex(ref.Ref, "/")+1:])
	}
	for _, property := range ref.Value.Properties {
		all = append(all, named(property)...)
	}
	if ref.Value.Items != nil {
		all = append(all, named(ref.Value.Items)...)
	}
	return all
}

// An example is a request of the contract and its answer there.
type example struct {
	name    string
	request events.APIGatewayV2HTTPRequest
	status  int
	answer  any
}

// examples returns the examples of an operation. A request's example has the name of
// its answer's. The answer's also has the query, if there is one, and a body that the
// contract forbids, as text.
func examples(t *testing.T, path string) []example {
	t.Helper()
	var all []example
	item := contracttest.Document().Paths.Value(path)
	requests := item.Post.RequestBody.Value.Content["application/json"].Examples
	granted := item.Post.Responses.Status(200).Value.Content["application/json"].Examples
	for name, e := range granted {
		if requests[name] == nil {
			t.Errorf("%s: the answer %s has no request", path, name)
			continue
		}
		text, err := json.Marshal(requests[name].Value.Value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, example{name, requestOf(e, string(text)), 200, e.Value.Value})
	}
	for name := range requests {
		if granted[name] == nil {
			t.Errorf("%s: the request %s has no answer", path, name)
		}
	}
	for name, e := range item.Post.Responses.Status(400).Value.Content["application/json"].Examples {
		text, ok := e.Value.Extensions["x-request-body"].(string)
		if !ok {
			t.Errorf("%s: the answer %s has no x-request-body", path, name)
		}
		all = append(all, example{name, requestOf(e, text), 400, e.Value.Value})
	}
	slices.SortFunc(all, func(a, b example) int { return cmp.Compare(a.name, b.name) })
	return all
}

func requestOf(e *openapi3.ExampleRef, body string) events.APIGatewayV2HTTPRequest {
	req := events.APIGatewayV2HTTPRequest{Body: body}
	if query, ok := e.Value.Extensions["x-query"].(map[string]any); ok {
		req.QueryStringParameters = map[string]string{}
		for name, value := range query {
			req.QueryStringParameters[name] = fmt.Sprint(value)
		}
	}
	return req
}

// ExamplesAreAnswered compares the operation's answers to the contract's examples with
// the answers there.
func ExamplesAreAnswered(t *testing.T, path string, serve func(*testing.T, events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPResponse) {
	t.Helper()
	tested := 0
	for _, e := range examples(t, path) {
		resp := serve(t, e.request)
		var got any
		if err := json.Unmarshal([]byte(resp.Body), &got); err != nil {
			t.Fatal(err)
		}
		e.answer.(map[string]any)["RequestId"] = RequestID
		if diff := gocmp.Diff(e.answer, got); resp.StatusCode != e.status || diff != "" {
			t.Errorf("%s, %s: %d, not %d (-contract +code):\n%s", path, e.name, resp.StatusCode, e.status, diff)
		}
		tested++
	}
	if tested < 4 {
		t.Errorf("%s has %d examples", path, tested)
	}
}
