package system

import (
	"fmt"
	"net/http"
	"time"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/streamevent"
)

// A Step is a change of a session, from the table's stream, or an action of the control
// API.
type Step struct {
	At            time.Time
	By            string // the function, or ControlAPI; "": not known
	SessionID     string
	HostID, Owner string
	From, To      string // states; From is empty for a new record, To for a removed one, both for an action
	Why           string // the confirmation, the reason, or another detail
}

// tellChange passes on a change of the table.
func (sys *System) tellChange(r streamevent.Record) {
	by := sys.writers.of(r)
	if by == "" && int64(r.DynamoDB.ApproximateCreationDateTime) < sys.started.Unix() {
		return // from an earlier start: the stream of a kept table begins there
	}
	was, is := r.DynamoDB.OldImage.Record().Session(), r.DynamoDB.NewImage.Record().Session()
	sys.stories.Changed(sys.now(), by, was, is)
	why, tells := whyOf(was, is)
	if !tells || sys.opts.Steps == nil {
		return
	}
	known := is
	if known.ID == "" {
		known = was
	}
	step := Step{
		At: time.Now(), By: by, SessionID: known.ID, HostID: known.HostID, Owner: known.Owner, From: string(was.State), To: string(is.State), Why: why,
	}
	if is.ID == "" && r.UserIdentity == nil {
		step.By = ControlAPI // no function removes a record
	}
	if why == "" && by == "delete-sessions" && was.State == session.Deleting {
		step.Why = "taken back: refused" // and answered as unsuccessful
	}
	sys.opts.Steps(step)
}

// whyOf returns the most important change between two versions of a record. tells is false if there is none worth a
// line.
func whyOf(was, is session.Session) (why string, tells bool) {
	moved, deleting := was.State != is.State, is.State == session.Deleting
	closes := !is.CloseAt.IsZero()
	switch {
	case moved && !is.CancelledAt.IsZero() && !is.CancelledAt.Equal(was.CancelledAt):
		why = "cancelled"
	case moved && deleting && closes:
		why = closesAt(is)
	case moved:
		if why = string(is.Confirmation); why == "" {
			why = is.StateReason
		}
	case is.Confirmation != "" && is.Confirmation != was.Confirmation:
		why = "confirmed: " + string(is.Confirmation)
	case is.StateReason != "" && is.StateReason != was.StateReason:
		why = is.StateReason
	case is.Warning != "" && is.Warning != was.Warning:
		why = "notice: " + is.Warning
	case deleting && closes && !is.CloseAt.Equal(was.CloseAt):
		why = closesAt(is)
	case deleting && is.Attempts != was.Attempts:
		why = fmt.Sprint("close attempt ", is.Attempts)
	default:
		return "", false
	}
	return why, true
}

// closesAt formats the close time in the local time zone.
func closesAt(s session.Session) string {
	return "closes at " + s.CloseAt.Local().Format(time.TimeOnly)
}

// actions describe the control API's changing calls, by their patterns. The names of
// host actions and of cleanup's tasks need no description.
var actions = map[string]string{
	"PUT /local/hosts/{host}/sessions/{session}":                "the session starts",
	"DELETE /local/hosts/{host}/sessions/{session}":             "the session ends",
	"PUT /local/hosts/{host}/sessions/{session}/connections":    "users connect",
	"DELETE /local/hosts/{host}/sessions/{session}/connections": "users disconnect",
	"DELETE /local/sessions/{session}":                          "record removed",
	"POST /local/hosts/{host}/owner-tag":                        "owner-tag",
	"POST /local/hosts/{host}/{action}":                         "",
	"POST /local/cleanup/{task}":                                "cleanup: ",
	"POST /local/broadcasts/{action}":                           "broadcasts: ",
	"POST /local/clock":                                         "clock set to ",
}

// tellAction passes on a call of the control API that was carried out.
func (sys *System) tellAction(at time.Time, r *http.Request) {
	what, changes := actions[r.Pattern]
	if !changes || sys.opts.Steps == nil {
		return
	}
	if what += r.PathValue("action") + r.PathValue("task"); r.Pattern == "POST /local/clock" {
		what += sys.now().Local().Format(time.TimeOnly)
	}
	sys.opts.Steps(Step{At: at, By: ControlAPI, HostID: r.PathValue("host"), SessionID: r.PathValue("session"), Why: what})
}
