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

// newsTime is how long the news that a command has ended takes, at most, where nothing is wrong.
const newsTime = 30 * time.Second

// why are the causes of what is not as it should be, the nearest first.
func why(s *subject) (causes []string) {
	add := func(format string, args ...any) { causes = append(causes, fmt.Sprintf(format, args...)) }
	switch {
	case s.overdue():
		add("Cleanup should have worked on it %s, and runs each minute: it does not run, or does not keep up.", screen.Distance(s.NextAttemptAt, s.now))
	case s.State == session.Deleting && s.Confirmation != "" && s.now.Sub(s.ConfirmedAt) > newsTime:
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

// ofCommand is what Systems Manager says of an attempt without an answer.
func ofCommand(s *subject) string {
	c := s.command
	switch {
	case !s.asked:
		return ""
	case s.newsLost():
		if c == nil || !c.Ended {
			c = s.first
		}
		return fmt.Sprintf("The news of an attempt was lost: Systems Manager says that its command has ended (%s), and the broker was not told. "+
			"The EventBridge rule CommandStatusRule, its queue and host-events bring such news.", c.Status)
	case c == nil && s.now.Sub(s.AttemptedAt) > newsTime:
		return fmt.Sprintf("Systems Manager shows no command of attempt %d: it was not sent, or Systems Manager did not take it. The log of the function that sent it says why.", s.Attempts)
	case c == nil || c.Ended:
		return ""
	case c.Status == "InProgress":
		return fmt.Sprintf("The host has the command of attempt %d since %s, and has not answered yet.", s.Attempts, screen.Clock(c.SentAt, s.now))
	}
	return fmt.Sprintf("Systems Manager has not delivered the command of attempt %d yet (%s).", s.Attempts, c.Status)
}

// newsLost: a command of the deletion has ended, and the broker does not know.
func (s *subject) newsLost() bool {
	ended := func(c *records.Command) bool { return c != nil && c.Ended && s.now.Sub(c.SentAt) > newsTime }
	return s.open() && !s.Waits() && s.AttemptFailedAt.IsZero() &&
		(ended(s.command) || ended(s.first) && strings.HasSuffix(s.StateReason, fmt.Sprintf(session.NoAnswer, s.Attempts-1)))
}

// ofHost is what is wrong with the host.
func ofHost(s *subject) (causes []string) {
	add := func(format string, args ...any) { causes = append(causes, fmt.Sprintf(format, args...)) }
	switch {
	case !s.managed:
	case s.node == nil:
		add("Systems Manager does not know %s: it was stopped or terminated, or it is not registered any more.", s.HostID)
	case !s.node.Online():
		add("Systems Manager does not reach %s: it is %s, and its agent was last heard of %s.", s.HostID, s.node.Ping, screen.Distance(s.node.PingAt, s.now))
	}
	if s.known && s.host.Silent {
		add("%s has not answered inventories since %s.", s.HostID, screen.Clock(s.host.AnsweredAt, s.now))
	}
	return causes
}

// advice is what to do now.
func (t *Teller) advice(s *subject) (do []string) {
	waits, closing := s.Waits(), s.State == session.Deleting && s.Confirmation == "" && !s.Waits()
	switch {
	case s.overdue():
		do = append(do, "See \"Cleanup does not run\" in the runbook: look at the log of cleanup and at its schedules.")
	case s.State == session.Deleting && s.Confirmation != "":
		do = append(do, "Nothing, as a rule: session-stream ends the record within seconds. If it does not, look at its log and its failure queue; "+
			"cleanup shows it the record again at the end of the lease.")
	case waits:
		do = append(do, "Nothing. To take it back: dcvbroker cancel "+screen.Argument(s.ID))
	}
	reason := s.StateReason
	if s.newsLost() {
		reason = fmt.Sprintf(session.NoAnswer, s.Attempts) // whether or not the lease has ended
	}
	if reason != "" && (closing || s.State == session.Unknown || !s.CloseUntil.IsZero()) {
		if text, ok := t.Advice(reason); ok {
			do = append(do, sentences(strings.ReplaceAll(text, "doctor HOST", "doctor "+s.HostID))...)
		} else {
			do = append(do, "The runbook does not speak of this reason: look at the functions' logs.")
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
		do = append(do, "If the record must go now, whatever the host does: dcvbroker delete --force "+screen.Argument(s.ID))
	}
	if s.State == session.Unknown && !s.GivenUpAt.IsZero() {
		do = append(do, "When the host is back, delete it again: dcvbroker delete "+screen.Argument(s.ID))
	}
	return slices.Compact(do)
}

// sentences are the lines of an advice.
func sentences(advice string) (all []string) {
	for line := range strings.SplitSeq(advice, "\n") {
		if line != "" {
			all = append(all, strings.ToUpper(line[:1])+line[1:])
		}
	}
	return all
}
