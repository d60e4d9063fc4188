package fleet

import "strings"

// How much of a script's output is kept, in bytes, and how that is shown: all of it as in the agent's source
// (github.com/aws/amazon-ssm-agent, iohandler and pluginutil). The marks are part of what is kept.
const (
	maxStdout = 24000
	maxStderr = 8000
	maxOutput = 2500 // of both together, in a list

	truncated       = "--output truncated--"
	truncatedOutput = "\n---Output truncated---"
	truncatedError  = "\n---Error truncated----"
	errorTitle      = "\n----------ERROR-------\n"
)

// keeper keeps the beginning of what is written to it. Like the agent it reads on to the end, so that no script fails
// for being talkative.
type keeper struct {
	limit int
	text  []byte
}

func (k *keeper) Write(p []byte) (int, error) {
	if room := k.limit - len(k.text); room > 0 {
		k.text = append(k.text, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// String is the text as JSON can carry it.
func (k *keeper) String() string { return strings.ToValidUTF8(string(k.text), "\uFFFD") }

// keep is what GetCommandInvocation shows of a stream.
func keep(s string, limit int) string {
	if len(s) < limit {
		return s
	}
	return clip(s, limit-len(truncated)) + truncated
}

// together is what ListCommandInvocations shows of both streams. When both are long each gets half, else the longer one
// gets what the shorter one leaves.
func together(stdout, stderr string) string {
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

// clip is at most so many bytes of s, without half a character at the end.
func clip(s string, limit int) string {
	return strings.ToValidUTF8(s[:max(0, min(limit, len(s)))], "")
}
