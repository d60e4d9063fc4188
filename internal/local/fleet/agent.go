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

// An agentFault is why a host's agent cannot run scripts, or report their end. The texts are those of the agent (version
// 3.3.1142.0, observed): an operator sees nothing else.
type agentFault string

// The values are the names of the controls.
const (
	noExec     agentFault = "no-exec"
	fullDisk   agentFault = "fill-disk"
	deadWorker agentFault = "kill-worker"
)

// buffered returns how many commands the host's agent has not begun.
func (h *host) buffered() (n int) {
	for _, i := range h.waiting {
		if i.status == inProgress && !i.settled && i.diedAt.IsZero() {
			n++
		}
	}
	return n
}

// noise is the dynamic linker's message at each start of a program if the host's ld.so.preload names a missing library.
const noise = "ERROR: ld.so: object '/usr/lib64/libmonitor.so' from /etc/ld.so.preload cannot be preloaded " +
	"(cannot open shared object file): ignored.\n"

// writeScript writes a step's script to the file that the shell runs.
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

// workerDied returns the results of a command whose worker process died: the first step failed, without standard
// output and error, and a list shows this text.
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
