package runcommand

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/session"
)

var notice = comment{kind: notifyKind, id: "n1", at: sentAt, noticeAt: sentAt.Add(-time.Minute)}

func TestEachLineOfAHostIsAWarning(t *testing.T) {
	warning := func(id string, outcome session.WarningOutcome, reason string) session.Warning {
		return session.Warning{HostID: fuzzedHost, NoticeID: "n1", SessionID: id, CloseAt: sentAt, At: sentAt.Add(-time.Minute), Outcome: outcome, Reason: reason}
	}
	inv, err := printed{notice.String(), strings.Join([]string{
		`{"id":"s1","result":"warned","reason":"zenity"}`,
		`{"id":"%24%28reboot%29","result":"nobody"}`,
		`{"id":"s3","result":"failed","reason":"no\u0007display"}`,
		`{"id":"s4","result":"closed"}`, // of another document
		`{"id":"s5","result":"told"}`,   // of a cancel
		`{"id":"s1","result":"failed"}`, // it had one
		`{"id":"s6","result":"war`,
	}, "\r\n")}.read(t)
	if err != nil {
		t.Fatal(err)
	}
	want := Invocation{
		HostID: fuzzedHost, Status: "Success", Answered: true, NoticeID: "n1", Unreadable: 4,
		Warnings: []session.Warning{
			warning("s1", session.Warned, "zenity"), warning("$(reboot)", session.Nobody, ""), warning("s3", session.NotWarned, "no display"),
		},
	}
	if diff := cmp.Diff(want, inv); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A notice confirms nothing: what is no answer to it is none to anything else.
func TestHostThatSaysNothingOfANoticeIsRead(t *testing.T) {
	inv, err := printed{notice.String(), "document process failed unexpectedly"}.read(t)
	want := Invocation{HostID: fuzzedHost, Status: "Success", NoticeID: "n1", Unreadable: 1, Said: "document process failed unexpectedly"}
	if diff := cmp.Diff(want, inv); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestAnswerToTheNoticeOfACancelIsNotAWarning(t *testing.T) {
	for result, unreadable := range map[string]int{"told": 0, "nothing": 0, "failed": 0, "warned": 1, "closed": 1} {
		inv, err := printed{"cancelled n1", `{"id":"s1","result":"` + result + `"}` + "\n"}.read(t)
		inv.Said = ""
		want := Invocation{HostID: fuzzedHost, Status: "Success", Answered: unreadable == 0, NoticeID: "n1", Unreadable: unreadable}
		if diff := cmp.Diff(want, inv); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", result, err, diff)
		}
	}
}
