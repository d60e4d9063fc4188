package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// aheadVariable makes this test binary run the program, with its clock that far ahead.
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
	fail(err)
}

// A process is a running program.
type process struct {
	api  string // its address
	cmd  *exec.Cmd
	mu   sync.Mutex
	text strings.Builder // what it has printed
}

// startLocal starts the program in a new process.
func startLocal(t *testing.T, ahead time.Duration, env ...string) (api string, kill func()) {
	t.Helper()
	p := startProcess(t, ahead, env...)
	return p.api, p.kill
}

func startProcess(t *testing.T, ahead time.Duration, env ...string) *process {
	t.Helper()
	p := &process{cmd: localCommand(t, t.Context(), ahead, env...)}
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for p.api == "" && lines.Scan() {
		p.add(lines.Text())
		p.api, _ = strings.CutPrefix(lines.Text(), "  API     ")
		if p.api == lines.Text() {
			p.api = ""
		}
	}
	if p.api == "" {
		p.kill()
		t.Fatal("the system did not start")
	}
	go func() {
		for lines.Scan() {
			p.add(lines.Text())
		}
	}()
	return p
}

func localCommand(t *testing.T, ctx context.Context, ahead time.Duration, env ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Dir = "../.." // where template.yaml is
	cmd.Env = append(append(os.Environ(), aheadVariable+"="+ahead.String(), "PORT=0", "LOG=-", "LOG_LEVEL=warn"), env...)
	return cmd
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

func (p *process) add(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.WriteString(line + "\n")
}

func (p *process) printed() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// wantPrinted waits until the process has printed each of these texts.
func (p *process) wantPrinted(t *testing.T, want ...string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		missing := slices.DeleteFunc(slices.Clone(want), func(text string) bool { return strings.Contains(p.printed(), text) })
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q is not printed in\n%s", missing, p.printed())
		}
	}
}

// request returns the body of a successful answer, or an error.
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
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s: %d %s", method, url, resp.StatusCode, answer)
	}
	return string(answer), err
}
