package canceldeletions_test

import (
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/httpapi/canceldeletions"
	"dcv-session-broker/internal/httpapi/httpapitest"
)

func TestFieldsOfAnswersAreTheContracts(t *testing.T) {
	httpapitest.FieldsAreTheContracts(t, "/cancelDeletions", canceldeletions.Bodies)
}

func TestExamplesAreAnsweredAsTheContractSays(t *testing.T) {
	httpapitest.ExamplesAreAnswered(t, "/cancelDeletions", func(t *testing.T, req events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPResponse {
		return newAPI(t).serve(req)
	})
}
