package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/local/system"
)

// An openedPage is a page that dcvbroker page serves.
type openedPage struct {
	address, secret string
	interrupt       func() (status int)
}

func openPage(t *testing.T, args ...string) *openedPage {
	t.Helper()
	out, printed := io.Pipe()
	p := program{out: printed, err: io.Discard, getenv: os.Getenv, now: time.Now, cacheDir: t.TempDir()}
	ctx, interrupt := context.WithCancel(t.Context())
	status := make(chan int, 1)
	go func() {
		defer printed.Close()
		status <- p.run(ctx, append([]string{"page"}, args...))
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address, secret, _ := strings.Cut(strings.TrimSpace(line), "/#")
	return &openedPage{address, secret, func() int { interrupt(); return <-status }}
}

func (p *openedPage) call(t *testing.T, method, path, body string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+p.secret)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func (p *openedPage) ask(t *testing.T, method, path, body string) string {
	t.Helper()
	resp := p.call(t, method, path, body)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// first returns the first frame of the page's events, which has all that the page shows.
func (p *openedPage) first(t *testing.T) string {
	t.Helper()
	resp := p.call(t, http.MethodGet, "/local/events", "")
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if data, isData := strings.CutPrefix(lines.Text(), "data: "); isData {
			return data
		}
	}
	t.Fatal("no frame")
	return ""
}

// The page runs from any folder, deletes for a user with its address, explains, and ends without an error when it is
// interrupted.
func TestPageOfAnAPI(t *testing.T) {
	_, url := startSystem(t, system.Options{Token: apiToken})
	call(t, http.MethodPut, url+"/local/hosts/"+hostOf(1)+"/sessions/a", `{"Owner": "user1"}`)
	t.Setenv("TOKEN", apiToken)
	t.Chdir(t.TempDir())
	p := openPage(t, "--url", url)
	if got := p.ask(t, http.MethodPost, "/deleteSessions", `[{"SessionId": "a", "Owner": "user1", "GracePeriodSeconds": 600}]`); !strings.Contains(got, `"CloseAt"`) {
		t.Error(got)
	}
	wantIn(t, p.ask(t, http.MethodGet, "/local/explanations/a", ""), "What happens next")
	wantIn(t, get(t, url+"/local/sessions"), `"State":"DELETING"`)
	if got := p.interrupt(); got != exitDone {
		t.Errorf("exit %d", got)
	}
}

// For a stack the page reads the sessions from its API and the hosts' answers from its table, with a token of its user
// pool.
func TestPageOfAStack(t *testing.T) {
	endpoint := dynamodblocal.ForTest(t)
	_, url := startSystem(t, system.Options{Token: apiToken, DynamoDB: endpoint, DynamoDBKey: dynamodblocal.TestKey + "page"})
	call(t, http.MethodPut, url+"/local/hosts/"+hostOf(1)+"/sessions/a", `{"Owner": "user1"}`)
	call(t, http.MethodPost, url+"/local/cleanup/inventory", "")
	awaitRecord(t, url, "a", "ObservedAt")
	a := &account{
		outputs: map[string]string{
			"ApiUrl": url, "TokenUrl": url + "/oauth2/token", "ClientId": "client", "UserPoolId": "us-east-1_pool",
			"SessionsTableName": "SessionsTable", "HostsTableName": "HostsTable",
		},
		parameters: map[string]string{"Scope": defaultScope, "Issuer": "", "GiveUpAfterMinutes": "60", "IndexStep": "4"},
	}
	a.serve(t)
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", endpoint)
	t.Setenv("AWS_ACCESS_KEY_ID", dynamodblocal.TestKey+"page")

	p := openPage(t, "--stack", stackName, "--region", "us-east-1", "--every", "1h")
	wantIn(t, p.first(t), `"SessionId":"a"`, `"SentAt":`, `"CompleteAt":`, `"Broker":"the stack studio"`, `["--stack","studio","--region","us-east-1"]`)
	if got := p.ask(t, http.MethodPost, "/deleteSessions", `[{"SessionId": "a", "Owner": "user1", "GracePeriodSeconds": 600}]`); !strings.Contains(got, `"CloseAt"`) {
		t.Error(got)
	}
	wantIn(t, p.ask(t, http.MethodGet, "/local/explanations/a", ""), "asked for its deletion", "What happens next")
	wantIn(t, p.ask(t, http.MethodPost, "/cancelDeletions", `[{"SessionId": "a", "Owner": "user1"}]`), `"a"`)
	wantIn(t, get(t, url+"/local/sessions"), `"State":"READY"`)
	p.interrupt()

	// A user who may not read the Hosts table sees the sessions, and why the hosts' answers are missing.
	a.answers = map[string]any{"BatchGetItem": func([]byte) (int, any) {
		return http.StatusBadRequest, map[string]string{"__type": "com.amazon.coral.service#AccessDeniedException", "message": "no"}
	}}
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", "")
	p = openPage(t, "--stack", stackName, "--every", "1h")
	wantIn(t, p.first(t), `"SessionId":"a"`, `"Missing":"when hosts last answered: `)
	p.interrupt()
}

// For an address where no API answers there is no page.
func TestPageOfADeadAddress(t *testing.T) {
	t.Setenv("TOKEN", apiToken)
	var out, said strings.Builder
	p := program{out: &out, err: &said, getenv: os.Getenv, now: time.Now, pause: time.Millisecond}
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	status := p.run(ctx, []string{"page", "--url", "http://127.0.0.1:1"})
	if status != exitNotRun || out.String() != "" || !strings.Contains(said.String(), "no answer from http://127.0.0.1:1 to 4 calls") {
		t.Errorf("exit %d: %s%s", status, &out, &said)
	}
}

func TestPageRefusesWhatItCannotKeepUp(t *testing.T) {
	for _, every := range []string{"1s", "2h", "soon"} {
		said, status := dcvbroker(t, "", "page", "--url", "http://127.0.0.1:1", "--every", every)
		if status != exitNotRun || !strings.Contains(said, "--every") {
			t.Errorf("%s: %d %s", every, status, said)
		}
	}
}
