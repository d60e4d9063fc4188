package events_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/streamevent"
)

const streamARN = "arn:aws:dynamodb:us-east-1:123456789012:table/Sessions/stream/2026-11-20T08:00:00.000"

var t0 = time.Date(2026, 11, 23, 19, 1, 2, 123e6, time.UTC)

// show delivers changes as one batch, in Lambda's form, and returns the sequence
// numbers from which they must be delivered again.
func (s *system) show(changes ...memtable.Change) (failed []string) {
	s.t.Helper()
	var batch streamevent.Event
	for _, c := range changes {
		batch.Records = append(batch.Records, c.Event(t0, streamARN))
	}
	text, err := json.Marshal(batch)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.showJSON(text)
}

func (s *system) showJSON(text []byte) (failed []string) {
	s.t.Helper()
	response, err := s.sessionStream().Handle(s.t.Context(), parsed[lambdaevents.DynamoDBEvent](s.t, text))
	if err != nil {
		s.t.Fatalf("an error, which would have all of the batch come again: %v", err)
	}
	for _, f := range response.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	return failed
}

// confirmed returns the record of an open deletion with a confirmation.
func confirmed(id string) session.Record {
	r := session.Listed(session.Session{ID: id, Owner: "alice", HostID: hostID(0)})
	for attr, v := range map[string]any{
		"State": "DELETING", "DeletionRequestId": "r1", "DeletionRequestedAt": session.FormatTime(t0), "AttemptId": "r1", "Attempts": int64(1),
		"Force": false, "NextAttemptAt": session.FormatTime(t0.Add(session.Lease)), "DueLane": "1",
		"Confirmation": "closed", "ConfirmedAt": session.FormatTime(t0),
	} {
		r[attr] = v
	}
	return r
}

func (s *system) states() map[string]any {
	all := map[string]any{}
	for _, r := range s.table.All() {
		all[r["SessionId"].(string)] = r["State"]
	}
	return all
}

func TestConfirmedDeletionsEnd(t *testing.T) {
	s := newSystem(t, 0, "")
	s.now = func() time.Time { return t0.Add(time.Second) }
	for _, id := range []string{"s1", "s2"} {
		s.table.Put(confirmed(id))
	}
	if failed := s.show(s.feed.Ready()...); len(failed) > 0 {
		t.Errorf("come again: %v", failed)
	}
	want := confirmed("s1")
	want["State"], want["DeletedAt"], want["ExpiresAt"] = "DELETED", session.FormatTime(t0.Add(time.Second)), t0.Unix()+1+48*3600
	for _, attr := range []string{"NextAttemptAt", "DueLane", "LiveHostId"} {
		delete(want, attr)
	}
	if diff := cmp.Diff(want, s.table.Get("s1")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"s1": "DELETED", "s2": "DELETED"}, s.states()); diff != "" {
		t.Error(diff)
	}
}

// Promises 3 and 10: the whole life of a session, shown again from its end to
// its beginning, and a removal by time to live.
func TestStreamMayShowAnythingAgain(t *testing.T) {
	s := newSystem(t, 1, "")
	s.receive(s.delete("r1", 0)...)
	first := s.feed.Ready()
	s.show(first...)
	s.list(0)
	s.delete("r2", 0)
	changes := slices.Concat(first, s.feed.Ready())
	before := s.table.All()
	slices.Reverse(changes)
	if failed := s.show(slices.Concat(changes, changes)...); len(failed) > 0 {
		t.Errorf("come again: %v", failed)
	}
	if diff := cmp.Diff(before, s.table.All()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.table.Delete("s0")
	if failed := s.show(s.feed.Ready()...); len(failed) > 0 || len(s.table.All()) > 0 {
		t.Errorf("come again: %v, records: %v", failed, s.table.All())
	}
}

// Promise 8, for Lambda's ReportBatchItemFailures.
func TestRecordsThatCouldNotBeFinishedAreNamedByTheirSequenceNumber(t *testing.T) {
	s := newSystem(t, 0, "")
	for _, id := range []string{"s1", "s2", "s3", "s4"} {
		s.table.Put(confirmed(id))
	}
	changes := s.feed.Ready()
	s.writing = func(w session.Write) error {
		if w.SessionID == "s2" || w.SessionID == "s4" {
			return session.ErrUnclear
		}
		return nil
	}
	if failed := s.show(changes...); !slices.Equal(failed, []string{changes[1].Sequence, changes[3].Sequence}) {
		t.Errorf("come again: %v", failed)
	}
	s.writing = nil
	if failed := s.show(changes[1:]...); len(failed) > 0 {
		t.Errorf("come again: %v", failed)
	}
	if diff := cmp.Diff(map[string]any{"s1": "DELETED", "s2": "DELETED", "s3": "DELETED", "s4": "DELETED"}, s.states()); diff != "" {
		t.Error(diff)
	}
	if log := s.log.String(); !strings.Contains(log, `msg="stream record failed: Lambda delivers it again" SessionId=s`) || !strings.Contains(log, "Metric:RecordsReturned") {
		t.Errorf("log:\n%s", log)
	}
}

// An item may have attributes that this version of the broker does not know.
func TestUnknownKindsOfAttributesAreNoHindrance(t *testing.T) {
	s := newSystem(t, 0, "")
	s.table.Put(confirmed("s1"))
	event := s.feed.Ready()[0].Event(t0, streamARN)
	for name, value := range map[string]map[string]any{
		"Nothing": {"NULL": true}, "Bytes": {"B": "aGVsbG8="}, "Texts": {"SS": []string{"a"}}, "Numbers": {"NS": []string{"1"}},
		"Many": {"BS": []string{"aGVsbG8="}}, "List": {"L": []any{map[string]any{"S": "a"}}}, "Map": {"M": map[string]any{"a": map[string]any{"N": "1"}}},
		"Fraction": {"N": "1.5"}, "Huge": {"N": "1e30"}, "Attempts": {"N": "1.5"}, "Name": {"NULL": true}, "Force": {"S": "yes"},
	} {
		event.DynamoDB.NewImage[name] = value
	}
	text, err := json.Marshal(streamevent.Event{Records: []streamevent.Record{event}})
	if err != nil {
		t.Fatal(err)
	}
	if failed := s.showJSON(text); len(failed) > 0 || s.states()["s1"] != "DELETED" {
		t.Errorf("come again: %v, state %v", failed, s.states())
	}
}

// Only a text can be a confirmation.
func TestConfirmationOfAnotherTypeIsIgnored(t *testing.T) {
	s := newSystem(t, 0, "")
	s.writing = func(w session.Write) error {
		t.Errorf("a write for %s", w.SessionID)
		return nil
	}
	for _, confirmation := range []string{`{"SS":["closed"]}`, `{"NULL":true}`, `{"N":"1"}`, `{"BOOL":true}`, `{"M":{"S":{"S":"closed"}}}`} {
		s.showJSON([]byte(`{"Records":[{"dynamodb":{"NewImage":{"SessionId":{"S":"s1"},"State":{"S":"DELETING"},"Confirmation":` + confirmation + `}}}]}`))
	}
}

func TestIncompleteRecordsAreIgnored(t *testing.T) {
	s := newSystem(t, 0, "")
	s.table.Put(confirmed("s1"))
	before := s.table.All()
	for _, text := range []string{
		`{}`, `{"Records":[]}`, `{"Records":[{}]}`, `{"Records":[{"dynamodb":{"SequenceNumber":"1"}}]}`,
		`{"Records":[{"eventName":"REMOVE","dynamodb":{"Keys":{"SessionId":{"S":"s1"}},"OldImage":{"Confirmation":{"S":"closed"},"State":{"S":"DELETING"}}}}]}`,
		`{"Records":[{"dynamodb":{"NewImage":{"SessionId":{"S":"s1"},"State":{"S":"DELETING"},"Confirmation":{"S":"closed"}}}}]}`,
		`{"Records":[{"dynamodb":{"NewImage":{"SessionId":{"S":"s9"},"State":{"S":"DELETING"},"Confirmation":{"S":"closed"}}}}]}`,
		`{"Records":[{"dynamodb":{"NewImage":{"SessionId":{"S":"s1"},"State":{"S":"DELETING"},"Confirmation":{"N":"1"}}}}]}`,
	} {
		if failed := s.showJSON([]byte(text)); len(failed) > 0 {
			t.Errorf("%s comes again", text)
		}
	}
	if diff := cmp.Diff(before, s.table.All()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
