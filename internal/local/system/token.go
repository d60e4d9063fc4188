package system

import (
	"crypto/subtle"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

const (
	// localClient is whom every token speaks for.
	localClient = "local"
	// tokenScope is the template's default.
	tokenScope = "dcv-session-manager/sm_scope"
	// tokenSeconds is how long Cognito's tokens are good by default; the one
	// here is good for ever.
	tokenSeconds = 3600
)

// authorized stands for the JWT authorizer: it wants the one token, where there
// is one.
func (sys *System) authorized(r *http.Request) bool {
	if sys.opts.Token == "" {
		return true
	}
	token, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return isBearer && subtle.ConstantTimeCompare([]byte(token), []byte(sys.opts.Token)) == 1
}

// localCaller is the authorizer of an event, as after a token of the client
// credentials that Cognito made, without its times.
func localCaller() *events.APIGatewayV2HTTPRequestContextAuthorizerDescription {
	return &events.APIGatewayV2HTTPRequestContextAuthorizerDescription{
		JWT: &events.APIGatewayV2HTTPRequestContextAuthorizerJWTDescription{
			Claims: map[string]string{
				"client_id": localClient, "sub": localClient, "scope": tokenScope, "token_use": "access", "version": "2",
			},
			Scopes: []string{tokenScope},
		},
	}
}

// issueToken is Cognito's token endpoint, as far as client credentials go: any
// client is known, and any secret is right. Errors are RFC 6749's, section 5.2,
// all with Cognito's status.
// https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html
func (sys *System) issueToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	refuse := func(code string) { writeJSON(w, http.StatusBadRequest, map[string]string{"error": code}) }

	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	// Parameters are taken from the query as well: DCV Access Console sends them
	// there, with an empty body.
	isForm := kind == "application/x-www-form-urlencoded" || r.URL.Query().Has("grant_type")
	if err := r.ParseForm(); err != nil || !isForm || !r.Form.Has("grant_type") {
		refuse("invalid_request")
		return
	}
	if r.Form.Get("grant_type") != "client_credentials" {
		refuse("unsupported_grant_type")
		return
	}
	client, _, _ := r.BasicAuth()
	if client == "" {
		client = r.Form.Get("client_id")
	}
	if client == "" {
		refuse("invalid_client")
		return
	}
	if slices.ContainsFunc(strings.Fields(r.Form.Get("scope")), func(scope string) bool { return scope != tokenScope }) {
		refuse("invalid_scope")
		return
	}
	token := sys.opts.Token
	if token == "" {
		token = "local" // everybody is let in
	}
	writeJSON(w, http.StatusOK, struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
	}{token, "Bearer", tokenSeconds})
}
