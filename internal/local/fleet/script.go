package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/local/agent"
	"dcv-session-broker/internal/template"
)

var errStepTimedOut = errors.New("the step's time is over")

// script runs a step's script as the agent does: from a file that the shell executes as a command, so that a #! line
// has an effect.
func (j *job) script(ctx context.Context, s template.Step) stepResult {
	name, shell := "./_script.sh", []string{"sh", "-c"}
	if s.Action == template.RunPowerShellScript {
		name, shell = "./_script.ps1", []string{"pwsh", "-NoProfile", "-NonInteractive", "-File"}
	}
	dir := filepath.Join(j.dir, s.Name)
	text, environment := j.text(s)
	if err := j.writeScript(filepath.Join(dir, name), text); err != nil {
		return failedToRun(err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.Timeout, errStepTimedOut)
	defer cancel()
	stdout, stderr := &keeper{limit: agent.MaxStdout}, &keeper{limit: agent.MaxStdout}
	if j.noisy {
		_, _ = io.WriteString(stderr, noise)
	}
	command := exec.CommandContext(ctx, shell[0], append(shell[1:], name)...)
	command.Dir = dir
	command.Env = slices.Concat(environment, j.environment)
	command.Stdout, command.Stderr = stdout, stderr
	// A new session, not only a process group: `timeout` makes a group for the command that it runs.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	command.Cancel = func() error { return killSession(command.Process.Pid) }
	command.WaitDelay = time.Minute // in case a process outside the session has the output open; this process may have paused

	err := command.Run()
	r := stepResult{status: types.CommandPluginStatusSuccess, details: "Success"}
	out, problem := stdout.String(), stderr.String()
	var exit *exec.ExitError
	switch {
	case err != nil && errors.Is(context.Cause(ctx), errStepTimedOut):
		r.status, r.details, r.code = types.CommandPluginStatusTimedOut, "ExecutionTimedOut", agent.StoppedPreemptively
	case errors.As(err, &exit):
		r.status, r.details, r.code = types.CommandPluginStatusFailed, "Failed", int32(exit.ExitCode())
		problem += fmt.Sprintf("failed to run commands: %v", err)
	case err != nil:
		return failedToRun(fmt.Errorf("failed to run commands: %w", err))
	}
	r.stdout = agent.Stdout(out)
	r.stderr = agent.Stderr(problem)
	r.output = agent.Listed(out, problem)
	return r
}

// writeExecutable writes a file that can be executed immediately. While it is open for writing no process may be
// started: the child would have it open too for a moment, and executing it would fail with "text file busy".
func writeExecutable(path string, content []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return writeWhole(path, content, 0o755)
}

// killSession kills every process of the session that pid leads, in all process groups.
func killSession(pid int) error {
	err := syscall.Kill(-pid, syscall.SIGKILL)
	// Twice, in case a group is being made.
	for range 2 {
		for _, group := range groupsOf(pid) {
			_ = syscall.Kill(-group, syscall.SIGKILL) // an error means that it has ended
		}
	}
	return err
}

// groupsOf returns the process groups of a session. Without /proc it is only the leader's.
func groupsOf(session int) []int {
	var groups []int
	processes, _ := os.ReadDir("/proc")
	for _, p := range processes {
		stat, err := os.ReadFile(filepath.Join("/proc", p.Name(), "stat"))
		if err != nil {
			continue // not a process, or it has ended
		}
		// pid (name) state parent group session …; the name may contain any character.
		_, rest, _ := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
		var state string
		var parent, group, itsSession int
		n, _ := fmt.Sscan(rest, &state, &parent, &group, &itsSession)
		if n == 4 && itsSession == session && !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
	}
	return groups
}
