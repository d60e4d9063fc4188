package sessions

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"dcv-session-broker/internal/operate/api"
	"dcv-session-broker/internal/operate/table"
)

// Table is for people: columns that fit a line of a terminal, or more if wide.
func Table(all []api.Session, wide bool, now time.Time) table.Table {
	waits := slices.ContainsFunc(all, api.Session.Waits)
	t := table.Table{Head: []string{"SESSION", "OWNER", "HOST", "STATE", "AGE", "USERS"}}
	if waits {
		t.Head = append(t.Head, "CLOSES")
	}
	if wide {
		t.Head = append(t.Head, "TYPE", "SEEN", "ATTEMPTS", "REQUESTED BY", "REASON")
	}
	for _, s := range all {
		row := []string{s.ID, s.Owner, dash(s.HostID()), string(s.State), since(s.CreationTime, now), strconv.FormatInt(s.NumOfConnections, 10)}
		if waits {
			row = append(row, until(s, now))
		}
		if wide {
			row = append(row, dash(s.Type), since(s.LastSeenTime, now), strconv.FormatInt(s.Attempts, 10),
				dash(s.DeletionRequestedBy), dash(s.StateReason))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func dash(text string) string { return cmp.Or(text, "-") }

// since returns how long ago a time of an answer is, in one unit or two: 45s, 12m, 3h5m, 4d2h.
func since(text string, now time.Time) string {
	at := api.Time(text)
	if at.IsZero() {
		return "-"
	}
	return short(now.Sub(at))
}

// until returns the time left until a session's close time.
func until(s api.Session, now time.Time) string {
	if !s.Waits() {
		return "-"
	}
	return "in " + short(api.Time(s.CloseAt).Sub(now))
}

func short(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(0, d); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	}
}

// Changed returns the sessions that differ from what was shown, and notes them as shown. A new LastSeenTime, which each
// inventory sets, is no change. A session that is gone is returned once more, without a state.
func Changed(shown map[string]string, found []api.Session) (changed []api.Session) {
	there := map[string]bool{}
	for _, s := range found {
		there[s.ID] = true
		s.LastSeenTime = ""
		text, err := json.Marshal(s)
		if err != nil {
			panic(err) // texts always have a JSON form
		}
		if shown[s.ID] != string(text) {
			shown[s.ID] = string(text)
			changed = append(changed, s)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(shown)) {
		if !there[id] {
			delete(shown, id)
			changed = append(changed, api.Session{ID: id, State: "(gone)"})
		}
	}
	return changed
}

// CSV is for programs and spreadsheets. Its columns are the fields of describeSessions. For a terminal the cells are without
// characters that move the cursor.
func CSV(w io.Writer, all []api.Session, terminal bool) error {
	rows := [][]string{{
		"Id", "Owner", "HostId", "Type", "State", "StateReason", "CreationTime", "LastDisconnectionTime", "NumOfConnections",
		"DeletionRequestedAt", "DeletionRequestedBy", "DeletionRequestId", "DeletionReason", "CloseAt", "Warning", "Attempts",
		"AttemptedAt", "NextAttemptAt", "Confirmation", "LastSeenTime",
	}}
	for _, s := range all {
		rows = append(rows, []string{
			s.ID, s.Owner, s.HostID(), s.Type, string(s.State), s.StateReason, s.CreationTime, s.LastDisconnectionTime,
			strconv.FormatInt(s.NumOfConnections, 10), s.DeletionRequestedAt, s.DeletionRequestedBy, s.DeletionRequestID, s.DeletionReason,
			s.CloseAt, s.Warning, strconv.FormatInt(s.Attempts, 10), s.AttemptedAt, s.NextAttemptAt, string(s.Confirmation), s.LastSeenTime,
		})
	}
	if terminal {
		for _, row := range rows {
			for i := range row {
				row[i] = table.Plain(row[i])
			}
		}
	}
	return csv.NewWriter(w).WriteAll(rows)
}
