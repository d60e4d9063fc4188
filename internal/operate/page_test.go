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

	"dcv-session-broker/internal/local/system"
)

// The page runs from any folder, deletes for who has its address, explains, and ends without an error when it is interrupted.
func TestPageOfAnAPI(t *testing.T) {
	_, url := startSystem(t, system.Options{Token: apiToken})
	call(t, http.MethodPut, url+"/local/hosts/i-00000000000000001/sessions/a", `{"Owner": "user1"}`)
	t.Setenv("TOKEN", apiToken)
	t.Chdir(t.TempDir())
	out, printed := io.Pipe()
	p := program{out: printed, err: io.Discard, getenv: os.Getenv, now: time.Now}
	ctx, interrupt := context.WithCancel(t.Context())
	status := make(chan int, 1)
	go func() { status <- p.run(ctx, []string{"page", "--url", url}) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address, secret, _ := strings.Cut(strings.TrimSpace(line), "/#")
	ask := func(method, path, body string) string {
		r, err := http.NewRequestWithContext(t.Context(), method, address+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		answer, _ := io.ReadAll(resp.Body)
		return string(answer)
	}
	if got := ask(http.MethodPost, "/deleteSessions", `[{"SessionId": "a", "Owner": "user1", "GracePeriodSeconds": 600}]`); !strings.Contains(got, `"CloseAt"`) {
		t.Error(got)
	}
	if got := ask(http.MethodGet, "/local/explanations/a", ""); !strings.Contains(got, "What happens next") {
		t.Error(got)
	}
	if records := get(t, url+"/local/sessions"); !strings.Contains(records, `"State":"DELETING"`) {
		t.Error(records)
	}
	interrupt()
	if got := <-status; got != exitDone {
		t.Errorf("exit %d", got)
	}
}

// An address where no API answers is not one to show a page of.
func TestPageOfADeadAddress(t *testing.T) {
	t.Setenv("TOKEN", apiToken)
	var out, said strings.Builder
	p := program{out: &out, err: &said, getenv: os.Getenv, now: time.Now, pause: time.Millisecond}
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
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
