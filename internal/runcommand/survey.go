package runcommand

import (
	"encoding/json"
	"strings"

	"dcv-session-broker/internal/session"
)

// The inventory and the idle document print a line for each session, and a last one
// with the number of the host's sessions. If lines are missing, the answer was cut. An
// inventory that does not fit is packed (unpack.go).
//
// A line with only an ID is a session that runs, of which the host knows no more.
// Sessions that cannot be named have no line. The last line counts them as unnamed, and
// they do not make the answer incomplete.

type foundLine struct {
	ID          *string `json:"id"`
	Owner       string  `json:"owner"`
	Name        string  `json:"name"`
	Type        string  `json:"type"`
	Created     string  `json:"created"`
	Left        string  `json:"left"`
	Connections int64   `json:"connections"`

	Result  string `json:"result"`
	Minutes int64  `json:"minutes"`
	Reason  string `json:"reason"`

	End     *int   `json:"end"`
	Unnamed int    `json:"unnamed"`
	Failed  string `json:"failed"`
}

// A survey is such an answer after parsing. end is -1 without a last line.
type survey struct {
	lines        []foundLine
	end, unnamed int
	failed       string
	unreadable   int
}

func (s survey) complete() bool {
	return s.end >= 0 && s.unnamed >= 0 && s.end == len(s.lines)+s.unnamed && s.unreadable == 0 && s.failed == ""
}

// parseSurvey parses such an answer. A line of both kinds, or a second line of a
// session, may be two lines that a cut has joined: it counts as unreadable.
func parseSurvey(output string) survey {
	s := survey{end: -1}
	text, whole := unpack(output)
	if !whole {
		s.unreadable++
	}
	had := map[string]bool{}
	read := 0
	for line := range strings.Lines(text) {
		if blank(line) {
			continue
		}
		if read++; read > maxSurveyLines {
			s.unreadable++
			break
		}
		var said foundLine
		switch err := json.Unmarshal([]byte(line), &said); {
		case err != nil || s.end >= 0 || said.ID != nil && (said.End != nil || had[*said.ID]):
			s.unreadable++
		case said.Failed != "":
			s.failed = printable(said.Failed)
		case said.End != nil:
			s.end, s.unnamed = *said.End, said.Unnamed
		case said.ID != nil:
			had[*said.ID] = true
			s.lines = append(s.lines, said)
		default:
			s.unreadable++
		}
	}
	return s
}

// blank tells whether a line has only JSON's white space. A line with other white space
// is unreadable, like everything that a document does not print.
func blank(line string) bool { return strings.Trim(line, " \t\r\n") == "" }

// inventory returns the sessions that the host reports.
func inventory(c comment, hostID, platform, output string) (inv session.Inventory, answered bool, failed string, unreadable int) {
	s := parseSurvey(output)
	inv = session.Inventory{
		ID: c.id, HostID: hostID, Platform: platform, SentAt: c.at,
		Complete: s.complete(), Unnamed: max(s.unnamed, 0),
	}
	for _, l := range s.lines {
		inv.Sessions = append(inv.Sessions, session.Found{
			NameOnHost: *l.ID, Owner: l.Owner, Name: cut(l.Name), Type: cut(l.Type),
			CreationTime: cut(l.Created), NumOfConnections: l.Connections, LastDisconnectionTime: cut(l.Left),
		})
	}
	return inv, s.failed == "" && (s.end >= 0 || len(s.lines) > 0), s.failed, s.unreadable
}

// maxTextBytes is how much is kept of a session's text: DCV's longest name has 256
// characters. (IDs have other bounds.) Records are read 250 at a time, and an item may
// have 400 KB, so a hostile host could fill the memory with a few.
const maxTextBytes = 4 * 256

func cut(text string) string {
	if len(text) <= maxTextBytes {
		return text
	}
	return strings.ToValidUTF8(text[:maxTextBytes], "")
}

// idle returns what the host did with its idle sessions.
func idle(c comment, hostID, output string) (report session.IdleReport, answered bool, failed string, unreadable int) {
	s := parseSurvey(output)
	report = session.IdleReport{ID: c.id, HostID: hostID}
	for _, l := range s.lines {
		report.Sessions = append(report.Sessions, session.IdleSession{
			NameOnHost: *l.ID, CreationTime: l.Created, Outcome: session.Outcome(l.Result),
			IdleMinutes: l.Minutes, NumOfConnections: l.Connections, Reason: printable(l.Reason),
		})
	}
	return report, s.end >= 0 || len(s.lines) > 0, s.failed, s.unreadable
}
