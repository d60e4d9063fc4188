package contracttest_test

import (
	"net/http"
	"strings"
	"testing"

	"dcv-session-broker/internal/httpapi/contract/contracttest"
)

const (
	deleteRequest = `[{"SessionId":"s","Owner":"o"}]`
	deleteAnswer  = `{"RequestId":"r","SuccessfulList":[{"SessionId":"s","State":"DELETING"}],"UnsuccessfulList":[]}`
)

func TestWhatTheContractAllowsPasses(t *testing.T) {
	for _, e := range []contracttest.Exchange{
		{Path: "/deleteSessions", Request: []byte(deleteRequest), Status: 200, Answer: []byte(deleteAnswer)},
		{Path: "/deleteSessions", Query: "dryRun=true", Request: []byte(deleteRequest), Status: 200, Answer: []byte(deleteAnswer)},
		{Path: "/deleteSessions", Request: []byte(`[{"SessionId":"é\u0020","Owner":"o","Force":null,"More":1}]`), Status: 200, Answer: []byte(deleteAnswer)},
		{Path: "/deleteSessions", Request: []byte(`{}`), Status: 400, Answer: []byte(`{"message":"m","RequestId":"r","errors":[{"Index":null,"Field":"body","Reason":"x"}]}`)},
		{Path: "/deleteSessions", Request: []byte(deleteRequest), Status: 503, Answer: []byte(`{"message":"m"}`)},
		{Path: "/describeSessions", Status: 200, Answer: []byte(`{"RequestId":"r","Sessions":[]}`)},
		{Path: "/describeSessions", Request: []byte(" \n"), Status: 200, Answer: []byte(`{"RequestId":"r","Sessions":[]}`)},
		{Path: "/somethingElse", Status: 200, Answer: []byte(`whatever`)},
	} {
		e.Method, e.Header = "POST", http.Header{"Content-Type": {"application/json"}}
		if err := contracttest.Check(e); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatTheContractForbidsIsABreach(t *testing.T) {
	granted := func(request string) contracttest.Exchange {
		return contracttest.Exchange{Path: "/deleteSessions", Request: []byte(request), Status: 200, Answer: []byte(deleteAnswer)}
	}
	answered := func(status int, answer string) contracttest.Exchange {
		return contracttest.Exchange{Path: "/deleteSessions", Request: []byte(deleteRequest), Status: status, Answer: []byte(answer)}
	}
	for name, e := range map[string]contracttest.Exchange{
		"no body":               granted(``),
		"blank body":            granted(" \n"),
		"not an array":          granted(`{}`),
		"no owner":              granted(`[{"SessionId":"s"}]`),
		"empty ID":              granted(`[{"SessionId":"","Owner":"o"}]`),
		"long ID":               granted(`[{"SessionId":"` + strings.Repeat("s", 257) + `","Owner":"o"}]`),
		"control character":     granted(`[{"SessionId":"s\u0000","Owner":"o"}]`),
		"force is a word":       granted(`[{"SessionId":"s","Owner":"o","Force":"true"}]`),
		"too many":              granted("[" + strings.Repeat(`{"SessionId":"s","Owner":"o"},`, 1000) + `{"SessionId":"s","Owner":"o"}]`),
		"dryRun is a word":      {Path: "/deleteSessions", Query: "dryRun=yes", Request: []byte(deleteRequest), Status: 200, Answer: []byte(deleteAnswer)},
		"a status of its own":   answered(418, `{"message":"m"}`),
		"a list is missing":     answered(200, `{"RequestId":"r","SuccessfulList":[]}`),
		"a field of its own":    answered(200, strings.Replace(deleteAnswer, `{`, `{"More":1,`, 1)),
		"a field of an entry":   answered(200, strings.Replace(deleteAnswer, `{"SessionId"`, `{"More":1,"SessionId"`, 1)),
		"no JSON":               answered(200, `ok`),
		"a fault without index": answered(400, `{"message":"m","errors":[{"Field":"body","Reason":"x"}]}`),
		"no message":            answered(500, `{}`),
		"a list that is null":   answered(200, `{"RequestId":"r","SuccessfulList":null,"UnsuccessfulList":[]}`),
		"an answer's time":      {Path: "/describeSessions", Status: 200, Answer: []byte(`{"RequestId":"r","Sessions":[{"Id":"s","Owner":"o","Server":{"Id":"i"},"Type":"VIRTUAL","State":"READY","NumOfConnections":0,"CreationTime":""}]}`)},
		"too many results":      {Path: "/describeSessions", Request: []byte(`{"MaxResults":1001}`), Status: 200, Answer: []byte(`{"RequestId":"r","Sessions":[]}`)},
	} {
		e.Method, e.Header = "POST", http.Header{"Content-Type": {"application/json"}}
		if err := contracttest.Check(e); err == nil {
			t.Errorf("%s: passes", name)
		}
	}
	text := answered(200, deleteAnswer)
	text.Method, text.Header = "POST", http.Header{"Content-Type": {"text/plain"}}
	if contracttest.Check(text) == nil {
		t.Error("an answer that does not call itself JSON passes")
	}
}
