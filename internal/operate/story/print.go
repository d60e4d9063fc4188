package story

import (
	"fmt"
	"io"
	"strings"
	"time"

	"dcv-session-broker/internal/operate/screen"
	"dcv-session-broker/internal/operate/table"
)

// Print writes the story for people.
func (story *Story) Print(w io.Writer, now time.Time) {
	for _, line := range screen.Wrap(story.Summary, screen.Width) {
		fmt.Fprintln(w, line)
	}
	for _, m := range story.Matches {
		fmt.Fprintln(w, "  "+table.Plain(fmt.Sprintf("%s of %s on %s: %s", m.SessionID, m.Owner, m.HostID, m.State)))
	}
	printEvents(w, "What happened (UTC)", story.Happened, now)
	printEvents(w, "What happens next (UTC)", story.Next, now)
	printTexts(w, "Why", story.Why)
	printTexts(w, "What to do", story.Do)
	printTexts(w, "Not looked at", story.NotLookedAt)
}

// printEvents writes each event: its time, how far that is from now, and its text, wrapped if it is long.
func printEvents(w io.Writer, title string, events []Event, now time.Time) {
	if len(events) == 0 {
		return
	}
	const column = 28
	fmt.Fprintf(w, "\n%s\n", title)
	day := ""
	for _, e := range events {
		at := e.At.UTC()
		if d := at.Format(time.DateOnly); d != day {
			day = d
			fmt.Fprintln(w, "  "+day)
		}
		text := e.Text
		if e.By != "" {
			text = e.By + ": " + text
		}
		head := fmt.Sprintf("  %s  %s", at.Format(time.TimeOnly), screen.Distance(at, now))
		fmt.Fprintf(w, "%-*s%s\n", column, head, screen.Indent(text, column))
	}
}

func printTexts(w io.Writer, title string, texts []string) {
	if len(texts) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, text := range texts {
		fmt.Fprintln(w, "  - "+strings.TrimSpace(screen.Indent(text, 4)))
	}
}
