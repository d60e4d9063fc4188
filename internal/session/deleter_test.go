package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/session"
)

// Promise 1, and the budget: no read, one write a session, one attempt for all.
func TestDeletionIsRecordedBeforeItIsAnswered(t *testing.T) {
	w := newWorld(t, ready("s1", alice, hostA), ready("s2", alice, hostB))
	w.hosts.before = func() {
		w.has("s1", "State", "DELETING", "NextAttemptAt", session.FormatTime(t0.Add(session.Lease)))
		w.has("s2", "State", "DELETING")
	}
	w.expect(request("r1", t0, entry("s1", alice), entry("s2", alice)), "", "")
	w.is("s1", markedRecord)
	w.wrote("mark", "mark")
	want := []session.Attempt{{ID: "r1", At: t0, Closings: []session.Closing{
		{Incarnation: session.Incarnation{SessionID: "s1", NameOnHost: "s1", HostID: hostA, CreationTime: "2026-11-23T08:30:00.262883Z", CreatedUntil: t0.Add(session.CreationTolerance)}, VoidAfter: t0.Add(giveUp)},
		{Incarnation: session.Incarnation{SessionID: "s2", NameOnHost: "s2", HostID: hostB, CreationTime: "2026-11-23T08:30:00.262883Z", CreatedUntil: t0.Add(session.CreationTolerance)}, VoidAfter: t0.Add(giveUp)},
	}}}
	if diff := cmp.Diff(want, w.hosts.sent); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
}

func TestHostIsAskedByItsOwnNameOfTheSession(t *testing.T) {
	w := newWorld(t, with(ready("console-"+hostA, alice, hostA), "DcvSessionId", "console"))
	w.expect(request("r1", t0, entry("console-"+hostA, alice)), "")
	if c := w.hosts.sent[0].Closings[0]; c.NameOnHost != "console" || c.SessionID != "console-"+hostA {
		t.Errorf("asked for %q as %q", c.NameOnHost, c.SessionID)
	}
}

// Promise 4.
func TestWrongOwnerChangesNothing(t *testing.T) {
	for name, r := range map[string]session.Record{
		"ready": listedRecord, "open": markedRecord, "failed": failedRecord, "confirmed": confirmedRecord,
		"deleted": deletedRecord, "given up": givenUpRecord, "without an owner": with(listedRecord, "Owner", nil),
	} {
		for _, e := range []session.Entry{entry("s1", mallory), forced("s1", mallory)} {
			t.Run(fmt.Sprintf("%s, forced %v", name, e.Force), func(t *testing.T) {
				w := newWorld(t, r)
				w.expect(request("r9", at(60), e), session.NotFound)
				w.is("s1", r)
				w.sent()
			})
		}
	}
}

func TestMissingObjectIsNotFound(t *testing.T) {
	w := newWorld(t, with(deletedRecord))
	w.expect(request("r2", at(60), entry("s1", alice), entry("s2", alice), forced("s3", alice)),
		session.NotFound, session.NotFound, session.NotFound)
	w.is("s1", deletedRecord)
	w.sent()
	if all := w.table.All(); len(all) != 1 {
		t.Errorf("the table has %d records", len(all))
	}
}

func TestDeletedSessionIsNotFoundByForceEither(t *testing.T) {
	w := newWorld(t, deletedRecord)
	w.expect(request("r2", at(60), forced("s1", alice)), session.NotFound)
	w.is("s1", deletedRecord)
}

// Promise 7.
func TestEachEntryIsAnsweredOnceInOrder(t *testing.T) {
	w := newWorld(t, ready("s1", alice, hostA), ready("s2", mallory, hostA), ready("s3", alice, hostB))
	w.hosts.refuses[hostB] = offline
	w.expect(request("r1", t0,
		entry("s9", alice), entry("s1", alice), entry("s2", alice), entry("s1", alice),
		entry("s3", alice), entry("s2", mallory), entry("s1", mallory), entry("s9", alice), entry("s3", alice),
	),
		session.NotFound, "", session.NotFound, "",
		refusal(hostB), "", session.NotFound, session.NotFound, refusal(hostB))
	w.sent("r1: s1", "r1: s2")
}

func TestDuplicatesAreOneDeletion(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.expect(request("r1", t0, entry("s1", alice), entry("s1", alice), entry("s1", alice)), "", "", "")
	w.is("s1", markedRecord)
	w.wrote("mark")
	w.sent("r1: s1")
}

func TestDuplicatesAreForcedIfAnyIs(t *testing.T) {
	for _, entries := range [][]session.Entry{
		{entry("s1", alice), forced("s1", alice)},
		{forced("s1", alice), entry("s1", alice)},
	} {
		w := newWorld(t, listedRecord)
		w.expect(request("r1", t0, entries...), "", "")
		w.is("s1", forcedRecord)
		w.wrote("mark forced")
		w.sent()
	}
}

func TestForceOfAnotherOwnerForcesNothing(t *testing.T) {
	for _, entries := range [][]session.Entry{
		{entry("s1", alice), forced("s1", mallory)},
		{forced("s1", mallory), entry("s1", alice)},
	} {
		w := newWorld(t, listedRecord)
		reasons := map[string]string{alice: "", mallory: session.NotFound}
		w.expect(request("r1", t0, entries...), reasons[entries[0].Owner], reasons[entries[1].Owner])
		w.is("s1", markedRecord)
		w.sent("r1: s1")
	}
}

func TestEmptyRequestDoesNothing(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.expect(request("r1", t0))
	w.is("s1", listedRecord)
	w.wrote()
}

// Promise 6, purge.
func TestForcedSendsNothingAndIsConfirmedImmediately(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.hosts.before = func() { t.Error("hosts were asked") }
	w.expect(request("r1", t0, forced("s1", alice)), "")
	w.is("s1", forcedRecord)
	w.finish(at(20), w.table.Get("s1"))
	w.has("s1", "State", "DELETED", "Confirmation", "forced")
}

func TestForcedEndsAnOpenDeletion(t *testing.T) {
	for name, open := range map[string]session.Record{
		"under way": markedRecord, "failed": failedRecord, "repeated": with(markedRecord, "RepeatedAt", "2026-11-23T19:01:03.000Z"),
		"confirmed": confirmedRecord,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, open)
			w.expect(request("r2", at(5), forced("s1", alice)), "")
			w.has("s1", "State", "DELETING", "Confirmation", "forced", "DeletionRequestId", "r2", "RepeatedAt", nil)
			w.sent()
			w.finish(at(6), w.table.Get("s1"))
			w.has("s1", "State", "DELETED")
			// The host's answer to the earlier attempt comes too late.
			w.report(at(7), closed(hostA, "r1", "s1"))
			w.has("s1", "State", "DELETED", "Confirmation", "forced")
		})
	}
}

func TestUnclearHostsAreLeftToTheLease(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.hosts.unclear[hostA] = true
	w.expect(request("r1", t0, entry("s1", alice)), "")
	w.is("s1", markedRecord)
	w.wrote("mark")
}

// Promise 8.
func TestRefusedHostFailsAlone(t *testing.T) {
	before := with(ready("s1", alice, hostB), "State", "UNKNOWN", "StateReason", "given up", "Attempts", int64(4), "DeletionRequestId", "r0")
	w := newWorld(t, before, ready("s2", alice, hostA), ready("s3", alice, hostB), ready("s4", alice, hostA))
	w.hosts.refuses[hostB] = offline
	w.expect(request("r1", t0, entry("s1", alice), entry("s2", alice), entry("s3", alice), forced("s4", alice)),
		refusal(hostB), "", refusal(hostB), "")
	w.is("s1", before)
	w.is("s3", ready("s3", alice, hostB))
	w.has("s2", "State", "DELETING", "AttemptId", "r1")
	w.has("s4", "Confirmation", "forced")
	w.sent("r1: s2")
}

func TestRefusalTellsWhatToDoAndNothingInternal(t *testing.T) {
	w := newWorld(t, ready("s1", alice, hostB), with(ready("s2", alice, ""), "HostId", nil))
	w.hosts.refuses[hostB], w.hosts.refuses[""] = offline, "is not one that Systems Manager can manage"
	answers := w.delete(request("r1", t0, entry("s1", alice), entry("s2", alice)))
	for _, a := range answers {
		if !strings.Contains(a.FailureReason, "set Force to true") || strings.Contains(a.FailureReason, "InvalidInstanceId") {
			t.Errorf("reason: %q", a.FailureReason)
		}
	}
	if !strings.Contains(answers[0].FailureReason, hostB+" "+offline+".") {
		t.Errorf("the reason does not say what is wrong with the host: %q", answers[0].FailureReason)
	}
	w.has("s2", "State", "READY")
}

func TestRefusedDeletionWorksOnceTheHostIsBack(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.hosts.refuses[hostA] = offline
	w.expect(request("r0", at(-60), entry("s1", alice)), refusal(hostA))
	delete(w.hosts.refuses, hostA)
	w.expect(request("r1", t0, entry("s1", alice)), "")
	w.is("s1", markedRecord)
}

func TestOneRefusedRecordFailsAlone(t *testing.T) {
	w := newWorld(t, ready("s1", alice, hostA), ready("s2", alice, hostA), ready("s3", alice, hostA))
	w.table.fault = onSession("s2", refused)
	w.expect(request("r1", t0, entry("s1", alice), entry("s2", alice), entry("s3", alice)), "", session.ReasonNotRecorded, "")
	w.is("s2", ready("s2", alice, hostA))
	w.sent("r1: s1", "r1: s3")
}

func TestTableThatTakesNothingIsDown(t *testing.T) {
	for name, what := range map[string]fault{"refuses": refused, "does not answer": lostBefore} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, listedRecord, ready("s2", alice, hostA))
			w.table.fault = func(int, session.Write) fault { return what }
			answers, err := w.deleter().Delete(context.Background(), request("r1", t0, entry("s1", alice), forced("s2", alice)))
			if !errors.Is(err, session.ErrTableDown) || answers != nil {
				t.Errorf("%v, %v; want ErrTableDown", answers, err)
			}
			w.is("s1", listedRecord)
			w.sent()
		})
	}
}

func TestTableThatAnswersForOneEntryIsNotDown(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.table.fault = onSession("s1", refused)
	w.expect(request("r1", t0, entry("s1", alice), entry("nobody's", alice)), session.ReasonNotRecorded, session.NotFound)
}

// A caller with the name of the broker or of a rule is still a caller: the record and the
// deletion's metrics say so.
func TestCallerNamedLikeTheBroker(t *testing.T) {
	for by, recorded := range map[string]string{
		"dcv-session-broker": "caller dcv-session-broker", "caller dcv-session-broker": "caller caller dcv-session-broker",
		"rule nightly": "caller rule nightly", "rule": "rule", "caller": "caller", "DCV-session-broker": "DCV-session-broker", "": "",
	} {
		w := newWorld(t, listedRecord)
		req := request("r1", t0, entry("s1", alice))
		req.By = by
		w.delete(req)
		w.has("s1", "DeletionRequestedBy", recorded)
		w.report(at(10), closed(hostA, "r1", "s1"))
		w.finish(at(20), w.table.Get("s1"))
		if !strings.Contains(w.log.String(), "DeletedAfterSeconds") {
			t.Errorf("%q: the deletion is not measured: %s", by, w.log.String())
		}
	}
}

func TestEveryLogLineNamesTheRequest(t *testing.T) {
	w := newWorld(t, listedRecord, ready("s2", alice, hostB), ready("s3", alice, hostA), ready("s4", alice, hostA))
	w.hosts.refuses[hostB] = offline
	w.table.fault = onceOn("mark forced", refused)
	w.delete(request("r1", t0, entry("s1", alice), entry("s2", alice), forced("s3", alice), forced("s4", alice), entry("s5", alice)))
	lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
	if len(lines) != 5 {
		t.Errorf("%d lines for 5 entries", len(lines))
	}
	for _, line := range lines {
		if !strings.Contains(line, "RequestId=r1 SessionId=s") {
			t.Errorf("log line: %s", line)
		}
	}
	if !strings.Contains(lines[0], `msg="deletion accepted: waiting for the host's answer"`) || !strings.Contains(lines[0], "CommandId=command-of-r1") {
		t.Errorf("log line: %s", lines[0])
	}
}

// A put-back needs time: the calls to hosts do not get all of the request's time.
func TestTimeIsKeptForPuttingBack(t *testing.T) {
	w := newWorld(t, listedRecord)
	var hostsHave time.Time
	d := w.deleter()
	d.Closer = closeFunc(func(ctx context.Context, a session.Attempt) []error {
		hostsHave, _ = ctx.Deadline()
		return make([]error, len(a.Closings))
	})
	deadline := time.Now().Add(time.Hour)
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	if _, err := d.Delete(ctx, request("r1", t0, entry("s1", alice))); err != nil {
		t.Fatal(err)
	}
	if kept, want := deadline.Sub(hostsHave), session.PutBackTime+session.AnswerTime; kept != want {
		t.Errorf("%v are kept, want %v", kept, want)
	}
}

// The caller is answered in time, although the table does not answer.
func TestTableThatHangsLeavesTimeForTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, listedRecord)
		d := w.deleter()
		d.Table = hangingTable{}
		deadline := time.Now().Add(29 * time.Second)
		ctx, cancel := context.WithDeadline(t.Context(), deadline)
		defer cancel()
		_, err := d.Delete(ctx, request("r1", t0, entry("s1", alice)))
		if left := time.Until(deadline); !errors.Is(err, session.ErrTableDown) || left <= 0 {
			t.Errorf("%v, with %v left", err, left)
		}
	})
}

type hangingTable struct{ session.Table }

func (hangingTable) Write(ctx context.Context, writes []session.Write) []session.Result {
	<-ctx.Done()
	results := make([]session.Result, len(writes))
	for i := range results {
		results[i].Err = session.ErrUnclear
	}
	return results
}

type closeFunc func(context.Context, session.Attempt) []error

func (f closeFunc) Close(ctx context.Context, a session.Attempt) []error { return f(ctx, a) }
