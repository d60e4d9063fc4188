package events_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	lambdaevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/events/hostevents"
	"dcv-session-broker/internal/events/sessionstream"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// open returns the record of an open deletion on host 0.
func open(id string) session.Record {
	r := confirmed(id)
	delete(r, "Confirmation")
	delete(r, "ConfirmedAt")
	return r
}

func tableOf(records ...session.Record) *memtable.Table {
	table := memtable.New()
	for _, r := range records {
		table.Put(r)
	}
	return table
}

func addSamples(f *testing.F, pattern string) {
	files, err := filepath.Glob("../../events/" + pattern)
	if err != nil || len(files) == 0 {
		f.Fatal("no samples", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
}

// For any stream record, only a confirmed deletion ends, and only records of the batch
// come again.
func FuzzStreamEvent(f *testing.F) {
	addSamples(f, "stream-*.json")
	image, err := json.Marshal(memtable.Change{EventName: "MODIFY", Sequence: "1", New: confirmed("confirmed")}.Event(t0, streamARN))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(fmt.Appendf(nil, `{"Records":[%s]}`, image))
	f.Add(fmt.Appendf(nil, `{"Records":[%s,%s,{}]}`, image, image))
	f.Add([]byte(`{"Records":[{"dynamodb":{"SequenceNumber":"1","NewImage":{"SessionId":{"S":"open"},"State":{"N":"1e999"},"Confirmation":{"L":[]}}}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var event lambdaevents.DynamoDBEvent
		if json.Unmarshal(text, &event) != nil {
			t.Skip("Lambda's runtime refuses it")
		}
		table := tableOf(confirmed("confirmed"), open("open"))
		handler := sessionstream.Handler{
			Finisher: &session.Finisher{Table: table, Now: func() time.Time { return t0 }, Log: slog.New(slog.DiscardHandler)},
			Log:      slog.New(slog.DiscardHandler),
		}
		response, err := handler.Handle(t.Context(), event)
		if err != nil {
			t.Fatal(err)
		}
		shown := map[string]bool{}
		for _, r := range event.Records {
			shown[r.Change.SequenceNumber] = true
		}
		for _, failed := range response.BatchItemFailures {
			if !shown[failed.ItemIdentifier] {
				t.Errorf("%q comes again, which never came", failed.ItemIdentifier)
			}
		}
		if diff := cmp.Diff(open("open"), table.Get("open")); diff != "" {
			t.Errorf("an unconfirmed deletion has changed:\n%s", diff)
		}
		if now := table.Get("confirmed"); now["State"] != "DELETED" {
			if diff := cmp.Diff(confirmed("confirmed"), now); diff != "" {
				t.Errorf("a confirmed deletion has changed, and not ended:\n%s", diff)
			}
		}
		if n := len(table.All()); n != 2 {
			t.Errorf("%d records", n)
		}
	})
}

// oneClosed is a Systems Manager with one command: host 0 reports the session "open" as
// closed, and also "others".
type oneClosed struct{}

func (oneClosed) ListCommandInvocations(_ context.Context, in *ssm.ListCommandInvocationsInput, _ ...func(*ssm.Options)) (*ssm.ListCommandInvocationsOutput, error) {
	if aws.ToString(in.CommandId) != "c1" {
		return &ssm.ListCommandInvocationsOutput{}, nil
	}
	return &ssm.ListCommandInvocationsOutput{CommandInvocations: []types.CommandInvocation{{
		CommandId: aws.String("c1"), InstanceId: aws.String(hostID(0)), Comment: aws.String("close r1"), Status: types.CommandInvocationStatusSuccess,
		CommandPlugins: []types.CommandPlugin{{Name: aws.String("linux"), Output: aws.String(
			`{"id":"open","result":"closed"}` + "\n" + `{"id":"others","result":"closed"}`)}},
	}}}, nil
}

func (oneClosed) GetCommandInvocation(context.Context, *ssm.GetCommandInvocationInput, ...func(*ssm.Options)) (*ssm.GetCommandInvocationOutput, error) {
	return nil, &types.InvocationDoesNotExist{}
}

// A message is only a reason to read the state: a false one changes nothing, and no
// other message comes again.
func FuzzQueueMessage(f *testing.F) {
	const events = `{"source":"aws.ssm","detail-type":"EC2 Command Invocation Status-change Notification","detail":{"command-id":"c1","instance-id":%q,"status":"Success"}}`
	f.Add(fmt.Sprintf(events, hostID(0)))
	f.Add(fmt.Sprintf(events, hostID(1)))
	for _, body := range []string{
		"", "null", "[]", "{}", `{"source":"aws.ssm"}`, `{"detail":{"command-id":["c1"]}}`, `{"source":"aws.ec2","detail-type":"EC2 Instance State-change Notification","detail":{"instance-id":"` + hostID(0) + `","state":"terminated"}}`,
	} {
		f.Add(body)
	}
	others := open("others")
	others["HostId"], others["LiveHostId"] = hostID(1), hostID(1)
	f.Fuzz(func(t *testing.T, body string) {
		table := tableOf(open("open"), others)
		now, log := func() time.Time { return t0.Add(time.Minute) }, slog.New(slog.DiscardHandler)
		reaper := &session.HostReaper{Table: table, Index: wholeIndex(table), Instances: alive{}, HostTable: memtable.NewHosts(), EndStopped: true, Now: now, NewID: awsenv.NewID, Log: log}
		handler := hostevents.Handler{
			Reader:          &runcommand.Reader{API: oneClosed{}},
			WarningRecorder: &session.WarningRecorder{Table: table, Now: now, Log: log},
			Confirmer:       &session.Confirmer{Table: table, Index: wholeIndex(table), Now: now, Log: log},
			Reconciler:      &session.InventoryReconciler{Table: table, Index: wholeIndex(table), Getter: memtable.Reader{Table: table}, HostTable: memtable.NewHosts(), MaxSessions: 1000, Now: now, Log: log},
			IdleRecorder:    &session.IdleRecorder{Table: table, Index: wholeIndex(table), Now: now, Log: log},
			Reaper:          reaper,
			Log:             log,
		}
		response, err := handler.Handle(t.Context(), lambdaevents.SQSEvent{Records: []lambdaevents.SQSMessage{{MessageId: "m1", Body: body}}})
		if err != nil {
			t.Fatal(err)
		}
		if failures := response.BatchItemFailures; len(failures) > 1 || len(failures) == 1 && failures[0].ItemIdentifier != "m1" {
			t.Errorf("come again: %v", failures)
		}
		if diff := cmp.Diff(others, table.Get("others")); diff != "" {
			t.Errorf("another host's deletion has changed:\n%s", diff)
		}
		got := table.Get("open")
		if got["Confirmation"] == "closed" {
			got = open("open")
		}
		if diff := cmp.Diff(open("open"), got); diff != "" {
			t.Errorf("the deletion has changed, and is not confirmed:\n%s", diff)
		}
		if n := len(table.All()); n != 2 {
			t.Errorf("%d records", n)
		}
	})
}
