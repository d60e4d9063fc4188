package endedsessions_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/events/endedsessions"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/streamevent"
	"dcv-session-broker/internal/template"
	"dcv-session-broker/internal/template/templatetest"
)

// with returns the record with changed attributes, given as pairs of name and value; nil removes one.
func with(r session.Record, pairs ...any) session.Record {
	r = maps.Clone(r)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == nil {
			delete(r, pairs[i].(string))
		} else {
			r[pairs[i].(string)] = pairs[i+1]
		}
	}
	return r
}

var (
	ready = session.Record{
		"SessionId": "s1", "Owner": "user1", "HostId": host, "LiveHostId": host, "Type": "virtual", "CreationTime": "2026-11-23T08:30:00.262883Z",
		"NumOfConnections": int64(1), "State": "READY", "CancelledAt": "2026-11-22T10:00:00.000Z", "CancelledBy": "c0",
	}
	// After a caller's mark with ten minutes of grace.
	waiting = with(ready, "State", "DELETING", "StateBefore", "READY", "DeletionRequestedAt", "2026-11-23T19:00:00.000Z",
		"DeletionRequestId", "r1", "DeletionRequestedBy", "studio", "DeletionReason", "maintenance", "Message", "Save your work.", "Force", false,
		"AttemptId", "r1", "Attempts", int64(0), "AttemptedAt", "2026-11-23T19:00:00.000Z", "NextAttemptAt", "2026-11-23T19:02:30.000Z",
		"DueLane", "wait-0", "CloseAt", "2026-11-23T19:10:00.000Z", "NoticeId", "r1", "NoticeAt", "2026-11-23T19:00:00.000Z")
	warned   = with(waiting, "WarnedAt", "2026-11-23T19:00:04.000Z", "Warning", "warned (zenity)")
	repeated = with(waiting, "RepeatedAt", "2026-11-23T19:01:00.000Z")
	// After another request, for two minutes of grace.
	moved = with(repeated, "DeletionRequestId", "r2", "DeletionRequestedBy", "night shift", "DeletionReason", "power cut", "AttemptId", "r2",
		"CloseAt", "2026-11-23T19:03:00.000Z", "NextAttemptAt", "2026-11-23T19:03:00.000Z", "NoticeId", "r2", "NoticeAt", "2026-11-23T19:01:00.000Z")
	closing   = with(warned, "Attempts", int64(1), "AttemptId", "a3", "TryUntil", "2026-11-23T20:10:00.000Z")
	cancelled = with(ready, "CancelledAt", "2026-11-23T19:09:00.000Z", "CancelledBy", "c1", "NoticeAt", "2026-11-23T19:09:00.000Z")
	forcedNow = with(ready, "State", "DELETING", "DeletionRequestedAt", "2026-11-23T19:05:00.000Z", "DeletionRequestId", "r3", "Force", true,
		"Attempts", int64(1), "Confirmation", "forced", "ConfirmedAt", "2026-11-23T19:05:00.000Z")
)

// Each write of a deletion with a grace period is announced under its kind, or not at
// all. The test names the writes that the pipe's filter passes and that are not
// announced.
func TestWritesAreAnnouncedAsWhatTheyAre(t *testing.T) {
	const (
		no     = ""
		passes = "passes the filter, and is not announced"
	)
	project := templatetest.Load(t, nil)
	unknown := with(ready, "State", "UNKNOWN", "StateReason", "Its host does not answer.", "ExpiresAt", int64(1795633265))
	for name, tc := range map[string]struct {
		was, is session.Record
		want    string
	}{
		"mark":                               {ready, waiting, endedsessions.Scheduled},
		"mark of an UNKNOWN session":         {unknown, with(waiting, "StateBefore", "UNKNOWN"), endedsessions.Scheduled},
		"mark of a CREATING session":         {with(ready, "State", "CREATING"), with(waiting, "StateBefore", "CREATING"), endedsessions.Scheduled},
		"mark without a grace period":        {ready, with(waiting, "Attempts", int64(1), "CloseAt", nil, "StateBefore", nil), no},
		"forced mark":                        {ready, forcedNow, no},
		"notify again":                       {waiting, with(waiting, "AttemptId", "a2", "NoticeId", "a2", "NoticeAt", "2026-11-23T19:02:30.000Z", "NextAttemptAt", "2026-11-23T19:05:00.000Z"), no},
		"notify again, of a moved one":       {moved, with(moved, "AttemptId", "a2", "NoticeId", "a2", "NoticeAt", "2026-11-23T19:02:30.000Z"), passes},
		"wait":                               {warned, with(warned, "NextAttemptAt", "2026-11-23T19:05:00.000Z"), no},
		"warned":                             {waiting, warned, no},
		"warned, of a moved one":             {moved, with(moved, "WarnedAt", "2026-11-23T19:01:03.000Z", "Warning", "warned (zenity)"), no},
		"failed to warn":                     {waiting, with(waiting, "Warning", "failed: no display"), no},
		"inventory":                          {waiting, with(waiting, "NumOfConnections", int64(0), "ObservedAt", "2026-11-23T19:04:00.000Z"), no},
		"inventory, of a moved one":          {moved, with(moved, "NumOfConnections", int64(0)), passes},
		"inventory, of a warned one":         {with(moved, "Warning", "nobody"), with(moved, "Warning", "nobody", "NumOfConnections", int64(0)), no},
		"inventory finds an UNKNOWN one":     {with(waiting, "StateBefore", "UNKNOWN"), waiting, no},
		"repeat for a later time":            {waiting, repeated, passes},
		"repeat for an earlier time":         {waiting, moved, endedsessions.Rescheduled},
		"repeat for an earlier time, warned": {warned, moved, endedsessions.Rescheduled},
		"repeat for an earlier time again":   {moved, with(moved, "DeletionRequestId", "r4", "CloseAt", "2026-11-23T19:02:10.000Z"), endedsessions.Rescheduled},
		"no request moves it to later":       {repeated, with(repeated, "CloseAt", "2026-11-23T19:20:00.000Z"), passes},
		"repeat without a grace period":      {warned, with(moved, "Attempts", int64(1), "CloseAt", "2026-11-23T19:01:00.000Z", "TryUntil", "2026-11-23T20:01:00.000Z"), endedsessions.Rescheduled},
		"repeat without one, after CloseAt":  {repeated, with(repeated, "Attempts", int64(1), "DeletionRequestId", "r2", "TryUntil", "2026-11-23T20:11:00.000Z"), passes},
		"repeat while it is being closed":    {closing, with(closing, "RepeatedAt", "2026-11-23T19:11:00.000Z"), no},
		"close":                              {warned, closing, no},
		"close, never warned":                {waiting, with(closing, "WarnedAt", nil, "Warning", "no answer"), no},
		"close again":                        {closing, with(closing, "Attempts", int64(2), "AttemptId", "a4"), no},
		"failed to close":                    {closing, with(closing, "AttemptFailedAt", "2026-11-23T19:11:00.000Z", "StateReason", "no"), no},
		"forced while it waits":              {warned, forcedNow, no},
		"forced by a broker from before":     {repeated, with(repeated, "Confirmation", "forced", "Force", true, "Attempts", int64(1)), no},
		"host gone while it waits":           {warned, with(warned, "Confirmation", "host-gone"), no},
		"vanished while it waits, repeated":  {repeated, with(repeated, "Confirmation", "vanished"), no},
		"closed":                             {closing, with(closing, "Confirmation", "closed"), no},
		"given up":                           {closing, with(closing, "State", "UNKNOWN", "GivenUpAt", "2026-11-23T20:10:00.000Z"), no},
		"marked again, given up before":      {with(closing, "State", "UNKNOWN", "GivenUpAt", "2026-11-23T20:10:00.000Z"), with(waiting, "DeletionRequestId", "r5"), endedsessions.Scheduled},
		"marked by a broker from before, given up before": {with(closing, "State", "UNKNOWN", "GivenUpAt", "2026-11-23T20:10:00.000Z"),
			with(closing, "DeletionRequestId", "r5"), no},
		"cancel":                          {warned, cancelled, endedsessions.Cancelled},
		"cancel to UNKNOWN":               {with(warned, "StateBefore", "UNKNOWN"), with(cancelled, "State", "UNKNOWN", "StateReason", "silent", "ExpiresAt", int64(1)), endedsessions.Cancelled},
		"cancel that finds no deletion":   {ready, with(ready, "CancelledAt", "2026-11-23T19:09:00.000Z"), no},
		"put back":                        {waiting, ready, endedsessions.Cancelled},
		"put back without a grace period": {with(waiting, "Attempts", int64(1), "CloseAt", nil), ready, no},
		"end":                             {with(closing, "Confirmation", "closed"), with(closing, "Confirmation", "closed", "State", "DELETED", "LiveHostId", nil), endedsessions.Ended},
		"end while it waited":             {with(warned, "Confirmation", "host-gone"), with(warned, "Confirmation", "host-gone", "State", "DELETED"), endedsessions.Ended},
		"what an ended record gets later": {with(closing, "State", "DELETED"), with(closing, "State", "DELETED", "Confirmation", "closed"), no},
		"listed again":                    {with(closing, "State", "DELETED"), ready, no},
	} {
		text := streamRecord(t, "e1", tc.was, tc.is)
		matches, err := project.Pipes()[0].Matches(text)
		if announced := tc.want != no; matches != announced || err != nil {
			t.Errorf("%s: the pipe's filter: %v, %v", name, matches, err)
		}
		f := newTest()
		answer := f.announce(t, "["+string(text)+"]")
		var details []endedsessions.Detail
		if err := json.Unmarshal([]byte(answer), &details); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range details {
			got = append(got, d.DetailType)
			isKept(t, project, d.DetailType)
		}
		var want []string
		if tc.want != no && tc.want != passes {
			want = []string{tc.want}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if line := f.log.String(); tc.want == passes && line != "" {
			t.Errorf("%s: the log has %s", name, line)
		}
	}
}

// isKept tells whether the audit trail keeps events of that detail-type.
func isKept(t *testing.T, project *template.Template, detailType string) {
	t.Helper()
	event := fmt.Appendf(nil, `{"source": "dcv-session-broker", "detail-type": %q, "detail": {"Stack": "local"}}`, detailType)
	for _, r := range project.Rules() {
		if kept, err := r.Pattern.Match(event); len(r.LogGroups) > 0 && kept && err == nil {
			return
		}
	}
	t.Errorf("the audit trail does not keep %q", detailType)
}

// streamRecord returns a write in the form of the stream.
func streamRecord(t *testing.T, id string, was, is session.Record) json.RawMessage {
	t.Helper()
	shown := memtable.Change{Sequence: "1", EventName: streamevent.Modify, Old: was, New: is}.Event(time.Time{}, "arn:aws:dynamodb:us-east-1:1:table/t/stream/1")
	shown.EventID = id
	text, err := json.Marshal(shown)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Each announcement has what receivers need, and who made the request.
func TestDetailsOfADeletionWithAGracePeriod(t *testing.T) {
	const session1 = `"Stack":"studio","SessionId":"s1","Owner":"user1","HostId":"i-0123456789abcdef0","Type":"virtual","CreationTime":"2026-11-23T08:30:00.262883Z"`
	const ofR1 = `"RequestId":"r1","RequestedBy":"studio","Reason":"maintenance","Force":false,"RequestedAt":"2026-11-23T19:00:00.000Z","CloseAt":"2026-11-23T19:10:00.000Z"`
	for name, tc := range map[string]struct {
		was, is   session.Record
		want, log string
	}{
		"mark": {ready, waiting, `{"Id":"e1","DetailType":"DCV Session Deletion Scheduled",` + session1 + `,` + ofR1 + `}`,
			`msg="deletion with a grace period goes to the event bus" SessionId=s1 HostId=i-0123456789abcdef0 Owner=user1 RequestId=r1 EventId=e1 CloseAt=2026-11-23T19:10:00.000Z`},
		"earlier": {warned, moved, `{"Id":"e1","DetailType":"DCV Session Deletion Rescheduled",` + session1 + `,"RequestId":"r2","RequestedBy":"night shift",` +
			`"Reason":"power cut","Force":false,"RequestedAt":"2026-11-23T19:00:00.000Z","CloseAt":"2026-11-23T19:03:00.000Z",` +
			`"CloseAtBefore":"2026-11-23T19:10:00.000Z","RescheduledAt":"2026-11-23T19:01:00.000Z"}`,
			`msg="deletion's earlier close time goes to the event bus" SessionId=s1 HostId=i-0123456789abcdef0 Owner=user1 RequestId=r2 EventId=e1 CloseAt=2026-11-23T19:03:00.000Z`},
		"cancel": {warned, cancelled, `{"Id":"e1","DetailType":"DCV Session Deletion Cancelled",` + session1 + `,` + ofR1 +
			`,"WarnedAt":"2026-11-23T19:00:04.000Z","Warning":"warned (zenity)","CancelledAt":"2026-11-23T19:09:00.000Z","CancelledBy":"c1"}`,
			`msg="deletion's cancel goes to the event bus" SessionId=s1 HostId=i-0123456789abcdef0 Owner=user1 RequestId=r1 EventId=e1 CloseAt=2026-11-23T19:10:00.000Z`},
		// It was not cancelled: the cancel in the record is of an earlier deletion.
		"put back": {waiting, ready, `{"Id":"e1","DetailType":"DCV Session Deletion Cancelled",` + session1 + `,` + ofR1 + `,"PutBack":true}`,
			`msg="deletion's cancel goes to the event bus" SessionId=s1 HostId=i-0123456789abcdef0 Owner=user1 RequestId=r1 EventId=e1 CloseAt=2026-11-23T19:10:00.000Z`},
	} {
		f := newTest()
		f.handler.Index = brokenIndex{read: nil} // the host is not read
		if diff := cmp.Diff("["+tc.want+"]", f.announce(t, "["+string(streamRecord(t, "e1", tc.was, tc.is))+"]")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if line := f.log.String(); !strings.Contains(line, "level=INFO "+tc.log+"\n") || strings.Count(line, "\n") != 1 {
			t.Errorf("%s: the log has %s", name, line)
		}
	}
}

// An end has the reason and whether the user was told, for the audit trail.
func TestEndAfterAGracePeriod(t *testing.T) {
	ended := with(closing, "State", "DELETED", "Confirmation", "closed")
	got := newTest().announce(t, "["+string(streamRecord(t, "e1", closing, ended))+"]")
	for _, part := range []string{`"DetailType":"DCV Session Ended"`, `"RequestId":"r1"`, `"Reason":"maintenance"`, `"RequestedAt":"2026-11-23T19:00:00.000Z"`,
		`"CloseAt":"2026-11-23T19:10:00.000Z"`, `"WarnedAt":"2026-11-23T19:00:04.000Z"`, `"Warning":"warned (zenity)"`, `"HostEmpty":true`} {
		if !strings.Contains(got, part) {
			t.Errorf("no %s in %s", part, got)
		}
	}
}
