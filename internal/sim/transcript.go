package sim

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
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
	w.writeLogged()
	w.writeAt(w.now(), who, what)
}

func (w *world) writeAt(at time.Time, who any, what string) {
	since := at.Sub(w.began)
	fmt.Fprintf(w.transcript, "%3d:%02d:%06.3f  %-20v %s\n",
		int(since.Hours()), int(since.Minutes())%60, (since % time.Minute).Seconds(), who, what)
}

// A logLine is what a function has logged since the scheduler's last line.
type logLine struct {
	at        time.Time
	inv       *invocation
	goroutine string
	text      string
}

// writeLogged writes these lines. Goroutines of a function that log at the same time have
// no order: their lines stay together, in the order of the first line of each.
func (w *world) writeLogged() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.logged) == 0 { // as always without a transcript
		return
	}
	type group struct {
		at        time.Time
		goroutine string
	}
	first := map[group]string{}
	for _, l := range w.logged {
		if g := (group{l.at, l.goroutine}); first[g] == "" {
			first[g] = l.text
		}
	}
	slices.SortStableFunc(w.logged, func(a, b logLine) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.inv.n, b.inv.n), cmp.Compare(first[group{a.at, a.goroutine}], first[group{b.at, b.goroutine}]))
	})
	for _, l := range w.logged {
		w.writeAt(l.at, l.inv, "    logs "+l.text)
	}
	w.logged = nil
}

// goroutine is the name of the one that calls it.
func goroutine() string {
	var trace [64]byte
	name, _, _ := strings.Cut(string(trace[:runtime.Stack(trace[:], false)]), "[")
	return name
}

// A transcript has the lines so far; nil: no transcript.
type transcript = strings.Builder
