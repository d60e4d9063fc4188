// Package agent has the rules of the SSM Agent for a script's output, and the agent's
// own texts, which the simulations of Systems Manager share. Its source
// (github.com/aws/amazon-ssm-agent, iohandler and pluginutil) has all of this.
package agent

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// How many bytes of a script's output are kept, and the marks that show a cut. The marks count as part of the output.
const (
	MaxStdout = 24000
	maxStderr = 8000
	maxOutput = 2500 // of standard output and error together, in a list

	maxReply = 120000 // in JSON
	// envelope is about the size of a reply without the outputs: times, names, the agent's version.
	envelope = 1000

	truncated       = "--output truncated--"
	truncatedOutput = "\n---Output truncated---"
	truncatedError  = "\n---Error truncated----"
	errorTitle      = "\n----------ERROR-------\n"
)

// StoppedPreemptively is the exit code that the agent gives a script that it had
// to end.
const StoppedPreemptively = 137

// Stdout returns the part of a script's standard output that GetCommandInvocation shows.
func Stdout(s string) string { return keep(s, MaxStdout) }

// Stderr returns the part of a script's standard error that GetCommandInvocation shows.
func Stderr(s string) string { return keep(s, maxStderr) }

func keep(s string, limit int) string {
	if len(s) < limit {
		return s
	}
	return clip(s, limit-len(truncated)) + truncated
}

// Listed returns the part of both that ListCommandInvocations shows. If both are long each gets half, otherwise the
// longer one gets the rest.
func Listed(stdout, stderr string) string {
	title := ""
	if stderr != "" {
		title = errorTitle
	}
	room := maxOutput - len(title)
	switch {
	case len(stdout)+len(stderr) < room:
		return stdout + title + stderr
	case len(stdout) > room/2 && len(stderr) > room/2:
		half := (room - len(truncatedError) - len(truncatedOutput)) / 2
		return clip(stdout, half) + truncatedOutput + title + clip(stderr, half) + truncatedError
	case len(stdout) <= room/2:
		return stdout + title + clip(stderr, room-len(truncatedError)-len(stdout)) + truncatedError
	}
	return clip(stdout, room-len(truncatedOutput)-len(stderr)) + truncatedOutput + title + stderr
}

// Drops tells whether the agent drops its reply, which has these texts: the listed and the shown output of each step.
// The service then learns no more of the command than if the agent had died. In JSON as Go writes it a "<" takes six
// bytes. (agent/messageservice/interactor/mgsinteractor/utils, ControlChannelAgentReplyPayloadSizeLimit)
func Drops(texts ...string) bool {
	size := envelope
	for _, text := range texts {
		size += 6 * len(text)
	}
	if size <= maxReply { // the usual case; no byte takes more than six
		return false
	}
	size = envelope
	for _, text := range texts {
		inJSON, _ := json.Marshal(text) // a string never fails
		size += len(inJSON)
	}
	return size > maxReply
}

// clip returns at most limit bytes of s, without half a character at the end.
func clip(s string, limit int) string {
	return strings.ToValidUTF8(s[:max(0, min(limit, len(s)))], "")
}

// What the agent reports of a command whose worker or instance died. It reports that a
// minute after the worker's last message. The list shows the text as the output of the
// first step. There is no standard output.
const (
	WorkerDied      = "document process failed unexpectedly: document worker timed out, check [ssm-document-worker]/[ssm-session-worker] log for crash reason"
	WorkerDiedAfter = time.Minute

	// Workers is how many commands run at a time. Buffer is how many more the agent keeps.
	// It answers any further one with CommandBufferFull (code 51402 of its
	// acknowledgement). What the service does then is not documented: the simulations try
	// again, as for a host that cannot be reached.
	Workers = 5
	Buffer  = 5
)

// SkippedText returns the Output of a step that is for another platform. It has no standard output. The agent reports
// such a step as Skipped, which the API's enumeration of statuses does not have: it is shown as a success.
func SkippedText(platform, step string) string {
	return fmt.Sprintf("Step execution skipped due to unsatisfied preconditions: '\"StringEquals\": [platformType, %s]'. Step name: %s",
		platform, step)
}
