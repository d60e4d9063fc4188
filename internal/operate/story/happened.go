package story

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"dcv-session-broker/internal/operate/records"
	"dcv-session-broker/internal/operate/screen"
	"dcv-session-broker/internal/session"
)

// happened returns the past events that the record, the Hosts table and Systems Manager show, in order. A record has
// only the last event of each kind; earlier ones are in the functions' logs.
func happened(s *subject) (events []Event) {
	addLogged := func(at time.Time, logged, text string) {
		if !at.IsZero() {
			events = append(events, Event{At: at, Text: text, logged: logged})
		}
	}
	add := func(at time.Time, format string, args ...any) { addLogged(at, "", fmt.Sprintf(format, args...)) }
	created, _ := time.Parse(time.RFC3339Nano, s.CreationTime)
	add(created, "The session was created, by its host's clock.")
	add(s.FirstSeenAt, "An inventory listed it.")
	switch {
	case s.CancelledBy != "":
		add(s.CancelledAt, "Its deletion was cancelled, by request %s.", s.CancelledBy)
	default:
		add(s.CancelledAt, "A cancel found no deletion. No request from before it deletes the session.")
	}
	add(s.DeletionRequestedAt, "%s", requested(s))
	add(s.RepeatedAt, "Another request was answered that this deletion is under way: it is not put back any more.")
	if s.NoticeID != "" {
		add(s.NoticeAt, "Its host was asked to tell its users%s.", ofWarning(s))
	}
	add(s.WarnedAt, "Its users were told: %s.", s.Warning)
	forgets := s.Confirmation == session.Forced && s.CloseUntil.IsZero()
	if asksHost := !forgets && s.DeletionRequestedBy != byBroker; asksHost && s.Attempts > 0 {
		add(s.AttemptedAt, "%s", attempted(s))
	}
	switch {
	case s.command == nil:
	case s.Waits():
		add(s.command.SentAt, "Systems Manager took the command with that notice (%s).", s.command.ID)
	default:
		addLogged(s.command.SentAt, commandSent, fmt.Sprintf("Systems Manager took the command of that attempt (%s).", s.command.ID))
	}
	if s.State != session.Unknown {
		addLogged(s.AttemptFailedAt, attemptFailed, fmt.Sprintf("Attempt %d failed: %s", s.Attempts, s.StateReason))
	}
	addLogged(s.GivenUpAt, "deletion given up", "It was given up: "+s.StateReason)
	addLogged(s.ConfirmedAt, "deletion confirmed", confirmed(s))
	addLogged(s.DeletedAt, "session deleted", "DELETED.")
	if s.known && s.State != session.Deleted {
		add(s.host.SentAt, "The newest inventory was sent that %s has answered, at %s%s.", s.HostID, s.host.AnsweredAt.UTC().Format(time.TimeOnly), incomplete(s))
	}
	inOrder(events)
	return events
}

// inOrder sorts events by their times, which records hold in milliseconds.
func inOrder(events []Event) {
	slices.SortStableFunc(events, func(a, b Event) int {
		return a.At.Truncate(time.Millisecond).Compare(b.At.Truncate(time.Millisecond))
	})
}

// byBroker is the DeletionRequestedBy of a session that is over, without anybody's asking for it.
const byBroker = "dcv-session-broker"

// requested says who asked for the deletion, and why.
func requested(s *subject) string {
	who, request := s.DeletionRequestedBy, ""
	if s.DeletionRequestID != "" {
		request = ", request " + s.DeletionRequestID
	}
	var text string
	switch {
	case who == byBroker:
		return "The broker found that the session is over: nobody asked for a deletion."
	case strings.HasPrefix(who, "rule "):
		text = fmt.Sprintf("The %s began its deletion", who)
	case who == "":
		text = "Somebody whose token names nobody asked for its deletion" + request
	default:
		text = fmt.Sprintf("The caller %s asked for its deletion%s", strings.TrimPrefix(who, "caller "), request)
	}
	if s.Force {
		text += ", by force"
	}
	text += "."
	if s.DeletionReason != "" {
		text += fmt.Sprintf(" Reason: %q.", s.DeletionReason)
	}
	if !s.CloseAt.IsZero() {
		text += fmt.Sprintf(" Closing begins at %s: the grace period.", s.CloseAt.UTC().Format(time.TimeOnly))
	}
	if s.Message != "" {
		text += fmt.Sprintf(" Message to its users: %q.", s.Message)
	}
	return text
}

// ofWarning says what happened to a notice, if that has no time of its own.
func ofWarning(s *subject) string {
	if s.Warning == "" || !s.WarnedAt.IsZero() {
		return ""
	}
	return ". Result: " + s.Warning
}

func attempted(s *subject) string {
	text := fmt.Sprintf("Attempt %d to have its host close it began", s.Attempts)
	if s.Attempts > 1 && s.AttemptFailedAt.IsZero() && s.GivenUpAt.IsZero() && s.Confirmation == "" && s.StateReason != "" {
		return text + ofTheOneBefore + s.StateReason
	}
	return text + "."
}

// ofTheOneBefore introduces why the attempt before failed.
const ofTheOneBefore = ". The one before failed: "

// attemptFailed begins what a function logs when a host answers that it could not close the session.
const attemptFailed = "attempt failed"

// commandSent ends what a function logs when Systems Manager has taken a close command.
const commandSent = "waiting for the host's answer"

// loggedWithin is the longest time between the time of an event in the record and the line that its function logs.
const loggedWithin = 10 * time.Second

// join gives an event of the record the function that has logged it, so that the story tells it once. It returns false
// for a line about anything else.
func join(events []Event, line records.Line) bool {
	reason, _ := line.Attributes["Reason"].(string)
	command, _ := line.Attributes["CommandId"].(string)
	for i := range events {
		switch e := &events[i]; {
		case reason != "" && strings.HasPrefix(line.Message, attemptFailed) && strings.HasSuffix(e.Text, ofTheOneBefore+reason):
			e.Text = strings.TrimSuffix(e.Text, ofTheOneBefore+reason) + "." // the line says why
		case e.By == "" && e.logged != "" && strings.Contains(line.Message, e.logged) && line.At.Sub(e.At).Abs() < loggedWithin &&
			strings.Contains(e.Text, reason) && (e.logged != commandSent || command != "" && strings.Contains(e.Text, command)):
			e.By = line.Function
			return true
		}
	}
	return false
}

// confirmed describes the confirmation.
func confirmed(s *subject) string {
	how := map[session.Confirmation]string{
		session.Closed:   "The host closed the session.",
		session.Absent:   "The host listed its sessions, and this one was not among them.",
		session.Replaced: "The host has a newer session of that name; the one to be deleted is gone.",
		session.Forced:   "The caller asked to delete the record, whatever the host does.",
		session.HostGone: "EC2 says that the host is terminated, or was stopped.",
		session.Vanished: "An inventory of the host does not have the session.",
	}[s.Confirmation]
	if s.StateReason != "" {
		how += " " + s.StateReason
	}
	return fmt.Sprintf("Confirmed (%s): %s", s.Confirmation, how)
}

func incomplete(s *subject) string {
	switch {
	case s.host.CompleteAt.Equal(s.host.SentAt):
		return ""
	case s.host.CompleteAt.IsZero():
		return ", none of them with all of its sessions"
	}
	return ", but not with all of its sessions; the last one with all was sent " + screen.Distance(s.host.CompleteAt, s.now)
}
