package system

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/awsenv"
)

// maxBody is Lambda's limit of an event and of an answer; API Gateway answers for
// anything larger.
const maxBody = 6 << 20

// gateway simulates the HTTP API of API Gateway: it passes a request to the function of
// its route, in payload format 2.0, and the function's answer to the client.
func (sys *System) gateway(w http.ResponseWriter, r *http.Request) {
	function := sys.routes[r.Method+" "+r.URL.Path]
	if function == nil {
		writeMessage(w, http.StatusNotFound, "Not Found")
		return
	}
	if !sys.authorized(r) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		writeMessage(w, http.StatusUnauthorized, "Unauthorized")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		writeMessage(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	}
	if err != nil {
		writeMessage(w, http.StatusBadRequest, "Bad Request")
		return
	}
	event, err := json.Marshal(gatewayEvent(r, body))
	if err != nil {
		sys.opts.Log.Error("request without a JSON form", "Cause", err)
		writeMessage(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	if len(event) > maxBody {
		writeMessage(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	}
	// The function finishes also if the client has closed the connection, as in Lambda.
	answer, err := function.Invoke(context.WithoutCancel(r.Context()), event)
	sys.endMillisecond()
	if err == nil && len(answer) > maxBody {
		err = fmt.Errorf("its answer has %d bytes, more than Lambda takes", len(answer))
	}
	var resp events.APIGatewayV2HTTPResponse
	if err == nil {
		err = json.Unmarshal(answer, &resp)
	}
	if err == nil && (resp.StatusCode < 200 || resp.StatusCode > 599) {
		err = fmt.Errorf("its answer has the status %d", resp.StatusCode)
	}
	if err != nil {
		sys.opts.Log.Error("function failed", "Function", function.Name, "Cause", err)
		writeMessage(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	for name, value := range resp.Headers {
		w.Header().Set(name, value)
	}
	w.Header().Set("Date", sys.now().UTC().Format(http.TimeFormat)) // the system's clock may be ahead of this machine's
	w.WriteHeader(resp.StatusCode)
	io.WriteString(w, resp.Body)
}

// endMillisecond waits until the table's times, which have milliseconds, are later than
// all that a function, or the control API, has written: what a client asks after an answer
// is later than what it was told. In AWS an answer takes longer than that by itself.
func (sys *System) endMillisecond() {
	now := sys.now()
	time.Sleep(now.Truncate(time.Millisecond).Add(time.Millisecond).Sub(now))
}

func gatewayEvent(r *http.Request, body []byte) events.APIGatewayV2HTTPRequest {
	now := time.Now().UTC()
	sourceIP, _, _ := net.SplitHostPort(r.RemoteAddr)
	event := events.APIGatewayV2HTTPRequest{
		Version:               "2.0",
		RouteKey:              r.Method + " " + r.URL.Path,
		RawPath:               r.URL.Path,
		RawQueryString:        r.URL.RawQuery,
		Headers:               map[string]string{},
		QueryStringParameters: map[string]string{},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey:   r.Method + " " + r.URL.Path,
			AccountID:  "000000000000",
			Stage:      "$default",
			RequestID:  awsenv.NewID(),
			Time:       now.Format("02/Jan/2006:15:04:05 -0700"),
			TimeEpoch:  now.UnixMilli(),
			DomainName: r.Host,
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method: r.Method, Path: r.URL.Path, Protocol: r.Proto, SourceIP: sourceIP, UserAgent: r.UserAgent(),
			},
			Authorizer: localCaller(),
		},
	}
	event.Headers["host"] = r.Host // Go removes it from the headers
	for name, values := range r.Header {
		event.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	// Go would drop parameters with a semicolon.
	query, _ := url.ParseQuery(strings.ReplaceAll(r.URL.RawQuery, ";", "%3B"))
	for name, values := range query {
		event.QueryStringParameters[name] = strings.Join(values, ",")
	}
	// API Gateway passes a body on as text if its type is text; others, such as forms, as
	// base64. Clients that do not set the header (curl -d) send a form.
	if len(body) == 0 || isText(r.Header.Get("Content-Type")) {
		event.Body = string(body)
	} else {
		event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return event
}

func isText(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (strings.HasPrefix(kind, "text/") || kind == "application/json" ||
		kind == "application/xml" || kind == "application/javascript")
}

func writeMessage(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]string{"message": message})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.Encode(body)
}
