package system

import (
	"testing"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/streamevent"
)

// The stream may show the change of one entry before the function knows that another
// entry, which would have set the same, has failed.
func TestWriteThatFailedLeavesNothing(t *testing.T) {
	var w writers
	write := session.Write{SessionID: "s1", Set: session.Record{session.AttrState: "DELETING"}}
	refused := w.wrote("delete-sessions", write)
	w.wrote("delete-sessions", write)
	change := streamevent.Record{DynamoDB: streamevent.Data{
		Keys:     streamevent.ItemOf(session.Record{session.AttrSessionID: "s1"}),
		NewImage: streamevent.ItemOf(session.Record{session.AttrSessionID: "s1", session.AttrState: "DELETING"}),
	}}
	if by := w.of(change); by != "delete-sessions" {
		t.Errorf("changed by %q", by)
	}
	w.failed("s1", refused)
	if len(w.writes) > 0 {
		t.Errorf("still kept: %v", w.writes)
	}
}
