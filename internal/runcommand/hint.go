package runcommand

import (
	"regexp"
	"strings"
	"sync"
)

type hintPatterns struct{ agentsExit, folders, warning *regexp.Regexp }

// patterns are compiled at the first hint, and not at every cold start.
var patterns = sync.OnceValue(func() hintPatterns {
	return hintPatterns{
		// The agent adds this to the standard error of a script that fails, without a
		// new line before it. It says less than the script did.
		agentsExit: regexp.MustCompile(`failed to run commands: exit status \d+\s*$`),
		// These texts are long, and the same for every command.
		folders: regexp.MustCompile(`(/[\w.+-]+){2,}/`),
		warning: regexp.MustCompile(`(?i)warning|locale|ld\.so`),
	}
})

// hint returns the beginning of the text that came with an answer, as one harmless line
// for a person. Warnings come last: they are first in the text, are longer than a hint
// may be, and do not tell why a command failed.
func hint(rest string) string {
	const maxHintChars = 80
	if strings.TrimSpace(rest) == "" {
		return ""
	}
	p := patterns()
	if short := p.agentsExit.ReplaceAllString(rest, ""); strings.TrimSpace(short) != "" {
		rest = short
	}
	var causes, warnings []string
	for line := range strings.Lines(rest) {
		words := strings.Join(strings.Fields(p.folders.ReplaceAllString(ascii(line), ".../")), " ")
		switch {
		case words == "":
		case p.warning.MatchString(words):
			warnings = append(warnings, words)
		default:
			causes = append(causes, words)
		}
	}
	said := strings.Join(append(causes, warnings...), " ")
	return said[:min(len(said), maxHintChars)]
}

// printable returns a host's reason as a short, harmless line.
func printable(reason string) string {
	const maxReasonChars = 200
	clean := ascii(reason)
	return clean[:min(len(clean), maxReasonChars)]
}

// ascii replaces each character that is not printable ASCII by a space.
func ascii(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, text)
}
