package token_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"dcv-session-broker/internal/operate/token"
)

func TestClientCredentialsShowNothingSecret(t *testing.T) {
	const secret = "s3cret/+ which is quoted"
	for name, c := range map[string]struct {
		status int
		body   string
		token  string
		err    string
	}{
		"a token":         {200, `{"access_token": "abc", "token_type": "Bearer"}`, "abc", ""},
		"refused":         {400, `{"error": "invalid_client", "hint": "` + secret + `"}`, "", "answered 400, invalid_client"},
		"another's error": {502, "<html>" + secret + "</html>", "", "answered 502, without a token: is it the address of a token endpoint?"},
		"nothing":         {200, `{}`, "", "answered 200, without a token: is it the address of a token endpoint?"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				id, password, _ := r.BasicAuth()
				if id != "client" || password != "s3cret%2F%2B+which+is+quoted" || r.FormValue("scope") != "a/b" || r.FormValue("grant_type") != "client_credentials" {
					t.Errorf("asked with %q %q %v", id, password, r.Form)
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			got, err := token.Credentials{
				HTTP: server.Client(), URL: server.URL, ClientID: "client", Scope: "a/b",
				Secret: func(context.Context) (string, error) { return secret, nil },
			}.Token(t.Context(), "")
			if got != c.token || (err == nil) != (c.err == "") {
				t.Errorf("got %q, %v", got, err)
			}
			if err != nil && (!strings.HasSuffix(err.Error(), c.err) || strings.Contains(err.Error(), "s3cret")) {
				t.Errorf("got %v", err)
			}
		})
	}
}
