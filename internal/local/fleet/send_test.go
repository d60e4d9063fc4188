package fleet_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/template"
)

// withParameters returns a document with the parameters "name" (required) and "greeting" (optional).
func withParameters() template.Document {
	d := linux("echo {{ greeting }} {{ name }} {{name}}")
	hello := "hello"
	d.Parameters = map[string]template.DocumentParameter{
		"name":     {AllowedPattern: regexp.MustCompile(`^[a-z{} ]*$`), MaxChars: 33000},
		"greeting": {Default: &hello, MinChars: 2, AllowedValues: []string{"hello", "hi"}},
	}
	return d
}

func code(err error) string {
	var refusal smithy.APIError
	if errors.As(err, &refusal) {
		return refusal.ErrorCode()
	}
	return fmt.Sprint(err)
}

// Every case is refused as a whole: no host runs anything.
func TestSendCommandRefusesWhatSystemsManagerRefuses(t *testing.T) {
	windows := linux("exit 0")
	windows.LogicalID = "Windows"
	windows.Steps[0].Action, windows.Steps[0].Platform = template.RunPowerShellScript, "Windows"
	f := newFleet(t, fleet.Options{}, withParameters(), windows)
	ids := f.hosts(6)
	good, stopped, lost, untagged := ids[0], ids[1], ids[2], ids[3]
	f.do(f.Stop, stopped)
	f.do(f.Disconnect, lost)
	f.do(f.Untag, untagged)
	var many []string
	for n := range 51 {
		many = append(many, fmt.Sprintf("i-%08d", n))
	}
	named := map[string][]string{"name": {"x"}}
	tag := []types.Target{{Key: aws.String("tag:DcvFleet"), Values: []string{"test"}}}

	for _, c := range []struct {
		what, want string
		in         ssm.SendCommandInput
	}{
		{"a stopped host among others", "InvalidInstanceId", ssm.SendCommandInput{InstanceIds: []string{good, stopped}, Parameters: named}},
		{"a disconnected host among others", "InvalidInstanceId", ssm.SendCommandInput{InstanceIds: []string{good, lost}, Parameters: named}},
		{"a host that does not exist", "InvalidInstanceId", ssm.SendCommandInput{InstanceIds: []string{good, "i-99999999"}, Parameters: named}},
		{"a host without the tag", "AccessDeniedException", ssm.SendCommandInput{InstanceIds: []string{good, untagged}, Parameters: named}},
		{"without the tag, and disconnected ones", "AccessDeniedException", ssm.SendCommandInput{InstanceIds: []string{lost, untagged}, Parameters: named}},
		{"a host of another platform", "UnsupportedPlatformType", ssm.SendCommandInput{InstanceIds: []string{good}, DocumentName: aws.String("Windows")}},
		{"a host twice", "DuplicateInstanceId", ssm.SendCommandInput{InstanceIds: []string{good, good}, Parameters: named}},
		{"51 hosts", "ValidationException", ssm.SendCommandInput{InstanceIds: many, Parameters: named}},
		{"an ID of another kind", "ValidationException", ssm.SendCommandInput{InstanceIds: []string{"host-1"}, Parameters: named}},
		{"no host", "ValidationException", ssm.SendCommandInput{Parameters: named}},
		{"hosts and targets", "ValidationException", ssm.SendCommandInput{InstanceIds: []string{good}, Targets: tag, Parameters: named}},
		{"a comment of 101 characters", "ValidationException", ssm.SendCommandInput{InstanceIds: []string{good}, Parameters: named, Comment: aws.String(strings.Repeat("é", 101))}},
		{"29 seconds to deliver", "ValidationException", ssm.SendCommandInput{InstanceIds: []string{good}, Parameters: named, TimeoutSeconds: aws.Int32(29)}},
		{"31 days to deliver", "ValidationException", ssm.SendCommandInput{InstanceIds: []string{good}, Parameters: named, TimeoutSeconds: aws.Int32(2592001)}},
		{"MaxErrors", "ValidationException", ssm.SendCommandInput{InstanceIds: []string{good}, Parameters: named, MaxErrors: aws.String("101%")}},
		{"MaxConcurrency", "ValidationException", ssm.SendCommandInput{InstanceIds: []string{good}, Parameters: named, MaxConcurrency: aws.String("0")}},
		{"output to a bucket", "ValidationException", ssm.SendCommandInput{InstanceIds: []string{good}, Parameters: named, OutputS3BucketName: aws.String("b")}},
		{"an unknown document", "InvalidDocument", ssm.SendCommandInput{InstanceIds: []string{good}, DocumentName: aws.String("Other")}},
		{"an unknown version", "InvalidDocumentVersion", ssm.SendCommandInput{InstanceIds: []string{good}, DocumentVersion: aws.String("7")}},
		{"a missing parameter", "InvalidParameters", ssm.SendCommandInput{InstanceIds: []string{good}}},
		{"an unknown parameter", "InvalidParameters", ssm.SendCommandInput{InstanceIds: []string{good}, Parameters: map[string][]string{"name": {"x"}, "other": {"x"}}}},
		{"two values for a String", "InvalidParameters", ssm.SendCommandInput{InstanceIds: []string{good}, Parameters: map[string][]string{"name": {"x", "y"}}}},
		{"a value that the pattern does not allow", "InvalidParameters", ssm.SendCommandInput{InstanceIds: []string{good}, Parameters: map[string][]string{"name": {"X"}}}},
		{"a value that is not among those allowed", "InvalidParameters", ssm.SendCommandInput{InstanceIds: []string{good}, Parameters: map[string][]string{"name": {"x"}, "greeting": {"hey"}}}},
		{"a value that is too short", "InvalidParameters", ssm.SendCommandInput{InstanceIds: []string{good}, Parameters: map[string][]string{"name": {"x"}, "greeting": {"h"}}}},
		{"a value that is too long", "InvalidParameters", ssm.SendCommandInput{InstanceIds: []string{good}, Parameters: map[string][]string{"name": {strings.Repeat("x", 33001)}}}},
		{"a reference to Parameter Store", "InvalidParameters", ssm.SendCommandInput{InstanceIds: []string{good}, Parameters: map[string][]string{"name": {"{{ssm}}"}}}},
		{"64 KB with the parameters pasted", "MaxDocumentSizeExceeded", ssm.SendCommandInput{InstanceIds: []string{good}, Parameters: map[string][]string{"name": {strings.Repeat("x", 32768)}}}},
	} {
		t.Run(c.what, func(t *testing.T) {
			if c.in.DocumentName == nil {
				c.in.DocumentName = aws.String("Test")
			}
			_, err := f.SendCommand(t.Context(), &c.in)
			if code(err) != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	if got := f.statuses(good); got != nil {
		t.Errorf("refused commands made events: %v", got)
	}
}

func TestSendCommandAnswersWithTheCommandAsItWasTaken(t *testing.T) {
	f := newFleet(t, fleet.Options{}, withParameters())
	host := f.host(1)
	out, err := f.SendCommand(t.Context(), &ssm.SendCommandInput{
		DocumentName: aws.String("Test"), InstanceIds: []string{host}, Comment: aws.String("close 1"),
		Parameters: map[string][]string{"name": {"x"}}, TimeoutSeconds: aws.Int32(60),
	})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Command
	if c.Status != types.CommandStatusPending || *c.Comment != "close 1" || *c.MaxErrors != "0" || *c.MaxConcurrency != "50" ||
		c.TargetCount != 1 || *c.TimeoutSeconds != 60 || c.ExpiresAfter.Sub(*c.RequestedDateTime).Seconds() != 120 {
		t.Errorf("answered with %+v", c)
	}
	if got := *f.invocation(*c.CommandId, host).Comment; got != "close 1" {
		t.Errorf("the invocation's comment is %q", got)
	}
}

func TestTargetsByTagReachWhoCarriesItAndCanBeReached(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux("exit 0"))
	ids := f.hosts(4)
	f.do(f.Stop, ids[1])
	f.do(f.Disconnect, ids[2])
	f.do(f.Untag, ids[3])
	command := f.sendInput(&ssm.SendCommandInput{
		Targets: []types.Target{{Key: aws.String("tag:DcvFleet"), Values: []string{"other", "test"}}},
	})
	f.await(command, ids[0], "Success")
	for _, id := range ids[1:3] {
		if got := f.invocation(command, id); got.Status != types.CommandInvocationStatusFailed || *got.StatusDetails != "Undeliverable" {
			t.Errorf("host %s: %s, %s", id, got.Status, *got.StatusDetails)
		}
	}
	all, err := f.ListCommandInvocations(t.Context(), &ssm.ListCommandInvocationsInput{CommandId: &command})
	if err != nil || len(all.CommandInvocations) != 3 {
		t.Errorf("%d invocations, %v; want 3: none for the host without the tag", len(all.CommandInvocations), err)
	}
}

func TestTargetsThatNobodyMatchesMakeACommandForNobody(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux("exit 0"))
	f.hosts(2)
	command := f.sendInput(&ssm.SendCommandInput{Targets: []types.Target{{Key: aws.String("tag:DcvFleet"), Values: []string{"other"}}}})
	all, err := f.ListCommandInvocations(t.Context(), &ssm.ListCommandInvocationsInput{CommandId: &command})
	if err != nil || len(all.CommandInvocations) != 0 {
		t.Errorf("%d invocations, %v", len(all.CommandInvocations), err)
	}
}

func TestAHostWithoutTheTagIsAcceptedAfterTagging(t *testing.T) {
	f := newFleet(t, fleet.Options{}, linux("exit 0"))
	host := f.host(1)
	for _, action := range []struct{ take, give func(string) error }{
		{f.Untag, f.Tag}, {f.Disconnect, f.Reconnect}, {f.Stop, f.Start},
	} {
		f.do(action.take, host)
		if _, err := f.SendCommand(t.Context(), &ssm.SendCommandInput{DocumentName: aws.String("Test"), InstanceIds: []string{host}}); err == nil {
			t.Error("the host was taken")
		}
		f.do(action.give, host)
		f.await(f.send(host), host, "Success")
	}
}
