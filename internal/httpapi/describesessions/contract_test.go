package describesessions_test

import (
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/httpapi/contract/contracttest"
	"dcv-session-broker/internal/httpapi/describesessions"
	"dcv-session-broker/internal/httpapi/httpapitest"
	"dcv-session-broker/internal/session"
)

func TestLimitsAreTheContracts(t *testing.T) {
	query := contracttest.Document().Components.Schemas["DescribeSessionsRequestData"].Value.Properties
	for what, limit := range map[string]struct{ contract, code uint64 }{
		"IDs":     {*query["SessionIds"].Value.MaxItems, describesessions.MaxIDs},
		"filters": {*query["Filters"].Value.MaxItems, describesessions.MaxFilters},
		"results": {uint64(*query["MaxResults"].Value.Max), describesessions.MaxResults},
		"token":   {*query["NextToken"].Value.MaxLength, describesessions.MaxTokenChars},
	} {
		if limit.contract != limit.code {
			t.Errorf("%s: at most %d by the contract, %d by the code", what, limit.contract, limit.code)
		}
	}
}

func TestFieldsOfAnswersAreTheContracts(t *testing.T) {
	httpapitest.FieldsAreTheContracts(t, "/describeSessions", describesessions.Bodies)
}

func TestExamplesAreAnsweredAsTheContractSays(t *testing.T) {
	httpapitest.ExamplesAreAnswered(t, "/describeSessions", func(t *testing.T, req events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPResponse {
		a := newDescribeAPI(t, session.Session{
			ID: "SessionId123", Name: "SessionId123", Owner: "user1", HostID: "i-0a1b2c3d4e5f60001", Type: "virtual",
			CreationTime: "2026-11-23T18:45:11.262883Z", LastDisconnectionTime: "2026-11-23T18:59:30Z", NumOfConnections: 2,
		})
		a.table.Put(session.Record{
			"SessionId": "console-mi-0123456789abcdef0", "Owner": "user3", "HostId": "mi-0123456789abcdef0", "Type": "console",
			"State": "UNKNOWN", "StateReason": "The host does not answer", "LiveHostId": "mi-0123456789abcdef0", "AttemptId": "r2",
			"DeletionRequestedAt": "2026-11-23T19:01:02.123Z", "DeletionRequestedBy": "1example23456789",
			"DeletionRequestId": "8ad032af-af29-4c99-936e-e19072ebd531", "Attempts": int64(9), "AttemptedAt": "2026-11-23T19:56:31.004Z",
			"DeletionReason": "maintenance window", "CloseAt": "2026-11-23T19:11:02.123Z", "Warning": "nobody: no user was connected",
			"FirstSeenAt": "2026-11-22T08:30:00.000Z", "ObservedAt": "2026-11-23T18:55:00.017Z",
		})
		a.FleetTag = "default"
		return a.serve(req)
	})
}
