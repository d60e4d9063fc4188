package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/ec2state"
	"dcv-session-broker/internal/events/cleanup"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// The samples in events/ for these handlers do what their names say. (Those named
// delete..., cancel... and describe... are read by the tests of httpapi, those named
// ended... by those of endedsessions.)
func TestSamplesAreUnderstood(t *testing.T) {
	files, err := filepath.Glob("../../events/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples, %v", err)
	}
	met := map[string]bool{}
	for _, file := range files {
		kind, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".json"), "-")
		try := map[string]func(*testing.T, []byte){
			"cleanup": cleanupSample, "command": commandSample, "instance": instanceSample, "stream": streamSample,
		}[kind]
		if try == nil {
			continue
		}
		met[kind] = true
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			try(t, text)
		})
	}
	if len(met) < 4 {
		t.Errorf("there are only samples of %v", met)
	}
}

func parsed[E any](t *testing.T, text []byte) (event E) {
	t.Helper()
	if err := json.Unmarshal(text, &event); err != nil {
		t.Fatal(err)
	}
	return event
}

// cleanupSample checks that a task sends one command, with its document. Stopping empty
// hosts, and a dry run of a rule, send none. A rule with a grace period sends a notice
// first.
func cleanupSample(t *testing.T, text []byte) {
	event := parsed[cleanup.Event](t, text)
	s := newSystem(t, 0, "")
	s.now = func() time.Time { return t0.Add(2 * session.Lease) }
	s.table.Put(open("SessionId123"))
	s.table.Put(session.Listed(session.Session{
		ID: "SessionIdabc", Owner: "user1", HostID: "i-0123456789abcdef0", Type: "virtual", CreationTime: "2026-11-22T08:30:00Z",
	}))
	var (
		sent         sentDocuments
		reaper       = &session.HostReaper{Table: s.table, Index: wholeIndex(s.table), Instances: alive{}, HostTable: memtable.NewHosts(), Now: s.now, NewID: awsenv.NewID, Log: s.logger()}
		unresponsive = &session.UnresponsiveMarker{Table: s.table, Index: wholeIndex(s.table), HostTable: memtable.NewHosts(), Reaper: reaper, Now: s.now, Log: s.logger()}
	)
	broadcaster := &runcommand.Broadcaster{API: &sent, InventoryDocument: "inventory", IdleDocument: "idle", FleetTag: "test"}
	closer := func(document string) *runcommand.Sender {
		return &runcommand.Sender{API: &sent, CloseDocument: document, NotifyDocument: "notify", FleetTag: "test"}
	}
	c := cleanup.Handler{
		Cleaner: &session.Cleaner{
			Table: s.table, Index: wholeIndex(s.table), Reaper: reaper, GiveUp: time.Hour, Now: s.now, NewID: awsenv.NewID, Log: s.logger(), Closer: closer("deletions"),
		},
		RuleRunner: &session.RuleRunner{
			Table: s.table, Reader: memtable.Reader{Table: s.table}, Closer: closer("close"), Notifier: closer("close"), GiveUp: time.Hour, Now: s.now, NewID: awsenv.NewID, Log: s.logger(),
		},
		RefusedHosts: &session.RefusedHostChecker{RefusedHosts: memtable.NewHosts(), Reaper: reaper, Log: s.logger()},
		Gauge:        &session.OpenDeletionGauge{Index: s.table, Now: s.now, Log: s.logger()},
		Unresponsive: unresponsive,
		Walker:       &session.HostWalker{HostLister: s.table, HostTable: memtable.NewHosts(), Reaper: reaper, Unresponsive: unresponsive, Now: s.now, Log: s.logger()},
		Inventories:  &session.InventorySender{HostTable: memtable.NewHosts(), Broadcaster: broadcaster, Now: s.now, NewID: awsenv.NewID, Log: s.logger()},
		Broadcaster:  broadcaster,
		Stopper: &session.Stopper{
			Index: s.table, Notes: memtable.NewHosts(), Instances: ec2state.NewStopper(s.Fleet, "test"), Grace: time.Hour, Now: s.now, Log: s.logger(),
		},
		SilentAfter: time.Hour, CloseIdleAfter: time.Hour, Now: s.now, NewID: awsenv.NewID, Log: s.logger(),
	}
	answer, err := c.Handle(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	var want sentDocuments
	rule, isRule := answer.(*cleanup.RuleAnswer)
	switch {
	case event.Task == "stop", isRule && rule.DryRun:
	case isRule && rule.Sessions[0].CloseAt != nil:
		want = sentDocuments{"notify"}
	default:
		want = sentDocuments{event.Task}
	}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Errorf("documents of the commands sent (-want +got):\n%s", diff)
	}
	if again := s.table.Get("SessionId123")["AttemptId"] != "r1"; again != (event.Task == "deletions") {
		t.Errorf("record: %v", s.table.Get("SessionId123"))
	}
	if isRule != (event.Task == "close") || isRule && len(rule.Sessions) != 1 {
		t.Errorf("answer: %+v", answer)
	}
	if marked := s.table.Get("SessionIdabc")["State"] == "DELETING"; marked != (isRule && !rule.DryRun) {
		t.Errorf("record: %v", s.table.Get("SessionIdabc"))
	}
}

// sentDocuments is a Systems Manager that accepts every command.
type sentDocuments []string

func (s *sentDocuments) SendCommand(_ context.Context, in *ssm.SendCommandInput, _ ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	*s = append(*s, *in.DocumentName)
	return &ssm.SendCommandOutput{Command: &types.Command{CommandId: aws.String("e8d3c0e4-71f7-4491-898f-c9b35bee5f3b")}}, nil
}

func (s *sentDocuments) ListCommands(context.Context, *ssm.ListCommandsInput, ...func(*ssm.Options)) (*ssm.ListCommandsOutput, error) {
	return &ssm.ListCommandsOutput{}, nil
}

func (s *sentDocuments) DescribeInstanceInformation(context.Context, *ssm.DescribeInstanceInformationInput, ...func(*ssm.Options)) (*ssm.DescribeInstanceInformationOutput, error) {
	return nil, errors.New("asked for hosts at fault, though none was")
}

// instanceSample ends the open deletion on the stopped host, if EC2 confirms the stop.
func instanceSample(t *testing.T, text []byte) {
	event := parsed[lambdaevents.SQSEvent](t, text)
	s := newSystem(t, 0, "")
	deletion := open("SessionId123")
	deletion["HostId"], deletion["LiveHostId"] = "i-0123456789abcdef0", "i-0123456789abcdef0"
	s.table.Put(deletion)
	for _, test := range []struct {
		status session.HostStatus
		want   any
	}{{session.Alive, nil}, {session.Stopped, "host-gone"}} {
		h := s.hostEvents()
		h.Reaper.NewID, h.Reaper.Instances = awsenv.NewID, sameStatus(test.status)
		response, err := h.Handle(t.Context(), event)
		if err != nil || len(response.BatchItemFailures) > 0 {
			t.Fatalf("come again: %v, %v", response.BatchItemFailures, err)
		}
		if got := s.confirmations()["SessionId123"]; got != test.want {
			t.Errorf("status %v: confirmation %v, want %v", test.status, got, test.want)
		}
	}
}

// sameStatus is an EC2 with the same status for every host.
type sameStatus session.HostStatus

func (f sameStatus) Statuses(_ context.Context, hostIDs []string) (map[string]session.HostStatus, map[string]string, error) {
	statuses := map[string]session.HostStatus{}
	for _, id := range hostIDs {
		statuses[id] = session.HostStatus(f)
	}
	return statuses, nil, nil
}

// commandSample confirms the deletion of SessionId123.
func commandSample(t *testing.T, text []byte) {
	event := parsed[lambdaevents.SQSEvent](t, text)
	s := newSystem(t, 0, "")
	deletion := open("SessionId123")
	deletion["HostId"] = "i-0123456789abcdef0"
	s.table.Put(deletion)
	h := s.hostEvents()
	h.Reader = &runcommand.Reader{API: oneAnswer{t}}
	response, err := h.Handle(t.Context(), event)
	if err != nil || len(response.BatchItemFailures) > 0 {
		t.Fatalf("come again: %v, %v", response.BatchItemFailures, err)
	}
	if s.confirmations()["SessionId123"] != "closed" {
		t.Errorf("record: %v", s.table.Get("SessionId123"))
	}
}

// oneAnswer is a Systems Manager with the invocation of the sample.
type oneAnswer struct{ t *testing.T }

func (o oneAnswer) ListCommandInvocations(_ context.Context, in *ssm.ListCommandInvocationsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	if *in.CommandId != "e8d3c0e4-71f7-4491-898f-c9b35bee5f3b" {
		o.t.Errorf("asked for command %s", *in.CommandId)
	}
	return &ssm.ListCommandInvocationsOutput{CommandInvocations: []types.CommandInvocation{{
		CommandId: in.CommandId, InstanceId: aws.String("i-0123456789abcdef0"), Comment: aws.String("close r1"),
		Status: types.CommandInvocationStatusSuccess,
		CommandPlugins: []types.CommandPlugin{
			{Name: aws.String("linux"), Output: aws.String(`{"id":"SessionId123","result":"closed"}` + "\n")},
			{Name: aws.String("windows"), Output: aws.String("Step execution skipped due to unsatisfied preconditions")},
		},
	}}}, nil
}

func (o oneAnswer) GetCommandInvocation(context.Context, *ssm.GetCommandInvocationInput, ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	o.t.Error("a short output was read twice")
	return &ssm.GetCommandInvocationOutput{}, nil
}

// streamSample ends the deletion that it shows.
func streamSample(t *testing.T, text []byte) {
	event := parsed[lambdaevents.DynamoDBEvent](t, text)
	s := newSystem(t, 0, "")
	for _, shown := range event.Records {
		r := session.Record{}
		for attr, v := range shown.Change.NewImage {
			switch v.DataType() {
			case lambdaevents.DataTypeNumber:
				n, err := v.Integer()
				if err != nil {
					t.Fatal(err)
				}
				r[attr] = n
			case lambdaevents.DataTypeBoolean:
				r[attr] = v.Boolean()
			default:
				r[attr] = v.String()
			}
		}
		s.table.Put(r)
	}
	if failed := s.showJSON(text); len(failed) > 0 {
		t.Errorf("come again: %v", failed)
	}
	for id, state := range s.states() {
		if state != "DELETED" {
			t.Errorf("%s is %v", id, state)
		}
	}
}
