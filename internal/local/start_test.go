package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/local/dynamodblocal"
	"dcv-session-broker/internal/local/system"
)

// With the table in memory only the hosts are kept, and an inventory lists their sessions.
func TestKilledSystemFindsItsHostsAgain(t *testing.T) {
	dir := t.TempDir()
	first := startProcess(t, 0, "STORE=memory", "STATE_DIR="+dir)
	defer first.kill()

	port := strings.TrimPrefix(first.api, "http://127.0.0.1:")
	for _, c := range []struct{ variable, want string }{
		{"STATE_DIR=" + dir, fmt.Sprintf("STATE_DIR=%s is in use by process %d at %s", dir, first.cmd.Process.Pid, first.api)},
		{"PORT=" + port, "127.0.0.1:" + port + " is used by a system that make run has started"},
	} {
		short, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // otherwise it runs on
		said, err := localCommand(t, short, 0, "STORE=memory", c.variable).CombinedOutput()
		cancel()
		if err == nil || !strings.HasPrefix(string(said), "make run: "+c.want) {
			t.Errorf("a second start: %v: %s, not %s", err, said, c.want)
		}
	}
	if _, err := request(t.Context(), http.MethodPost, first.api+"/local/hosts/i-0a1b2c3d4e5f60001/silence", ""); err != nil {
		t.Fatal(err)
	}

	first.kill()
	again := startProcess(t, 0, "STORE=memory", "STATE_DIR="+dir)
	defer again.kill()
	again.wantPrinted(t, "3 hosts with 5 sessions found, kept in "+dir, "i-0a1b2c3d4e5f60001: silence\n", "cleanup: inventory", "  unlisted ")
}

func TestKilledSystemFindsItsTableAgain(t *testing.T) {
	dynamodblocal.ForTest(t) // skips the test if there is none
	env := []string{"STORE=dynamodb", "AWS_ENDPOINT_URL_DYNAMODB=", "STATE_DIR=" + t.TempDir()}
	first := startProcess(t, 0, env...)
	defer first.kill()
	first.wantPrinted(t, "a new fleet", "  SessionId123 ", "control API       i-0a1b2c3d4e5f60001  of user1")
	if _, err := request(t.Context(), http.MethodPost, first.api+"/deleteSessions",
		`[{"SessionId": "SessionId123", "Owner": "user1"}, {"SessionId": "render-7", "Owner": "user1", "GracePeriodSeconds": 600}]`); err != nil {
		t.Fatal(err)
	}
	first.wantPrinted(t, "session-stream    i-0a1b2c3d4e5f60001  closed")

	first.kill()
	again := startProcess(t, 0, env...) // while the previous server is still ending
	defer again.kill()
	again.wantPrinted(t, "4 records found, 1 deletion open", "3 hosts with 4 sessions found", "  unlisted ")
	if got := again.printed(); strings.Contains(got, "  SessionId123 ") {
		t.Errorf("what the first start told is told again:\n%s", got)
	}
}

func TestPortThatCannotBeHad(t *testing.T) {
	listening := func(handler http.HandlerFunc) string {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		_, number, _ := net.SplitHostPort(server.Listener.Addr().String())
		return number
	}
	other := listening(http.NotFound)
	for _, c := range []struct {
		settings settings
		want     string
	}{
		{settings{bind: "127.0.0.1", port: other}, "127.0.0.1:" + other + " is used by another program: start with another PORT, or with PORT=0"},
		{settings{bind: "127.0.0.1", port: listening(func(http.ResponseWriter, *http.Request) {})}, " is used by a system that make run has started"},
		{settings{bind: "127.0.0.1", port: "0", ec2Port: other}, " is used by another program: start with another EC2_PORT"},
		{settings{bind: "192.0.2.1", port: "0"}, `BIND is "192.0.2.1"; it must be an address of this machine`},
	} {
		if _, err := c.settings.listen(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, not %s", err, c.want)
		}
	}
}

func TestWelcomeIsReadInATerminalOf80Columns(t *testing.T) {
	w := welcome{
		settings: settings{token: "s3cret", dynamoDB: "http://127.0.0.1:45678", logLevel: slog.LevelInfo}, address: "127.0.0.1:8080",
		log: "build/local-8080.log", dir: &stateDir{path: "/var/tmp/state", kept: true},
		found: state{Hosts: 200, Running: 1000, Records: 1200, Open: 10,
			Faulty: []string{"i-0a1b2c3d4e5f60001: stopped", "i-0a1b2c3d4e5f60002: silence, break", "i-0a1b2c3d4e5f60003: mute", "i-0a1b2c3d4e5f60004: mute"}},
	}
	var out bytes.Buffer
	printWelcome(&out, w)
	if want := `
  Page    http://127.0.0.1:8080/
  API     http://127.0.0.1:8080
  Token   s3cret
  Table   in DynamoDB Local at http://127.0.0.1:45678
          1200 records found, 10 deletions open
  Hosts   200 hosts with 1000 sessions found, kept in /var/tmp/state
          an inventory asks them what they run
          i-0a1b2c3d4e5f60001: stopped
          i-0a1b2c3d4e5f60002: silence, break
          and 2 more with faults
  Log     build/local-8080.log: what the functions log, from info on
`; !strings.HasPrefix(out.String(), want) {
		t.Errorf("%s\nnot%s", out.String(), want)
	}
	for _, text := range strings.Split(out.String(), "\n") {
		if len(text) > 80 {
			t.Errorf("%d characters: %s", len(text), text)
		}
	}
	for _, verb := range regexp.MustCompile(`build/dcvbroker (\w+)`).FindAllStringSubmatch(out.String(), -1) {
		if _, err := os.Stat("../operate/" + verb[1] + ".go"); err != nil {
			t.Errorf("dcvbroker has no verb %s: %v", verb[1], err)
		}
	}
	for bind, want := range map[string]string{"0.0.0.0:1": "http://localhost:1", "[::1]:1": "http://[::1]:1"} {
		out.Reset()
		printWelcome(&out, welcome{address: bind, dir: &stateDir{}})
		if got := out.String(); !strings.Contains(got, "Page    "+want+"/\n") || strings.Contains(got, "Token") || !strings.Contains(got, "API     "+want+"\n") {
			t.Errorf("%s: %s", bind, got)
		}
	}
}

func TestLogIsAFileAndErrorsAreTold(t *testing.T) {
	name := filepath.Join(t.TempDir(), "new", "some.log")
	s := settings{log: name, logLevel: slog.LevelInfo}
	file, err := s.openLog(&net.TCPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	var told []system.Step
	log := s.logger(file, func(step system.Step) { told = append(told, step) }).With("Function", "cleanup")
	log.Debug("small")
	log.Info("large", "Cause", "of no error")
	log.Error("table cannot be read", "Cause", context.DeadlineExceeded)
	file.Close()
	got, err := os.ReadFile(name)
	if err != nil || strings.Count(string(got), "\n") != 2 || strings.Contains(string(got), "small") || strings.Count(string(got), "Function=cleanup") != 2 {
		t.Errorf("%v: %s", err, got)
	}
	if len(told) != 1 || told[0].By != "cleanup" || told[0].To != "ERROR" || told[0].Why != "table cannot be read: context deadline exceeded" {
		t.Errorf("%+v", told)
	}
}
