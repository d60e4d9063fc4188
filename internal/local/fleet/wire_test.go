package fleet_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"dcv-session-broker/internal/awsenv/awsclient"
	"dcv-session-broker/internal/local/fleet"
	"dcv-session-broker/internal/template"
)

func client(t *testing.T, f *testFleet) *ssm.Client {
	t.Helper()
	server := httptest.NewServer(f.Handler())
	t.Cleanup(server.Close)
	return ssm.New(ssm.Options{
		BaseEndpoint: aws.String(server.URL),
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
		HTTPClient:   awsclient.Client(server.Client()), // makes no call twice
	})
}

// The client must read exactly what the method answers.
func TestAnUnmodifiedClientReadsEveryAnswerAsItWasMeant(t *testing.T) {
	d := linux("echo hello é; echo problem >&2")
	d.Parameters = map[string]template.DocumentParameter{"name": {EnvVar: true}}
	f := newFleet(t, fleet.Options{}, d)
	c := client(t, f)
	ids := f.hosts(12)
	sent, err := c.SendCommand(t.Context(), &ssm.SendCommandInput{
		DocumentName: aws.String("Test"), InstanceIds: ids[:1], Comment: aws.String("close 1"),
		Parameters: map[string][]string{"name": {"x"}}, TimeoutSeconds: aws.Int32(60),
		MaxErrors: aws.String("100%"), MaxConcurrency: aws.String("100%"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := sent.Command; *got.Comment != "close 1" || *got.TimeoutSeconds != 60 || got.TargetCount != 1 ||
		*got.MaxErrors != "100%" || !cmp.Equal(got.InstanceIds, ids[:1]) || got.Parameters["name"][0] != "x" ||
		time.Since(*got.RequestedDateTime).Abs() > time.Minute {
		t.Errorf("SendCommand answered %+v", got)
	}
	f.await(*sent.Command.CommandId, ids[0], "Success")

	same := func(what string, direct, wire any, directErr, wireErr error) {
		t.Helper()
		if directErr != nil || wireErr != nil {
			t.Fatalf("%s: %v; %v", what, directErr, wireErr)
		}
		diff := cmp.Diff(direct, wire, cmpopts.IgnoreUnexported(
			ssm.GetCommandInvocationOutput{}, ssm.ListCommandInvocationsOutput{}, ssm.DescribeInstanceInformationOutput{},
			ssm.DescribeDocumentOutput{}, ssm.GetDocumentOutput{}, types.DocumentDescription{},
			types.CommandInvocation{}, types.CommandPlugin{}, types.InstanceInformation{}),
			cmp.FilterPath(func(p cmp.Path) bool {
				return p.Last().String() == ".ResultMetadata" || p.Last().String() == ".LastPingDateTime"
			}, cmp.Ignore()),
			cmpopts.EquateApproxTime(time.Millisecond))
		if diff != "" {
			t.Errorf("%s (-method +client):\n%s", what, diff)
		}
	}
	get := &ssm.GetCommandInvocationInput{CommandId: sent.Command.CommandId, InstanceId: &ids[0], PluginName: aws.String("linux")}
	direct, directErr := f.GetCommandInvocation(t.Context(), get)
	wire, wireErr := c.GetCommandInvocation(t.Context(), get)
	same("GetCommandInvocation", direct, wire, directErr, wireErr)

	list := &ssm.ListCommandInvocationsInput{CommandId: sent.Command.CommandId, Details: true}
	directList, directErr := f.ListCommandInvocations(t.Context(), list)
	wireList, wireErr := c.ListCommandInvocations(t.Context(), list)
	same("ListCommandInvocations", directList, wireList, directErr, wireErr)

	describe := &ssm.DescribeInstanceInformationInput{Filters: filter("InstanceIds", ids...)}
	directNodes, directErr := f.DescribeInstanceInformation(t.Context(), describe)
	wireNodes, wireErr := c.DescribeInstanceInformation(t.Context(), describe)
	same("DescribeInstanceInformation", directNodes, wireNodes, directErr, wireErr)

	directText, directErr := f.GetDocument(t.Context(), &ssm.GetDocumentInput{Name: aws.String("Test")})
	wireText, wireErr := c.GetDocument(t.Context(), &ssm.GetDocumentInput{Name: aws.String("Test")})
	same("GetDocument", directText, wireText, directErr, wireErr)
	directAbout, directErr := f.DescribeDocument(t.Context(), &ssm.DescribeDocumentInput{Name: aws.String("Test")})
	wireAbout, wireErr := c.DescribeDocument(t.Context(), &ssm.DescribeDocumentInput{Name: aws.String("Test")})
	same("DescribeDocument", directAbout, wireAbout, directErr, wireErr)

	if _, err := c.CancelCommand(t.Context(), &ssm.CancelCommandInput{CommandId: sent.Command.CommandId}); err != nil {
		t.Errorf("CancelCommand: %v", err)
	}
}

func TestAnUnmodifiedClientReadsEveryErrorAsItsType(t *testing.T) {
	d := linux("exit 0")
	d.Steps = append(d.Steps, template.Step{Name: "second", Action: template.RunShellScript, Script: "exit 0", Timeout: time.Minute})
	d.Parameters = map[string]template.DocumentParameter{"name": {MaxChars: 1 << 20}}
	d.Steps[0].Script = "echo {{ name }}"
	windows := linux("exit 0")
	windows.LogicalID, windows.Steps[0].Action = "Windows", template.RunPowerShellScript
	f := newFleet(t, fleet.Options{}, d, windows)
	c := client(t, f)
	ids := f.hosts(3)
	f.do(f.Disconnect, ids[1])
	f.do(f.Untag, ids[2])
	send := func(document string, name []string, hosts ...string) error {
		in := &ssm.SendCommandInput{DocumentName: &document, InstanceIds: hosts}
		if name != nil {
			in.Parameters = map[string][]string{"name": name}
		}
		_, err := c.SendCommand(t.Context(), in)
		return err
	}
	x := []string{"x"}
	expect[*types.InvalidInstanceId](t, send("Test", x, ids[0], ids[1]))
	expect[*types.DuplicateInstanceId](t, send("Test", x, ids[0], ids[0]))
	expect[*types.InvalidDocument](t, send("Other", x, ids[0]))
	expect[*types.InvalidParameters](t, send("Test", nil, ids[0]))
	_, err := c.GetDocument(t.Context(), &ssm.GetDocumentInput{Name: aws.String("Other")})
	expect[*types.InvalidDocument](t, err)
	_, err = c.DescribeDocument(t.Context(), &ssm.DescribeDocumentInput{Name: aws.String("Test"), DocumentVersion: aws.String("2")})
	expect[*types.InvalidDocumentVersion](t, err)
	expect[*types.UnsupportedPlatformType](t, send("Windows", nil, ids[0]))
	expect[*types.MaxDocumentSizeExceeded](t, send("Test", []string{strings.Repeat("x", 66000)}, ids[0]))
	if err := send("Test", x, ids[0], ids[2]); code(err) != "AccessDeniedException" {
		t.Errorf("a host without the tag: %v", err)
	}
	if err := send("Test", x, "host"); code(err) != "ValidationException" {
		t.Errorf("an ID of another kind: %v", err)
	}

	_, err = c.GetCommandInvocation(t.Context(), &ssm.GetCommandInvocationInput{
		CommandId: aws.String("00000000-0000-0000-0000-000000000000"), InstanceId: &ids[0],
	})
	expect[*types.InvocationDoesNotExist](t, err)
	command := f.sendInput(&ssm.SendCommandInput{InstanceIds: ids[:1], Parameters: map[string][]string{"name": x}})
	_, err = c.GetCommandInvocation(t.Context(), &ssm.GetCommandInvocationInput{CommandId: &command, InstanceId: &ids[0]})
	expect[*types.InvalidPluginName](t, err)
	_, err = c.ListCommandInvocations(t.Context(), &ssm.ListCommandInvocationsInput{NextToken: aws.String("x")})
	expect[*types.InvalidNextToken](t, err)
	_, err = c.DescribeInstanceInformation(t.Context(), &ssm.DescribeInstanceInformationInput{Filters: filter("Colour", "red")})
	expect[*types.InvalidFilterKey](t, err)
	_, err = c.CancelCommand(t.Context(), &ssm.CancelCommandInput{CommandId: aws.String("00000000-0000-0000-0000-000000000000")})
	expect[*types.InvalidCommandId](t, err)
	_, err = c.ListCommands(t.Context(), &ssm.ListCommandsInput{NextToken: aws.String("x")})
	expect[*types.InvalidNextToken](t, err)
	_, err = c.ListDocuments(t.Context(), &ssm.ListDocumentsInput{})
	if code(err) != "UnknownOperationException" {
		t.Errorf("an operation that is not simulated: %v", err)
	}
}

func expect[E error](t *testing.T, err error) {
	t.Helper()
	var want E
	if !errors.As(err, &want) {
		t.Errorf("got %v, want a %T", err, want)
	}
}

func TestRequestsThatAreNotOfTheProtocolAreRefused(t *testing.T) {
	f := newFleet(t, fleet.Options{})
	for _, c := range []struct{ method, target, body, want string }{
		{http.MethodGet, "AmazonSSM.SendCommand", "{}", "UnknownOperationException"},
		{http.MethodPost, "DynamoDB_20120810.GetItem", "{}", "UnknownOperationException"},
		{http.MethodPost, "AmazonSSM.SendCommand", "{", "SerializationException"},
		{http.MethodPost, "AmazonSSM.SendCommand", `{"InstanceIds": "i-01234567"}`, "SerializationException"},
		{http.MethodPost, "AmazonSSM.SendCommand", strings.Repeat(" ", 2<<20), "SerializationException"},
	} {
		request := httptest.NewRequestWithContext(t.Context(), c.method, "/", strings.NewReader(c.body))
		request.Header.Set("X-Amz-Target", c.target)
		response := httptest.NewRecorder()
		f.Handler().ServeHTTP(response, request)
		body, err := io.ReadAll(response.Result().Body)
		if err != nil || response.Code != http.StatusBadRequest || !strings.Contains(string(body), c.want) {
			t.Errorf("%s %s: %d %s, %v; want %s", c.method, c.target, response.Code, body, err, c.want)
		}
	}
}
