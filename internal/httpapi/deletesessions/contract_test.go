package deletesessions_test

import (
	"strconv"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/httpapi/contract/contracttest"
	"dcv-session-broker/internal/httpapi/deletesessions"
	"dcv-session-broker/internal/httpapi/httpapitest"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template/templatetest"
)

func TestLimitsAreTheContracts(t *testing.T) {
	batch, err := strconv.ParseUint(templatetest.Load(t, nil).Parameters()["MaxBatchSize"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	doc := contracttest.Document()
	if most := *doc.Paths.Value("/deleteSessions").Post.RequestBody.Value.Content["application/json"].Schema.Value.MaxItems; most != batch {
		t.Errorf("at most %d entries by the contract, %d by the template", most, batch)
	}
	entry := doc.Components.Schemas["DeleteSessionRequestData"].Value.Properties
	period := entry["GracePeriodSeconds"].Value
	if least := *period.Not.Value.Max + 1; least != session.MinGracePeriod.Seconds() || *period.Max != session.MaxGracePeriod.Seconds() {
		t.Errorf("a grace period of %v to %v by the contract, %v to %v by the code", least, *period.Max, session.MinGracePeriod, session.MaxGracePeriod)
	}
	for _, text := range []string{"Message", "Reason"} {
		if most := *entry[text].Value.MaxLength; most != session.MaxTextChars {
			t.Errorf("%s of at most %d by the contract, %d by the code", text, most, session.MaxTextChars)
		}
	}
	for _, name := range []string{"HostId", "CreationTime"} {
		if most := *entry[name].Value.MaxLength; most != session.MaxIDBytes {
			t.Errorf("%s of at most %d by the contract, %d by the code", name, most, session.MaxIDBytes)
		}
	}
	if most := *doc.Components.Schemas["SessionId"].Value.MaxLength; most != session.MaxIDBytes {
		t.Errorf("an ID of at most %d by the contract, %d by the code", most, session.MaxIDBytes)
	}
}

func TestFieldsOfAnswersAreTheContracts(t *testing.T) {
	httpapitest.FieldsAreTheContracts(t, "/deleteSessions", deletesessions.Bodies)
}

func TestExamplesAreAnsweredAsTheContractSays(t *testing.T) {
	httpapitest.ExamplesAreAnswered(t, "/deleteSessions", func(t *testing.T, req events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPResponse {
		a := newAPI(t)
		a.table.Put(session.Listed(session.Session{
			ID: "SessionId123", Owner: "user1", HostID: "i-0a1b2c3d4e5f60001", Type: "virtual", NumOfConnections: 2, FirstSeenAt: now,
			CreationTime: "2026-11-23T08:30:00.262883Z",
		}))
		a.DryRunner = &session.DryRunner{Getter: memtable.Reader{Table: a.table}, Notes: memtable.NewHosts(), HostChecker: a, Log: a.Log}
		return a.serve(req)
	})
}
