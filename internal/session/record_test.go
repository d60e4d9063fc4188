package session_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/session"
)

func TestRecordIsReadWhole(t *testing.T) {
	ms := func(s string) time.Time {
		parsed, err := time.Parse(session.TimeFormat, s)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	r := session.Record{
		"SessionId": "console-" + hostA, "DcvSessionId": "console", "Owner": alice, "HostId": hostA, "Name": "desk",
		"Type": "console", "CreationTime": "2020-03-02T16:08:50Z", "NumOfConnections": int64(2), "LastDisconnectionTime": "",
		"State": "DELETING", "StateReason": "why",
		"DeletionRequestedAt": "2026-11-23T19:01:02.001Z", "DeletionRequestId": "r1", "DeletionRequestedBy": "me", "Force": true,
		"RepeatedAt": "2026-11-23T19:01:02.002Z",
		"AttemptId":  "r2", "Attempts": int64(3), "AttemptedAt": "2026-11-23T19:01:02.003Z", "AttemptFailedAt": "2026-11-23T19:01:02.004Z",
		"NextAttemptAt": "2026-11-23T19:01:02.005Z", "DueLane": "3",
		"Confirmation": "closed", "ConfirmedAt": "2026-11-23T19:01:02.006Z",
		"DeletedAt": "2026-11-23T19:01:02.007Z", "ExpiresAt": int64(1795633262),
	}
	want := session.Session{
		ID: "console-" + hostA, DCVID: "console", Owner: alice, HostID: hostA, Name: "desk",
		Type: "console", CreationTime: "2020-03-02T16:08:50Z", NumOfConnections: 2,
		State: session.Deleting, StateReason: "why",
		DeletionRequestedAt: ms("2026-11-23T19:01:02.001Z"), DeletionRequestID: "r1", DeletionRequestedBy: "me", Force: true,
		RepeatedAt: ms("2026-11-23T19:01:02.002Z"),
		AttemptID:  "r2", Attempts: 3, AttemptedAt: ms("2026-11-23T19:01:02.003Z"), AttemptFailedAt: ms("2026-11-23T19:01:02.004Z"),
		NextAttemptAt: ms("2026-11-23T19:01:02.005Z"), DueShard: "3",
		Confirmation: session.Closed, ConfirmedAt: ms("2026-11-23T19:01:02.006Z"),
		DeletedAt: ms("2026-11-23T19:01:02.007Z"), ExpiresAt: 1795633262,
	}
	if diff := cmp.Diff(want, r.Session()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOddAttributesCountAsMissing(t *testing.T) {
	got := session.Record{"SessionId": int64(1), "Attempts": "3", "AttemptedAt": "yesterday", "Force": "true", "State": true}.Session()
	if diff := cmp.Diff(session.Session{}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestListedSession(t *testing.T) {
	want := session.Record{
		"SessionId": "s1", "Owner": alice, "HostId": hostA, "Type": "virtual", "CreationTime": "2020-03-02T16:08:50Z",
		"NumOfConnections": int64(1), "LastDisconnectionTime": "", "State": "READY", "LiveHostId": hostA,
	}
	s := session.Session{ID: "s1", Owner: alice, HostID: hostA, Type: "virtual", CreationTime: "2020-03-02T16:08:50Z", NumOfConnections: 1}
	if diff := cmp.Diff(want, session.Listed(s)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.Name, s.DCVID = "desk", "console"
	if diff := cmp.Diff(with(want, "Name", "desk", "DcvSessionId", "console"), session.Listed(s)); diff != "" {
		t.Errorf("with a name of its own (-want +got):\n%s", diff)
	}
	s.DCVID = "s1"
	if diff := cmp.Diff(with(want, "Name", "desk"), session.Listed(s)); diff != "" {
		t.Errorf("with the same name on the host (-want +got):\n%s", diff)
	}
}

// Times are compared as text in the table and in its index of leases.
func TestTimesSortAsText(t *testing.T) {
	paris := time.FixedZone("", 3600)
	times := []time.Time{
		time.Date(999, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 11, 23, 19, 1, 2, 0, time.UTC),
		time.Date(2026, 11, 23, 19, 1, 2, 1e6, time.UTC),
		time.Date(2026, 11, 23, 20, 1, 2, 20e6, paris),
		time.Date(2026, 11, 23, 19, 1, 2, 120e6, time.UTC),
		time.Date(2026, 11, 23, 19, 1, 3, 0, time.UTC),
		time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
	}
	for i := 1; i < len(times); i++ {
		a, b := session.FormatTime(times[i-1]), session.FormatTime(times[i])
		if a >= b || len(a) != len("2026-11-23T19:01:02.123Z") {
			t.Errorf("%q does not sort before %q", a, b)
		}
	}
}
