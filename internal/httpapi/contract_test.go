package httpapi_test

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/getkin/kin-openapi/openapi3"
	gocmp "github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/httpapi/contract/contracttest"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
)

// keepsTheContract holds a request and its answer against the contract.
func keepsTheContract(t *testing.T, path string, req events.APIGatewayV2HTTPRequest, resp events.APIGatewayV2HTTPResponse) {
	t.Helper()
	query := url.Values{}
	for name, value := range req.QueryStringParameters {
		query.Set(name, value)
	}
	request := []byte(req.Body)
	if text, err := base64.StdEncoding.DecodeString(req.Body); req.IsBase64Encoded && err == nil {
		request = text
	}
	if err := contracttest.Check(contracttest.Exchange{
		Method: http.MethodPost, Path: path, Query: query.Encode(), Request: request,
		Status: resp.StatusCode, Header: http.Header{"Content-Type": {resp.Headers["Content-Type"]}}, Answer: []byte(resp.Body),
	}); err != nil {
		t.Error(err)
	}
}

func TestLimitsAreTheContracts(t *testing.T) {
	deployed, err := template.Load("../../template.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := strconv.ParseUint(deployed.Parameters()["MaxBatchSize"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	doc := contracttest.Document()
	ids := doc.Components.Schemas["SessionId"].Value
	query := doc.Components.Schemas["DescribeSessionsRequestData"].Value.Properties
	for what, limit := range map[string]struct{ contract, code uint64 }{
		"entries": {*doc.Paths.Value("/deleteSessions").Post.RequestBody.Value.Content["application/json"].Schema.Value.MaxItems, batch},
		"IDs":     {*query["SessionIds"].Value.MaxItems, httpapi.MaxIDs},
		"filters": {*query["Filters"].Value.MaxItems, httpapi.MaxFilters},
		"results": {uint64(*query["MaxResults"].Value.Max), httpapi.MaxResults},
		"token":   {*query["NextToken"].Value.MaxLength, httpapi.MaxTokenChars},
		"ID":      {*ids.MaxLength, session.MaxIDBytes},
	} {
		if limit.contract != limit.code {
			t.Errorf("%s: at most %d by the contract, %d by the code", what, limit.contract, limit.code)
		}
	}
}

// fields are those of a struct in JSON, and whether they are always there.
func fields(t reflect.Type) map[string]bool {
	all := map[string]bool{}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		all[cmp.Or(name, f.Name)] = !strings.Contains(options, "omit")
	}
	return all
}

func TestFieldsOfAnswersAreTheContracts(t *testing.T) {
	schemas := contracttest.Document().Components.Schemas
	for name, answer := range httpapi.Bodies {
		if schemas[name] == nil {
			t.Errorf("the contract has no %s", name)
			continue
		}
		schema := schemas[name].Value
		want := map[string]bool{}
		for property := range schema.Properties {
			want[property] = slices.Contains(schema.Required, property)
		}
		if diff := gocmp.Diff(want, fields(reflect.TypeOf(answer))); diff != "" {
			t.Errorf("%s (-contract +code; true: always there):\n%s", name, diff)
		}
	}
	// Nothing in an answer is left out of the list above.
	for path, item := range contracttest.Document().Paths.Map() {
		for status, response := range item.Post.Responses.Map() {
			for _, name := range named(response.Value.Content["application/json"].Schema) {
				if _, ok := httpapi.Bodies[name]; !ok {
					t.Errorf("%s, %s: no type is given for %s", path, status, name)
				}
			}
		}
	}
}

// named are the schemas that a schema is made of.
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

// An example is a request of the contract and what the contract says it gets.
type example struct {
	name, path string
	request    events.APIGatewayV2HTTPRequest
	status     int
	answer     any
}

// examples are those of the operations: a request's has the name of its
// answer's. With the answer stand the query, where there is one, and a body
// that the contract forbids, as text.
func examples(t *testing.T) []example {
	t.Helper()
	var all []example
	for path, item := range contracttest.Document().Paths.Map() {
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
			all = append(all, example{name, path, requestOf(e, string(text)), 200, e.Value.Value})
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
			all = append(all, example{name, path, requestOf(e, text), 400, e.Value.Value})
		}
	}
	slices.SortFunc(all, func(a, b example) int { return cmp.Compare(a.path+a.name, b.path+b.name) })
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

func TestExamplesAreAnsweredAsTheContractSays(t *testing.T) {
	handlers := map[string]func(*testing.T, events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPResponse{
		"/deleteSessions": func(t *testing.T, req events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPResponse {
			a := newAPI(t)
			a.table.Put(session.Listed(session.Session{
				ID: "SessionId123", Owner: "user1", HostID: "i-0a1b2c3d4e5f60001", Type: "virtual", NumOfConnections: 2, FirstSeenAt: now,
			}))
			a.DryRunner = &session.DryRunner{Reader: memtable.Reader{Table: a.table}, Notes: memtable.NewHosts(), HostChecker: a, Log: a.Log}
			return a.serve(req)
		},
		"/describeSessions": func(t *testing.T, req events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPResponse {
			a := newDescribeAPI(t, session.Session{
				ID: "SessionId123", Name: "SessionId123", Owner: "user1", HostID: "i-0a1b2c3d4e5f60001", Type: "virtual",
				CreationTime: "2026-11-23T18:45:11.262883Z", LastDisconnectionTime: "2026-11-23T18:59:30Z", NumOfConnections: 2,
			})
			a.table.Put(session.Record{
				"SessionId": "console-mi-0123456789abcdef0", "Owner": "user3", "HostId": "mi-0123456789abcdef0", "Type": "console",
				"State": "UNKNOWN", "StateReason": "The host does not answer",
			})
			a.FleetTag = "default"
			return a.serve(req)
		},
	}
	tested := map[string]int{}
	for _, e := range examples(t) {
		post := handlers[e.path]
		if post == nil {
			t.Errorf("%s: nobody answers it", e.path)
			continue
		}
		resp := post(t, e.request)
		var got any
		if err := json.Unmarshal([]byte(resp.Body), &got); err != nil {
			t.Fatal(err)
		}
		e.answer.(map[string]any)["RequestId"] = requestID
		if diff := gocmp.Diff(e.answer, got); resp.StatusCode != e.status || diff != "" {
			t.Errorf("%s, %s: %d, not %d (-contract +code):\n%s", e.path, e.name, resp.StatusCode, e.status, diff)
		}
		tested[e.path]++
	}
	for path := range maps.Keys(contracttest.Document().Paths.Map()) {
		if tested[path] < 4 {
			t.Errorf("%s has %d examples", path, tested[path])
		}
	}
}
