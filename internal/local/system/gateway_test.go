package system

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/httpapi/contract"
	"dcv-session-broker/internal/local/delivery"
)

// A stub is a function that a test defines.
type stub func(ctx context.Context, event []byte) (answer string, err error)

func (s stub) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	answer, err := s(ctx, event)
	return []byte(answer), err
}

// gatewayTo returns an HTTP API with one route, POST /things, to a function.
func gatewayTo(f stub) http.Handler {
	sys := &System{
		opts:   Options{Log: slog.New(slog.DiscardHandler)},
		routes: map[string]*delivery.Function{"POST /things": {Name: "things", Timeout: time.Minute, Handler: f}},
	}
	return sys.Handler()
}

func post(h http.Handler, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/things", strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// wantMessage checks that the answer is an error in API Gateway's form.
func wantMessage(t *testing.T, w *httptest.ResponseRecorder, status int, message string) {
	t.Helper()
	want, _ := json.Marshal(map[string]string{"message": message})
	if w.Code != status || strings.TrimSpace(w.Body.String()) != string(want) || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %s (%s), not %d %s", w.Code, w.Body, w.Header().Get("Content-Type"), status, want)
	}
}

func TestRequestReachesTheFunctionInPayloadFormat2(t *testing.T) {
	var got events.APIGatewayV2HTTPRequest
	h := gatewayTo(func(_ context.Context, event []byte) (string, error) {
		return `{"statusCode": 200}`, json.Unmarshal(event, &got)
	})
	r := httptest.NewRequest(http.MethodPost, "http://broker.example/things?a=1&a=2&b=x%20y", strings.NewReader(`[{"SessionId": "ü"}]`))
	r.RemoteAddr = "192.0.2.7:4711"
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("User-Agent", "curl/8")
	r.Header.Add("X-Many", "one")
	r.Header.Add("X-Many", "two")
	before := time.Now().UnixMilli()
	h.ServeHTTP(httptest.NewRecorder(), r)

	same := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, not %v", what, got, want)
		}
	}
	same("version", got.Version, "2.0")
	same("routeKey", got.RouteKey, "POST /things")
	same("rawPath", got.RawPath, "/things")
	same("rawQueryString", got.RawQueryString, "a=1&a=2&b=x%20y")
	same("query a", got.QueryStringParameters["a"], "1,2")
	same("query b", got.QueryStringParameters["b"], "x y")
	same("body", got.Body, `[{"SessionId": "ü"}]`)
	same("isBase64Encoded", got.IsBase64Encoded, false)
	for name, want := range map[string]string{
		"content-type": "application/json; charset=utf-8", "user-agent": "curl/8", "x-many": "one,two", "host": "broker.example",
	} {
		same("header "+name, got.Headers[name], want)
	}
	rc := got.RequestContext
	same("requestContext.routeKey", rc.RouteKey, "POST /things")
	same("stage", rc.Stage, "$default")
	same("accountId", rc.AccountID, "000000000000")
	same("domainName", rc.DomainName, "broker.example")
	same("http", rc.HTTP, events.APIGatewayV2HTTPRequestContextHTTPDescription{
		Method: "POST", Path: "/things", Protocol: "HTTP/1.1", SourceIP: "192.0.2.7", UserAgent: "curl/8",
	})
	if rc.Authorizer == nil || rc.Authorizer.IAM != nil || rc.Authorizer.JWT == nil {
		t.Fatalf("authorizer %+v", rc.Authorizer)
	}
	same("claim client_id", rc.Authorizer.JWT.Claims["client_id"], "local")
	same("claim sub", rc.Authorizer.JWT.Claims["sub"], "local")
	same("claim scope", rc.Authorizer.JWT.Claims["scope"], "dcv-session-manager/sm_scope")
	same("scopes", strings.Join(rc.Authorizer.JWT.Scopes, " "), "dcv-session-manager/sm_scope")
	if rc.RequestID == "" || rc.TimeEpoch < before {
		t.Errorf("requestId %q, timeEpoch %d", rc.RequestID, rc.TimeEpoch)
	}
	if at, err := time.Parse("02/Jan/2006:15:04:05 -0700", rc.Time); err != nil || at.Unix() != rc.TimeEpoch/1000 {
		t.Errorf("time %q, timeEpoch %d", rc.Time, rc.TimeEpoch)
	}
}

func TestBodyThatDoesNotCallItselfTextComesAsBase64(t *testing.T) {
	for contentType, encoded := range map[string]bool{
		"application/json":                  false,
		"Application/JSON; charset=utf-8":   false,
		"text/plain":                        false,
		"application/xml":                   false,
		"application/javascript":            false,
		"application/x-www-form-urlencoded": true, // curl -d without a header
		"application/octet-stream":          true,
		"":                                  true,
		"no type at all;;":                  true,
	} {
		var got events.APIGatewayV2HTTPRequest
		post(gatewayTo(func(_ context.Context, event []byte) (string, error) {
			return `{"statusCode": 200}`, json.Unmarshal(event, &got)
		}), contentType, "[\x00]")
		want := "[\x00]"
		if encoded {
			want = base64.StdEncoding.EncodeToString([]byte(want))
		}
		if got.IsBase64Encoded != encoded || got.Body != want {
			t.Errorf("%q: body %q, base64 %v", contentType, got.Body, got.IsBase64Encoded)
		}
	}
}

func TestRequestWithoutABodyHasNone(t *testing.T) {
	var got events.APIGatewayV2HTTPRequest
	post(gatewayTo(func(_ context.Context, event []byte) (string, error) {
		return `{"statusCode": 200}`, json.Unmarshal(event, &got)
	}), "", "")
	if got.Body != "" || got.IsBase64Encoded {
		t.Errorf("body %q, base64 %v", got.Body, got.IsBase64Encoded)
	}
}

func TestAnswerOfTheFunctionGoesToTheClient(t *testing.T) {
	w := post(gatewayTo(func(context.Context, []byte) (string, error) {
		return `{"statusCode": 201, "headers": {"Content-Type": "application/json", "X-Thing": "1"}, "body": "{\"a\": \"<ü>\"}"}`, nil
	}), "", "")
	if w.Code != 201 || w.Body.String() != `{"a": "<ü>"}` || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("X-Thing") != "1" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

// A deletion after the answer of a cancel is not of the cancel's millisecond.
func TestRequestAfterAnAnswerIsOfALaterMillisecond(t *testing.T) {
	var at []time.Time
	h := gatewayTo(func(context.Context, []byte) (string, error) {
		at = append(at, time.Now().Truncate(time.Millisecond))
		return `{"statusCode": 200}`, nil
	})
	for range 100 {
		post(h, "", "")
	}
	for i := range at[1:] {
		if !at[i+1].After(at[i]) {
			t.Fatalf("request %d is of %s, as the one before", i+1, at[i])
		}
	}
}

func TestUnknownRouteAndMethodAreNotFound(t *testing.T) {
	h := gatewayTo(func(context.Context, []byte) (string, error) {
		t.Error("the function was invoked")
		return "", nil
	})
	for _, what := range [][2]string{
		{"POST", "/"}, {"POST", "/thing"}, {"POST", "/things/"}, {"POST", "/Things"}, {"GET", "/things"}, {"PUT", "/things"}, {"OPTIONS", "/things"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(what[0], what[1], nil))
		wantMessage(t, w, http.StatusNotFound, "Not Found")
	}
}

// API Gateway never redirects. Go's router does so for every path that is not clean: a
// client would see a redirect only on the local system.
func TestPathsAreNotRedirected(t *testing.T) {
	h := gatewayTo(func(context.Context, []byte) (string, error) {
		t.Error("the function was invoked")
		return "", nil
	})
	for _, path := range []string{"//things", "/./things", "/x/../things", "/things//", "//local//hosts", "/things/.", "//oauth2/token"} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		wantMessage(t, w, http.StatusNotFound, "Not Found")
	}
}

func TestContractIsServed(t *testing.T) {
	w := httptest.NewRecorder()
	gatewayTo(nil).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.yaml", nil))
	if w.Code != http.StatusOK || w.Body.String() != string(contract.OpenAPI) || w.Header().Get("Content-Type") != "application/yaml" {
		t.Errorf("%d %v %.100s", w.Code, w.Header(), w.Body)
	}
}

func TestBodyOfMoreThanSixMegabytesIsTooLarge(t *testing.T) {
	took := 0
	h := gatewayTo(func(_ context.Context, event []byte) (string, error) {
		var got events.APIGatewayV2HTTPRequest
		err := json.Unmarshal(event, &got)
		took = len(got.Body)
		return `{"statusCode": 200}`, err
	})
	const most, envelope = 6 << 20, 2 << 10 // the size of an event without its body
	if w := post(h, "text/plain", strings.Repeat("x", most-envelope)); w.Code != 200 || took != most-envelope {
		t.Errorf("six megabytes: %d, the function got %d bytes", w.Code, took)
	}
	took = 0
	for contentType, body := range map[string]string{
		"text/plain":                        strings.Repeat("x", most+1),
		"application/json":                  strings.Repeat(`\`, most/2),   // escaped in the event
		"application/x-www-form-urlencoded": strings.Repeat("x", most*4/5), // base64 in the event
	} {
		wantMessage(t, post(h, contentType, body), http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	}
	if took != 0 {
		t.Error("the function was invoked")
	}
}

func TestSemicolonInAQueryIsPartOfIt(t *testing.T) {
	var got events.APIGatewayV2HTTPRequest
	h := gatewayTo(func(_ context.Context, event []byte) (string, error) {
		return `{"statusCode": 200}`, json.Unmarshal(event, &got)
	})
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/things?dryRun=true;x=1&y=2", nil))
	if q := got.QueryStringParameters; q["dryRun"] != "true;x=1" || q["y"] != "2" {
		t.Errorf("%v", q)
	}
}

func TestErrorsOfTheFunctionAreNotShown(t *testing.T) {
	for name, f := range map[string]stub{
		"error":         func(context.Context, []byte) (string, error) { return "", errors.New("table on fire") },
		"panic":         func(context.Context, []byte) (string, error) { panic("table on fire") },
		"not JSON":      func(context.Context, []byte) (string, error) { return "table on fire", nil },
		"not an object": func(context.Context, []byte) (string, error) { return `["table on fire"]`, nil },
		"no status":     func(context.Context, []byte) (string, error) { return `{"body": "table on fire"}`, nil },
		"no such code":  func(context.Context, []byte) (string, error) { return `{"statusCode": 42}`, nil },
		"too long": func(context.Context, []byte) (string, error) {
			return `{"statusCode": 200, "body": "` + strings.Repeat("x", 6<<20) + `"}`, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			wantMessage(t, post(gatewayTo(f), "text/plain", "x"), http.StatusInternalServerError, "Internal Server Error")
		})
	}
}

func TestFunctionContinuesWithoutItsClient(t *testing.T) {
	h := gatewayTo(func(ctx context.Context, _ []byte) (string, error) {
		if _, ok := ctx.Deadline(); ctx.Err() != nil || !ok {
			t.Errorf("the function's context: %v, a deadline: %v", ctx.Err(), ok)
		}
		return `{"statusCode": 200}`, nil
	})
	ctx, gone := context.WithCancel(t.Context())
	gone()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodPost, "/things", nil))
}
