package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/session"
)

func TestEachOutcomeIsRecordedAsWhatItIs(t *testing.T) {
	for _, tc := range []struct {
		outcome      session.Outcome
		reason       string
		confirmation any
		stateReason  any
	}{
		{session.OutcomeClosed, "", "closed", nil},
		{session.OutcomeAbsent, "", "absent", nil},
		{session.OutcomeReplaced, "", "replaced", nil},
		{session.OutcomeFailed, "dcv is broken", nil, "dcv is broken"},
		{session.OutcomeFailed, "", nil, "failed"},
		{session.OutcomeExpired, "", nil, "The command had expired when the host ran it. Is the host's clock ahead?"},
		{"of another version", "", nil, "of another version"},
	} {
		t.Run(string(tc.outcome)+" "+tc.reason, func(t *testing.T) {
			w := newWorld(t, markedRecord)
			w.report(at(10), session.Report{HostID: hostA, AttemptID: "r1", SessionID: "s1", Outcome: tc.outcome, Reason: tc.reason})
			w.has("s1", "State", "DELETING", "Confirmation", tc.confirmation, "StateReason", tc.stateReason)
			if w.table.Get("s1")["NextAttemptAt"] == nil {
				t.Error("the lease is gone before the deletion has ended")
			}
		})
	}
}

// Promise 5: a host can confirm only its own sessions, and only what it was asked.
func TestReportsThatDoNotCountChangeNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		record session.Record
		report session.Report
	}{
		"another host's session":       {markedRecord, closed(hostB, "r1", "s1")},
		"an earlier attempt":           {with(markedRecord, "AttemptId", "r2"), closed(hostA, "r1", "s1")},
		"no attempt":                   {markedRecord, closed(hostA, "", "s1")},
		"a session nobody deletes":     {listedRecord, closed(hostA, "r1", "s1")},
		"a session nobody knows":       {markedRecord, closed(hostA, "r1", "s2")},
		"a deletion that was put back": {with(listedRecord, "AttemptId", "r1"), closed(hostA, "r1", "s1")},
		"a deletion that has ended":    {deletedRecord, closed(hostA, "r1", "s1")},
		"a second confirmation":        {confirmedRecord, session.Report{HostID: hostA, AttemptID: "r1", SessionID: "s1", Outcome: session.OutcomeAbsent}},
		"a failure after success":      {confirmedRecord, failed(hostA, "r1", "s1", "late")},
		"a second failure":             {failedRecord, failed(hostA, "r1", "s1", "another reason")},
		"a failure after giving up":    {givenUpRecord, failed(hostA, "r1", "s1", "late")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.record)
			w.report(at(10), tc.report)
			w.is("s1", tc.record)
		})
	}
}

func TestFailedThenClosedIsClosed(t *testing.T) {
	w := newWorld(t, markedRecord)
	w.report(at(5), failed(hostA, "r1", "s1", "dcv is busy"))
	earlier := w.table.Get("s1")["NextAttemptAt"]
	w.report(at(10), closed(hostA, "r1", "s1"))
	w.is("s1", with(confirmedRecord, "NextAttemptAt", earlier))
}

// A confirmation keeps a deletion's lease, and no index changes. A deletion without a
// lease, or with one in a waiting shard, gets a new one.
func TestConfirmedDeletionHasALease(t *testing.T) {
	for name, tc := range map[string]struct {
		from  session.Record
		lease string // that it has then
		wrote int
	}{
		"open":                {markedRecord, "2026-11-23T19:03:02.123Z", 1},
		"given up":            {givenUpRecord, session.FormatTime(at(130)), 2},
		"with a grace period": {with(markedRecord, "DueLane", "wait-1", "CloseAt", session.FormatTime(t0)), session.FormatTime(at(130)), 2},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tc.from)
			w.report(at(10), closed(hostA, "r1", "s1"))
			w.has("s1", "Confirmation", "closed", "NextAttemptAt", tc.lease, "DueLane", "1")
			if len(w.table.written) != tc.wrote {
				t.Errorf("%d writes, want %d: %v", len(w.table.written), tc.wrote, w.table.written)
			}
		})
	}
}

func TestDuplicateReportsInOneBatchCountOnce(t *testing.T) {
	w := newWorld(t, markedRecord)
	w.report(at(10), closed(hostA, "r1", "s1"), failed(hostA, "r1", "s1", "late"), closed(hostA, "r1", "s1"))
	w.is("s1", confirmedRecord)
}

// Promise 2: a confirmation after the give-up time still ends the deletion.
func TestLateConfirmationEndsAGivenUpDeletion(t *testing.T) {
	w := newWorld(t, givenUpRecord)
	w.report(at(10), closed(hostA, "r1", "s1"))
	w.finish(at(20), w.table.Get("s1"))
	w.is("s1", deletedRecord)
}

// Promise 3: delete, list again, delete again; then all reports of the first deletion
// arrive once more.
func TestEarlierDeletionNeverEndsALaterOne(t *testing.T) {
	w := newWorld(t, listedRecord)
	feed := w.table.Feed()
	w.expect(request("r1", t0, entry("s1", alice)), "")
	w.report(at(10), closed(hostA, "r1", "s1"))
	w.finish(at(20), w.table.Get("s1"))
	w.is("s1", deletedRecord)

	w.table.Put(listedRecord)
	w.expect(request("r2", at(100), entry("s1", alice)), "")
	again := w.table.Get("s1")

	w.report(at(110), closed(hostA, "r1", "s1"), failed(hostA, "r1", "s1", "late"))
	for _, change := range feed.Ready() {
		w.finish(at(111), change.New)
	}
	w.is("s1", again)
}

func TestEarlierStreamRecordsDoNotEndALaterDeletionThatIsConfirmed(t *testing.T) {
	// The second deletion is confirmed too; only its own record ends it.
	second := with(confirmedRecord, "DeletionRequestId", "r2", "AttemptId", "r2", "ConfirmedAt", session.FormatTime(at(110)))
	w := newWorld(t, second)
	w.finish(at(120), confirmedRecord, markedRecord, listedRecord, deletedRecord)
	w.is("s1", second)
	w.finish(at(120), second)
	w.has("s1", "State", "DELETED")
}

func TestFinishWritesOnlyForWhatIsConfirmed(t *testing.T) {
	w := newWorld(t, markedRecord)
	w.finish(at(20), markedRecord, listedRecord, deletedRecord, givenUpRecord, session.Record{}, nil,
		with(confirmedRecord, "State", "READY"), with(confirmedRecord, "State", nil))
	w.wrote()
	w.is("s1", markedRecord)
}

// Promise 10.
func TestFinishTwiceIsFinishOnce(t *testing.T) {
	w := newWorld(t, confirmedRecord)
	w.finish(at(20), confirmedRecord, confirmedRecord)
	w.finish(at(3000), confirmedRecord)
	w.is("s1", deletedRecord)
}

func TestDeletedRecordsCanBeLookedAtForTwoDays(t *testing.T) {
	w := newWorld(t, confirmedRecord)
	w.finish(at(20), confirmedRecord)
	ended := w.table.Get("s1").Session()
	if kept := time.Unix(ended.ExpiresAt, 0).Sub(ended.DeletedAt); kept < 48*time.Hour-time.Second {
		t.Errorf("it is removed after %v", kept)
	}
}

// Promise 8: only reports that could not be written are repeated.
func TestReportsThatCouldNotBeRecordedComeAgain(t *testing.T) {
	for name, what := range map[string]fault{"refused": refused, "lost before": lostBefore, "lost after": lostAfter} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, markedRecord, with(markedRecord, "SessionId", "s2"), with(markedRecord, "SessionId", "s3"))
			w.table.fault = onWrite(2, what)
			c := session.Confirmer{Table: w.table, Now: func() time.Time { return at(10) }, Log: w.logger()}
			errs := c.Apply(context.Background(), []session.Report{closed(hostA, "r1", "s1"), closed(hostA, "r1", "s2"), closed(hostA, "r1", "s3")})
			if errs[0] != nil || errs[1] == nil || errs[2] != nil {
				t.Errorf("errors: %v", errs)
			}
			w.table.fault = nil
			w.report(at(11), closed(hostA, "r1", "s2"))
			for _, id := range []string{"s1", "s2", "s3"} {
				w.has(id, "Confirmation", "closed")
			}
		})
	}
}

func TestStreamRecordsThatCouldNotBeFinishedComeAgain(t *testing.T) {
	second := with(confirmedRecord, "SessionId", "s2")
	w := newWorld(t, confirmedRecord, second)
	w.table.fault = func(n int, _ session.Write) fault { return []fault{refused, none}[n-1] }
	f := session.Finisher{Table: w.table, Now: func() time.Time { return at(20) }, Log: w.logger()}
	// The first of the three needs no write, so the indexes of the errors are tested,
	// too.
	errs := f.Finish(context.Background(), []session.Record{markedRecord, confirmedRecord, second})
	if errs[0] != nil || !errors.Is(errs[1], session.ErrNotWritten) || errs[2] != nil {
		t.Errorf("errors: %v", errs)
	}
	if errs[1] != nil && !strings.Contains(errs[1].Error(), "s1") {
		t.Errorf("the error does not name the session: %v", errs[1])
	}
	w.is("s1", confirmedRecord)
	w.has("s2", "State", "DELETED")
}

func TestNothingReportedWritesNothing(t *testing.T) {
	w := newWorld(t)
	w.report(t0)
	w.finish(t0)
	if diff := cmp.Diff([]string(nil), w.kinds()); diff != "" {
		t.Error(diff)
	}
}
