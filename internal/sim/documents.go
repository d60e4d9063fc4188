package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// deliver brings a command to its host, or sees that it cannot.
func (w *world) deliver(on *onHost) {
	m := on.machine
	switch {
	case on.over:
	case m.state == terminated:
		w.finish(on, "Undeliverable", "Undeliverable", "")
	case w.now().After(on.command.deliverBy):
		w.finish(on, "TimedOut", "DeliveryTimedOut", "")
	case !m.reachable():
		w.after(w.dice.between(time.Second, 20*time.Second), func() { w.deliver(on) })
	default:
		on.status, on.begun = "InProgress", true
		w.say(m.id, "begins %s of %s", on.command.document, on.command.id)
		if on.command.document == closeDocument && w.meets(agentStalls) {
			w.say(m.id, "FAULT: %s", agentStalls)
			w.after(w.dice.between(time.Minute, 2*time.Hour), func() {
				if m.reachable() && !on.over {
					w.closeSessions(on)
				} else {
					w.finish(on, "TimedOut", "ExecutionTimedOut", "")
				}
			})
			return
		}
		switch on.command.document {
		case closeDocument:
			w.closeSessions(on)
		case inventoryDocument:
			w.inventory(on)
		case idleDocument:
			w.closeIdle(on)
		}
	}
}

// scriptTimeout is the documents' timeoutSeconds.
const scriptTimeout = 60 * time.Second

// prints ends a command a while later with what its script prints then, unless
// the host has gone meanwhile.
func (w *world) prints(on *onHost, in time.Duration, output func() string) {
	since := on.machine.since
	w.after(in, func() {
		m := on.machine
		if m.state == running && m.since.Equal(since) {
			w.finish(on, "Success", "Success", w.spoilt(on, output()))
			return
		}
		w.seen.faults[hostMidway]++
		w.say(m.id, "FAULT: %s: %s", hostMidway, on.command.id)
		on.said, on.lists, on.closed = map[string]string{}, nil, nil
		w.after(scriptTimeout, func() { w.finish(on, "TimedOut", "ExecutionTimedOut", "") })
	})
}

// spoilt is what becomes of an output on its way.
func (w *world) spoilt(on *onHost, output string) string {
	if len(output) > 0 && w.meets(outputCut) {
		left := w.dice.below(len(output))
		on.complete = on.complete && left == len(output)-1 // the end of a line is no loss
		return output[:left]
	}
	if lines := strings.SplitAfter(output, "\n"); len(lines) > 2 && !w.calm && w.dice.chance(5*percent) {
		w.seen.faults[dcvGarbage]++
		on.complete = false
		return strings.Join(slices.Insert(lines, 1+w.dice.below(len(lines)-2), "}{ garbage\n"), "")
	}
	return output
}

func (w *world) finish(on *onHost, status, details, output string) {
	if on.over {
		return
	}
	on.status, on.details, on.output, on.over, on.finishedAt = status, details, output, true, w.now()
	w.say(on.machine.id, "%s: %s: %q", on.command.id, details, output)
	w.emitInvocation(on)
}

const mumble = "Segmentation fault {\n{\"id\":\n\"closed\"}{}\n"

// closeSessions is the close document: list, compare, close, list again.
func (w *world) closeSessions(on *onHost) {
	m := on.machine
	asks := on.command.asks[m.id]
	results := map[string]string{}
	var order []ask
	reasons := map[string]string{}
	say := func(a ask, result, reason string) { results[a.key], reasons[a.key] = result, reason }
	type closing struct {
		ask
		was *desktop
	}
	var closings []closing
	took := w.dice.between(100*time.Millisecond, 3*time.Second)
	for _, a := range asks {
		order = append(order, a)
		d := m.find(a.name)
		switch {
		case m.clock(w.now()).Unix() > on.command.voidAfter:
			say(a, "expired", "")
		case m.dcv == dcvBroken:
			say(a, "failed", "dcv is broken (exit 1)")
		case m.dcv == dcvHung:
			took = 8 * time.Second
			say(a, "failed", "dcv took too long")
		case m.dcv == dcvMumbles:
			say(a, "failed", "dcv list-sessions: unreadable answer")
		case m.liar:
			say(a, "closed", "")
		case d == nil:
			say(a, "absent", "")
		case !a.means(d):
			say(a, "replaced", "")
		default:
			if m.dcv != dcvStubborn {
				w.closesDesktop(on, a, d)
				w.endDesktop(d, "closed by "+on.command.id)
			}
			closings = append(closings, closing{a, d})
		}
	}
	if m.liar {
		for _, other := range w.machines { // it has read what others are asked
			for _, a := range on.command.asks[other.id] {
				if other != m {
					order = append(order, a)
					say(a, "closed", "")
				}
			}
		}
	}
	w.prints(on, took, func() string {
		for _, c := range closings {
			switch d := m.find(c.name); {
			case m.dcv == dcvBroken || m.dcv == dcvHung || m.dcv == dcvMumbles:
				say(c.ask, "failed", "dcv cannot be asked")
			case d == c.was:
				say(c.ask, "failed", "the session does not close")
			default:
				say(c.ask, "closed", "")
			}
		}
		var out strings.Builder
		for _, a := range order {
			on.said[a.sessionID] = results[a.key]
			fmt.Fprintf(&out, `{"id":"%s","result":"%s"`, a.key, results[a.key])
			if reasons[a.key] != "" {
				fmt.Fprintf(&out, `,"reason":"%s"`, reasons[a.key])
			}
			out.WriteString("}\n")
		}
		return out.String()
	})
}

// means tells whether a session is the one that is asked for, as the script
// compares them.
func (a ask) means(d *desktop) bool {
	if a.latest {
		return !d.created.After(a.created)
	}
	return sameIncarnation(a.created, d.created)
}

func sameIncarnation(a, b time.Time) bool {
	whole := a.Nanosecond() == 0 || b.Nanosecond() == 0
	return a.Equal(b) || whole && a.Unix() == b.Unix()
}

// inventory is the inventory document.
func (w *world) inventory(on *onHost) {
	m := on.machine
	var out strings.Builder
	took := w.dice.between(50*time.Millisecond, 2*time.Second)
	switch m.dcv {
	case dcvHung:
		out.WriteString(`{"failed":"dcv took too long"}` + "\n")
		took = 8 * time.Second
	case dcvBroken:
		out.WriteString(`{"failed":"dcv is broken (exit 1)"}` + "\n")
	case dcvMumbles:
		out.WriteString(mumble)
	case dcvWorks, dcvStubborn:
		shown := m.sessions
		if m.liar {
			shown = w.lies(m)
		}
		for _, d := range shown {
			on.lists = append(on.lists, found{d.name, d.createdText})
			line, err := json.Marshal(map[string]any{
				"id": d.name, "owner": d.owner, "name": "", "type": d.kind, "created": d.createdText, "connections": d.connections, "left": d.left,
			})
			if err != nil {
				panic(err)
			}
			out.Write(append(line, '\n'))
		}
		fmt.Fprintf(&out, "{\"end\":%d}\n", len(shown))
		on.complete = true
	}
	w.prints(on, took, out.String)
}

// lies is what a liar says runs on it: less than does, and others' sessions.
func (w *world) lies(m *machine) (shown []*desktop) {
	for _, d := range m.sessions {
		if w.dice.chance(70 * percent) {
			shown = append(shown, d)
		}
	}
	for _, other := range w.machines {
		for _, d := range other.sessions {
			if other != m && m.find(d.name) == nil && w.dice.chance(50*percent) {
				claim := *d
				claim.owner = "mallory"
				shown = append(shown, &claim)
			}
		}
	}
	seen := map[string]bool{}
	var once []*desktop
	for _, d := range shown {
		if !seen[d.name] {
			seen[d.name] = true
			once = append(once, d)
		}
	}
	return once
}

// closeIdle is the idle document.
func (w *world) closeIdle(on *onHost) {
	m := on.machine
	var out strings.Builder
	took := w.dice.between(50*time.Millisecond, 2*time.Second)
	switch m.dcv {
	case dcvHung, dcvBroken:
		out.WriteString(`{"failed":"dcv is broken (exit 1)"}` + "\n")
	case dcvMumbles:
		out.WriteString(mumble)
	case dcvWorks, dcvStubborn:
		had := len(m.sessions)
		for _, d := range append([]*desktop(nil), m.sessions...) {
			idle := w.now().Sub(d.usedAt)
			if d.connections > 0 || idle < on.command.idle || m.liar {
				continue
			}
			result := "failed"
			if m.dcv == dcvWorks {
				result = "closed"
				w.seen.premises[5]++
				on.closed = append(on.closed, found{d.name, d.createdText})
				w.endDesktop(d, "nobody has used it")
			}
			id, err := json.Marshal(d.name)
			if err != nil {
				panic(err)
			}
			fmt.Fprintf(&out, `{"id":%s,"created":"%s","result":"%s","minutes":%d,"connections":0}`+"\n", id, d.createdText, result, idle/time.Minute)
		}
		fmt.Fprintf(&out, "{\"end\":%d}\n", had)
	}
	w.prints(on, took, out.String)
}
