package events_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/session"
)

// putWaiting puts a deletion that waits for its close time, an hour ahead.
func (f *fleetWorld) putWaiting(id, hostID, noticeID string) {
	f.put(id, hostID, "DELETING", "r1")
	r := f.table.Get(id)
	r["Attempts"], r["CloseAt"], r["StateBefore"] = int64(0), session.FormatTime(t0.Add(time.Hour)), "READY"
	r["NoticeId"], r["NoticeAt"] = noticeID, session.FormatTime(t0)
	f.table.Put(r)
}

// notify returns the comment of a notice with that close time.
func notify(noticeID string) string {
	return "notify " + noticeID + " " + session.FormatTime(t0.Add(time.Hour)) + " " + strconv.FormatInt(t0.UnixMilli(), 36)
}

// Promise 12: the result of a notice is recorded, and nothing else changes.
func TestWarningsAreRecorded(t *testing.T) {
	f := newFleetWorld(t)
	before := map[string]session.Record{}
	for _, id := range []string{"s0", "s1", "s2", "silent", "others"} {
		host := hostID(0)
		if id == "others" {
			host = hostID(1)
		}
		f.putWaiting(id, host, "n1")
		before[id] = f.table.Get(id)
	}
	f.answer(hostID(0), notify("n1"), "Success", strings.Join([]string{
		`{"id":"s0","result":"warned","reason":"zenity"}`, `{"id":"s1","result":"nobody"}`, `{"id":"s2","result":"failed","reason":"no display"}`,
		`{"id":"others","result":"warned"}`,
	}, "\n"))
	for range 2 {
		f.receiveAll()
	}
	for id, want := range map[string]any{"s0": "warned (zenity)", "s1": "nobody: no user was connected", "s2": "failed: no display", "silent": nil, "others": nil} {
		f.has(id, "Warning", want)
		was, is := before[id], f.table.Get(id)
		for _, attr := range []string{"State", "AttemptId", "Attempts", "AttemptFailedAt", "NextAttemptAt", "Confirmation", "StateReason"} {
			if was[attr] != is[attr] {
				t.Errorf("%s: %s was %v, is %v", id, attr, was[attr], is[attr])
			}
		}
	}
	f.has("s0", "WarnedAt", session.FormatTime(f.now()))
	for line := range strings.Lines(f.log.String()) {
		if strings.Contains(line, "NoticeId=n1") && !strings.Contains(line, "CommandId=c1") {
			t.Errorf("a warning without its command: %s", line)
		}
	}
}

// Promise 8: a warning that cannot be recorded comes again, and nothing else.
func TestWarningThatCannotBeRecordedComesAgain(t *testing.T) {
	f := newFleetWorld(t)
	f.putWaiting("s0", hostID(0), "n1")
	f.putWaiting("s1", hostID(1), "n1")
	f.put("open", hostID(2), "DELETING", "a1")
	for n, id := range []string{"s0", "s1"} {
		f.answer(hostID(n), notify("n1"), "Success", `{"id":"`+id+`","result":"warned"}`)
	}
	f.answer(hostID(2), "close a1", "Success", `{"id":"open","result":"closed"}`)
	f.writing = func(w session.Write) error {
		if w.SessionID == "s0" {
			return session.ErrNotWritten
		}
		return nil
	}
	f.receiveAll("m0")
	f.has("s1", "Warning", "warned")
	f.has("open", "Confirmation", "closed")
	f.writing = nil
	f.receiveAll()
	f.has("s0", "Warning", "warned")
}

// A host that did not answer a notice has failed no attempt: that is logged, and EC2 is
// asked about it, as after any command.
func TestHostThatDidNotAnswerANotice(t *testing.T) {
	for _, comment := range []string{notify("n1"), "cancelled n1"} {
		f := newFleetWorld(t)
		f.putWaiting("s0", hostID(0), "n1")
		before := f.table.Get("s0")
		f.answer(hostID(0), comment, "DeliveryTimedOut", "")
		if failed := f.receive(); len(failed) > 0 || !slices.Equal(f.asked, []string{hostID(0)}) {
			t.Errorf("come again: %v, EC2 was asked about %q", failed, f.asked)
		}
		if diff := cmp.Diff(before, f.table.Get("s0")); diff != "" {
			t.Errorf("%s: the record has changed:\n%s", comment, diff)
		}
		if log := f.log.String(); !strings.Contains(log, `level=WARN msg="host's answer is incomplete" CommandId=c1 HostId=`+hostID(0)+` Status=DeliveryTimedOut`) {
			t.Errorf("log:\n%s", log)
		}
		f.statuses[hostID(0)] = session.Terminated
		f.receive()
		f.has("s0", "Confirmation", "host-gone")
	}
}

// A partial answer counts for its sessions, and is logged.
func TestHostThatAnsweredANoticeInPart(t *testing.T) {
	f := newFleetWorld(t)
	f.putWaiting("s0", hostID(0), "n1")
	f.putWaiting("s1", hostID(0), "n1")
	f.answer(hostID(0), notify("n1"), "TimedOut", `{"id":"s0","result":"warned"}`+"\n")
	if failed := f.receive(); len(failed) > 0 || len(f.asked) > 0 {
		t.Errorf("come again: %v, EC2 was asked about %q", failed, f.asked)
	}
	f.has("s0", "Warning", "warned")
	f.has("s1", "Warning", nil)
	if log := f.log.String(); !strings.Contains(log, `level=WARN msg="host's answer is incomplete" CommandId=c1 HostId=`+hostID(0)+` Status=TimedOut Reports=1`) {
		t.Errorf("log:\n%s", log)
	}
}

// The answer to the notice of a cancel changes nothing.
func TestAnswerToTheNoticeOfACancelChangesNothing(t *testing.T) {
	f := newFleetWorld(t)
	f.putWaiting("s0", hostID(0), "n1")
	before := f.table.Get("s0")
	f.answer(hostID(0), "cancelled n1", "Success", `{"id":"s0","result":"told"}`+"\n")
	if failed := f.receive(); len(failed) > 0 || len(f.asked) > 0 {
		t.Errorf("come again: %v, EC2 was asked about %q", failed, f.asked)
	}
	if diff := cmp.Diff(before, f.table.Get("s0")); diff != "" {
		t.Errorf("the record has changed:\n%s", diff)
	}
	if log := f.log.String(); strings.Contains(log, "level=WARN") {
		t.Errorf("log:\n%s", log)
	}
}
