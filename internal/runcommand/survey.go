package runcommand

import (
	"encoding/json"
	"strings"

	"dcv-session-broker/internal/session"
)

// The lines that the inventory and the idle document print: one for each
// session, and a last one with the number of sessions that the host has. Where
// lines are missing the answer was cut.

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

	End    *int   `json:"end"`
	Failed string `json:"failed"`
}

// parseSurvey reads such an answer. end is -1 without a last line. A line that
// is of both kinds, or of a session that had one, may be two that a cut has
// joined: it cannot be read.
func parseSurvey(output string) (lines []foundLine, end int, failed string, unreadable int) {
	end = -1
	had := map[string]bool{}
	for line := range strings.Lines(output) {
		if blank(line) {
			continue
		}
		var said foundLine
		switch err := json.Unmarshal([]byte(line), &said); {
		case err != nil || end >= 0 || said.ID != nil && (said.End != nil || had[*said.ID]):
			unreadable++
		case said.Failed != "":
			failed = printable(said.Failed)
		case said.End != nil:
			end = *said.End
		case said.ID != nil:
			had[*said.ID] = true
			lines = append(lines, said)
		default:
			unreadable++
		}
	}
	return lines, end, failed, unreadable
}

// blank: of the white space that JSON knows, and no other. What else looks like
// it is garbage, as everything that a document does not print.
func blank(line string) bool { return strings.Trim(line, " \t\r\n") == "" }

// inventory is what the host says runs on it.
func inventory(c comment, hostID, platform, output string) (inv session.Inventory, answered bool, failed string, unreadable int) {
	lines, end, failed, unreadable := parseSurvey(output)
	inv = session.Inventory{
		ID: c.id, HostID: hostID, Platform: platform, SentAt: c.sentAt,
		Complete: end >= 0 && end == len(lines) && unreadable == 0 && failed == "",
	}
	for _, l := range lines {
		inv.Sessions = append(inv.Sessions, session.Found{
			NameOnHost: *l.ID, Owner: l.Owner, Name: l.Name, Type: l.Type,
			CreationTime: l.Created, NumOfConnections: l.Connections, LastDisconnectionTime: l.Left,
		})
	}
	return inv, failed == "" && (end >= 0 || len(lines) > 0), failed, unreadable
}

// idle is what the host did with its idle sessions.
func idle(c comment, hostID, output string) (report session.IdleReport, answered bool, failed string, unreadable int) {
	lines, end, failed, unreadable := parseSurvey(output)
	report = session.IdleReport{ID: c.id, HostID: hostID, SentAt: c.sentAt}
	for _, l := range lines {
		report.Sessions = append(report.Sessions, session.IdleSession{
			NameOnHost: *l.ID, CreationTime: l.Created, Outcome: session.Outcome(l.Result),
			IdleMinutes: l.Minutes, NumOfConnections: l.Connections, Reason: printable(l.Reason),
		})
	}
	return report, end >= 0 || len(lines) > 0, failed, unreadable
}
