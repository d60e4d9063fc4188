// Package agent is what the SSM Agent makes of what a script printed, and says
// itself, as far as the simulations of Systems Manager share it. Its source
// (github.com/aws/amazon-ssm-agent, iohandler and pluginutil) has all of this.
package agent

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// How much of a script's output is kept, in bytes, and how that is shown. The marks are part of what is kept.
const (
	MaxStdout = 24000
	maxStderr = 8000
	maxOutput = 2500 // of both together, in a list

	maxReply = 120000 // in JSON
	// envelope is about what a reply has beside the outputs: times, names, the agent's version.
	envelope = 1000

	truncated       = "--output truncated--"
	truncatedOutput = "\n---Output truncated---"
	truncatedError  = "\n---Error truncated----"
	errorTitle      = "\n----------ERROR-------\n"
)

// StoppedPreemptively is the exit code that the agent gives a script that it had
// to end.
const StoppedPreemptively = 137

// Stdout is what GetCommandInvocation shows of a script's standard output.
func Stdout(s string) string { return keep(s, MaxStdout) }

// Stderr is what GetCommandInvocation shows of a script's standard error.
func Stderr(s string) string { return keep(s, maxStderr) }

func keep(s string, limit int) string {
	if len(s) < limit {
		return s
	}
	return clip(s, limit-len(truncated)) + truncated
}

// Listed is what ListCommandInvocations shows of both. When both are long each gets half, else the longer one gets what
// the shorter one leaves.
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

// Drops tells whether the agent drops its reply, which has these texts: what is listed, and what is shown, of each step.
// The service then hears no more of the command than if the agent had died. In its JSON, which is Go's, a "<" takes six
// bytes. (agent/messageservice/interactor/mgsinteractor/utils, ControlChannelAgentReplyPayloadSizeLimit)
func Drops(texts ...string) bool {
	size := envelope
	for _, text := range texts {
		size += 6 * len(text)
	}
	if size <= maxReply { // as nearly always, and no byte takes more
		return false
	}
	size = envelope
	for _, text := range texts {
		inJSON, _ := json.Marshal(text) // a string never fails
		size += len(inJSON)
	}
	return size > maxReply
}

// clip is at most so many bytes of s, without half a character at the end.
func clip(s string, limit int) string {
	return strings.ToValidUTF8(s[:max(0, min(limit, len(s)))], "")
}

// What the agent says of a command whose worker died, or whose instance did: it
// says so when the worker has not spoken for a minute, and shows it in the list,
// where the output of the first step stands. There is no standard output.
const (
	WorkerDied      = "document process failed unexpectedly: document worker timed out, check [ssm-document-worker]/[ssm-session-worker] log for crash reason"
	WorkerDiedAfter = time.Minute

	// Workers is how many commands run at a time, and Buffer how many more the agent
	// keeps. For what is beyond that it answers CommandBufferFull (code 51402 of its
	// acknowledgement). What the service does then is not documented: the simulations
	// try again, as where it cannot reach the host.
	Workers = 5
	Buffer  = 5
)

// SkippedText is what stands in the Output of a step that is for another platform. It has no standard output. The agent
// reports such a step as Skipped, which the API's enumeration of statuses does not have: it is shown as a success.
func SkippedText(platform, step string) string {
	return fmt.Sprintf("Step execution skipped due to unsatisfied preconditions: '\"StringEquals\": [platformType, %s]'. Step name: %s",
		platform, step)
}
