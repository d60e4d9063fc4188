// Package screen writes texts and times for people at a terminal of 80 columns.
package screen

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"dcv-session-broker/internal/operate/table"
)

// Width is the width of the narrowest terminal that texts are written for.
const Width = 80

// Distance returns how far a time is from now, in one unit: "12 minutes ago", "in 2 hours".
func Distance(at, now time.Time) string {
	d := now.Sub(at)
	switch {
	case d <= -time.Second/2:
		return "in " + Length(-d)
	case d < time.Second/2:
		return "now"
	}
	return Length(d) + " ago"
}

// Length formats a duration in one unit: the largest of which it has at least two, or the smallest.
func Length(d time.Duration) string {
	const day = 24 * time.Hour
	d = d.Round(time.Second)
	n, unit := int(d.Seconds()), "second"
	switch {
	case d >= 2*day:
		n, unit = int(d/day), "day"
	case d >= 2*time.Hour:
		n, unit = int(d/time.Hour), "hour"
	case d >= 2*time.Minute:
		n, unit = int(d/time.Minute), "minute"
	}
	if n != 1 {
		unit += "s"
	}
	return fmt.Sprintf("%d %s", n, unit)
}

// Clock returns a time in UTC, and how far it is from now.
func Clock(at, now time.Time) string {
	return at.UTC().Format("2006-01-02 15:04:05 UTC") + " (" + Distance(at, now) + ")"
}

// Wrap breaks a text at its spaces into lines of at most width characters, if its words are not longer. It removes
// characters that move the cursor or change the direction of text: hosts and callers may have written the text.
func Wrap(text string, width int) (lines []string) {
	for paragraph := range strings.SplitSeq(text, "\n") {
		line := ""
		for word := range strings.FieldsSeq(table.Plain(paragraph)) {
			if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
				lines = append(lines, line)
				line = ""
			}
			if line != "" {
				line += " "
			}
			line += word
		}
		lines = append(lines, line)
	}
	return lines
}

// Line wraps a text if the terminal has a width, and the text is longer. It removes the same characters as Wrap.
func Line(text string, width int) string {
	if text = table.Plain(text); width > 0 && utf8.RuneCountInString(text) > width {
		text = strings.Join(Wrap(text, width), "\n")
	}
	return text
}

// Indent wraps a text and indents each line except the first.
func Indent(text string, indentation int) string {
	return strings.Join(Wrap(text, Width-indentation), "\n"+strings.Repeat(" ", indentation))
}

// shellSafe matches words that need no quotes in a shell.
var shellSafe = regexp.MustCompile(`^[A-Za-z0-9_.,:/@%+-][A-Za-z0-9_.,:/@%+=-]*$`)

// Argument quotes an ID as the last argument of a command that a user copies into a shell: a host chooses the IDs of
// its sessions.
func Argument(id string) string {
	word := id
	if !shellSafe.MatchString(id) {
		word = "'" + strings.ReplaceAll(id, "'", `'\''`) + "'"
	}
	if strings.HasPrefix(id, "-") {
		return "-- " + word
	}
	return word
}
