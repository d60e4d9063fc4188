package sim

import (
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ourDocuments are the documents that the functions send.
func (w *world) ourDocuments() map[string]document {
	steps := []step{{"linux", "linux"}, {"windows", "windows"}}
	return map[string]document{
		closeDocument:     {steps, w.closeSessions},
		notifyDocument:    {steps, w.notify},
		inventoryDocument: {steps, w.inventory},
		idleDocument:      {steps, w.closeIdle},
	}
}

// Models of the documents' scripts. TestModelSaysWhatTheScriptsSay compares them with the
// scripts, line by line. A host that lies prints something else.

const unreadableOutput = "Segmentation fault {\n{\"id\":\n\"closed\"}{}\n"

// unlisted is why a script cannot list the host's sessions, or "".
func (m *machine) unlisted() string {
	switch m.dcv {
	case dcvBroken:
		return "dcv is broken (exit 1)"
	case dcvHung:
		return "dcv took too long"
	case dcvUnreadable:
		return "dcv list-sessions: unreadable answer"
	case dcvMute:
		return "dcv list-sessions: blank answer"
	case dcvWorks, dcvStubborn:
	}
	return ""
}

// noID tells whether a script does not give a name to dcv, because dcv would read it as
// an option, or only up to its first zero byte.
func noID(name string) bool { return strings.HasPrefix(name, "-") || strings.Contains(name, "\x00") }

const whyNoID = "no ID for dcv, or named twice"

// closed is what a script says of a session that it has closed, when it lists
// the sessions again.
func (m *machine) closed(was *desktop) (result, reason string) {
	switch why := m.unlisted(); {
	case why != "":
		return "failed", why
	case m.find(was.name) == was:
		return "failed", "dcv closed it, and lists it still"
	}
	return "closed", ""
}

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
	named := map[string]bool{}
	for _, a := range asks {
		order = append(order, a)
		d := m.find(a.name)
		twice := named[a.name]
		named[a.name] = true
		switch {
		case m.clock(w.now()).Unix() > on.command.voidAfter:
			say(a, "expired", "")
		case twice || noID(a.name):
			say(a, "failed", whyNoID)
		case m.unlisted() != "":
			if m.dcv == dcvHung {
				took = 8 * time.Second
			}
			say(a, "failed", m.unlisted())
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
		for _, other := range w.machines { // a lying host has read what others are asked to close
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
			result, reason := m.closed(c.was)
			say(c.ask, result, reason)
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

// means tells whether a session is the requested one, by the comparison of the script.
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
	took := w.dice.between(50*time.Millisecond, 2*time.Second)
	var out strings.Builder
	if !w.cannotList(on, &out, &took) {
		shown := m.sessions
		if m.liar {
			shown = w.lies(m)
		}
		if m.floods {
			shown = append(slices.Clone(shown), w.floods()...)
		}
		if m.liesAboutOwners {
			shown = w.withFalseOwners(shown)
		}
		for _, d := range shown {
			on.lists = append(on.lists, found{d.name, d.createdText})
			printLine(&out, struct {
				ID          string `json:"id"`
				Owner       string `json:"owner"`
				Name        string `json:"name"`
				Type        string `json:"type"`
				Created     string `json:"created"`
				Connections int64  `json:"connections"`
				Left        string `json:"left"`
			}{d.name, d.owner, "", d.kind, d.createdText, d.connections, d.left})
		}
		if on.complete = !m.floods || w.dice.chance(40*percent); on.complete {
			fmt.Fprintf(&out, "{\"end\":%d}\n", len(shown))
		}
	}
	w.prints(on, took, func() string { return packed(out.String()) })
}

// packed is a list as the script prints it: where it is long, in one line.
func packed(lines string) string {
	const most = 18_000
	if len(lines) <= most {
		return lines
	}
	var out strings.Builder
	out.WriteString(`{"gzip":"`)
	base := base64.NewEncoder(base64.StdEncoding, &out)
	zip, err := gzip.NewWriterLevel(base, gzip.BestCompression)
	if err != nil {
		panic(err)
	}
	for _, w := range []func() error{func() error { _, err := zip.Write([]byte(lines)); return err }, zip.Close, base.Close} {
		if err := w(); err != nil { // into memory
			panic(err)
		}
	}
	return out.String() + "\"}\n"
}

// cannotList prints why there is no list, if there is none.
func (w *world) cannotList(on *onHost, out *strings.Builder, took *time.Duration) bool {
	m := on.machine
	why := m.unlisted()
	switch {
	case m.liar && m.dcv == dcvUnreadable:
		out.WriteString(unreadableOutput)
	case why != "":
		fmt.Fprintf(out, "{\"failed\":\"%s\"}\n", why)
	}
	if m.dcv == dcvHung {
		*took = 8 * time.Second
	}
	return why != ""
}

func printLine(out *strings.Builder, line any) {
	text, err := json.Marshal(line)
	if err != nil { // texts and numbers
		panic(err)
	}
	out.Write(append(text, '\n'))
}

// lies returns the sessions that a lying host lists: some of its own, and other hosts'.
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
