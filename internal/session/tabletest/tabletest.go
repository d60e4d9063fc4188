// Package tabletest checks that every implementation of session.Table behaves the same:
// each alone (Run), and two against each other (Compare).
package tabletest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/session"
)

// A Subject is an empty table under test, with the ways around session.Table
// that the tests need. They fail the test themselves.
type Subject struct {
	session.Table
	Index  session.Index
	Hosts  session.HostLister
	Reader session.Reader
	Put    func(session.Record)
	Delete func(id string)
	Get    func(id string) session.Record // nil if there is none
	// Changes is what the change feed has shown since the last call.
	Changes func() []Change
}

// A Change is one entry of the change feed.
type Change struct {
	EventName string // INSERT, MODIFY or REMOVE
	Old, New  session.Record
}

// TB is what a Subject may ask of a test, a rapid one too.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Run runs the suite, each of its tests on a new table.
func Run(t *testing.T, newSubject func(TB) Subject) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"EveryCondition", everyCondition},
		{"AllConditionsAreNeeded", allConditionsAreNeeded},
		{"NoRecordMeetsNothing", noRecordMeetsNothing},
		{"SetAndRemove", setAndRemove},
		{"EveryTypeOfValue", everyTypeOfValue},
		{"NewRecords", newRecords},
		{"OneRecordInOrder", oneRecordInOrder},
		{"ManyRecords", manyRecords},
		{"MalformedWritesFailAlone", malformedWritesFailAlone},
		{"OldIsACopy", oldIsACopy},
		{"OneWinner", oneWinner},
		{"NothingToWrite", nothingToWrite},
		{"ContextOver", contextOver},
		{"ChangeFeed", changeFeed},
		{"LargestRecords", largestRecords},
		{"LongestKeys", longestKeys},
		{"StatementsTooLong", statementsTooLong},
		{"OddNames", oddNames},
		{"NothingUnderUnfitKeys", nothingUnderUnfitKeys},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newSubject(t)) })
	}
}

const id = session.AttrSessionID

// write is one write and its outcome.
func write(t *testing.T, s Subject, w session.Write) session.Result {
	t.Helper()
	results := s.Write(t.Context(), []session.Write{w})
	if len(results) != 1 {
		t.Fatalf("1 write has %d results", len(results))
	}
	return results[0]
}

// kind is what an error means to the domain; "" is success.
func kind(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, session.ErrCondition):
		return "condition"
	case errors.Is(err, session.ErrNotWritten):
		return "not written"
	case errors.Is(err, session.ErrUnclear):
		return "unclear"
	}
	return "of no kind: " + err.Error()
}

func wantResult(t *testing.T, got session.Result, wantKind string, wantOld session.Record) {
	t.Helper()
	if k := kind(got.Err); k != wantKind {
		t.Errorf("outcome %q (%v), want %q", k, got.Err, wantKind)
	}
	if diff := cmp.Diff(wantOld, got.Old); diff != "" {
		t.Errorf("old record (-want +got):\n%s", diff)
	}
}

func wantRecord(t *testing.T, s Subject, sessionID string, want session.Record) {
	t.Helper()
	if diff := cmp.Diff(want, s.Get(sessionID)); diff != "" {
		t.Errorf("record %s (-want +got):\n%s", sessionID, diff)
	}
}
