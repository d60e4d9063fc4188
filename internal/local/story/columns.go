package story

import (
	"strings"
	"time"
	"unicode/utf8"
)

const (
	states    = 8  // DELETING, CREATING
	functions = 16 // cancel-deletions
	hosts     = 19 // i-0a1b2c3d4e5f60001
	gap       = "  "

	// wideFrom is the least width for milliseconds and a column for the host.
	wideFrom = 100
	// maxLines is how many lines one long text has at most.
	maxLines = 4
)

// columns holds the widths of the parts of a line.
type columns struct {
	width            int
	wide             bool
	subject, details int
}

func columnsOf(width int) columns {
	c := columns{width: width, wide: width >= wideFrom}
	taken := len(time.TimeOnly) + states + functions + 4*len(gap)
	least, details := 12, 20
	if c.wide {
		taken += len(".000") + hosts + len(gap)
		least = 20
	}
	c.subject = min(max(width-taken-details, least), 36)
	c.details = max(width-taken-c.subject, 0)
	return c
}

func (c columns) head() string {
	time := pad("TIME", c.time())
	if c.wide {
		return strings.Join([]string{time, pad("SESSION", c.subject), pad("STATE", states), pad("BY", functions), pad("HOST", hosts), "DETAIL"}, gap)
	}
	return strings.Join([]string{time, pad("SESSION", c.subject), pad("STATE", states), pad("BY", functions), "DETAIL"}, gap)
}

func (c columns) time() int {
	if c.wide {
		return len(time.TimeOnly + ".000")
	}
	return len(time.TimeOnly)
}

// lines formats a line. A detail that is too long continues on further lines.
func (c columns) lines(l line) []string {
	detail, rest := l.detail, ""
	if utf8.RuneCountInString(detail) > c.details {
		detail, rest = "", detail
	}
	clock := time.TimeOnly
	cells := []string{"", pad(shortened(l.subject, c.subject), c.subject), pad(l.state, states), pad(l.by, functions)}
	if c.wide {
		clock += ".000"
		host := l.host
		if host == l.subject {
			host = ""
		}
		cells = append(cells, pad(shortened(host, hosts), hosts))
		if detail == "" && l.owner != "" {
			detail = "of " + l.owner
		}
	} else if detail == "" && l.host != l.subject {
		detail = l.host
	}
	cells[0] = l.at.Format(clock)
	lines := []string{strings.TrimRight(strings.Join(append(cells, shortened(detail, c.details)), gap), " ")}
	indent := strings.Repeat(" ", c.time()+len(gap))
	for _, text := range wrapped(rest, c.width-len(indent)) {
		lines = append(lines, indent+text)
	}
	return lines
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(width-utf8.RuneCountInString(text), 0))
}

// shortened leaves out characters in the middle: IDs differ at their ends.
func shortened(text string, width int) string {
	all := []rune(text)
	if len(all) <= width || width < 3 {
		return text
	}
	before := (width - 1) / 2
	return string(all[:before]) + "…" + string(all[len(all)-(width-1-before):])
}

// wrapped breaks a text into lines of that width, maxLines at most.
func wrapped(text string, width int) (lines []string) {
	width = max(width, 20)
	rest := []rune(text)
	for len(rest) > width {
		end := width
		for n := width; n > width/2; n-- {
			if rest[n] == ' ' {
				end = n
				break
			}
		}
		if len(lines) == maxLines-1 {
			return append(lines, string(rest[:width-1])+"…")
		}
		lines = append(lines, string(rest[:end]))
		rest = []rune(strings.TrimLeft(string(rest[end:]), " "))
	}
	if len(rest) > 0 {
		lines = append(lines, string(rest))
	}
	return lines
}
