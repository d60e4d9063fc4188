// Package httpapitest is the common part of the tests of the API's functions: it makes
// requests as Lambda does, and checks each answer against the contract.
package httpapitest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/httpapi/contract/contracttest"
)

// RequestID is the ID of every request.
const RequestID = "0d2f1c9e-6c1b-4a57-9d6e-2f6f3b1c7a10"

// A Handle is a function's handler.
type Handle func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error)

// Serve calls the handler as Lambda does, and checks the answer against the contract.
func Serve(t *testing.T, handle Handle, path string, req events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPResponse {
	t.Helper()
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: RequestID})
	resp, err := handle(ctx, req)
	if err != nil {
		t.Fatalf("an error, whose text would reach the caller: %v", err)
	}
	if got := resp.Headers["Content-Type"]; got != "application/json" {
		t.Errorf("Content-Type: %q", got)
	}
	if !json.Valid([]byte(resp.Body)) || resp.IsBase64Encoded {
		t.Errorf("body: %q", resp.Body)
	}
	keepsTheContract(t, path, req, resp)
	return resp
}

// keepsTheContract checks a request and its answer against the contract.
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

// A BadRequest is the body of a 400.
type BadRequest struct {
	Message   string `json:"message"`
	RequestID string `json:"RequestId"`
	Errors    []Wrong
}

// Wrong is a fault that it names.
type Wrong struct {
	Index  *int
	Field  string
	Reason string
}

// At is a fault of the element at this place.
func At(index int, field, reason string) Wrong { return Wrong{&index, field, reason} }

// Body is a fault of the body as a whole.
func Body(reason string) Wrong { return Wrong{nil, "body", reason} }

// GoWords compares reasons; "..." stands for words of encoding/json.
var GoWords = cmp.Comparer(func(a, b string) bool {
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		if before, after, ok := strings.Cut(pair[0], "..."); ok {
			return strings.HasPrefix(pair[1], before) && strings.HasSuffix(pair[1], after)
		}
	}
	return a == b
})

// Sample is one of the sample events in events/.
func Sample(t *testing.T, name string) (req events.APIGatewayV2HTTPRequest) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../../events", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &req); err != nil {
		t.Fatal(err)
	}
	return req
}

// Encoded returns a request whose body API Gateway has encoded in base64.
func Encoded(body string) events.APIGatewayV2HTTPRequest {
	return events.APIGatewayV2HTTPRequest{Body: base64.StdEncoding.EncodeToString([]byte(body)), IsBase64Encoded: true}
}
