package sim

import (
	"fmt"
	"strings"
	"time"
)

// say adds a line to the transcript: when, who, and what. Without a transcript
// it costs next to nothing.
func (w *world) say(who any, format string, args ...any) {
	w.events++
	if w.transcript != nil {
		w.write(who, fmt.Sprintf(format, args...))
	}
}

// aside adds a line that does not count as an event.
func (w *world) aside(who any, format string, args ...any) {
	if w.transcript != nil {
		w.write(who, fmt.Sprintf(format, args...))
	}
}

func (w *world) write(who any, what string) {
	since := w.now().Sub(w.began)
	fmt.Fprintf(w.transcript, "%3d:%02d:%06.3f  %-20v %s\n",
		int(since.Hours()), int(since.Minutes())%60, (since % time.Minute).Seconds(), who, what)
}

// A transcript has the lines so far; nil: no transcript.
type transcript = strings.Builder
