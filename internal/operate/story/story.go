// Package story tells what happened to a session and its deletion, in order: who asked for it, what was tried, what its
// host answered, what its users were told, what happens next and when, and what to do now.
package story

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"dcv-session-broker/internal/operate/records"
	"dcv-session-broker/internal/operate/screen"
	"dcv-session-broker/internal/operate/stuck"
	"dcv-session-broker/internal/session"
)

// A Teller makes the stories of one system's sessions.
type Teller struct {
	System records.System
	// Advice returns the runbook's advice about a reason on a host.
	Advice func(reason, hostID string) (text string, ok bool)
	// Since is how far back the functions' logs are read if the session's record does not say.
	Since time.Duration
	Now   func() time.Time
}

// A Story is the story of one session.
type Story struct {
	SessionID string `json:"SessionId"`
	// Found is true if the session has a record. Otherwise Matches are the sessions that the ID may mean.
	Found   bool
	Matches []Match `json:",omitempty"`
	// Summary describes the session and the state of its deletion.
	Summary string
	// Happened and Next are in the order of time. Next has what is known now.
	Happened []Event
	Next     []Event `json:",omitempty"`
	// Why are the known causes of what is wrong, and Do what to do about it.
	Why []string `json:",omitempty"`
	Do  []string `json:",omitempty"`
	// NotLookedAt is what could not be read.
	NotLookedAt []string       `json:",omitempty"`
	Record      session.Record `json:",omitempty"`
}

// An Event is a past or a coming event.
type Event struct {
	At time.Time
	// By is the function that logged it; "" if no line of the logs is about it.
	By   string `json:",omitempty"`
	Text string
	// logged is a part of the line that a function logs about it; "" if none does.
	logged string
}

// A subject holds what is known of the session.
type subject struct {
	session.Session
	giveUp  time.Duration
	host    records.Host
	known   bool // the host
	node    *records.Node
	managed bool // Systems Manager was asked for node
	// command is the command of the current attempt, first the one of the first attempt if that is another.
	command, first *records.Command
	asked          bool // Systems Manager was asked for the commands
	now            time.Time
}

// Tell makes the story of a session. It returns an error if the record could not be read.
func (t *Teller) Tell(ctx context.Context, sessionID string) (*Story, error) {
	found, err := t.System.Get(ctx, []string{sessionID})
	if err != nil {
		return nil, fmt.Errorf("read the record of %s: %w", sessionID, err)
	}
	story := &Story{SessionID: sessionID, Happened: []Event{}}
	if len(found) == 0 {
		return story, t.unknown(ctx, story)
	}
	s := &subject{Session: found[0].Session(), giveUp: t.System.GiveUpAfter(), now: t.Now()}
	story.Found, story.Record = true, found[0]
	t.lookAtHost(ctx, story, s)
	story.Summary = summary(s)
	story.Happened = happened(s)
	story.Next = next(s)
	story.Why = why(s)
	story.Do = t.advice(s)
	t.addLines(ctx, story, s.logged())
	return story, nil
}

// lookAtHost reads what is known of the host and of the command of the attempt. It notes what could not be read.
func (t *Teller) lookAtHost(ctx context.Context, story *Story, s *subject) {
	if s.HostID == "" || s.State == session.Deleted && s.CloseUntil.IsZero() {
		return
	}
	var err error
	if s.host, s.known, err = t.System.Host(ctx, s.HostID); err != nil {
		story.missing("what the Hosts table has of "+s.HostID, err)
	}
	if s.node, err = t.System.Node(ctx, s.HostID); err != nil {
		story.missing("whether Systems Manager reaches "+s.HostID, err)
	}
	s.managed = err == nil
	if !s.open() || s.AttemptID == "" {
		return
	}
	since := s.DeletionRequestedAt
	if s.Waits() {
		since = s.NoticeAt
	}
	commands, err := t.System.Commands(ctx, s.HostID, []string{s.AttemptID, s.DeletionRequestID}, since)
	if err != nil {
		story.missing("the commands for "+s.HostID, err)
		return
	}
	s.asked = true
	if c, sent := commands[s.AttemptID]; sent {
		s.command = &c
	}
	if c, sent := commands[s.DeletionRequestID]; sent && s.AttemptID != s.DeletionRequestID {
		s.first = &c
	}
}

func (story *Story) missing(what string, err error) {
	story.NotLookedAt = append(story.NotLookedAt, what+": "+err.Error())
}

// open tells whether the host still has to close the session.
func (s *subject) open() bool {
	return s.State == session.Deleting && s.Confirmation == "" || !s.CloseUntil.IsZero() && s.DueShard != ""
}

// overdue tells whether cleanup should have processed the deletion.
func (s *subject) overdue() bool { return stuck.Overdue(s.Session, s.now) }

// end returns when the deletion is given up; for a session that was removed by force, when its closing is.
func (s *subject) end() time.Time {
	switch {
	case !s.CloseUntil.IsZero():
		return s.CloseUntil
	case !s.TryUntil.IsZero() || s.giveUp == 0 || s.Waits():
		return s.TryUntil
	}
	return s.DeletionRequestedAt.Add(s.giveUp)
}

// logged selects the lines of the functions' logs that belong to the story.
func (s *subject) logged() records.Search {
	about := records.Search{SessionID: s.ID, To: s.now.Add(time.Minute)}
	for _, id := range []string{s.DeletionRequestID, s.CancelledBy} {
		if id != "" {
			about.RequestIDs = append(about.RequestIDs, id)
		}
	}
	about.From = s.DeletionRequestedAt
	if about.From.IsZero() || !s.CancelledAt.IsZero() && s.CancelledAt.Before(about.From) {
		about.From = s.CancelledAt
	}
	if !about.From.IsZero() {
		about.From = about.From.Add(-time.Minute)
	}
	if !s.DeletedAt.IsZero() && s.CloseUntil.IsZero() {
		about.To = s.DeletedAt.Add(10 * time.Minute)
	}
	return about
}

// maxLines is how many lines of the logs a story has at most; it has the last ones.
const maxLines = 60

// addLines adds what functions have logged to the story.
func (t *Teller) addLines(ctx context.Context, story *Story, about records.Search) {
	if about.From.IsZero() {
		about.From = t.Now().Add(-t.Since)
	}
	lines, missing := t.System.Lines(ctx, about)
	story.NotLookedAt = append(story.NotLookedAt, missing...)
	if len(lines) > maxLines {
		story.NotLookedAt = append(story.NotLookedAt, fmt.Sprintf(
			"%d earlier lines of the functions' logs: CloudWatch Logs Insights has a query for all, \"story of a session\"", len(lines)-maxLines))
		lines = lines[len(lines)-maxLines:]
	}
	t.addRefusal(story, lines)
	for _, line := range lines {
		if !join(story.Happened, line) {
			story.Happened = append(story.Happened, Event{At: line.At, By: line.Function, Text: said(line)})
		}
	}
	inOrder(story.Happened)
}

// addRefusal adds why a requested deletion did not begin: the record of a deletion that was put back does not show it.
func (t *Teller) addRefusal(story *Story, lines []records.Line) {
	state, _ := story.Record[session.AttrState].(string)
	if state != string(session.Ready) && state != string(session.Unknown) {
		return
	}
	for _, line := range slices.Backward(lines) {
		switch {
		case strings.HasPrefix(line.Message, "entry refused"), strings.HasPrefix(line.Message, "entry failed"):
			story.Why = append(story.Why, fmt.Sprintf("A deletion was asked for %s, and nothing was changed: %s",
				screen.Distance(line.At, t.Now()), said(line)))
			cause, _ := line.Attributes["Cause"].(string)
			if text, ok := t.Advice(cause, story.Record.Session().HostID); cause != "" && ok {
				story.Do = append(story.Do, sentences(text)...)
			}
			return
		case strings.HasPrefix(line.Message, "deletion cancelled"), strings.HasPrefix(line.Message, "deletion given up"), strings.HasPrefix(line.Message, "session listed"):
			return
		}
	}
}

// shownAttributes are the attributes of a line that a story shows, in this order.
var shownAttributes = []string{"Reason", "Cause", "Status", "Outcome", "Confirmation", "CommandId", "Said", "Panic"}

// said formats a line for people.
func said(line records.Line) string {
	text := line.Message
	if line.Level != "INFO" && line.Level != "DEBUG" {
		text = line.Level + ": " + text
	}
	var with []string
	for _, name := range shownAttributes {
		if v, there := line.Attributes[name]; there && v != "" {
			with = append(with, name+": "+strings.TrimRight(fmt.Sprint(v), ": "))
		}
	}
	if len(with) > 0 {
		text += " (" + strings.Join(with, "; ") + ")"
	}
	return text
}

// summary describes the session in one sentence.
func summary(s *subject) string {
	text := s.ID
	if s.NameOnHost() != s.ID {
		text += " (" + s.NameOnHost() + " on its host)"
	}
	text += fmt.Sprintf(" of %s on %s: ", s.Owner, cmp.Or(s.HostID, "a host that is not known"))
	ago := func(at time.Time) string { return screen.Length(s.now.Sub(at)) }
	switch {
	case s.Waits():
		return text + fmt.Sprintf("DELETING, and waits for its close time, %s. Until then it can be used, and its deletion can be cancelled.", screen.Clock(s.CloseAt, s.now))
	case s.State == session.Deleting && s.Confirmation != "":
		return text + fmt.Sprintf("DELETING for %s, confirmed (%s), and not ended yet.", ago(s.DeletionRequestedAt), s.Confirmation)
	case s.State == session.Deleting:
		return text + fmt.Sprintf("DELETING for %s, and not confirmed: attempt %d.", ago(s.ClosingBegan()), s.Attempts)
	case s.State == session.Deleted && !s.CloseUntil.IsZero() && s.DueShard != "":
		return text + fmt.Sprintf("DELETED by force; its host is asked to close it until %s.", screen.Clock(s.CloseUntil, s.now))
	case s.State == session.Deleted:
		return text + fmt.Sprintf("DELETED %s (%s).", screen.Distance(s.DeletedAt, s.now), s.Confirmation)
	case s.State == session.Unknown && !s.GivenUpAt.IsZero():
		return text + fmt.Sprintf("UNKNOWN: its deletion was given up %s. The session may still run.", screen.Distance(s.GivenUpAt, s.now))
	case s.State == session.Unknown:
		return text + "UNKNOWN: no deletion is open, and its host has not said whether it runs."
	default:
		return text + fmt.Sprintf("%s. No deletion is open.", s.State)
	}
}
