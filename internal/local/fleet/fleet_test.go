package fleet_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/template"
)

// A fleet under test, with the events that it emitted.
type testFleet struct {
	*fleet.Fleet
	t *testing.T

	mu     sync.Mutex
	events []event
}

type event struct {
	Source     string
	DetailType string `json:"detail-type"`
	Time       time.Time
	Region     string
	Account    string
	ID         string
	Resources  []string
	Detail     map[string]string
}

func newFleet(t *testing.T, opts fleet.Options, documents ...template.Document) *testFleet {
	t.Helper()
	tf := &testFleet{t: t}
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	opts.FleetTagValue = "test"
	opts.Documents = documents
	opts.Emit = func(raw json.RawMessage) {
		var e event
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Errorf("event %s: %v", raw, err)
		}
		tf.mu.Lock()
		defer tf.mu.Unlock()
		tf.events = append(tf.events, e)
	}
	var err error
	if tf.Fleet, err = fleet.New(opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tf.Close)
	return tf
}

// linux returns a document of one step.
func linux(script string) template.Document {
	return template.Document{
		LogicalID: "Test",
		Steps: []template.Step{{
			Name: "linux", Action: template.RunShellScript, Platform: "Linux", Script: script, Timeout: time.Minute,
		}},
		Size: len(script),
	}
}

// host starts the n-th host with a session, and returns its ID.
func (f *testFleet) host(n int) string {
	f.t.Helper()
	id := fmt.Sprintf("i-%017d", n)
	f.startSession(id, fleet.Session{ID: fmt.Sprintf("session-%d", n), Owner: "user"})
	return id
}

func (f *testFleet) hosts(count int) []string {
	f.t.Helper()
	var ids []string
	for n := range count {
		ids = append(ids, f.host(n))
	}
	return ids
}

func (f *testFleet) startSession(hostID string, s fleet.Session) fleet.Session {
	f.t.Helper()
	started, err := f.StartSession(hostID, s)
	if err != nil {
		f.t.Fatal(err)
	}
	return started
}

func (f *testFleet) do(action func(string) error, hostID string) {
	f.t.Helper()
	if err := action(hostID); err != nil {
		f.t.Fatal(err)
	}
}

// send sends the document Test with the defaults, and returns the command's ID.
func (f *testFleet) send(hosts ...string) string {
	f.t.Helper()
	return f.sendInput(&ssm.SendCommandInput{InstanceIds: hosts})
}

func (f *testFleet) sendInput(in *ssm.SendCommandInput) string {
	f.t.Helper()
	if in.DocumentName == nil {
		in.DocumentName = aws.String("Test")
	}
	out, err := f.SendCommand(f.t.Context(), in)
	if err != nil {
		f.t.Fatal(err)
	}
	return *out.Command.CommandId
}

// status returns the detailed status of a command on a host.
func (f *testFleet) status(command, host string) string {
	f.t.Helper()
	return aws.ToString(f.invocation(command, host).StatusDetails)
}

func (f *testFleet) invocation(command, host string) types.CommandInvocation {
	f.t.Helper()
	out, err := f.ListCommandInvocations(f.t.Context(), &ssm.ListCommandInvocationsInput{
		CommandId: &command, InstanceId: &host, Details: true,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	if len(out.CommandInvocations) != 1 {
		f.t.Fatalf("%d invocations on host %s, want 1", len(out.CommandInvocations), host)
	}
	return out.CommandInvocations[0]
}

// await waits until a command has that status on a host.
func (f *testFleet) await(command, host, status string) types.CommandInvocation {
	f.t.Helper()
	eventually(f.t, func() error {
		if got := f.status(command, host); got != status {
			return fmt.Errorf("the command is %s on host %s, want %s", got, host, status)
		}
		return nil
	})
	return f.invocation(command, host)
}

func (f *testFleet) step(command, host, step string) *ssm.GetCommandInvocationOutput {
	f.t.Helper()
	out, err := f.GetCommandInvocation(f.t.Context(), &ssm.GetCommandInvocationInput{
		CommandId: &command, InstanceId: &host, PluginName: &step,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

// statuses returns the statuses in the events of commands on a host.
func (f *testFleet) statuses(host string) []string {
	return f.details("EC2 Command Invocation Status-change Notification", host, "status")
}

// details returns the values of that name in the events of that type on a host.
func (f *testFleet) details(detailType, host, name string) (values []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.events {
		if e.DetailType == detailType && e.Detail["instance-id"] == host {
			values = append(values, e.Detail[name])
		}
	}
	return values
}

func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Minute)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
