package describesessions_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/session"
)

// deleting returns a table with one open deletion.
func deleting(t *testing.T) *describeAPI {
	a := newDescribeAPI(t)
	a.table.Put(session.Record{
		"SessionId": "s", "Owner": "user1", "HostId": "mi-0123456789abcdef0", "LiveHostId": "mi-0123456789abcdef0", "State": "DELETING",
		"NumOfConnections": int64(0), "AttemptId": "secret", "DueLane": "1", "Force": true,
		"DeletionRequestedAt": "2026-11-23T19:00:00.500Z", "DeletionRequestedBy": "1example23456789", "DeletionRequestId": "r1",
		"DeletionReason": "maintenance", "CloseAt": "2026-11-23T19:00:29.000Z", "Warning": "warned (zenity)", "Message": "Goodbye",
		"Attempts": int64(2), "AttemptedAt": "2026-11-23T19:00:30.000Z", "NextAttemptAt": "2026-11-23T19:02:30.000Z", "Confirmation": "closed",
		"FirstSeenAt": "2026-11-23T18:00:00.000Z", "ObservedAt": "2026-11-23T18:30:00.250Z",
	})
	return a
}

const deletingShown = `{"Id":"s","Owner":"user1","Server":{"Id":"mi-0123456789abcdef0","Tags":[{"Key":"DcvFleet","Value":"studio"}]},"State":"DELETING","NumOfConnections":0`

// Only on request: a strict client refuses unknown fields.
func TestDetailsAreShownOnlyToThoseWhoAsk(t *testing.T) {
	const details = `,"DeletionRequestedAt":"2026-11-23T19:00:00.500Z","DeletionRequestedBy":"1example23456789","DeletionRequestId":"r1",` +
		`"DeletionReason":"maintenance","CloseAt":"2026-11-23T19:00:29.000Z","Warning":"warned (zenity)",` +
		`"Attempts":2,"AttemptedAt":"2026-11-23T19:00:30.000Z","NextAttemptAt":"2026-11-23T19:02:30.000Z","Confirmation":"closed",` +
		`"LastSeenTime":"2026-11-23T18:30:00.250Z"`
	for query, more := range map[string]string{
		``: "", `{}`: "", `{"Details":false}`: "", `{"Details":null}`: "", `{"SessionIds":["s"]}`: "", `{` + ofUser1 + `}`: "",
		`{"Filters":[{"Key":"host","Value":"mi-0123456789abcdef0"}]}`: "",

		`{"Details":true}`: details, `{"Details":true,"SessionIds":["s"]}`: details, `{"Details":true,` + ofUser1 + `}`: details,
		`{"Details":true,"Filters":[{"Key":"host","Value":"mi-0123456789abcdef0"}]}`: details,
	} {
		resp := deleting(t).serve(events.APIGatewayV2HTTPRequest{Body: query})
		if want := head + `"Sessions":[` + deletingShown + more + `}]}`; resp.Body != want {
			t.Errorf("%s: %s\nwant %s", query, resp.Body, want)
		}
	}
}

// Missing values are left out, and so is a time that cannot be parsed.
func TestDetailsThatAreNotThereAreLeftOut(t *testing.T) {
	a := newDescribeAPI(t)
	a.table.Put(session.Record{
		"SessionId": "s", "Owner": "user1", "HostId": "mi-0123456789abcdef0", "State": "DELETING",
		"DeletionRequestedAt": "yesterday", "AttemptedAt": int64(7), "NextAttemptAt": "9999-12-31T23:59:59-01:00", "FirstSeenAt": "0000-01-01T00:00:00Z",
	})
	resp := a.serve(events.APIGatewayV2HTTPRequest{Body: `{"Details":true}`})
	if want := head + `"Sessions":[` + deletingShown + `}]}`; resp.Body != want {
		t.Errorf("%s\nwant %s", resp.Body, want)
	}
}

// The record has the inventory that last changed it; its host's note shows that newer
// ones had the session, too.
func TestLastSeenIsTheNewestInventoryThatHadIt(t *testing.T) {
	a := newDescribeAPI(t, session.Session{ID: "s", Owner: "user1", HostID: host, FirstSeenAt: now.Add(-time.Hour)})
	answer := session.HostAnswer{HostID: host, SentAt: now.Add(-time.Minute), At: now, Sessions: 1, Complete: true}
	if _, _, err := a.hosts.RecordAnswer(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	resp := a.serve(events.APIGatewayV2HTTPRequest{Body: `{"Details":true}`})
	if want := `"LastSeenTime":"2026-11-23T19:00:02.123Z"`; !strings.Contains(resp.Body, want) || a.reads != 2 {
		t.Errorf("%s after %d reads, want %s", resp.Body, a.reads, want)
	}
}
