package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/local/agent"
)

// An agentFault is why a host's agent cannot run scripts, or tell how they ended. What it then says is as its own code says
// it (version 3.3.1142.0, run): it is the only clue that an operator gets.
type agentFault string

// The names are those of the controls.
const (
	noExec     agentFault = "no-exec"
	fullDisk   agentFault = "fill-disk"
	deadWorker agentFault = "kill-worker"
)

// buffered is how many commands the host's agent has and has not begun.
func (h *host) buffered() (n int) {
	for _, i := range h.waiting {
		if i.status == inProgress && !i.settled && i.diedAt.IsZero() {
			n++
		}
	}
	return n
}

// noise is what the dynamic linker says whenever a program starts on a host whose ld.so.preload names a library that is
// not there.
const noise = "ERROR: ld.so: object '/usr/lib64/libmonitor.so' from /etc/ld.so.preload cannot be preloaded " +
	"(cannot open shared object file): ignored.\n"

// writeScript writes a step's script where the shell is to run it.
func (j *job) writeScript(path, text string) error {
	switch j.fault {
	case fullDisk:
		path = strings.Replace(path, j.dir, "/var/lib/amazon/ssm/i-00000000000000000/document/orchestration/"+filepath.Base(j.dir), 1)
		return fmt.Errorf("failed to create script file. %w", &os.PathError{Op: "write", Path: path, Err: syscall.ENOSPC})
	case noExec:
		return writeWhole(path, []byte(text), 0o644)
	}
	return writeExecutable(path, []byte(text))
}

// workerDied is how a command ends whose worker process died: as a failure of the first step, which has no standard
// output or error, but this text for what a list shows.
func workerDied(now time.Time) []stepResult {
	return []stepResult{{
		status: types.CommandPluginStatusFailed, details: "Failed", code: 1, start: now, end: now,
		output: agent.WorkerDied,
	}}
}

func failedToRun(err error) stepResult {
	text := err.Error()
	return stepResult{
		status:  types.CommandPluginStatusFailed,
		details: "Failed",
		code:    1,
		stderr:  text,
		output:  agent.Listed("", text),
	}
}
