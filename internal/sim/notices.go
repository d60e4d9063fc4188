package sim

import (
	"strings"
	"time"

	"dcv-session-broker/internal/session"
)

// A noticeFile is a host's record of the notices of one session ID, in a file that only
// root can write. It is lost when the host stops.
type noticeFile struct {
	order   int64 // NoticeAt of the newest notice, in milliseconds since 1970
	shown   bool  // a program has shown the newest notice
	warned  bool  // a warning was shown, and not taken back
	created time.Time
}

// A window is a message on a session's screen.
type window struct {
	of      *notice
	closeAt time.Time // it ends then
}

// noticesOf returns the host's record for that session ID.
func (m *machine) noticesOf(name string) *noticeFile {
	if m.notices == nil {
		m.notices = map[string]*noticeFile{}
	}
	if m.notices[name] == nil {
		m.notices[name] = &noticeFile{}
	}
	return m.notices[name]
}

// notify is the notify document: for each session it looks who is connected and shows the
// message; two seconds later it looks whether the message is still there.
func (w *world) notify(on *onHost) {
	m, cmd := on.machine, on.command
	took := w.dice.between(100*time.Millisecond, 3*time.Second)
	if m.dcv == dcvHung {
		took = 8 * time.Second
	}
	type showing struct {
		ask
		d     *desktop
		file  *noticeFile
		of    *notice
		fails bool
	}
	var (
		lines    strings.Builder
		showings []showing
	)
	say := func(a ask, result, reason string) {
		on.said[a.sessionID] = result
		printLine(&lines, struct {
			ID     string `json:"id"`
			Result string `json:"result"`
			Reason string `json:"reason,omitempty"`
		}{a.key, result, reason})
	}
	named := map[string]bool{}
	for _, a := range cmd.asks[m.id] {
		twice := named[a.name]
		named[a.name] = true
		d, why := w.mayNotify(on, a, twice)
		if why != "" && !m.liar {
			say(a, "failed", why)
			continue
		}
		if m.liar {
			say(a, cmd.shownAs(), "zenity")
			continue
		}
		file := m.noticesOf(a.name)
		of, again, result, why := w.takesNotice(on, a, d, file)
		switch {
		case why != "":
			say(a, "failed", why)
		case again:
			say(a, cmd.shownAs(), "zenity")
		case result != "":
			say(a, result, "")
		default:
			showings = append(showings, showing{a, d, file, of, w.meets(messageFails)})
		}
	}
	if len(showings) > 0 {
		took += 2 * time.Second
	}
	w.prints(on, took, func() string {
		for _, s := range showings {
			switch {
			case s.file.order != s.order:
				say(s.ask, "failed", "a newer notice came")
			case m.find(s.name) != s.d || s.fails:
				s.d.window = nil
				say(s.ask, "failed", "zenity did not stay on the screen")
			default:
				s.file.shown, s.file.warned = true, s.file.warned || !cmd.closeAt.IsZero()
				s.of.of.onScreen(cmd.closeAt)
				say(s.ask, cmd.shownAs(), "zenity")
			}
		}
		return lines.String()
	})
}

// shownAs returns the script's result for a message that is on the screen.
func (c *command) shownAs() string {
	if c.closeAt.IsZero() {
		return "told"
	}
	return string(session.Warned)
}

// mayNotify returns the session of a notice, or why the notice cannot be shown.
func (w *world) mayNotify(on *onHost, a ask, twice bool) (d *desktop, why string) {
	m, cmd := on.machine, on.command
	clock := m.clock(w.now())
	d = m.find(a.name)
	switch {
	case clock.Unix() > cmd.voidAfter:
		return nil, "the notice is void"
	case !cmd.closeAt.IsZero() && clock.Unix() >= cmd.closesAt:
		return nil, "its time to close has come"
	case twice || noID(a.name):
		return nil, whyNoID
	case m.unlisted() != "":
		return nil, m.unlisted()
	case d == nil:
		return nil, "no such session"
	case !a.means(d):
		return nil, "another session has its ID by now"
	}
	return d, ""
}

// takesNotice records a notice on the host, unless a newer one is recorded, removes the
// older message, and shows its own. If there is none to show, result says so.
func (w *world) takesNotice(on *onHost, a ask, d *desktop, file *noticeFile) (of *notice, again bool, result, why string) {
	m, cmd := on.machine, on.command
	if file.order > a.order {
		return nil, false, "", "a newer notice was here before"
	}
	if !file.created.Equal(d.created) {
		file.warned = false
	}
	if file.order == a.order && file.shown {
		return nil, true, "", ""
	}
	cancel, warned := cmd.closeAt.IsZero(), file.warned || d.window != nil && !file.shown // or it may have been read
	*file = noticeFile{order: a.order, warned: warned && !cancel && d.connections > 0, created: d.created}
	d.window = nil
	of = w.runsNotice(on, a, d)
	switch {
	case cancel && !warned:
		return of, false, "nothing", ""
	case cancel:
		w.seen.effects[userToldOfCancel]++
		w.say(m.id, "the users of %q read that it is not closed", d.name)
	case d.connections == 0:
		w.seen.effects[nobodyToWarn]++
		return of, false, string(session.Nobody), ""
	default:
		w.showsWarning(on, d, of)
	}
	return of, false, "", ""
}
