// Package story prints what happens in the local system: a line for each step, in columns as wide as the terminal allows,
// and one line for many steps of the same kind.
package story

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"dcv-session-broker/internal/local/system"
)

const (
	// calm is how long a step waits for others of its kind; busy is the same after many steps.
	calm = 150 * time.Millisecond
	busy = time.Second
	// calmMost and busyMost are how many steps of a kind are printed one by one.
	calmMost, busyMost = 8, 3
)

// A Printer prints steps in the order of their times.
type Printer struct {
	out   io.Writer
	width func() int // of a line, in characters; called for each print, since terminals are resized

	mu      sync.Mutex
	waiting []system.Step
	started bool
	wake    chan struct{}
	stopped chan struct{}
	done    chan struct{}
}

// New returns a Printer that has not started.
func New(out io.Writer, width func() int) *Printer {
	return &Printer{out: out, width: width, wake: make(chan struct{}, 1), stopped: make(chan struct{}), done: make(chan struct{})}
}

// Tell adds a step to print, soon or after Start. Several goroutines may call it.
func (p *Printer) Tell(s system.Step) {
	p.mu.Lock()
	p.waiting = append(p.waiting, s)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Start begins to print. It leaves out actions from before, which only prepare the system.
func (p *Printer) Start() {
	p.mu.Lock()
	kept := p.waiting[:0]
	for _, s := range p.waiting {
		if s.From != s.To {
			kept = append(kept, s)
		}
	}
	p.waiting = kept
	p.started = true
	p.mu.Unlock()
	fmt.Fprintln(p.out, columnsOf(p.width()).head())
	go p.run()
}

// Stop prints the waiting steps, and ends.
func (p *Printer) Stop() {
	p.mu.Lock()
	started := p.started
	p.mu.Unlock()
	close(p.stopped)
	if started {
		<-p.done
	}
}

func (p *Printer) run() {
	defer close(p.done)
	wait, most := calm, calmMost
	for {
		select {
		case <-p.wake:
		case <-p.stopped:
			p.print(most)
			return
		}
		select {
		case <-time.After(wait):
		case <-p.stopped:
		}
		if n := p.print(most); n > calmMost || n > busyMost && wait == busy {
			wait, most = busy, busyMost
		} else {
			wait, most = calm, calmMost
		}
	}
}

// print prints the waiting steps, and returns how many there were.
func (p *Printer) print(most int) int {
	p.mu.Lock()
	steps := p.waiting
	p.waiting = nil
	p.mu.Unlock()
	// An action is told after it is done, so its effects may be told before it.
	slices.SortStableFunc(steps, func(a, b system.Step) int { return a.At.Compare(b.At) })
	columns := columnsOf(p.width())
	for _, l := range summedUp(steps, most) {
		for _, text := range columns.lines(l) {
			fmt.Fprintln(p.out, text)
		}
	}
	return len(steps)
}

// A line is the printed form of one step, or of several.
type line struct {
	at                       time.Time
	subject, state, by, host string
	detail, owner            string
}

func lineOf(s system.Step) line {
	l := line{at: s.At, subject: clean(s.SessionID), state: clean(s.To), by: clean(s.By), host: clean(s.HostID), detail: clean(s.Why), owner: clean(s.Owner)}
	if l.subject == "" {
		l.subject = l.host
	}
	if s.To == "" && s.From != "" {
		l.state = "removed"
	}
	return l
}

// summedUp returns a line for each step, and one line for all steps of a kind if these are more than most.
func summedUp(steps []system.Step, most int) (lines []line) {
	kinds, summed := map[string][]system.Step{}, map[string]bool{}
	for _, s := range steps {
		kinds[kindOf(s)] = append(kinds[kindOf(s)], s)
	}
	for _, s := range steps {
		kind := kindOf(s)
		switch all := kinds[kind]; {
		case len(all) <= most:
			lines = append(lines, lineOf(s))
		case !summed[kind]:
			lines = append(lines, sum(all))
			summed[kind] = true
		}
	}
	return lines
}

// kindOf returns what happened, without times: steps with the same kind are summed up.
func kindOf(s system.Step) string {
	why := strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, s.Why)
	return fmt.Sprintf("%q %q %q %q %t", s.By, s.From, s.To, why, s.SessionID == "")
}

func sum(steps []system.Step) line {
	sessions, hosts := map[string]bool{}, map[string]bool{}
	for _, s := range steps {
		sessions[s.SessionID], hosts[s.HostID] = true, true
	}
	l := lineOf(steps[0])
	l.owner = ""
	l.host = count(len(hosts), "host")
	if l.subject = count(len(sessions), "session"); steps[0].SessionID == "" {
		l.subject = count(len(steps), "time")
		if len(hosts) > 1 {
			l.subject = l.host
		}
	}
	return l
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprint(n, " ", what, "s")
}

// clean removes control characters from a text: hosts and clients wrote parts of it.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}
