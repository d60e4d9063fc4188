package system

import (
	"time"

	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/streamevent"
)

// A Step is one change of a session's state, as the table's stream shows it.
type Step struct {
	At            time.Time
	SessionID     string
	HostID, Owner string
	From, To      string // states; From is empty for a new record, To for a removed one
	Why           string // the confirmation or the reason, if there is one
}

func stepOf(r streamevent.Record) (Step, bool) {
	text := func(i streamevent.Item, attr string) string {
		s, _ := i[attr]["S"].(string)
		return s
	}
	is, was := r.DynamoDB.NewImage, r.DynamoDB.OldImage
	step := Step{
		At:   time.Now(),
		From: text(was, session.AttrState),
		To:   text(is, session.AttrState),
		Why:  text(is, session.AttrConfirmation),
	}
	if step.Why == "" {
		step.Why = text(is, session.AttrStateReason)
	}
	known := is
	if known == nil {
		known = was
	}
	step.SessionID = text(known, session.AttrSessionID)
	step.HostID = text(known, session.AttrHostID)
	step.Owner = text(known, session.AttrOwner)
	return step, step.From != step.To
}
