package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// use connects a user to a session, or disconnects one.
func (w *world) use(m *machine) {
	if len(m.sessions) == 0 || m.state != running {
		return
	}
	d := oneOf(w.dice, m.sessions)
	if !d.away.IsZero() && w.other.chance(50*percent) {
		d.away = m.clock(w.now()).Truncate(time.Microsecond)
		w.say(m.id, "the user of %q comes back for a moment", d.name)
		return
	}
	d.usedSince, d.away = w.now(), time.Time{}
	if d.connections > 0 {
		d.connections, d.left = 0, m.clock(w.now()).Format("2006-01-02T15:04:05.000000Z")
		w.say(m.id, "the user of %q leaves", d.name)
	} else {
		d.connections = 1
		w.say(m.id, "the user of %q connects", d.name)
		w.goesAway(d)
	}
}

// goesAway makes some users idle who have just connected.
func (w *world) goesAway(d *desktop) {
	if w.other.chance(40 * percent) {
		d.away = d.machine.clock(w.now()).Truncate(time.Microsecond)
	}
}

// An idleTry is a host's record of its try to warn the users of a session, in a file that
// only root can write. It is lost when the host stops.
type idleTry struct {
	created, since time.Time // the session's incarnation, and the start of the idle time
	until          int64     // the session stays until then
}

// closeIdle is the idle document.
func (w *world) closeIdle(on *onHost) {
	m := on.machine
	took := w.dice.between(50*time.Millisecond, 2*time.Second)
	var out strings.Builder
	if w.cannotList(on, &out, &took) {
		w.prints(on, took, out.String)
		return
	}
	had := slices.Clone(m.sessions)
	limit := int64(on.command.idle / time.Minute)
	say := func(d *desktop, result string, minutes, connections int64, reason string) {
		printLine(&out, struct {
			ID          string `json:"id"`
			Created     string `json:"created"`
			Result      string `json:"result"`
			Minutes     int64  `json:"minutes"`
			Connections int64  `json:"connections"`
			Reason      string `json:"reason,omitempty"`
		}{d.name, d.createdText, result, minutes, connections, reason})
	}
	idle := map[*desktop]int64{}
	clock := m.clock(w.now())
	for _, d := range had {
		last := d.lastUsed(clock, on.command.idle)
		minutes := max(0, clock.Unix()-last.Unix()) / 60
		soon := d.connections > 0 && on.command.warn > 0 && clock.Unix()-last.Unix() >= int64((on.command.idle-on.command.warn)/time.Second)
		result, reason := "", ""
		if soon && !m.liar && !noID(d.name) {
			result, reason = w.warnsIdle(on, d, last, clock)
		}
		switch {
		case m.liar:
		case noID(d.name):
			say(d, "failed", 0, 0, whyNoID)
		case result != "":
			say(d, result, minutes, d.connections, reason)
		case 2*minutes <= limit && !soon:
		case minutes < limit:
			say(d, "in-use", minutes, d.connections, "")
		default:
			idle[d] = minutes
			if m.dcv == dcvWorks {
				w.seen.premises[5]++
				if soon {
					w.seen.effects[idleClosedAfterWarning]++
				}
				w.endDesktop(d, "nobody has used it")
			}
		}
	}
	w.prints(on, took, func() string {
		for _, d := range had {
			minutes, was := idle[d]
			if !was {
				continue
			}
			result, reason := m.closed(d)
			if result == "closed" {
				on.closed = append(on.closed, found{d.name, d.createdText})
			}
			say(d, result, minutes, d.connections, reason)
		}
		fmt.Fprintf(&out, "{\"end\":%d}\n", len(had))
		return out.String()
	})
}

// warnsIdle tries to warn the users of a session that is closed soon, once for each idle
// time. An empty result means that it was tried before, and that the time of the warning
// has passed. The script's clock has whole seconds.
func (w *world) warnsIdle(on *onHost, d *desktop, last, clock time.Time) (result, reason string) {
	m, cmd := on.machine, on.command
	if try, tried := m.idleTries[d.name]; tried && try.created.Equal(d.created) && !try.since.Before(last) && !try.since.After(clock.Truncate(time.Second)) {
		if clock.Unix() < try.until {
			return "in-use", ""
		}
		return "", ""
	}
	until := max(last.Unix()+int64(cmd.idle/time.Second), clock.Unix()+int64((cmd.warn+time.Second)/time.Second)/2)
	if m.idleTries == nil {
		m.idleTries = map[string]idleTry{}
	}
	m.idleTries[d.name] = idleTry{d.created, last, until}
	switch {
	case m.noUsers:
		return "failed", "not warned: the owner is no user of this host"
	case w.meets(messageFails):
		return "failed", "not warned: zenity did not stay on the screen"
	}
	w.say(m.id, "the users of %q read that it is closed at %s unless they use it", d.name, time.Unix(until, 0).UTC().Format(time.TimeOnly))
	return "warned", "zenity"
}

// lastUsed returns when somebody last used the session, as far as its host's dcv tells.
// The script asks for connections only if the session is at least half as old as the
// limit.
func (d *desktop) lastUsed(clock time.Time, limit time.Duration) time.Time {
	if d.connections > 0 && 2*(clock.Unix()-d.created.Unix()) >= int64(limit/time.Second) {
		if d.away.IsZero() {
			return clock
		}
		return d.away
	}
	last := d.created
	if left, err := time.Parse(time.RFC3339Nano, d.left); err == nil && left.After(last) {
		last = left
	}
	return last
}

// Promise 5: idle sessions are closed only after the limit that is set for the
// invocation, and their users are warned before if that is set: at least two runs before
// the limit, at most half the limit.
func (w *world) idleAsSet(inv *invocation, cmd *command) {
	if cmd.document != idleDocument {
		return
	}
	s := inv.setup
	if s.closeIdle == 0 || cmd.idle != s.closeIdle {
		w.breaks(5, "%s has sessions closed that nobody has used for %s, and is set to %s", inv, cmd.idle, s.closeIdle)
	}
	want := s.grace
	if want > 0 && want < 10*time.Minute {
		want = 10 * time.Minute
	}
	if want = min(want, s.closeIdle/2); cmd.warn != want {
		w.breaks(5, "%s has users warned %s before their sessions are closed for being idle, which is to be %s", inv, cmd.warn, want)
	}
}
