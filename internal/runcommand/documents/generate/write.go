package main

import (
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"dcv-session-broker/internal/template"
)

// A script stands in the template between these comments.
var (
	beginMark = regexp.MustCompile(`^( *)# ([a-z]+\.(?:sh|ps1)), written by "make documents":$`)
	endMark   = "# end of "
)

// write gives the template with the scripts as their sources have them now.
func write(text string, sources fs.FS) (string, error) {
	var b strings.Builder
	inside := "" // the script whose old text is left out
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		if inside != "" {
			if trimmed != endMark+inside {
				continue
			}
			inside = ""
		}
		b.WriteString(line)
		if begin := beginMark.FindStringSubmatch(strings.TrimSuffix(line, "\n")); begin != nil {
			inside = begin[2]
			script, err := assemble(sources, inside)
			if err != nil {
				return "", err
			}
			indent := begin[1]
			b.WriteString(indent + "runCommand:\n" + indent + "  - |\n")
			for line := range strings.Lines(script) {
				b.WriteString(indent + "    " + line)
			}
		}
	}
	if inside != "" {
		return "", fmt.Errorf("the template has no line %q", endMark+inside)
	}
	return b.String(), nil
}

// maxDocumentBytes bounds a document's text with its parameters pasted in. Systems Manager takes 64 KB and does not say
// what else it counts.
const maxDocumentBytes = 60 << 10

// room is how many bytes a document could still grow.
func room(d template.Document) int {
	left := maxDocumentBytes - d.Size
	for name, p := range d.Parameters {
		placeholder := regexp.MustCompile(`\{\{ *` + name + ` *\}\}`)
		left -= len(placeholder.FindAllString(d.Content, -1)) * maxChars(p)
	}
	return left
}

var boundedPattern = regexp.MustCompile(`\{[0-9]+,([0-9]+)\}\$$`)

// maxChars is how long a parameter can be, by its maxChars or by a pattern that is one bounded repeat.
func maxChars(p template.DocumentParameter) int {
	if p.MaxChars > 0 {
		return p.MaxChars
	}
	if p.AllowedPattern != nil {
		if bound := boundedPattern.FindStringSubmatch(p.AllowedPattern.String()); bound != nil {
			n, _ := strconv.Atoi(bound[1]) // digits, and regexp allows 1,000 at most
			return n
		}
	}
	return maxDocumentBytes
}
