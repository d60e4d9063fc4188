// Package httpapi is the common part of the functions behind the HTTP API: it parses
// requests of API Gateway's HTTP API (payload format 2.0), and makes the answers that
// are not specific to a function. Each function is a package below it, with its name.
package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// A Fault is one fault of a request.
type Fault struct {
	// Index is the position in the array of entries, or in the one that Field names; null
	// if there is none.
	Index *int `json:"Index"`
	// Field is the name of one, or "entry", "body" or "dryRun".
	Field  string
	Reason string
}

// An ErrorResponse is the body of every answer except a 200.
type ErrorResponse struct {
	Message   string  `json:"message"`
	RequestID string  `json:"RequestId,omitempty"`
	Errors    []Fault `json:"errors,omitempty"`
}

// body returns the request's body without a byte order mark. Windows PowerShell 5.1
// writes one before UTF-8 text, and RFC 8259 allows a reader to ignore it.
func body(req events.APIGatewayV2HTTPRequest) ([]byte, error) {
	text := []byte(req.Body)
	if req.IsBase64Encoded {
		var err error
		if text, err = base64.StdEncoding.DecodeString(req.Body); err != nil {
			return nil, err
		}
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), nil
}

// BadRequest returns a 400 that names every fault.
func BadRequest(log *slog.Logger, id string, faults []Fault) events.APIGatewayV2HTTPResponse {
	log.Info("request answered 400: nothing was done", "Faults", len(faults))
	return Respond(http.StatusBadRequest, ErrorResponse{
		Message:   "The request is malformed, and nothing was done; errors has every fault.",
		RequestID: id,
		Errors:    faults,
	})
}

// Respond returns an answer with this status.
func Respond(status int, body any) events.APIGatewayV2HTTPResponse {
	return events.APIGatewayV2HTTPResponse{
		StatusCode: status,
		Headers:    map[string]string{"Content-Type": "application/json"},
		Body:       JSON(body),
	}
}

// JSON returns the JSON of an answer's body, or of a part of it.
func JSON(v any) string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // an ID with "&" comes back as it was sent
	if err := encoder.Encode(v); err != nil {
		panic(err) // answers always have a JSON form
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// requestID returns Lambda's ID of the request, a UUID, which Lambda's own log lines
// also have.
func requestID(ctx context.Context) string {
	lc, ok := lambdacontext.FromContext(ctx)
	if !ok || lc.AwsRequestID == "" {
		panic("the context is not one that Lambda made")
	}
	return lc.AwsRequestID
}

// Unavailable returns a 503: the caller should repeat the call.
func Unavailable(id, message string) events.APIGatewayV2HTTPResponse {
	resp := Respond(http.StatusServiceUnavailable, ErrorResponse{Message: message, RequestID: id})
	resp.Headers["Retry-After"] = "5"
	return resp
}

// InternalError returns a 500, which does not show its cause.
func InternalError(id string) events.APIGatewayV2HTTPResponse {
	return Respond(http.StatusInternalServerError, ErrorResponse{
		Message: "Internal error. Repeat the call; if it fails again, quote the RequestId.", RequestID: id,
	})
}

// Answer reads a request's ID and body, and calls the function; a panic becomes an
// answer, too. The log names the request.
func Answer(ctx context.Context, log *slog.Logger, req events.APIGatewayV2HTTPRequest,
	answer func(id string, log *slog.Logger, body []byte) events.APIGatewayV2HTTPResponse,
) (resp events.APIGatewayV2HTTPResponse) {
	id := requestID(ctx)
	log = log.With("RequestId", id)
	defer func() {
		if p := recover(); p != nil {
			log.Error("request failed: a bug", "Panic", fmt.Sprint(p), "StackTrace", string(debug.Stack()))
			resp = InternalError(id)
		}
	}()
	text, err := body(req)
	if err != nil {
		return BadRequest(log, id, []Fault{{Field: "body", Reason: "is not valid base64"}})
	}
	return answer(id, log, text)
}
