package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/session"
)

// Promise 1: killed at whatever moment after the answer, and started again on
// the same table, the system has lost no deletion that it accepted.
func TestKilledAfterTheAnswerLosesNothing(t *testing.T) {
	endpoint := dynamodblocal.ForTest(t)
	binary := build(t)
	table := dynamodblocal.Store{Client: dynamodb.NewFromConfig(dynamodblocal.Config(endpoint)), TableName: "SessionsTable"}
	t.Cleanup(func() {
		table.Client.DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: aws.String("SessionsTable")})
	})
	hosts := t.TempDir()

	for round, wait := range []time.Duration{0, 20 * time.Millisecond, 100 * time.Millisecond, 400 * time.Millisecond} {
		api, kill := startLocal(t, binary, "STORE=dynamodb", "AWS_ENDPOINT_URL_DYNAMODB="+endpoint, "STATE_DIR="+hosts)
		var entries []string
		for n := range 40 {
			id := fmt.Sprintf("s-%d-%d", round, n)
			request(t, http.MethodPut, fmt.Sprintf("%s/local/hosts/i-%017d/sessions/%s", api, n%4+1, id), `{"Owner": "user1"}`)
			entries = append(entries, fmt.Sprintf(`{"SessionId": %q, "Owner": "user1"}`, id))
		}
		answer := request(t, http.MethodPost, api+"/deleteSessions", "["+strings.Join(entries, ",")+"]")
		time.Sleep(wait)
		kill()

		var accepted struct{ SuccessfulList []struct{ SessionId string } }
		if err := json.Unmarshal([]byte(answer), &accepted); err != nil || len(accepted.SuccessfulList) != len(entries) {
			t.Fatalf("not all were accepted: %v %s", err, answer)
		}
		for _, a := range accepted.SuccessfulList {
			r, err := table.Get(context.Background(), a.SessionId)
			if err != nil {
				t.Fatal(err)
			}
			s := r.Session()
			open := s.State == session.Deleting && !s.NextAttemptAt.IsZero() && s.DueShard != "" && s.AttemptID != ""
			if !open && s.State != session.Deleted {
				t.Errorf("killed after %v: %v", wait, r)
			}
		}
	}

	// Started once more, it finishes what was confirmed, and still works.
	api, kill := startLocal(t, binary, "STORE=dynamodb", "AWS_ENDPOINT_URL_DYNAMODB="+endpoint, "STATE_DIR="+hosts)
	defer kill()
	request(t, http.MethodPut, api+"/local/hosts/i-00000000000000001/sessions/last", `{"Owner": "user1"}`)
	request(t, http.MethodPost, api+"/deleteSessions", `[{"SessionId": "last", "Owner": "user1"}]`)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		records, err := table.All(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		unfinished := 0
		for _, r := range records {
			s := r.Session()
			if s.ID == "last" && s.State != session.Deleted || s.Confirmation != "" && s.State != session.Deleted {
				unfinished++
			}
		}
		if unfinished == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d confirmed deletions did not end", unfinished)
		}
	}
}

func build(t *testing.T) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "local")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

func startLocal(t *testing.T, binary string, env ...string) (api string, kill func()) {
	t.Helper()
	cmd := exec.Command(binary)
	cmd.Dir = "../.." // where template.yaml is
	cmd.Env = append(append(os.Environ(), "PORT=0"), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "The API is at "); ok {
			api, _, _ = strings.Cut(rest, ",")
			go io.Copy(io.Discard, out)
			return api, kill
		}
	}
	kill()
	t.Fatal("the system did not start")
	return "", nil
}

func request(t *testing.T, method, url, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s (%v)", method, url, resp.StatusCode, answer, err)
	}
	return string(answer)
}
