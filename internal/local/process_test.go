package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// aheadVariable makes this test binary the program itself, with its clock that far ahead.
const aheadVariable = "LOCAL_TEST_AHEAD"

func TestMain(m *testing.M) {
	text := os.Getenv(aheadVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	ahead, err := time.ParseDuration(text)
	if err == nil {
		err = run(context.Background(), ahead)
	}
	fmt.Fprintln(os.Stderr, "local:", err)
	os.Exit(1)
}

// startLocal starts the program as a process of its own.
func startLocal(t *testing.T, ahead time.Duration, env ...string) (api string, kill func()) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Dir = "../.." // where template.yaml is
	cmd.Env = append(append(os.Environ(), aheadVariable+"="+ahead.String(), "PORT=0"), env...)
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

// request is an answer with status 200, or why there is none.
func request(ctx context.Context, method, url, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %d %s", method, url, resp.StatusCode, answer)
	}
	return string(answer), err
}
