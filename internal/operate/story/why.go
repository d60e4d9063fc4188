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

// eventTime is the longest time that the event of a command's end takes to arrive.
const eventTime = 30 * time.Second

// why returns the causes of what is wrong, the nearest first.
func why(s *subject) (causes []string) {
	add := func(format string, args ...any) { causes = append(causes, fmt.Sprintf(format, args...)) }
	switch {
	case s.overdue():
		add("Cleanup, which runs each minute, should have processed it %s: it does not run, or does not keep up.", screen.Distance(s.NextAttemptAt, s.now))
	case s.State == session.Deleting && s.Confirmation != "" && s.now.Sub(s.ConfirmedAt) > eventTime:
		add("The host is done: session-stream has not ended the record since %s.", screen.Clock(s.ConfirmedAt, s.now))
	}
	if s.State == session.Deleting && s.Confirmation == "" || s.State == session.Unknown || !s.CloseUntil.IsZero() {
		if s.StateReason != "" {
			add("%s", s.StateReason)
		}
	}
	if s.open() && s.AttemptFailedAt.IsZero() && !s.Waits() {
		if cause := ofCommand(s); cause != "" {
			add("%s", cause)
		}
	}
	if s.State != session.Deleted || s.open() {
		causes = append(causes, ofHost(s)...)
	}
	return causes
}

// ofCommand says what Systems Manager shows of an attempt without an answer.
func ofCommand(s *subject) string {
	c := s.command
	switch {
	case !s.asked:
		return ""
	case s.eventLost():
		if c == nil || !c.Ended {
			c = s.first
		}
		return fmt.Sprintf("The event of an attempt was lost: Systems Manager says that its command has ended (%s), but the broker has received no event. "+
			"Such events pass through the EventBridge rule CommandStatusRule, its queue and host-events.", c.Status)
	case c == nil && s.now.Sub(s.AttemptedAt) > eventTime:
		return fmt.Sprintf("Systems Manager shows no command of attempt %d: it was not sent, or not accepted. The log of the function that sent it says why.", s.Attempts)
	case c == nil || c.Ended:
		return ""
	case c.Status == "InProgress":
		return fmt.Sprintf("The host has the command of attempt %d since %s, and has not answered yet.", s.Attempts, screen.Clock(c.SentAt, s.now))
	}
	return fmt.Sprintf("Systems Manager has not delivered the command of attempt %d yet (%s).", s.Attempts, c.Status)
}

// eventLost tells whether a command of the deletion has ended without an event to the broker.
func (s *subject) eventLost() bool {
	ended := func(c *records.Command) bool { return c != nil && c.Ended && s.now.Sub(c.SentAt) > eventTime }
	return s.open() && !s.Waits() && s.AttemptFailedAt.IsZero() &&
		(ended(s.command) || ended(s.first) && strings.HasSuffix(s.StateReason, fmt.Sprintf(session.NoAnswer, s.Attempts-1)))
}

// ofHost returns what is wrong with the host.
func ofHost(s *subject) (causes []string) {
	add := func(format string, args ...any) { causes = append(causes, fmt.Sprintf(format, args...)) }
	switch {
	case !s.managed:
	case s.node == nil:
		add("Systems Manager does not know %s: it was stopped or terminated, or it is not registered any more.", s.HostID)
	case !s.node.Online():
		add("Systems Manager does not reach %s: it is %s, and its agent was last heard from %s.", s.HostID, s.node.Ping, screen.Distance(s.node.PingAt, s.now))
	}
	if s.known && s.host.Silent {
		add("%s has not answered inventories since %s.", s.HostID, screen.Clock(s.host.AnsweredAt, s.now))
	}
	return causes
}

// advice returns what to do now.
func (t *Teller) advice(s *subject) (do []string) {
	waits, closing := s.Waits(), s.State == session.Deleting && s.Confirmation == "" && !s.Waits()
	switch {
	case s.overdue():
		do = append(do, "See \"Cleanup does not run\" in the runbook: look at the log of cleanup and at its schedules.")
	case s.State == session.Deleting && s.Confirmation != "":
		do = append(do, "Nothing, as a rule: session-stream ends the record within seconds. If it does not, look at its log and its failure queue; "+
			"cleanup shows it the record again at the end of the lease.")
	case waits:
		do = append(do, "Nothing. To cancel it: dcvbroker cancel "+screen.Argument(s.ID))
	}
	reason := s.StateReason
	if s.eventLost() {
		reason = fmt.Sprintf(session.NoAnswer, s.Attempts) // whether or not the lease has ended
	}
	if reason != "" && (closing || s.State == session.Unknown || !s.CloseUntil.IsZero()) {
		if text, ok := t.Advice(reason, s.HostID); ok {
			do = append(do, sentences(text)...)
		} else {
			do = append(do, "The runbook does not have this reason: look at the functions' logs.")
		}
	}
	if closing && reason == "" && !s.overdue() && len(ofHost(s)) == 0 {
		do = append(do, "Wait: nothing has failed yet.")
	}
	toDoctor := "dcvbroker doctor " + s.HostID
	if told := strings.Contains(strings.Join(do, "\n"), toDoctor); !told && s.HostID != "" && (closing || s.State == session.Unknown) {
		do = append(do, "What the host lacks, and the command that fixes it: "+toDoctor)
	}
	if closing && s.now.Sub(s.ClosingBegan()) > session.Lease {
		do = append(do, "To delete the record now, whatever the host does: dcvbroker delete --force "+screen.Argument(s.ID))
	}
	if s.State == session.Unknown && !s.GivenUpAt.IsZero() {
		do = append(do, "When the host is back, delete it again: dcvbroker delete "+screen.Argument(s.ID))
	}
	return slices.Compact(do)
}

// sentences splits an advice into its lines.
func sentences(advice string) (all []string) {
	for line := range strings.SplitSeq(advice, "\n") {
		if line != "" {
			all = append(all, strings.ToUpper(line[:1])+line[1:])
		}
	}
	return all
}
