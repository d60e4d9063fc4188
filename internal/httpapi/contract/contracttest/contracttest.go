// Package contracttest checks requests and answers against the contract. It is for
// tests: its dependencies must not get into a function.
package contracttest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"dcv-session-broker/internal/httpapi/contract"
)

// Document returns the contract, parsed and checked, with each example against its
// schema. It must not be modified.
var Document = sync.OnceValue(load)

func load() *openapi3.T {
	doc, err := openapi3.NewLoader().LoadFromData(contract.OpenAPI)
	if err == nil {
		err = doc.Validate(context.Background())
	}
	if err != nil {
		panic(fmt.Sprintf("openapi.yaml: %v", err))
	}
	return doc
}

// strict returns the contract without additional fields in answers: a client accepts
// unknown fields, but here they are a fault.
var strict = sync.OnceValue(func() *openapi3.T {
	doc := load()
	for name, schema := range doc.Components.Schemas {
		if schema.Value.Type.Is("object") && !ofRequests[name] {
			no := false
			schema.Value.AdditionalProperties.Has = &no
		}
	}
	return doc
})

var ofRequests = map[string]bool{"DeleteSessionRequestData": true, "CancelDeletionRequestData": true, "DescribeSessionsRequestData": true, "KeyValuePair": true}

// Routes returns the contract's routes, as "METHOD /path".
func Routes() []string {
	var all []string
	for path, item := range Document().Paths.Map() {
		for method := range item.Operations() {
			all = append(all, method+" "+path)
		}
	}
	return all
}

// An Exchange is a request and its answer.
type Exchange struct {
	Method, Path, Query string
	Request             []byte
	Status              int
	Header              http.Header
	Answer              []byte
}

// Check returns an error if the contract does not allow the answer, or if it forbids
// the request and that was granted. It ignores other routes, and the request's
// Content-Type, which the functions do not need, so that curl -d works.
func Check(e Exchange) error {
	item := strict().Paths.Value(e.Path)
	if item == nil || item.GetOperation(e.Method) == nil {
		return nil
	}
	body := bytes.TrimPrefix(e.Request, []byte("\ufeff")) // a byte order mark is ignored
	body = bytes.Trim(body, " \t\r\n")                    // a blank body counts as none
	r, err := http.NewRequest(e.Method, "http://broker"+e.Path+"?"+e.Query, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	query, err := url.ParseQuery(e.Query)
	if err != nil {
		return err
	}
	request := &openapi3filter.RequestValidationInput{
		Request:     r,
		QueryParams: query,
		Route:       &routers.Route{Spec: strict(), Path: e.Path, PathItem: item, Method: e.Method, Operation: item.GetOperation(e.Method)},
		Options: &openapi3filter.Options{
			AuthenticationFunc:    openapi3filter.NoopAuthenticationFunc,
			IncludeResponseStatus: true,
		},
	}
	if err := openapi3filter.ValidateRequest(context.Background(), request); err != nil && e.Status/100 == 2 {
		return e.breach("is forbidden by the contract, and yet", err)
	}
	answer := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: request,
		Status:                 e.Status,
		Header:                 e.Header,
		Body:                   io.NopCloser(bytes.NewReader(e.Answer)),
		Options:                request.Options,
	}
	if err := openapi3filter.ValidateResponse(context.Background(), answer); err != nil {
		return e.breach("against the contract", err)
	}
	return nil
}

func (e Exchange) breach(how string, err error) error {
	return fmt.Errorf("%s %s %.300s %s is answered %d %.500s: %s", e.Method, e.Path, e.Request, how, e.Status, e.Answer,
		strings.Join(strings.Fields(err.Error()), " "))
}
