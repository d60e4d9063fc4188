package httpapi

import "github.com/aws/aws-lambda-go/events"

// Requester returns the subject of the token, which the gateway has checked, for the
// record. For client credentials it is the client. A user is named by Cognito's
// username, or by sub, which clients of other issuers also have.
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
