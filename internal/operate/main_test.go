package main

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/local/system"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template"
)

// dcvbroker runs the program and returns its output, which must contain no secret, and its exit code.
func dcvbroker(t *testing.T, typed string, args ...string) (said string, status int) {
	t.Helper()
	var out strings.Builder
	p := program{in: strings.NewReader(typed), out: &out, err: &out, getenv: os.Getenv, now: time.Now, pause: 20 * time.Millisecond}
	status = p.run(t.Context(), args)
	said = out.String()
	for _, secret := range []string{clientSecret, apiToken} {
		if strings.Contains(said, secret) {
			t.Errorf("%s is shown:\n%s", secret, said)
		}
	}
	return said, status
}

// startSystem starts the whole system on one machine.
func startSystem(t *testing.T, opts system.Options) (sys *system.System, url string) {
	t.Helper()
	opts.Template, opts.Dir = "../../template.yaml", t.TempDir()
	if opts.Every == nil {
		opts.Every = map[string]time.Duration{"deletions": -1, "inventory": -1, "idle": -1}
	}
	sys, err := system.New(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	server := httptest.NewServer(sys.Handler())
	t.Cleanup(server.Close)
	return sys, server.URL
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(body))
}

func TestSmokeOnOneMachine(t *testing.T) {
	for _, mode := range []string{"purge", "best-effort"} {
		t.Run(mode, func(t *testing.T) {
			_, url := startSystem(t, system.Options{Token: apiToken, Parameters: map[string]string{"ForceMode": mode}})
			said, status := dcvbroker(t, "", "smoke", "--url", url+"/")
			if status != exitDone || !strings.Contains(said, "the whole path works") {
				t.Errorf("%d\n%s", status, said)
			}
			if records := get(t, url+"/local/sessions"); records != "[]" {
				t.Errorf("left in the table: %s", records)
			}
			if hosts := get(t, url+"/local/hosts"); strings.Contains(hosts, "smoke-") {
				t.Errorf("left on its host: %s", hosts)
			}
		})
	}
}

// The stack's table, stream, functions and user pool are simulated.
func TestSmokeOfAStack(t *testing.T) {
	endpoint := dynamodblocal.ForTest(t)
	_, url := startSystem(t, system.Options{Token: apiToken, DynamoDB: endpoint, DynamoDBKey: dynamodblocal.TestKey})
	a := &account{
		outputs: map[string]string{
			"ApiUrl": url, "TokenUrl": url + "/oauth2/token", "ClientId": "client", "UserPoolId": "us-east-1_pool", "SessionsTableName": "SessionsTable",
		},
		parameters: map[string]string{"Scope": "dcv-session-manager/sm_scope", "Issuer": ""},
	}
	a.serve(t)
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", endpoint)

	said, status := dcvbroker(t, "", "smoke", "--stack", stackName)
	if status != exitDone {
		t.Fatalf("%d\n%s", status, said)
	}
	for _, want := range []string{"stack studio (UPDATE_COMPLETE), " + url, "call without it: refused", "DELETED (", "the whole path works"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in\n%s", want, said)
		}
	}
	if records := get(t, url+"/local/sessions"); records != "[]" {
		t.Errorf("left in the table: %s", records)
	}

	t.Run("with a token of one's own", func(t *testing.T) {
		a.parameters["Issuer"] = "https://login.example.com"
		if said, status := dcvbroker(t, "", "smoke", "--stack", stackName); status != exitNotRun || !strings.Contains(said, "set TOKEN to one") {
			t.Errorf("%d\n%s", status, said)
		}
		t.Setenv("TOKEN", apiToken)
		if said, status := dcvbroker(t, "", "smoke", "--stack", stackName); status != exitDone {
			t.Errorf("%d\n%s", status, said)
		}
		t.Setenv("TOKEN", "")
		t.Setenv("TOKEN_URL", url+"/oauth2/token")
		t.Setenv("CLIENT_ID", "any")
		t.Setenv("CLIENT_SECRET", clientSecret)
		if said, status := dcvbroker(t, "", "smoke", "--stack", stackName); status != exitDone {
			t.Errorf("%d\n%s", status, said)
		}
	})

	t.Run("that does not work", func(t *testing.T) {
		a.parameters["Issuer"], a.outputs["SessionsTableName"] = "", "AnotherTable"
		said, status := dcvbroker(t, "", "smoke", "--stack", stackName)
		if status != exitUnsuccessful || !strings.Contains(said, "FAILED  list a test session: put smoke-") || !strings.Contains(said, "look at ") {
			t.Errorf("%d\n%s", status, said)
		}
	})
}

func TestDoctorOnOneMachine(t *testing.T) {
	sys, url := startSystem(t, system.Options{})
	call(t, http.MethodPut, url+"/local/hosts/i-00000000000000001/sessions/s-1", `{"Owner": "user1"}`)
	call(t, http.MethodPut, url+"/local/hosts/i-00000000000000002/sessions/s-1", `{"Owner": "user1"}`)

	doctor := []string{"doctor", "--url", url}
	if said, status := dcvbroker(t, "", doctor...); status != exitDone || !strings.Contains(flat(said), "0 faults") {
		t.Errorf("%d\n%s", status, said)
	}
	call(t, http.MethodPost, url+"/local/hosts/i-00000000000000002/silence", "")
	if said, status := dcvbroker(t, "", doctor...); status != exitUnsuccessful || !strings.Contains(flat(said), "FAULT i-00000000000000002 is ConnectionLost") || !strings.Contains(said, "\n1 fault\n") {
		t.Errorf("%d\n%s", status, said)
	}
	if said, status := dcvbroker(t, "", append(doctor, "i-00000000000000001")...); status != exitDone || !strings.Contains(flat(said), "0 faults") {
		t.Errorf("%d\n%s", status, said)
	}

	t.Run("a host with more sessions than an answer holds", func(t *testing.T) {
		const host = "i-00000000000000003"
		for range 300 { // random IDs, which cannot be compressed
			call(t, http.MethodPut, url+"/local/hosts/"+host+"/sessions/"+rand.Text()+rand.Text()+rand.Text()+rand.Text(), `{"Owner": "user1"}`)
		}
		awaitInventory(t, url, host)
		said, status := dcvbroker(t, "", append(doctor, host)...)
		if status != exitUnsuccessful || !strings.Contains(flat(said), "FAULT "+host+" did not list all of its sessions in any of its inventories") {
			t.Errorf("%d\n%s", status, said)
		}
	})

	t.Run("of a stack", func(t *testing.T) {
		sent := time.Now().Add(-time.Minute)
		a := &account{
			outputs:    map[string]string{"HostsTableName": "studio-HostsTable-1", "Version": "v1.2.3"},
			parameters: map[string]string{"FleetTagValue": "default", "InventoryMinutes": "5"},
			answers: map[string]any{"BatchGetItem": map[string]any{"Responses": map[string]any{"studio-HostsTable-1": []any{map[string]any{
				"HostId":          map[string]string{"S": "i-00000000000000001"},
				"InventorySentAt": map[string]string{"S": session.FormatTime(sent)},
				"CompleteAt":      map[string]string{"S": session.FormatTime(sent.Add(-5 * time.Minute))},
			}}}}},
			resources: map[string]string{"CloseDocument": "CloseDocument", "NotifyDocument": "NotifyDocument", "InventoryDocument": "InventoryDocument", "IdleDocument": "studio-IdleDocument-1"},
			template:  processed(t),
		}
		a.serve(t)
		systemsManager, instances := httptest.NewServer(sys.SystemsManager()), httptest.NewServer(sys.EC2())
		defer systemsManager.Close()
		defer instances.Close()
		t.Setenv("AWS_ENDPOINT_URL_SSM", systemsManager.URL)
		t.Setenv("AWS_ENDPOINT_URL_EC2", instances.URL)
		said, status := dcvbroker(t, "", "doctor", "--stack", stackName)
		if status != exitUnsuccessful || !strings.Contains(flat(said), "FAULT IdleDocument (studio-IdleDocument-1) does not exist") || !strings.Contains(flat(said), "2 faults") ||
			!strings.Contains(flat(said), "note the stack is release v1.2.3, this dcvbroker is devel: use the dcvbroker of the stack's release") ||
			!strings.Contains(flat(said), "note i-00000000000000001 did not list all of its sessions in its inventory of "+sent.UTC().Format("2006-01-02 15:04:05 UTC")) {
			t.Errorf("%d\n%s", status, said)
		}
		a.answers["BatchGetItem"] = map[string]any{}

		call(t, http.MethodPost, url+"/local/hosts/i-00000000000000002/speak", "")
		a.resources["IdleDocument"] = "IdleDocument"
		said, status = dcvbroker(t, "", "doctor", "--stack", stackName)
		if status != exitDone || !strings.Contains(flat(said), "ok CloseDocument (CloseDocument): version 1, as deployed") || !strings.Contains(flat(said), "note each of these 3 has answered no inventory") {
			t.Errorf("%d\n%s", status, said)
		}

		call(t, http.MethodPost, url+"/local/hosts/i-00000000000000002/unmanage", "")
		if said, _ = dcvbroker(t, "", "doctor", "--stack", stackName); !strings.Contains(said, "--policy-arn arn:aws-us-gov:iam::aws:policy/") {
			t.Errorf("it says, in GovCloud:\n%s", said)
		}

		a.template = strings.Replace(a.template, "Closes the DCV sessions that", "Closes no DCV sessions that", 1)
		said, status = dcvbroker(t, "", "doctor", "--stack", stackName)
		if status != exitUnsuccessful || !strings.Contains(flat(said), "FAULT CloseDocument (CloseDocument) is not what the deployed template has") {
			t.Errorf("%d\n%s", status, said)
		}

		for _, other := range []string{`{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}`, "Resources: {}"} {
			a.template = other
			if said, status = dcvbroker(t, "", "doctor", "--stack", stackName); status != exitNotRun || !strings.Contains(flat(said), "the template of stack studio ") {
				t.Errorf("%d\n%s", status, said)
			}
		}
	})
}

// flat joins the lines of a text.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

func read(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// processed returns the documents of the template as CloudFormation returns them. CloudFormation would return characters
// outside ASCII as question marks. https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/814
func processed(t *testing.T) string {
	t.Helper()
	written, err := template.Parse(read(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	resources := map[string]any{}
	for _, d := range written.Documents() {
		resources[d.LogicalID] = map[string]any{"Type": "AWS::SSM::Document", "Properties": map[string]any{"Content": json.RawMessage(d.Content)}}
		if strings.ContainsFunc(d.Content, func(r rune) bool { return r > unicode.MaxASCII }) {
			t.Errorf("%s has characters that doctor could not compare", d.LogicalID)
		}
	}
	text, err := json.Marshal(map[string]any{"Resources": resources})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRedriveOfAStack(t *testing.T) {
	a := &account{
		outputs: map[string]string{"HostEventsDeadLetterQueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/dead"},
		answers: map[string]any{
			"GetQueueAttributes":   map[string]any{"Attributes": map[string]string{"QueueArn": "arn:aws:sqs:us-east-1:123456789012:dead", "ApproximateNumberOfMessages": "2"}},
			"ListMessageMoveTasks": map[string]any{"Results": []any{map[string]any{"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": 2}}},
			"StartMessageMoveTask": map[string]any{"TaskHandle": "task"},
		},
	}
	a.serve(t)
	said, status := dcvbroker(t, "", "redrive", "--stack", stackName)
	if status != exitDone || !strings.Contains(said, "2 put back") || !slices.Contains(a.asked, "StartMessageMoveTask") {
		t.Errorf("%d\n%s\n%q", status, said, a.asked)
	}
}

func TestDeleteStackAsksFirst(t *testing.T) {
	for _, c := range []struct {
		typed string
		args  []string
		sure  bool
	}{
		{"", nil, false}, {"y\n", nil, false}, {"another\n", nil, false}, {"studio\n", nil, true}, {" studio ", nil, true},
		{"", []string{"--confirm", "studio"}, true}, {"studio\n", []string{"--confirm", "another"}, false},
	} {
		a := &account{}
		a.serve(t)
		said, status := dcvbroker(t, c.typed, append([]string{"delete-stack", "--stack", stackName}, c.args...)...)
		if deleted := slices.Contains(a.asked, "DeleteStack"); deleted != c.sure || status != exitNotRun {
			t.Errorf("%q %q: deleted %v, %d", c.typed, c.args, deleted, status)
		}
		if nobody := c.typed == "" && c.args == nil; strings.Contains(said, "give --confirm studio (make: CONFIRM=studio)") != nobody {
			t.Errorf("%q %q: %s", c.typed, c.args, said)
		}
	}
	if said, status := dcvbroker(t, "", "delete-stack", "--table", "drop"); status != exitNotRun || !strings.Contains(said, `invalid argument "drop" for "--table" flag: it can be keep, delete`) {
		t.Errorf("%d\n%s", status, said)
	}
}

func TestMissingStackIsReported(t *testing.T) {
	a := &account{}
	a.serve(t)
	for _, command := range []string{"stuck", "smoke", "doctor", "redrive", "delete-stack"} {
		said, status := dcvbroker(t, "", command, "--stack", "nowhere")
		if status != exitNotRun || !strings.Contains(said, "there is no stack nowhere in us-east-1, in the account of these credentials") {
			t.Errorf("%s: %d\n%s", command, status, said)
		}
	}
	if said, status := dcvbroker(t, "", "smoke", "--stack", stackName); status != exitNotRun || !strings.Contains(said, "has no output ApiUrl") {
		t.Errorf("%d", status)
	}
	t.Setenv("AWS_REGION", "")
	if said, status := dcvbroker(t, "", "redrive", "--stack", stackName); status != exitNotRun || !strings.Contains(said, "set AWS_REGION") {
		t.Errorf("%d\n%s", status, said)
	}
	for _, args := range [][]string{{"fly"}, {"smoke", "--fast"}, {"smoke", "now"}} {
		if said, status := dcvbroker(t, "", args...); status != exitNotRun || !strings.Contains(said, "--help") {
			t.Errorf("%q: %d\n%s", args, status, said)
		}
	}
}

func call(t *testing.T, method, url, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %d", method, url, resp.StatusCode)
	}
}
