package deletion

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"dcv-session-broker/internal/operate/screen"
	"dcv-session-broker/internal/operate/table"
)

// Progress prints how far deletions are: a line for each session that fails, and a bar for the others. If Out is no
// terminal, it prints a line instead of the bar whenever the number changes.
type Progress struct {
	Out io.Writer
	// Width is the width of the terminal, or 0 if Out is none.
	Width int
	Now   func() time.Time

	told   map[*Item]bool
	last   string
	onLine bool
}

// Show prints what has changed since the last call.
func (p *Progress) Show(items []*Item) {
	if p.told == nil {
		p.told = map[*Item]bool{}
	}
	for _, item := range items {
		if (item.Status == Unsuccessful || item.Status == Unanswered) && !p.told[item] {
			p.told[item] = true
			p.Say(fmt.Sprintf("%s: %s: %s", item.Seen.ID, item.Status, item.Why))
		}
	}
	if len(items) == 0 {
		return
	}
	all, ended, failed := len(items), Count(items, Ended), Count(items, Unsuccessful, Unanswered, NotSent)
	line := fmt.Sprintf("%d of %d ended", ended, all)
	if failed > 0 {
		line += fmt.Sprintf(", %d unsuccessful", failed)
	}
	if wait := LatestClose(items).Sub(p.Now()); wait > 0 {
		line += ", closing " + clock(LatestClose(items), p.Now())
		if p.Width > 0 {
			line += fmt.Sprintf(" (in %v)", wait.Round(time.Second))
		}
	}
	if p.Width > 0 {
		line = bar(ended+failed, all) + " " + line
	}
	p.Line(line)
}

// Line replaces the line of the bar.
func (p *Progress) Line(line string) {
	line = table.Plain(line)
	switch {
	case line == p.last:
	case p.Width > 0:
		shown := []rune(line)
		fmt.Fprintf(p.Out, "\r\x1b[K%s", string(shown[:min(len(shown), p.Width-1)])) // a longer line could not be replaced
		p.onLine = true
	default:
		fmt.Fprintln(p.Out, line)
	}
	p.last = line
}

// Say prints a line that stays.
func (p *Progress) Say(line string) {
	p.Finish()
	fmt.Fprintln(p.Out, screen.Line(line, p.Width))
	p.last = ""
}

// StillOpen prints the StateReason of each open item.
func (p *Progress) StillOpen(items []*Item) {
	for _, item := range items {
		if item.Status == Open {
			p.Say(fmt.Sprintf("%s: still DELETING: %s", item.Seen.ID, cmp.Or(item.Why, "nothing has failed yet")))
		}
	}
}

// Finish ends the line of the bar.
func (p *Progress) Finish() {
	if p.onLine {
		fmt.Fprintln(p.Out)
		p.onLine = false
	}
}

const barWidth = 20

func bar(done, all int) string {
	full := barWidth
	if all > 0 {
		full = barWidth * done / all
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}

// clock formats a time in the local time zone, with the date if it is not today.
func clock(at, now time.Time) string {
	at = at.Local()
	if at.Format(time.DateOnly) == now.Local().Format(time.DateOnly) {
		return "at " + at.Format(time.TimeOnly)
	}
	return "at " + at.Format("2006-01-02 15:04")
}
