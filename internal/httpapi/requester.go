package httpapi

import "github.com/aws/aws-lambda-go/events"

// Requester is who asks, for the record: whom the token that the gateway has
// checked speaks for. By client credentials that is the client; a user is named
// by Cognito's username, or by sub, which other issuers' clients have as well.
func Requester(req events.APIGatewayV2HTTPRequest) string {
	if auth := req.RequestContext.Authorizer; auth != nil && auth.JWT != nil {
		for _, claim := range []string{"username", "sub", "client_id"} {
			if who := auth.JWT.Claims[claim]; who != "" {
				return who
			}
		}
	}
	return "unknown"
}
