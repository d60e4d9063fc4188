package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

func TestBatchIsReadByOneCallForEachCommand(t *testing.T) {
	s := newSystem(t, 10, "")
	bodies := slices.Concat(s.delete("r1", 0, 1, 2, 3, 4, 5), s.delete("r2", 6, 7, 8, 9))
	if failed := s.receive(bodies...); len(failed) > 0 {
		t.Errorf("come again: %v", failed)
	}
	if len(s.calls) != 2 || s.calls[0] == s.calls[1] {
		t.Errorf("calls: %v", s.calls)
	}
	for id, confirmation := range s.confirmations() {
		if confirmation != "closed" {
			t.Errorf("session %s: %v", id, confirmation)
		}
	}
}

// The calls of a batch depend only on its content, not on the order of its messages or
// on chance.
func TestCallsComeInOneOrder(t *testing.T) {
	var want []string
	for n := range 20 {
		f := newFleetWorld(t)
		for _, host := range []string{"h2", "h0", "h3", "h1"} {
			f.put("s-"+host, host, "DELETING", "a1")
			f.answer(host, "close a1", "Success", fmt.Sprintf(`{"id":"s-%s","result":"closed"}`, host)+"\n")
		}
		if n%2 == 0 {
			slices.Reverse(f.answers)
		}
		feed := f.table.Feed()
		f.receive()
		var got []string
		for _, c := range feed.Ready() {
			got = append(got, fmt.Sprint(c.New["SessionId"]))
		}
		if want == nil {
			want = got
		}
		if !slices.IsSorted(got) || !slices.Equal(got, want) || len(got) != 4 {
			t.Fatalf("written in the order %v, before %v", got, want)
		}
	}
}

// Fifty hosts of one command are one read, and their sessions one write.
func TestWholeCommandIsOneReadAndOneWrite(t *testing.T) {
	f := newFleetWorld(t)
	for n := range 50 {
		f.put(sessionID(n), hostID(n), "DELETING", "a1")
		f.answer(hostID(n), "close a1", "Success", fmt.Sprintf(`{"id":"%s","result":"closed"}`, sessionID(n))+"\n")
	}
	writes := &countedWrites{Table: f.table}
	h := f.hostEvents()
	h.Reader = &runcommand.Reader{API: f}
	h.Confirmer.Table = writes
	var bodies []string
	for n := range 50 {
		bodies = append(bodies, finished("c1", hostID(n)))
	}
	response, err := h.Handle(t.Context(), batchOf(bodies...))
	if err != nil || len(response.BatchItemFailures) > 0 {
		t.Fatalf("%v, %v", response, err)
	}
	if f.reads != 1 || writes.calls != 1 {
		t.Errorf("%d reads and %d writes", f.reads, writes.calls)
	}
	for n := range 50 {
		f.has(sessionID(n), "Confirmation", "closed")
	}
}

// pagedAnswers lists so many hosts' answers to each command, 50 on a page. seen is called
// before each page.
type pagedAnswers struct {
	hosts   int
	comment string
	says    func(commandID string, n int) string
	seen    func(read int)
	read    int
}

func (p *pagedAnswers) ListCommandInvocations(_ context.Context, in *ssm.ListCommandInvocationsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	p.seen(p.read)
	p.read++
	out := &ssm.ListCommandInvocationsOutput{}
	first, _ := strconv.Atoi(aws.ToString(in.NextToken))
	for n := first; n < min(first+50, p.hosts); n++ {
		out.CommandInvocations = append(out.CommandInvocations, types.CommandInvocation{
			InstanceId: aws.String(hostID(n)), Comment: aws.String(p.comment), Status: types.CommandInvocationStatusSuccess,
			CommandPlugins: []types.CommandPlugin{{Name: aws.String("linux"), Output: aws.String(p.says(*in.CommandId, n))}},
		})
	}
	if first+50 < p.hosts {
		out.NextToken = aws.String(strconv.Itoa(first + 50))
	}
	return out, nil
}

func (p *pagedAnswers) GetCommandInvocation(context.Context, *ssm.GetCommandInvocationInput, ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	return nil, errors.New("no output is cut")
}

// Promise 11: of a large batch, the answers of one page are in memory. Each may have the
// sessions of half a megabyte.
func TestAnswersArePagesInMemory(t *testing.T) {
	const hosts = 200
	f := newFleetWorld(t)
	p := &pagedAnswers{hosts: hosts, comment: "inventory id1 " + session.FormatTime(f.now()), says: func(string, int) string { return `{"end":0}` }}
	var all, bodies []string
	for n := range hosts {
		all, bodies = append(all, hostID(n)), append(bodies, finished("c1", hostID(n)))
	}
	answered := func() int {
		newest, err := f.hosts.Newest(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		return len(newest)
	}
	p.seen = func(read int) {
		if n := answered(); n != read*50 {
			t.Errorf("the answers of %d hosts are applied before page %d is read", n, read+1)
		}
	}
	h := f.hostEvents()
	h.Reader, h.Reconciler, h.Reaper = &runcommand.Reader{API: p}, f.reconciler(), f.reaper()
	response, err := h.Handle(t.Context(), batchOf(bodies...))
	if err != nil || len(response.BatchItemFailures) > 0 || answered() != hosts {
		t.Errorf("%v, %v, applied %d", response, err, answered())
	}
}

// A confirmation does not wait until all of a large batch are read.
func TestConfirmationsOfALargeBatchDoNotWaitForItsEnd(t *testing.T) {
	const commands = 250
	f := newFleetWorld(t)
	var bodies []string
	for n := range commands {
		f.put(sessionID(n), hostID(0), "DELETING", "a1")
		bodies = append(bodies, finished(fmt.Sprintf("c%03d", n), hostID(0)))
	}
	p := &pagedAnswers{hosts: 1, comment: "close a1", says: func(commandID string, _ int) string {
		n, _ := strconv.Atoi(commandID[1:])
		return fmt.Sprintf(`{"id":"%s","result":"closed"}`, sessionID(n)) + "\n"
	}}
	confirmed := func() (n int) {
		for _, r := range f.table.All() {
			if r["Confirmation"] == "closed" {
				n++
			}
		}
		return n
	}
	p.seen = func(read int) {
		if n := confirmed(); read-n > 100 {
			t.Errorf("%d answers are read, %d confirmations are recorded", read, n)
		}
	}
	written := 0
	f.writing = func(session.Write) error { written++; return nil }
	h := f.hostEvents()
	h.Reader = &runcommand.Reader{API: p}
	response, err := h.Handle(t.Context(), batchOf(bodies...))
	if err != nil || len(response.BatchItemFailures) > 0 || confirmed() != commands || written != commands {
		t.Errorf("%v, %v, %d confirmations, %d writes", response, err, confirmed(), written)
	}
}

type countedWrites struct {
	session.Table
	calls int
}

func (c *countedWrites) Write(ctx context.Context, writes []session.Write) []session.Result {
	c.calls++
	return c.Table.Write(ctx, writes)
}

// Promise 10.
func TestMessagesThatComeTwiceAreOne(t *testing.T) {
	s := newSystem(t, 2, "")
	bodies := s.delete("r1", 0, 1)
	if failed := s.receive(bodies[0], bodies[1], bodies[0], bodies[0]); len(failed) > 0 || len(s.calls) != 1 {
		t.Errorf("come again: %v, calls %v", failed, s.calls)
	}
	before := s.table.All()
	s.now = func() time.Time { return time.Now().Add(time.Hour) }
	if failed := s.receive(bodies[1], bodies[0]); len(failed) > 0 {
		t.Errorf("come again: %v", failed)
	}
	if diff := cmp.Diff(before, s.table.All()); diff != "" {
		t.Errorf("changed by a message that came again (-want +got):\n%s", diff)
	}
}

// Promise 3: the event of the first deletion arrives after the second has begun.
func TestMessageOfAnEarlierDeletionEndsNoLaterOne(t *testing.T) {
	s := newSystem(t, 1, "")
	first := s.delete("r1", 0)
	s.list(0)
	second := s.delete("r2", 0)
	if failed := s.receive(first...); len(failed) > 0 || s.confirmations()["s0"] != nil {
		t.Errorf("come again: %v, s0: %v", failed, s.table.Get("s0"))
	}
	s.receive(second...)
	if r := s.table.Get("s0"); r["Confirmation"] != "closed" || r["AttemptId"] != "r2" {
		t.Errorf("s0: %v", r)
	}
}

// Promise 8.
func TestPoisonMessagesComeAgainAlone(t *testing.T) {
	s := newSystem(t, 1, "")
	good := s.delete("r1", 0)[0]
	replaced := func(old, replacement string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in %s", old, good)
		}
		return strings.Replace(good, old, replacement, 1)
	}
	bodies := []string{
		good,
		"", "hello", "null", "[]", "7", `{}`, `{"detail":7}`,
		replaced(`"aws.ssm"`, `"aws.sns"`),
		replaced(`"EC2 Command Invocation Status-change Notification"`, `"EC2 Command Status-change Notification"`),
		replaced(`"instance-id"`, `"instance"`),
		replaced(`"command-id"`, `"command"`),
		replaced(`"`+hostID(0)+`"`, `"fleet"`), // keys of the Hosts table that are not hosts
		`{"source":"aws.ec2","detail-type":"EC2 Instance State-change Notification","detail":{"instance-id":"refused-i-1"}}`,
		good,
	}
	var want []string
	for i := 1; i < len(bodies)-1; i++ {
		want = append(want, fmt.Sprint("m", i))
	}
	slices.Sort(want)
	if failed := s.receive(bodies...); !slices.Equal(failed, want) {
		t.Errorf("come again: %v, want %v", failed, want)
	}
	if log := s.log.String(); strings.Count(log, "Metric:MessagesReturned Value:1 ") != len(want) || strings.Count(log, "level=ERROR msg=\"message not understood") != len(want) {
		t.Errorf("log:\n%s", log)
	}
	if s.confirmations()["s0"] != "closed" {
		t.Errorf("s0: %v", s.table.Get("s0"))
	}
}

func TestAnswerThatIsNotThereYetComesAgain(t *testing.T) {
	now := time.Now()
	s := newSystem(t, 2, "", func(o *fleet.Options) {
		o.InvocationDelay, o.Now = time.Minute, func() time.Time { return now }
	})
	old := s.delete("r1", 0)
	now = now.Add(time.Minute)
	young := s.delete("r2", 1)
	if failed := s.receive(old[0], young[0]); !slices.Equal(failed, []string{"m1"}) {
		t.Errorf("come again: %v", failed)
	}
	now = now.Add(time.Minute)
	if failed := s.receive(young[0]); len(failed) > 0 {
		t.Errorf("come again: %v", failed)
	}
	if diff := cmp.Diff(map[string]any{"s0": "closed", "s1": "closed"}, s.confirmations()); diff != "" {
		t.Error(diff)
	}
}

func TestReportThatCouldNotBeRecordedComesAgain(t *testing.T) {
	for _, cause := range []error{session.ErrNotWritten, session.ErrUnclear} {
		s := newSystem(t, 3, "")
		s.writing = func(w session.Write) error {
			if w.SessionID == "s1" {
				return cause
			}
			return nil
		}
		bodies := s.delete("r1", 0, 1, 2)
		var want []string
		twice := append(slices.Clone(bodies), bodies...)
		for i, body := range twice {
			if strings.Contains(body, hostID(1)) {
				want = append(want, fmt.Sprint("m", i))
			}
		}
		slices.Sort(want)
		if failed := s.receive(twice...); !slices.Equal(failed, want) {
			t.Errorf("%v: come again: %v, want %v", cause, failed, want)
		}
		s.writing = nil
		if failed := s.receive(bodies...); len(failed) > 0 {
			t.Errorf("come again: %v", failed)
		}
		if diff := cmp.Diff(map[string]any{"s0": "closed", "s1": "closed", "s2": "closed"}, s.confirmations()); diff != "" {
			t.Error(diff)
		}
	}
}

func TestCommandThatCannotBeReadComesAgainAlone(t *testing.T) {
	s := newSystem(t, 3, "")
	bad, good := s.delete("r1", 0, 1), s.delete("r2", 2)
	s.reading = func(operation string) error {
		if strings.Contains(bad[0], strings.TrimPrefix(operation, "ListCommandInvocations of ")) {
			return errors.New("throttled")
		}
		return nil
	}
	if failed := s.receive(bad[0], good[0], bad[1]); !slices.Equal(failed, []string{"m0", "m2"}) {
		t.Errorf("come again: %v", failed)
	}
	if s.confirmations()["s2"] != "closed" {
		t.Errorf("s2: %v", s.table.Get("s2"))
	}
}

func TestCommandsOfOthersAreDropped(t *testing.T) {
	s := newSystem(t, 1, "")
	s.delete("r1", 0)
	_, err := s.SendCommand(t.Context(), &ssm.SendCommandInput{
		DocumentName: aws.String("CloseDocument"), InstanceIds: []string{hostID(0)}, Comment: aws.String("by hand"),
		Parameters: map[string][]string{"sessions": {hostID(0) + "=s0~0"}, "voidAfter": {"1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if failed := s.receive(s.await(1)...); len(failed) > 0 || s.confirmations()["s0"] != nil {
		t.Errorf("come again: %v, s0: %v", failed, s.table.Get("s0"))
	}
}

func TestFailureOfAHostIsRecordedWithItsReason(t *testing.T) {
	s := newSystem(t, 2, `if [ $AWS_SSM_INSTANCE_ID = `+hostID(0)+` ]; then echo '{"id":"s0","result":"failed","reason":"dcv took too long"}'; else echo '{"id":"s1","result":"absent"}'; fi`+"\n")
	if failed := s.receive(s.delete("r1", 0, 1)...); len(failed) > 0 {
		t.Errorf("come again: %v", failed)
	}
	if r := s.table.Get("s0"); r["StateReason"] != "dcv took too long" || r["AttemptFailedAt"] == nil || r["State"] != "DELETING" {
		t.Errorf("s0: %v", r)
	}
	if r := s.table.Get("s1"); r["Confirmation"] != "absent" {
		t.Errorf("s1: %v", r)
	}
}

// Promise 5: a host's output, also about another host's sessions, affects no other
// message and no record.
func TestLyingHostHarmsNobody(t *testing.T) {
	s := newSystem(t, 2, `if [ $AWS_SSM_INSTANCE_ID = `+hostID(1)+` ]; then
		echo garbage; echo '{'; echo '{"id":"s0","result":"closed"}'; echo '{"id":"nobody","result":"closed"}'
		echo '{"id":"%FF","result":"closed"}'; echo "{\"id\":\"$(printf %03000d 0)\",\"result\":\"closed\"}"
	fi`+"\n")
	if failed := s.receive(s.delete("r1", 0, 1)...); len(failed) > 0 {
		t.Errorf("come again: %v", failed)
	}
	if diff := cmp.Diff(map[string]any{"s0": nil, "s1": nil}, s.confirmations()); diff != "" {
		t.Error(diff)
	}
}

// Lambda takes an answer without failures as a success of the whole batch.
func TestAnswersToTheQueue(t *testing.T) {
	s := newSystem(t, 0, "")
	response, err := s.hostEvents().Handle(t.Context(), batchOf("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := json.Marshal(response); err != nil || string(text) != `{"batchItemFailures":[{"itemIdentifier":"m0"}]}` {
		t.Errorf("%s, %v", text, err)
	}
}
