package runcommand

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"dcv-session-broker/internal/session"
)

// A line is a host's result for one session that a command names.
type line struct{ sessionID, result, reason string }

// parseOutput reads the lines of a host's stdout. It accepts whole, well-formed lines
// with one of those results, one for each session. It only counts other lines: a host
// can print anything, and a cut output ends in the middle of a line.
func parseOutput(output string, results ...string) (lines []line, unreadable int) {
	had := map[string]bool{}
	for text := range strings.Lines(output) {
		if blank(text) {
			continue
		}
		var said struct {
			ID     string `json:"id"`
			Result string `json:"result"`
			Reason string `json:"reason"`
		}
		err := json.Unmarshal([]byte(text), &said)
		id, idErr := decodeID(said.ID)
		isID := idErr == nil && id != "" && len(id) <= session.MaxIDBytes && utf8.ValidString(id)
		if err != nil || !isID || had[id] || !slices.Contains(results, said.Result) {
			unreadable++
			continue
		}
		had[id] = true
		lines = append(lines, line{id, said.Result, printable(said.Reason)})
	}
	return lines, unreadable
}

// reports returns the host's results for the sessions that it was to close.
func reports(c comment, hostID, output string) (said []session.Report, unreadable int) {
	lines, unreadable := parseOutput(output, string(session.OutcomeClosed), string(session.OutcomeAbsent),
		string(session.OutcomeReplaced), string(session.OutcomeExpired), string(session.OutcomeFailed))
	for _, l := range lines {
		said = append(said, session.Report{
			HostID: hostID, AttemptID: c.id, SessionID: l.sessionID, Outcome: session.Outcome(l.result), Reason: l.reason,
		})
	}
	return said, unreadable
}

// warnings returns the host's results for the sessions whose users it was to warn.
func warnings(c comment, hostID, output string) (said []session.Warning, unreadable int) {
	lines, unreadable := parseOutput(output, string(session.Warned), string(session.Nobody), string(session.NotWarned))
	for _, l := range lines {
		said = append(said, session.Warning{
			HostID: hostID, NoticeID: c.id, SessionID: l.sessionID, CloseAt: c.at, At: c.noticeAt, Outcome: session.WarningOutcome(l.result), Reason: l.reason,
		})
	}
	return said, unreadable
}
