package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
)

// A dialect says which lines of a language cannot be compacted line by line: those that leave the next line in the middle
// of a string, where a comment is none and indentation counts.
type dialect struct {
	refused []refusal
	// escape makes the next character mean itself; inDouble, only between double quotes.
	escape   byte
	inDouble bool
	strings  bool // whether quotes must be closed at the end of a line
}

type refusal struct {
	pattern *regexp.Regexp
	why     string
}

var (
	continued  = refusal{regexp.MustCompile("[\\\\`]$"), "continues on the next line"}
	everywhere = []refusal{
		{regexp.MustCompile(`[^ -~]`), "has a character that is not printable ASCII"},
		{regexp.MustCompile(` $`), "ends with a blank"},
		continued,
	}
	shell = dialect{
		refused: []refusal{{regexp.MustCompile(`<<`), "begins a here-document"}},
		escape:  '\\', strings: true,
	}
	// In awk neither a string nor a regular expression goes over the end of a line, unless that is escaped. Where a
	// regular expression begins would take a parser to say, so quotes are not counted.
	awk = dialect{refused: []refusal{
		{regexp.MustCompile(`'`), "has a single quote, which ends the program"},
		{regexp.MustCompile(` # `), "has a comment behind code"},
	}}
	powerShell = dialect{
		refused: []refusal{
			{regexp.MustCompile(`@['"]$`), "begins a here-string"},
			{regexp.MustCompile(`<#`), "begins a block comment"},
		},
		escape: '`', inDouble: true, strings: true,
	}
)

// The awk program of a shell script is between these lines.
var (
	programBegins = regexp.MustCompile(`\bawk( .*)? '$`)
	programEnds   = regexp.MustCompile(`^}'$`)
	include       = regexp.MustCompile(`^#include (\S+)$`)
)

// assemble gives a script as hosts get it: with what it includes, and without comments, blank lines and indentation.
func assemble(sources fs.FS, name string) (string, error) {
	var b strings.Builder
	d := shell
	if path.Ext(name) == ".ps1" {
		d = powerShell
	}
	err := compact(sources, name, &d, &b)
	return b.String(), err
}

func compact(sources fs.FS, name string, d *dialect, b *strings.Builder) error {
	text, err := fs.ReadFile(sources, name)
	if err != nil {
		return err
	}
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimLeft(line, " ")
		switch included := include.FindStringSubmatch(line); {
		case included != nil:
			err = compact(sources, included[1], d, b)
		case line == "" || line[0] == '#' && (i > 0 || !strings.HasPrefix(line, "#!")):
			continue
		case programBegins.MatchString(line):
			*d = awk
			b.WriteString(line + "\n")
		case programEnds.MatchString(line):
			*d = shell
			b.WriteString(line + "\n")
		default:
			err = d.check(line)
			b.WriteString(line + "\n")
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
	}
	return nil
}

// check refuses a line that could not be told from its neighbours without reading the whole script.
func (d *dialect) check(line string) error {
	for _, r := range append(everywhere, d.refused...) {
		if r.pattern.MatchString(line) {
			return errors.New(r.why)
		}
	}
	if !d.strings {
		return nil
	}
	var quote byte
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == d.escape && quote != '\'' && (quote == '"' || !d.inDouble):
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '#' && i > 0 && strings.IndexByte(" ;{}()", line[i-1]) >= 0:
			return errors.New("has a comment behind code")
		}
	}
	if quote != 0 {
		return fmt.Errorf("ends within a string that began with %c", quote)
	}
	return nil
}
