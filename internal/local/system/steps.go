package system

import (
	"fmt"
	"net/http"
	"time"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/streamevent"
)

// A Step is one thing that somebody did: a change of a session, as the table's
// stream shows it, or an action of the control API.
type Step struct {
	At            time.Time
	By            string // the function, or ControlAPI; "" is not known
	SessionID     string
	HostID, Owner string
	From, To      string // states; From is empty for a new record, To for a removed one, both for an action
	Why           string // the confirmation, the reason, or what else was done
}

// tellChange tells of a change of the table.
func (sys *System) tellChange(r streamevent.Record) {
	by := sys.writers.of(r)
	if by == "" && int64(r.DynamoDB.ApproximateCreationDateTime) < sys.started.Unix() {
		return // an earlier start's: a table that is kept has its stream from the beginning
	}
	sys.stories.Changed(sys.now(), by, r.DynamoDB.OldImage.Record().Session(), r.DynamoDB.NewImage.Record().Session())
	step, tells := stepOf(r)
	if !tells || sys.opts.Steps == nil {
		return
	}
	if step.By = by; step.To == "" && r.UserIdentity == nil {
		step.By = ControlAPI // no function removes a record
	}
	if step.Why == "" && step.By == "delete-sessions" && step.From == string(session.Deleting) {
		step.Why = "taken back: refused" // and answered as unsuccessful
	}
	sys.opts.Steps(step)
}

func stepOf(r streamevent.Record) (step Step, tells bool) {
	text := func(i streamevent.Item, attr string) string {
		s, _ := i[attr]["S"].(string)
		return s
	}
	is, was := r.DynamoDB.NewImage, r.DynamoDB.OldImage
	known := is
	if known == nil {
		known = was
	}
	step = Step{
		At:        time.Now(),
		SessionID: text(known, session.AttrSessionID),
		HostID:    text(known, session.AttrHostID),
		Owner:     text(known, session.AttrOwner),
		From:      text(was, session.AttrState),
		To:        text(is, session.AttrState),
	}
	differs := func(attr string) bool { return text(is, attr) != "" && text(is, attr) != text(was, attr) }
	switch {
	case step.From != step.To && differs(session.AttrCancelledAt):
		step.Why = "cancelled"
	case step.From != step.To && step.To == string(session.Deleting) && text(is, session.AttrCloseAt) != "":
		step.Why = "closes at " + clock(text(is, session.AttrCloseAt))
	case step.From != step.To:
		step.Why = text(is, session.AttrConfirmation)
		if step.Why == "" {
			step.Why = text(is, session.AttrStateReason)
		}
	case differs(session.AttrConfirmation):
		step.Why = "confirmed: " + text(is, session.AttrConfirmation)
	case differs(session.AttrStateReason):
		step.Why = text(is, session.AttrStateReason)
	case differs(session.AttrWarning):
		step.Why = "notice: " + text(is, session.AttrWarning)
	case step.To == string(session.Deleting) && differs(session.AttrCloseAt):
		step.Why = "closes at " + clock(text(is, session.AttrCloseAt))
	default:
		attempts, _ := is[session.AttrAttempts]["N"].(string)
		before, _ := was[session.AttrAttempts]["N"].(string)
		if step.To != string(session.Deleting) || attempts == before {
			return step, false
		}
		step.Why = fmt.Sprint("close attempt ", attempts)
	}
	return step, true
}

// clock is a time of the table as people here read it.
func clock(text string) string {
	at, err := time.Parse(session.TimeFormat, text)
	if err != nil {
		return text
	}
	return at.Local().Format(time.TimeOnly)
}

// actions are what the control API's changing calls do, by their patterns. A host's
// faults and cleanup's tasks say it by themselves.
var actions = map[string]string{
	"PUT /local/hosts/{host}/sessions/{session}":                "the session starts",
	"DELETE /local/hosts/{host}/sessions/{session}":             "the session ends",
	"PUT /local/hosts/{host}/sessions/{session}/connections":    "users connect",
	"DELETE /local/hosts/{host}/sessions/{session}/connections": "users disconnect",
	"DELETE /local/sessions/{session}":                          "record removed",
	"POST /local/hosts/{host}/{action}":                         "",
	"POST /local/cleanup/{task}":                                "cleanup: ",
	"POST /local/broadcasts/{action}":                           "broadcasts: ",
	"POST /local/clock":                                         "clock set on",
}

// tellAction tells of a call of the control API that was carried out.
func (sys *System) tellAction(at time.Time, r *http.Request) {
	what, changes := actions[r.Pattern]
	if !changes || sys.opts.Steps == nil {
		return
	}
	sys.opts.Steps(Step{
		At: at, By: ControlAPI, HostID: r.PathValue("host"), SessionID: r.PathValue("session"),
		Why: what + r.PathValue("action") + r.PathValue("task"),
	})
}
