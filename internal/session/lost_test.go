package session_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// Any two writes of a request fail, or lose their answer before or after they landed: the
// answers agree with the table.
func TestAnswersAreTrueWhateverWritesAreLost(t *testing.T) {
	for _, tc := range []struct {
		name    string
		record  session.Record
		entry   session.Entry
		refused bool // by the host
	}{
		{"mark", listedRecord, entry("s1", alice), false},
		{"mark and put-back", listedRecord, entry("s1", alice), true},
		{"mark and put-back of one that was given up", with(givenUpRecord, "DeletionRequestId", "r0", "AttemptId", "r0"), entry("s1", alice), true},
		{"forced mark", listedRecord, forced("s1", alice), false},
		{"forced over open", failedRecord, forced("s1", alice), false},
		{"repeat", markedRecord, entry("s1", alice), false},
		{"claim", failedRecord, entry("s1", alice), false},
		{"claim and note", failedRecord, entry("s1", alice), true},
		{"wrong owner", failedRecord, forced("s1", mallory), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			explore(t, func(c *choices) string {
				faultsLeft := 2
				tab := &table{Table: memtable.New()}
				tab.Put(tc.record)
				tab.fault = func(_ int, w session.Write) fault {
					if faultsLeft == 0 || w.SessionID != "s1" {
						return none
					}
					what := fault(c.choose(4))
					if what != none {
						faultsLeft--
					}
					c.note("%s: %s", kind(w), []string{"done", "refused", "lost before", "lost after"}[what])
					return what
				}
				h := &hosts{}
				if tc.refused {
					h.refuses = map[string]string{hostA: offline}
				}
				d := &session.Deleter{Table: tab, Closer: h, RefusedHosts: memtable.NewHosts(), GiveUp: giveUp, Log: slog.New(slog.DiscardHandler)}
				// The other entry's write had an answer, so the table does not count as
				// down.
				answers, err := d.Delete(context.Background(), request("r2", at(30), tc.entry, entry("s2", alice)))
				if err != nil || len(answers) != 2 {
					return "no answer"
				}
				reason := answers[0].FailureReason
				c.note("answer: %q", reason)
				return untrue(reason, tc.entry, tc.record, tab.Get("s1"), h, faultsLeft == 2)
			})
		})
	}
}

// untrue returns what is wrong with an answer, given the records before and after.
func untrue(reason string, e session.Entry, before, after session.Record, h *hosts, healthy bool) string {
	if after["State"] != before["State"] && (after["State"] != "DELETING" || after["NextAttemptAt"] == nil) {
		return "the record is neither as it was nor DELETING with a lease"
	}
	changed := cmp.Diff(before, after)
	switch reason {
	case "":
		began := after["AttemptId"] == "r2"
		switch {
		case after["State"] != "DELETING" || after["NextAttemptAt"] == nil:
			return "answered DELETING, but the record is not"
		case e.Force && after["Confirmation"] != "forced":
			return "answered a forced entry, but the record is not ended by force"
		case began && !e.Force && h.refuses == nil && len(h.sent) != 1:
			return "an attempt began, but its command was not sent once"
		}
	case session.ReasonUnclear:
		if healthy {
			return "nothing went wrong, and yet it is unclear"
		}
	default:
		if changed != "" {
			return "answered that nothing was changed, but:\n" + changed
		}
		if len(h.sent) > 0 {
			return "answered that nothing was changed, but a command was sent"
		}
	}
	if e.Owner != before["Owner"] && changed != "" {
		return "somebody else changed the record:\n" + changed
	}
	return ""
}

// The mark's answer is lost, and it is written again: the request recognises its own
// mark.
func TestOwnMarkIsRecognised(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.table.fault = onWrite(1, lostAfter)
	w.expect(request("r1", t0, entry("s1", alice)), "")
	w.is("s1", markedRecord)
	w.wrote("mark", "mark")
	w.sent("r1: s1")
}

func TestOwnClaimIsRecognised(t *testing.T) {
	w := newWorld(t, failedRecord)
	w.table.fault = onceOn("claim", lostAfter)
	w.expect(request("r2", at(30), entry("s1", alice)), "")
	w.has("s1", "AttemptId", "r2", "Attempts", int64(2))
	w.sent("r2: s1")
}

// A lost answer is no reason to give up at the next one.
func TestEachWriteHasItsSecondTry(t *testing.T) {
	w := newWorld(t, failedRecord)
	lost := map[string]bool{}
	w.table.fault = func(_ int, wr session.Write) fault {
		if lost[kind(wr)] {
			return none
		}
		lost[kind(wr)] = true
		return lostBefore
	}
	w.expect(request("r2", at(30), entry("s1", alice)), "")
	w.wrote("mark", "mark", "claim", "claim")
	w.sent("r2: s1")
}

// onceOn is a fault of the first write of a kind.
func onceOn(rule string, what fault) func(int, session.Write) fault {
	met := false
	return func(_ int, w session.Write) fault {
		if met || kind(w) != rule {
			return none
		}
		met = true
		return what
	}
}

// onWrite is a fault of the nth write.
func onWrite(nth int, what fault) func(int, session.Write) fault {
	return func(n int, _ session.Write) fault { return map[int]fault{nth: what}[n] }
}

// onSession is a fault of every write of a session.
func onSession(id string, what fault) func(int, session.Write) fault {
	return func(_ int, w session.Write) fault { return map[string]fault{id: what}[w.SessionID] }
}

// The record that a mark with a lost answer has replaced is unknown: it cannot be put
// back, so the deletion continues, and the record says what prevents the close.
func TestRefusedDeletionWithALostMarkGoesOn(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.hosts.refuses[hostA] = offline
	w.table.fault = onceOn("mark", lostAfter)
	w.expect(request("r1", t0, entry("s1", alice)), "")
	w.is("s1", with(markedRecord, "AttemptFailedAt", session.FormatTime(t0), "StateReason", "The host "+offline+"."))
}

// A forced mark that ended before its answer could be heard is a success.
func TestForcedMarkThatEndedMeanwhileIsRecognised(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.table.fault = onceOn("mark forced", lostAfter)
	w.table.before = func(n int, _ session.Write) {
		if n == 2 {
			w.table.Table.Put(with(deletedRecord, "Force", true, "Confirmation", "forced"))
		}
	}
	w.expect(request("r1", t0, forced("s1", alice)), "")
	w.has("s1", "State", "DELETED")
}

// The put-back fails: the deletion stays recorded, and is answered as such.
func TestMarkThatCannotBePutBackGoesOn(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.hosts.refuses[hostA] = offline
	w.table.fault = func(n int, wr session.Write) fault {
		switch {
		case kind(wr) == "put back":
			return refused
		case n == 1:
			return lostBefore // settled by the second mark, and then no longer unclear
		}
		return none
	}
	w.expect(request("r1", t0, entry("s1", alice)), "")
	w.has("s1", "State", "DELETING", "AttemptId", "r1", "NextAttemptAt", session.FormatTime(t0.Add(session.Lease)),
		"StateReason", "The host "+offline+".")
}

func TestPutBackWithoutAnAnswerIsUnclear(t *testing.T) {
	w := newWorld(t, listedRecord)
	w.hosts.refuses[hostA] = offline
	w.table.fault = func(_ int, wr session.Write) fault {
		if kind(wr) == "put back" {
			return lostBefore
		}
		return none
	}
	w.expect(request("r1", t0, entry("s1", alice), entry("s2", alice)), session.ReasonUnclear, session.NotFound)
}
