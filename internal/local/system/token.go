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
	// localClient is the client ID of every token.
	localClient = "local"
	// tokenScope is the template's default.
	tokenScope = "dcv-session-manager/sm_scope"
	// tokenSeconds is the default lifetime of Cognito's tokens; the token here does not
	// expire.
	tokenSeconds = 3600
)

// authorized simulates the JWT authorizer: if a token is set, a call must have it.
func (sys *System) authorized(r *http.Request) bool {
	if sys.opts.Token == "" {
		return true
	}
	token, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return isBearer && subtle.ConstantTimeCompare([]byte(token), []byte(sys.opts.Token)) == 1
}

// localCaller returns an event's authorizer as for a token that Cognito issued for
// client credentials, without its times.
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

// issueToken simulates Cognito's token endpoint for client credentials: it accepts any
// client and any secret. Errors are those of RFC 6749, section 5.2, all with Cognito's
// status. https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html
func (sys *System) issueToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	refuse := func(code string) { writeJSON(w, http.StatusBadRequest, map[string]string{"error": code}) }

	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	// Parameters may also be in the query: DCV Access Console sends them there, with an
	// empty body.
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
		token = "local" // every call is accepted
	}
	writeJSON(w, http.StatusOK, struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int    `json:"expires_in"`
	}{token, "Bearer", tokenSeconds})
}
