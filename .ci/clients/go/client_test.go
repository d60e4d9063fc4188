// Package sessions_test uses the Go client that is generated from the contract,
// against the local system at $BROKER, where the sessions from-go and waiting-for-go
// of gopher run.
package sessions_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"testing"
	"time"

	sessions "github.com/GIT_USER_ID/GIT_REPO_ID"
)

func client(token string) (*sessions.SessionsAPIService, context.Context) {
	configuration := sessions.NewConfiguration()
	configuration.Servers = sessions.ServerConfigurations{{URL: os.Getenv("BROKER")}}
	ctx := context.WithValue(context.Background(), sessions.ContextAccessToken, token)
	return sessions.NewAPIClient(configuration).SessionsAPI, ctx
}

func TestGoClientDeletesDescribesAndPages(t *testing.T) {
	api, ctx := client(os.Getenv("TOKEN"))

	entry := sessions.NewCancelDeletionRequestData("from-go", "gopher")
	entry.SetRequestId("8ad032af-af29-4c99-936e-e19072ebd531")
	cancelled, _, err := api.CancelDeletions(ctx).Body([]sessions.CancelDeletionRequestData{*entry}).Execute()
	if err != nil {
		t.Fatal(err)
	}
	if l := cancelled.SuccessfulList; len(l) != 1 || l[0].SessionId != "from-go" || l[0].State != "READY" {
		t.Errorf("not being deleted: %+v", cancelled)
	}

	answer, _, err := api.DeleteSessions(ctx).Body([]sessions.DeleteSessionRequestData{
		*sessions.NewDeleteSessionRequestData("from-go", "gopher"),
		*sessions.NewDeleteSessionRequestData("missing", "gopher"),
	}).Execute()
	if err != nil {
		t.Fatal(err)
	}
	if l := answer.SuccessfulList; len(l) != 1 || l[0].SessionId != "from-go" || l[0].State != "DELETING" {
		t.Errorf("successful: %v", l)
	}
	if l := answer.UnsuccessfulList; len(l) != 1 || l[0].FailureReason != "The requested dcvSession does not exist" {
		t.Errorf("unsuccessful: %v", l)
	}

	query := sessions.NewDescribeSessionsRequestData()
	query.SetSessionIds([]string{"from-go"})
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		found, _, err := api.DescribeSessions(ctx).Body(*query).Execute()
		if err != nil {
			t.Fatal(err)
		}
		if len(found.Sessions) == 0 || found.Sessions[0].State == "DELETED" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not gone: %+v", found.Sessions)
		}
	}

	all, _, err := api.DescribeSessions(ctx).Execute() // without a body
	if err != nil || len(all.Sessions) == 0 {
		t.Errorf("all: %+v, %v", all, err)
	}

	seen := map[string]bool{}
	page := sessions.NewDescribeSessionsRequestData()
	page.SetMaxResults(2)
	for {
		found, _, err := api.DescribeSessions(ctx).Body(*page).Execute()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range found.Sessions {
			if seen[s.Id] {
				t.Errorf("%s is on two pages", s.Id)
			}
			seen[s.Id] = true
		}
		if found.NextToken == nil {
			break
		}
		page.SetNextToken(*found.NextToken)
	}
	if !seen["from-go"] || !seen["design-review"] {
		t.Errorf("sessions: %v", seen)
	}
}

func TestGoClientIsToldWhenASessionIsClosed(t *testing.T) {
	api, ctx := client(os.Getenv("TOKEN"))
	query := sessions.NewDescribeSessionsRequestData()
	query.SetSessionIds([]string{"waiting-for-go"})
	found, _, err := api.DescribeSessions(ctx).Body(*query).Execute()
	if err != nil || len(found.Sessions) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	entry := sessions.NewDeleteSessionRequestData("waiting-for-go", "gopher")
	entry.SetGracePeriodSeconds(600)
	entry.SetMessage("Please save your work.")
	entry.SetCreationTime(*found.Sessions[0].CreationTime)
	earliest := time.Now().Add(10*time.Minute - time.Second) // a close time is cut to milliseconds
	answer, _, err := api.DeleteSessions(ctx).Body([]sessions.DeleteSessionRequestData{*entry}).Execute()
	if err != nil || len(answer.SuccessfulList) != 1 {
		t.Fatalf("%+v, %v", answer, err)
	}
	latest := time.Now().Add(10 * time.Minute)
	if at := *answer.SuccessfulList[0].CloseAt; at.Before(earliest) || at.After(latest) {
		t.Errorf("closed at %v, which is not from %v to %v", at, earliest, latest)
	}
}

func TestGoClientIsToldWhatIsWrong(t *testing.T) {
	api, ctx := client("another")
	_, resp, err := api.DescribeSessions(ctx).Execute()
	var refused *sessions.GenericOpenAPIError
	if resp == nil || resp.StatusCode != http.StatusUnauthorized || !errors.As(err, &refused) {
		t.Fatalf("%v: %v", resp, err)
	}
	if why, ok := refused.Model().(sessions.ErrorResponse); !ok || why.Message != "Unauthorized" {
		t.Errorf("%+v", refused.Model())
	}

	api, ctx = client(os.Getenv("TOKEN"))
	query := sessions.NewDescribeSessionsRequestData()
	query.SetMaxResults(1001)
	_, resp, err = api.DescribeSessions(ctx).Body(*query).Execute()
	if resp == nil || resp.StatusCode != http.StatusBadRequest || !errors.As(err, &refused) {
		t.Fatalf("%v: %v", resp, err)
	}
	if why, ok := refused.Model().(sessions.ErrorResponse); !ok || len(why.Errors) != 1 || why.Errors[0].Field != "MaxResults" {
		t.Errorf("%+v", refused.Model())
	}
}
