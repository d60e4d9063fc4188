package events_test

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

// Without failures the list of failures is empty, not null. Lambda accepts null, too; an emulator may not.
func TestSuccessIsAnEmptyList(t *testing.T) {
	f := newFleetWorld(t)
	queue, err := f.hostEvents().Handle(t.Context(), events.SQSEvent{})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := f.sessionStream().Handle(t.Context(), events.DynamoDBEvent{})
	if err != nil {
		t.Fatal(err)
	}
	for name, response := range map[string]any{"host-events": queue, "session-stream": stream} {
		if got, err := json.Marshal(response); string(got) != `{"batchItemFailures":[]}` || err != nil {
			t.Errorf("%s answers %s, %v", name, got, err)
		}
	}
}
