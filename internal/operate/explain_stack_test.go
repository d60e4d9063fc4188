package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/local/system"
)

// A callLog is a proxy in front of DynamoDB that notes the operations.
type callLog struct {
	mu    sync.Mutex
	asked []string
}

func (l *callLog) before(t *testing.T, endpoint string) (address string) {
	t.Helper()
	return before(t, endpoint, func(w http.ResponseWriter, r *http.Request, pass http.Handler) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		l.mu.Lock()
		l.asked = append(l.asked, operation)
		l.mu.Unlock()
		pass.ServeHTTP(w, r)
	})
}

// The stack's tables are DynamoDB Local's; its log groups and Systems Manager are simulated.
func TestExplainAndStuckOfAStack(t *testing.T) {
	endpoint := dynamodblocal.ForTest(t)
	sys, address := startSystem(t, system.Options{DynamoDB: endpoint, DynamoDBKey: dynamodblocal.TestKey + "explain"})
	systemsManager := httptest.NewServer(sys.SystemsManager())
	defer systemsManager.Close()
	host := hostOf(1)
	call(t, http.MethodPut, address+"/local/hosts/"+host+"/sessions/s-1", `{"Owner": "user1"}`)
	call(t, http.MethodPut, address+"/local/hosts/"+host+"/sessions/s-2", `{"Owner": "user1"}`)
	call(t, http.MethodPost, address+"/local/hosts/"+host+"/break", "")
	call(t, http.MethodPost, address+"/deleteSessions", `[{"SessionId": "s-1", "Owner": "user1"}, {"SessionId": "s-2", "Owner": "user1", "GracePeriodSeconds": 600}]`)
	awaitRecord(t, address, "s-1", "AttemptFailedAt")

	var patterns []string
	pages := 0
	a := &account{
		outputs:    map[string]string{"SessionsTableName": "SessionsTable", "HostsTableName": "HostsTable"},
		parameters: map[string]string{"GiveUpAfterMinutes": "60", "IndexStep": "4"},
		resources: map[string]string{
			"HostEventsLogGroup": "/aws/lambda/studio/host-events", "CleanupLogGroup": "/aws/lambda/studio/cleanup", "HttpApiLogGroup": "/aws/vendedlogs/apigateway/studio",
		},
		answers: map[string]any{"FilterLogEvents": func(request []byte) (int, any) {
			var in struct{ LogGroupName, FilterPattern, NextToken string }
			if err := json.Unmarshal(request, &in); err != nil {
				return http.StatusInternalServerError, err.Error()
			}
			if in.LogGroupName == "/aws/lambda/studio/cleanup" {
				return http.StatusBadRequest, map[string]string{"__type": "AccessDeniedException", "message": "no"}
			}
			patterns = append(patterns, in.FilterPattern)
			if pages++; in.NextToken == "" { // a page may be empty, and another follow
				return http.StatusOK, map[string]any{"events": []any{}, "nextToken": "next"}
			}
			event := func(line string) map[string]any { return map[string]any{"message": line, "timestamp": 1} }
			return http.StatusOK, map[string]any{"events": []any{
				event(`{"time":"2026-11-23T12:00:01Z","level":"WARN","msg":"attempt failed: it is tried again","SessionId":"s-1","Reason":"of the log"}`),
				event(`{"time":"2026-11-23T12:00:00Z","level":"INFO","msg":"another's","SessionId":"s-10"}`),
				event(`{"time":"2026-11-23T12:00:00Z","level":"INFO","msg":"said of several","SessionList":"HostId=i-1 SessionId=s-1; HostId=i-2 SessionId=s-2;"}`),
				event("START RequestId: 1"),
			}}
		}},
	}
	a.serve(t)
	l := &callLog{}
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", l.before(t, endpoint))
	t.Setenv("AWS_ENDPOINT_URL_SSM", systemsManager.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", dynamodblocal.TestKey+"explain")

	told, text, status := explained(t, "s-1", "--stack", stackName)
	if status != exitDone || !slices.Equal(told.Why, []string{"Could not connect to the DCV server: is dcvserver running? (exit 1)"}) {
		t.Errorf("%d %q", status, told.Why)
	}
	if strings.Count(text, "host-events: said of several") != 1 {
		t.Errorf("a line about two sessions:\n%s", text)
	}
	wantIn(t, text, "host-events: WARN: attempt failed: it is tried again (Reason: of the log)", "local asked for its deletion", "Attempt 1 failed", "Attempt 2", "Not looked at",
		"the functions' logs: your credentials lack the permission logs:FilterLogEvents on /aws/lambda/studio/cleanup")
	if strings.Contains(text, "another's") || strings.Contains(text, "START") {
		t.Errorf("lines of others:\n%s", text)
	}
	if want := `{ ($.SessionId = "s-1") || ($.SessionList = "*SessionId=s-1;*") || (($.RequestId = "` + told.Record["DeletionRequestId"].(string) +
		`") && ($.SessionId NOT EXISTS) && ($.SessionList NOT EXISTS)) }`; patterns[0] != want {
		t.Errorf("asked for %s, not %s", patterns[0], want)
	}
	if _, text, status = explained(t, "s", "--stack", stackName); status != exitUnsuccessful {
		t.Errorf("%d\n%s", status, text)
	}

	a.denied = "ListStackResources" // only the names of log groups come from there
	if told, text, status := explained(t, "s-1", "--stack", stackName); status != exitDone ||
		!slices.Equal(told.NotLookedAt, []string{"the functions' logs: your credentials lack the permission cloudformation:ListStackResources on the stack"}) {
		t.Errorf("%d\n%s", status, text)
	}
	l.asked = nil
	said, status := dcvbroker(t, "", "stuck", "--stack", stackName)
	if status != exitUnsuccessful {
		t.Errorf("%d\n%s", status, said)
	}
	wantIn(t, said, "1 stuck; 0 more on their way, 1 wait for their close time.", "s-1 of user1 on "+host, "1 attempt", "why Could not connect to the DCV server")
	slices.Sort(l.asked)
	if asked := slices.Compact(l.asked); !slices.Equal(asked, []string{"BatchGetItem", "Query"}) {
		t.Errorf("asked of the tables: %v", asked)
	}

	// A user who may not read the tables learns which permission is missing.
	denied := func([]byte) (int, any) {
		return http.StatusBadRequest, map[string]string{"__type": "com.amazon.coral.service#AccessDeniedException", "message": "no"}
	}
	a.answers["BatchGetItem"], a.answers["Query"] = denied, denied
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", "")
	for verb, permission := range map[string]string{
		"explain": "dynamodb:BatchGetItem on the table SessionsTable", "stuck": "dynamodb:Query on the index by-lease of the table SessionsTable",
	} {
		args := []string{verb, "--stack", stackName, "s-1"}
		if verb == "stuck" {
			args = args[:3]
		}
		if said, status := dcvbroker(t, "", args...); status != exitNotRun || !strings.Contains(said, "your credentials lack the permission "+permission) {
			t.Errorf("%s: %d\n%s", verb, status, said)
		}
	}
}
