package session_test

import (
	"testing"

	"dcv-session-broker/internal/session"
)

// Promise 7: a repeat is a success and sends nothing.
func TestRepeatOfAnOpenDeletionSendsNothingAndLeavesItsMark(t *testing.T) {
	w := newWorld(t, markedRecord)
	w.expect(request("r2", at(30), entry("s1", alice)), "")
	w.is("s1", with(markedRecord, "RepeatedAt", session.FormatTime(at(30))))
	w.wrote("mark", "repeat")
	w.sent()
}

func TestSecondRepeatNeedsNoMark(t *testing.T) {
	repeated := with(markedRecord, "RepeatedAt", session.FormatTime(at(20)))
	w := newWorld(t, repeated)
	w.expect(request("r3", at(30), entry("s1", alice)), "")
	w.is("s1", repeated)
	w.wrote("mark")
	w.sent()
}

func TestRepeatOfAConfirmedDeletionSendsNothing(t *testing.T) {
	confirmed := with(confirmedRecord, "AttemptFailedAt", session.FormatTime(at(5)))
	w := newWorld(t, confirmed)
	w.expect(request("r2", at(30), entry("s1", alice)), "")
	w.is("s1", confirmed)
	w.sent()
}

func TestRepeatAfterAFailedAttemptTriesAgain(t *testing.T) {
	w := newWorld(t, failedRecord)
	w.expect(request("r2", at(30), entry("s1", alice)), "")
	w.has("s1", "State", "DELETING", "AttemptId", "r2", "Attempts", int64(2), "AttemptFailedAt", nil,
		"DeletionRequestId", "r1", "NextAttemptAt", session.FormatTime(at(30).Add(session.Lease)))
	w.sent("r2: s1")

	// Now an answer to the first attempt does not count, and one to the second does.
	w.report(at(31), closed(hostA, "r1", "s1"))
	w.has("s1", "Confirmation", nil)
	w.report(at(32), closed(hostA, "r2", "s1"))
	w.has("s1", "Confirmation", "closed")
}

func TestRepeatsTryAtMostOnceInTenSeconds(t *testing.T) {
	w := newWorld(t, listedRecord)
	for tenths := range 400 { // a request every tenth of a second, and each attempt fails immediately
		now := at(float64(tenths) / 10)
		id := "r" + session.FormatTime(now)
		w.expect(request(id, now, entry("s1", alice)), "")
		w.report(now, failed(hostA, id, "s1", "dcv is broken"))
	}
	if n := len(w.hosts.sent); n != 4 {
		t.Errorf("%d attempts in 40 s, want 4", n)
	}
	w.has("s1", "Attempts", int64(4))
}

// A repeated attempt closes the session of the first request: a session that started in
// between is another one.
func TestRepeatedAttemptClosesNothingNewer(t *testing.T) {
	w := newWorld(t, with(failedRecord, "CreationTime", ""))
	w.expect(request("r2", at(600), entry("s1", alice)), "")
	if c := w.hosts.sent[0].Closings[0]; !c.CreatedUntil.Equal(t0.Add(session.CreationTolerance)) {
		t.Errorf("closes what was created until %v, requested at %v", c.CreatedUntil, t0)
	}
}

// Promise 5: a command is void when the deletion that it serves is given up.
func TestCommandIsVoidWhenItsDeletionIsGivenUp(t *testing.T) {
	w := newWorld(t, failedRecord, ready("s2", alice, hostA))
	w.expect(request("r2", at(600), entry("s1", alice), entry("s2", alice)), "", "")
	w.sent("r2: s1", "r2: s2")
	first, second := w.hosts.sent[0].Closings[0], w.hosts.sent[0].Closings[1]
	if !first.VoidAfter.Equal(t0.Add(giveUp)) || !second.VoidAfter.Equal(at(600).Add(giveUp)) {
		t.Errorf("void after %v and %v", first.VoidAfter, second.VoidAfter)
	}
}

func TestDeletionThatIsNearlyOverDoesNotSpoilOthers(t *testing.T) {
	for _, seconds := range []float64{3500, 3599, 7200} {
		w := newWorld(t, failedRecord, ready("s2", alice, hostA))
		w.expect(request("r2", at(seconds), entry("s1", alice), entry("s2", alice)), "", "")
		w.sent("r2: s2")
		if void := w.hosts.sent[0].Closings[0].VoidAfter; !void.Equal(at(seconds).Add(giveUp)) {
			t.Errorf("requested at %v, void after %v", at(seconds), void)
		}
	}
}

func TestNewDeletionAfterAGivenUpOneCountsFromItsOwnRequest(t *testing.T) {
	w := newWorld(t, with(givenUpRecord, "CreationTime", ""))
	w.expect(request("r2", at(600), entry("s1", alice)), "")
	if c := w.hosts.sent[0].Closings[0]; !c.CreatedUntil.Equal(at(600).Add(session.CreationTolerance)) {
		t.Errorf("closes what was created until %v, requested at %v", c.CreatedUntil, at(600))
	}
}

// A deletion that other callers were told of continues when a repeat's command is
// refused; the record says why it makes no progress.
func TestRefusedAttemptOfAnotherRequestIsNotedAndGoesOn(t *testing.T) {
	w := newWorld(t, failedRecord)
	w.hosts.refuses[hostA] = offline
	w.expect(request("r2", at(30), entry("s1", alice)), "")
	w.has("s1", "State", "DELETING", "DeletionRequestId", "r1", "AttemptId", "r2",
		"StateReason", "The host "+offline+".", "AttemptFailedAt", session.FormatTime(at(30)),
		"NextAttemptAt", session.FormatTime(at(30).Add(session.Lease)))

	// And the next repeat tries again.
	delete(w.hosts.refuses, hostA)
	w.expect(request("r3", at(40), entry("s1", alice)), "")
	w.sent("r3: s1")
	w.has("s1", "Attempts", int64(3))
}

// The record changes between two writes of a request.
func TestRepeatOfADeletionThatWasJustPutBackBeginsOne(t *testing.T) {
	w := newWorld(t, with(markedRecord, "DeletionRequestId", "r0", "AttemptId", "r0"))
	w.table.before = func(_ int, wr session.Write) {
		if kind(wr) == "repeat" {
			w.table.Put(listedRecord)
		}
	}
	w.expect(request("r1", t0, entry("s1", alice)), "")
	w.is("s1", markedRecord)
	w.sent("r1: s1")
}

func TestRepeatOfADeletionThatHasJustEndedIsNotFound(t *testing.T) {
	w := newWorld(t, markedRecord)
	w.table.before = func(_ int, wr session.Write) {
		if kind(wr) == "repeat" {
			w.table.Put(deletedRecord)
		}
	}
	w.expect(request("r2", at(30), entry("s1", alice)), session.NotFound)
	w.is("s1", deletedRecord)
	w.sent()
}

func TestClaimThatCameTooLateIsARepeat(t *testing.T) {
	w := newWorld(t, failedRecord)
	w.table.before = func(_ int, wr session.Write) {
		if kind(wr) == "claim" {
			w.table.Put(with(failedRecord, "AttemptId", "r3", "AttemptedAt", session.FormatTime(at(29)), "AttemptFailedAt", nil, "RepeatedAt", session.FormatTime(at(29))))
		}
	}
	w.expect(request("r2", at(30), entry("s1", alice)), "")
	w.has("s1", "AttemptId", "r3")
	w.sent()
}

// A record that keeps changing must not keep a request busy forever, and must not be
// answered as DELETING.
func TestRecordThatKeepsChangingIsGivenUp(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.table.before = func(_ int, wr session.Write) {
		switch {
		case wr.SessionID != "s1":
		case kind(wr) == "mark":
			w.table.Put(with(markedRecord, "DeletionRequestId", "r0", "AttemptId", "r0"))
		default:
			w.table.Put(listedRecord)
		}
	}
	w.expect(request("r1", t0, entry("s1", alice), entry("s2", alice)), session.ReasonUnclear, session.NotFound)
	w.sent()
}
