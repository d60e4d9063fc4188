package events_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"

	"dcv-session-broker/internal/events/hostevents"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

func sent(kind string) string { return kind + " id1 " + session.FormatTime(t0) }

func TestAnswersGoWhereTheyBelong(t *testing.T) {
	f := newFleetWorld(t)
	f.put("gone", hostID(0), "READY", "")
	f.put("left", hostID(1), "READY", "")
	f.put("open", hostID(2), "DELETING", "a1")
	f.answer(hostID(0), sent("inventory"), "Success", `{"id":"new","owner":"bob"}`+"\n"+`{"end":1}`)
	f.answer(hostID(1), sent("idle"), "Success", `{"id":"left","created":"2026-11-23T08:30:00Z","result":"closed","minutes":61}`+"\n"+`{"end":1}`)
	f.answer(hostID(2), "close a1", "Success", `{"id":"open","result":"closed"}`)
	for range 2 {
		f.receiveAll()
	}
	f.has("new", "State", "READY")
	f.has("gone", "Confirmation", "vanished")
	f.has("left", "Confirmation", "closed")
	f.has("open", "Confirmation", "closed")
	if log := f.log.String(); !strings.Contains(log, "AttemptId=a1 CommandId=c1 Outcome=closed") {
		t.Errorf("the log does not name the command of the confirmation:\n%s", log)
	}
	if len(f.asked) > 0 {
		t.Errorf("EC2 was asked about hosts that answered: %q", f.asked)
	}
}

// Promise 8: only the messages of an answer that cannot be recorded come again.
func TestWhatCannotBeRecordedComesAgain(t *testing.T) {
	f := newFleetWorld(t)
	f.answer(hostID(0), sent("inventory"), "Success", `{"id":"s0","owner":"bob"}`+"\n"+`{"end":1}`)
	f.answer(hostID(1), sent("inventory"), "Success", `{"id":"s1","owner":"bob"}`+"\n"+`{"end":1}`)
	f.writing = func(w session.Write) error {
		if w.SessionID == "s0" {
			return session.ErrUnclear
		}
		return nil
	}
	f.receiveAll("m0")
	f.has("s1", "State", "READY")
	f.writing = nil
	f.receiveAll()
	f.has("s0", "State", "READY")
}

// An inventory's message does not come again if the tag that refuses its sessions cannot be read now.
func TestTagThatCannotBeReadReturnsNothing(t *testing.T) {
	f := newFleetWorld(t)
	known := f.hosts.AddHost(t.Context(), hostID(0), t0)
	tag := session.OwnerTag{Owner: "alice", ReadAt: t0.Add(-time.Hour)}
	if err := errors.Join(known, f.hosts.RecordOwnerTag(t.Context(), hostID(0), tag)); err != nil {
		t.Fatal(err)
	}
	f.answer(hostID(0), sent("inventory"), "Success", `{"id":"s0","owner":"bob"}`+"\n"+`{"end":1}`)
	f.ec2 = errors.New("throttled")
	if failed := f.receive(); len(failed) > 0 || len(f.asked) != 1 {
		t.Errorf("come again: %v, asked about %v", failed, f.asked)
	}
}

func TestHostThatDidNotAnswer(t *testing.T) {
	for _, status := range []string{"TimedOut", "Undeliverable", "DeliveryTimedOut", "Failed", "Terminated", "Cancelled"} {
		t.Run(status, func(t *testing.T) {
			f := newFleetWorld(t)
			f.put("s0", hostID(0), "DELETING", "a1")
			f.put("other", hostID(0), "DELETING", "a2") // there another attempt is current
			f.put("ready", hostID(0), "READY", "")
			f.answer(hostID(0), "close a1", status, "")
			f.receiveAll()
			f.has("s0", "StateReason", "The host did not answer the close command (Systems Manager: "+status+").")
			f.has("s0", "AttemptFailedAt", session.FormatTime(f.now()))
			f.has("s0", "NextAttemptAt", session.FormatTime(t0)) // the lease is unchanged
			f.has("other", "AttemptFailedAt", nil)
			f.has("ready", "State", "READY")
			if !slices.Equal(f.asked, []string{hostID(0)}) {
				t.Errorf("EC2 was asked about %q", f.asked)
			}

			f.ec2 = errors.New("throttled")
			f.receiveAll("m0")
			f.ec2, f.statuses[hostID(0)] = nil, session.Stopped
			f.receiveAll()
			for _, id := range []string{"s0", "other", "ready"} {
				f.has(id, "Confirmation", "host-gone")
			}
		})
	}
}

// EC2's answers may be older than its event, so it is asked a few times. If it still
// does not show the host as stopped, cleanup asks after the host has been silent.
func TestStoppedHostThatEC2DoesNotShowYet(t *testing.T) {
	for _, tc := range []struct {
		status   session.HostStatus
		received int
		again    bool
	}{
		{session.Stopping, 1, true}, {session.Stopping, 2, true}, {session.Stopping, 3, false}, {session.Stopping, 4, false},
		{session.Alive, 1, false}, {session.Stopped, 2, false},
	} {
		f := newFleetWorld(t)
		f.put("s0", hostID(0), "READY", "")
		f.statuses[hostID(0)] = tc.status
		h := f.hostEvents()
		h.Reaper = f.reaper()
		batch := batchOf(stopped(hostID(0)))
		batch.Records[0].Attributes = map[string]string{"ApproximateReceiveCount": fmt.Sprint(tc.received)}
		response, err := h.Handle(t.Context(), batch)
		if again := len(response.BatchItemFailures) > 0; err != nil || again != tc.again {
			t.Errorf("status %v, received %d times: comes again %v, %v", tc.status, tc.received, again, err)
		}
	}
	// The events of a command do not come again because of that.
	f := newFleetWorld(t)
	f.statuses[hostID(0)] = session.Stopping
	f.answer(hostID(0), "close a1", "Undeliverable", "")
	if failed := f.receive(); len(failed) > 0 || len(f.asked) != 1 {
		t.Errorf("come again: %v, asked %q", failed, f.asked)
	}
}

// If one stopped host cannot be recorded, only its message comes again.
func TestStoppedHostThatCannotBeRecordedComesAgainAlone(t *testing.T) {
	f := newFleetWorld(t)
	for n := range 3 {
		f.put(sessionID(n), hostID(n), "READY", "")
		f.statuses[hostID(n)] = session.Stopped
	}
	f.writing = func(w session.Write) error {
		if w.SessionID == sessionID(1) {
			return session.ErrNotWritten
		}
		return nil
	}
	h := f.hostEvents()
	h.Reaper = f.reaper()
	response, err := h.Handle(t.Context(), batchOf(stopped(hostID(0)), stopped(hostID(1)), stopped(hostID(2))))
	if err != nil || len(response.BatchItemFailures) != 1 || response.BatchItemFailures[0].ItemIdentifier != "m1" {
		t.Errorf("come again: %v, %v", response, err)
	}
	f.has(sessionID(2), "Confirmation", "host-gone")
}

// EC2 sends events of every instance of the account. An instance without sessions is
// not waited for.
func TestInstanceThatIsNoHostIsNotWaitedFor(t *testing.T) {
	f := newFleetWorld(t)
	f.put("s0", hostID(0), "READY", "")
	f.statuses[hostID(0)], f.statuses[hostID(1)] = session.Alive, session.Alive // they were hibernated
	h := f.hostEvents()
	h.Reaper = f.reaper()
	if response, err := h.Handle(t.Context(), batchOf(stopped(hostID(0)), stopped(hostID(1)))); err != nil || len(response.BatchItemFailures) > 0 {
		t.Fatal(response, err)
	}
	waitedFor, err := f.hosts.AnsweredBefore(t.Context(), f.now().Add(time.Hour), 10)
	if err != nil || !slices.Equal(waitedFor, []string{hostID(0)}) {
		t.Errorf("waited for %v, %v", waitedFor, err)
	}
}

// If a step, or its output, was cut off, its answer has some of its sessions: the
// attempt has failed for the others.
func TestHostThatAnsweredInPart(t *testing.T) {
	line := `{"id":"s0","result":"closed"}` + "\n"
	for name, tc := range map[string]struct {
		status, output string
		noted          bool
	}{
		"cut off":        {"TimedOut", line, true},
		"failed":         {"Failed", line, true},
		"output was cut": {"Success", line + `{"id":"s1","res`, true},
		"whole":          {"Success", line, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleetWorld(t)
			f.put("s0", hostID(0), "DELETING", "a1")
			f.put("s1", hostID(0), "DELETING", "a1")
			f.put("other", hostID(0), "DELETING", "a2")
			f.answer(hostID(0), "close a1", tc.status, tc.output)
			written := map[string]int{}
			f.writing = func(w session.Write) error { written[w.SessionID]++; return nil }
			if failed := f.receive(); len(failed) > 0 || len(f.asked) > 0 {
				t.Errorf("come again: %v, EC2 was asked about %q", failed, f.asked)
			}
			// A session cannot have two writes in one call.
			if written["s0"] != 1 || written["other"] != 0 {
				t.Errorf("written: %v", written)
			}
			f.has("s0", "Confirmation", "closed")
			f.has("s0", "StateReason", nil)
			f.has("other", "AttemptFailedAt", nil)
			if !tc.noted {
				f.has("s1", "AttemptFailedAt", nil)
				return
			}
			f.has("s1", "StateReason", "The host's answer to the close command does not mention this session (Systems Manager: "+tc.status+").")
			f.has("s1", "AttemptFailedAt", session.FormatTime(f.now()))
			f.has("s1", "NextAttemptAt", session.FormatTime(t0))
		})
	}

	// Answers are recorded, also if others are missing.
	f := newFleetWorld(t)
	f.put("s0", hostID(0), "DELETING", "a1")
	f.answer(hostID(0), "close a1", "TimedOut", line)
	f.index = errors.New("no index")
	f.receiveAll("m0")
	f.has("s0", "Confirmation", "closed")
}

// A cut inventory lists its sessions and counts as an answer. One that failed on the
// host does not, whatever its output.
func TestInventoryThatIsNotWhole(t *testing.T) {
	line := `{"id":"new","owner":"bob"}` + "\n"
	for name, tc := range map[string]struct {
		output   string
		answered bool
	}{
		"cut in mid-line": {line + `{"id":"s0","own`, true},
		"no last line":    {line, true},
		"failed":          {line + `{"failed":"dcv took too long"}`, false},
		"failed at first": {`{"failed":"dcv took too long"}` + "\n" + line + `{"end":1}`, false},
	} {
		f := newFleetWorld(t)
		f.put("s0", hostID(0), "READY", "")
		f.answer(hostID(0), sent("inventory"), "Success", tc.output)
		if failed := f.receive(); len(failed) > 0 {
			t.Errorf("%s: comes again: %v", name, failed)
		}
		f.has("s0", "State", "READY")
		f.has("s0", "Confirmation", nil)
		if listed := f.table.Get("new") != nil; listed != tc.answered {
			t.Errorf("%s: listed %v", name, listed)
		}
		newest, err := f.hosts.Newest(t.Context(), []string{hostID(0)})
		if _, answered := newest[hostID(0)]; err != nil || answered != tc.answered {
			t.Errorf("%s: noted as an answer: %v, %v", name, answered, err)
		}
	}
}

// Systems Manager keeps 24,000 characters of an output: an answer that is longer
// is cut in mid-line on its way.
func TestInventoryThatSystemsManagerCuts(t *testing.T) {
	s := newSystem(t, 1, `n=0
		while [ $n -lt 400 ]; do n=$((n + 1)); printf '{"id":"n%0100d","owner":"bob"}\n' $n; done
		echo '{"end":400}'`+"\n")
	known := s.table.Get("s0")
	known["FirstSeenAt"] = session.FormatTime(time.Now().Add(-time.Hour))
	s.table.Put(known)
	_, err := s.SendCommand(t.Context(), &ssm.SendCommandInput{
		DocumentName: aws.String("CloseDocument"), InstanceIds: []string{hostID(0)},
		Comment:    aws.String("inventory id1 " + session.FormatTime(time.Now())),
		Parameters: map[string][]string{"sessions": {"x"}, "voidAfter": {"1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := s.hostEvents()
	h.Reconciler = &session.InventoryReconciler{Table: s.table, Index: wholeIndex(s.table), Getter: memtable.Reader{Table: s.table}, HostTable: memtable.NewHosts(), MaxSessions: 1000, Now: s.now, Log: s.logger()}
	response, err := h.Handle(t.Context(), batchOf(s.await(1)...))
	if err != nil || len(response.BatchItemFailures) > 0 {
		t.Fatal(response, err)
	}
	if r := s.table.Get("s0"); r["State"] != "READY" || r["Confirmation"] != nil {
		t.Errorf("s0 ended: %v", r)
	}
	if n := len(s.table.All()) - 1; n < 150 || n > 24_000/120 {
		t.Errorf("%d sessions listed", n)
	}
}

// A host that ran the command without output is reachable.
func TestHostThatSaidNothingIsThere(t *testing.T) {
	for _, output := range []string{"", "garbage", "{garbage", `{"failed":"dcv took too long"}`} {
		f := newFleetWorld(t)
		f.put("s0", hostID(0), "READY", "")
		for _, kind := range []string{sent("inventory"), sent("idle"), "close a1"} {
			f.answers = nil
			f.answer(hostID(0), kind, "Success", output)
			if failed := f.receive(); len(failed) > 0 || len(f.asked) > 0 {
				t.Errorf("%s of %q: come again %v, asked %q", kind, output, failed, f.asked)
			}
		}
		f.has("s0", "State", "READY")
		// It did not answer the inventory: later it counts as silent.
		if fresh, _, err := f.hosts.RecordAnswer(t.Context(), session.HostAnswer{HostID: hostID(0), SentAt: t0.Add(-time.Hour)}); !fresh || err != nil {
			t.Errorf("noted as an answer: %q, %v", output, err)
		}
	}
}

// An answer of the fleet that cannot be read because Systems Manager throttles is dropped after
// its third delivery: the next one has the same. A confirmation is not, nor is another failure.
func TestThrottledAnswersOfTheFleetAreDropped(t *testing.T) {
	throttling := error(&smithy.GenericAPIError{Code: "ThrottlingException"})
	for _, tc := range []struct {
		document string
		reading  error
		received int
		again    bool
	}{
		{"Inventory", throttling, 1, true}, {"Inventory", throttling, 2, true}, {"Inventory", throttling, 3, false}, {"Inventory", throttling, 4, false},
		{"Idle", throttling, 3, false}, {"Close", throttling, 3, true}, {"Notify", throttling, 3, true}, {"", throttling, 3, true},
		{"Inventory", errors.New("connection refused"), 3, true},
	} {
		f := newFleetWorld(t)
		f.reading = tc.reading
		h := f.hostEvents()
		h.FleetDocuments = hostevents.New(hostevents.Parts{}, hostevents.Settings{InventoryDocument: "Inventory", IdleDocument: "Idle"}).FleetDocuments
		h.Reader = &runcommand.Reader{API: f}
		body := strings.Replace(finished("c1", hostID(0)), `"instance-id"`, fmt.Sprintf(`"document-name":%q,"instance-id"`, tc.document), 1)
		batch := batchOf(body)
		batch.Records[0].Attributes = map[string]string{"ApproximateReceiveCount": fmt.Sprint(tc.received)}
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), 11*time.Second)
			defer stop()
			response, err := h.Handle(ctx, batch)
			if again := len(response.BatchItemFailures) > 0; err != nil || again != tc.again {
				t.Errorf("%s, %v, received %d times: comes again %v, %v", tc.document, tc.reading, tc.received, again, err)
			}
		})
		if dropped := strings.Contains(f.log.String(), "FleetAnswersDropped"); dropped == tc.again {
			t.Errorf("%s, %v, received %d times: counted as dropped %v", tc.document, tc.reading, tc.received, dropped)
		}
	}
}
