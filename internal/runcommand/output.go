package runcommand

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// stepOutput is what the step of a document left that a host has run. Only its
// standard output is what the script said. The rest is context: a single line of
// noise on standard error is common, and harmless.
type stepOutput struct {
	platform string // the step's name
	stdout   string
	rest     string
}

// How the list shows the output of a step: standard output, this title, and
// standard error, 2,500 bytes at most (amazon-ssm-agent 3.3.1142.0, pluginutil;
// seen by running it). No line of a document's answer begins with a dash.
const (
	errorTitle   = "\n----------ERROR-------\n"
	stdoutWasCut = "\n---Output truncated---"
	stderrWasCut = "\n---Error truncated----"

	// maybeCutChars: an output of this size in the list may have been cut.
	maybeCutChars = 2_400
)

// output is what the document's step for the host's platform left; the steps
// are named after the platforms. The other one was skipped.
func (r *Reader) output(ctx context.Context, listed types.CommandInvocation) (stepOutput, error) {
	step, ran := stepThatRan(listed.CommandPlugins)
	if !ran {
		return stepOutput{}, nil
	}
	shown := aws.ToString(step.Output)
	stdout, stderr, _ := strings.Cut(shown, errorTitle)
	out := stepOutput{
		platform: aws.ToString(step.Name),
		stdout:   strings.TrimSuffix(stdout, stdoutWasCut),
		rest:     strings.TrimSuffix(stderr, stderrWasCut),
	}
	if len(shown) < maybeCutChars && !strings.Contains(shown, "truncated--") {
		return out, nil
	}
	full, err := r.API.GetCommandInvocation(ctx, &ssm.GetCommandInvocationInput{
		CommandId:  listed.CommandId,
		InstanceId: listed.InstanceId,
		PluginName: step.Name,
	})
	if err != nil {
		return stepOutput{}, fmt.Errorf("read the whole output: %w", err)
	}
	// Of a step that its time-out ended there is none, only what is listed.
	if whole := aws.ToString(full.StandardOutputContent); whole != "" {
		out.stdout = whole
	}
	return out, nil
}

// stepThatRan is the one that was not skipped. The agent calls a skipped step
// Skipped and gives it a text for the list, and no standard output; what the
// service shows as its status is documented nowhere.
func stepThatRan(steps []types.CommandPlugin) (types.CommandPlugin, bool) {
	for _, step := range steps {
		skipped := step.Status == "Skipped" || strings.HasPrefix(aws.ToString(step.Output), "Step execution skipped")
		if !skipped && aws.ToString(step.Output) != "" {
			return step, true
		}
	}
	return types.CommandPlugin{}, false
}

var (
	// agentsExit is what the agent adds to the standard error of a script that
	// fails, without a new line before it: it says less than the script did.
	agentsExit = regexp.MustCompile(`failed to run commands: exit status \d+\s*$`)
	// folders are long, and the same for every command.
	folders = regexp.MustCompile(`(/[\w.+-]+){2,}/`)
	warning = regexp.MustCompile(`(?i)warning|locale|ld\.so`)
)

// hint is the beginning of what was said beside an answer, one harmless line for
// a person. Warnings come last: they stand first in the text, are longer than a
// hint may be, and do not tell why a command failed.
func hint(rest string) string {
	const maxHintChars = 80
	if short := agentsExit.ReplaceAllString(rest, ""); strings.TrimSpace(short) != "" {
		rest = short
	}
	var causes, warnings []string
	for line := range strings.Lines(rest) {
		words := strings.Join(strings.Fields(folders.ReplaceAllString(ascii(line), ".../")), " ")
		switch {
		case words == "":
		case warning.MatchString(words):
			warnings = append(warnings, words)
		default:
			causes = append(causes, words)
		}
	}
	said := strings.Join(append(causes, warnings...), " ")
	return said[:min(len(said), maxHintChars)]
}

// printable keeps what a host says as a reason to one short, harmless line.
func printable(reason string) string {
	const maxReasonChars = 200
	clean := ascii(reason)
	return clean[:min(len(clean), maxReasonChars)]
}

// ascii has a space for every character that is not a printable one of ASCII.
func ascii(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, text)
}
