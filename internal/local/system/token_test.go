package system

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/local/delivery"
	"dcv-session-broker/internal/template/templatetest"
)

// locked returns an HTTP API of one route that requires a token, and counts its calls.
func locked(token string) (h http.Handler, calls *int) {
	calls = new(int)
	f := stub(func(context.Context, []byte) (string, error) {
		*calls++
		return `{"statusCode": 200}`, nil
	})
	sys := &System{
		opts:   Options{Log: slog.New(slog.DiscardHandler), Token: token},
		routes: map[string]*delivery.Function{"POST /things": {Name: "things", Timeout: time.Minute, Handler: f}},
	}
	return sys.Handler(), calls
}

func postAs(h http.Handler, authorization, path, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestOnlyTheTokenIsLetIn(t *testing.T) {
	h, calls := locked("s3cret")
	for _, authorization := range []string{
		"", "s3cret", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cretx", "Bearer S3CRET", "Bearer  s3cret", "Basic s3cret", "Bearer wrong",
	} {
		w := postAs(h, authorization, "/things", "application/json", "[]")
		wantMessage(t, w, http.StatusUnauthorized, "Unauthorized")
		if w.Header().Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%q: %v", authorization, w.Header())
		}
	}
	if *calls > 0 {
		t.Errorf("the function was invoked %d times", *calls)
	}
	if w := postAs(h, "Bearer s3cret", "/things", "application/json", "[]"); w.Code != 200 || *calls != 1 {
		t.Errorf("the token is answered %d after %d calls", w.Code, *calls)
	}
}

// A gateway checks the route before the token, and the body after it.
func TestTokenIsAskedForBetweenRouteAndBody(t *testing.T) {
	h, _ := locked("s3cret")
	wantMessage(t, postAs(h, "", "/nothing", "application/json", "[]"), http.StatusNotFound, "Not Found")
	wantMessage(t, postAs(h, "", "/things", "text/plain", strings.Repeat("x", maxBody+1)), http.StatusUnauthorized, "Unauthorized")
}

func TestWithoutATokenEverybodyIsLetIn(t *testing.T) {
	h, calls := locked("")
	for _, authorization := range []string{"", "Bearer anything", "Basic eDp5"} {
		if w := postAs(h, authorization, "/things", "application/json", "[]"); w.Code != 200 {
			t.Errorf("%q: %d", authorization, w.Code)
		}
	}
	if *calls != 3 {
		t.Errorf("%d calls", *calls)
	}
}

// The system's routes, not only those of a test.
func TestEveryRouteOfTheSystemWantsTheToken(t *testing.T) {
	sys, err := New(t.Context(), Options{
		Template: "../../../template.yaml", Dir: t.TempDir(), Token: "s3cret",
		Every: map[string]time.Duration{"deletions": -1, "inventory": -1, "idle": -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	if len(sys.routes) == 0 {
		t.Fatal("there are no routes")
	}
	for route := range sys.routes {
		_, path, _ := strings.Cut(route, " ")
		wantMessage(t, postAs(sys.Handler(), "Bearer wrong", path, "application/json", "[]"), http.StatusUnauthorized, "Unauthorized")
		if w := postAs(sys.Handler(), "Bearer s3cret", path, "application/json", "[]"); w.Code == http.StatusUnauthorized {
			t.Errorf("%s refuses the token", route)
		}
	}
	// The control API checks where a call comes from instead.
	r := httptest.NewRequest(http.MethodGet, "/local/hosts", nil)
	r.RemoteAddr = "127.0.0.1:4711"
	r.Host = "127.0.0.1:8080"
	w := httptest.NewRecorder()
	if sys.Handler().ServeHTTP(w, r); w.Code != http.StatusOK {
		t.Errorf("the control API: %d %s", w.Code, w.Body)
	}
}

const (
	form   = "application/x-www-form-urlencoded"
	basic  = "Basic Y2xpZW50OnNlY3JldA==" // client:secret
	asPost = "grant_type=client_credentials&client_id=client&client_secret=secret"
)

func TestClientsGetTheToken(t *testing.T) {
	scope := "&scope=" + url.QueryEscape(tokenScope)
	for _, token := range []string{"s3cret", ""} {
		h, calls := locked(token)
		for _, c := range []struct{ authorization, contentType, body string }{
			{"", form, asPost},
			{"", form + "; charset=utf-8", asPost + scope},
			{basic, form, "grant_type=client_credentials"},
			{basic, form, "grant_type=client_credentials&client_id=client" + scope},
		} {
			w := postAs(h, c.authorization, "/oauth2/token", c.contentType, c.body)
			want := `{"access_token":"s3cret","token_type":"Bearer","expires_in":3600}`
			if token == "" {
				want = `{"access_token":"local","token_type":"Bearer","expires_in":3600}`
			}
			if w.Code != 200 || strings.TrimSpace(w.Body.String()) != want || w.Header().Get("Content-Type") != "application/json" ||
				w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%+v: %d %v %s", c, w.Code, w.Header(), w.Body)
			}
			var got struct {
				AccessToken string `json:"access_token"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if w := postAs(h, "Bearer "+got.AccessToken, "/things", "application/json", "[]"); w.Code != 200 {
				t.Errorf("that token is answered %d", w.Code)
			}
		}
		if *calls != 4 {
			t.Errorf("%d calls", *calls)
		}
	}
}

func TestWrongRequestsForATokenAreRefused(t *testing.T) {
	h, _ := locked("s3cret")
	for _, c := range []struct{ authorization, contentType, body, want string }{
		{basic, form, "grant_type=password&username=a&password=b", "unsupported_grant_type"},
		{basic, form, "grant_type=", "unsupported_grant_type"},
		{basic, form, "grant_type=authorization_code&code=1", "unsupported_grant_type"},
		{basic, form, "grant_type=Client_Credentials", "unsupported_grant_type"},
		{basic, form, "", "invalid_request"},
		{basic, form, "grant_type=%zz", "invalid_request"},
		{basic, "application/json", `{"grant_type": "client_credentials"}`, "invalid_request"},
		{basic, "", asPost, "invalid_request"},
		{"", form, "grant_type=client_credentials", "invalid_client"},
		{"Basic !", form, "grant_type=client_credentials", "invalid_client"},
		{"Bearer s3cret", form, "grant_type=client_credentials", "invalid_client"},
		{basic, form, "grant_type=client_credentials&scope=openid", "invalid_scope"},
		{basic, form, "grant_type=client_credentials&scope=" + url.QueryEscape(tokenScope+" openid"), "invalid_scope"},
	} {
		w := postAs(h, c.authorization, "/oauth2/token", c.contentType, c.body)
		if want := `{"error":"` + c.want + `"}`; w.Code != 400 || strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("%+v: %d %s", c, w.Code, w.Body)
		}
	}
	for _, query := range []string{"?grant_type=password", "?grant=client_credentials", ""} {
		if w := postAs(h, basic, "/oauth2/token"+query, "", ""); w.Code != 400 {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/oauth2/token", nil))
	if w.Code == 200 {
		t.Errorf("GET: %d %s", w.Code, w.Body)
	}
}

func TestGrantTypeInTheAddressIsAccepted(t *testing.T) {
	h, _ := locked("s3cret")
	for _, contentType := range []string{form, "application/json", ""} {
		if w := postAs(h, basic, "/oauth2/token?grant_type=client_credentials", contentType, ""); w.Code != 200 {
			t.Errorf("%q: %d %s", contentType, w.Code, w.Body)
		}
	}
}

func TestScopeOfTokensIsTheTemplates(t *testing.T) {
	if got := templatetest.Load(t, nil).Parameters()["Scope"]; got != tokenScope {
		t.Errorf("the template's is %s", got)
	}
}
