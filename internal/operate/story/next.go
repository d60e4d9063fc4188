package story

import (
	"fmt"
	"time"

	"dcv-session-broker/internal/session"
)

// next returns the coming events, in order, if nothing changes.
func next(s *subject) (events []Event) {
	add := func(at time.Time, format string, args ...any) {
		if !at.IsZero() {
			events = append(events, Event{At: at, Text: fmt.Sprintf(format, args...)})
		}
	}
	end, expires := s.end(), time.Time{}
	if s.ExpiresAt > 0 {
		expires = time.Unix(s.ExpiresAt, 0)
	}
	switch {
	case s.Waits():
		switch {
		case !s.NextAttemptAt.Before(s.CloseAt):
		case s.WarnedAt.IsZero():
			add(s.NextAttemptAt, "Its host is asked again to tell its users.")
		default:
			add(s.NextAttemptAt, "Cleanup looks at it: its users are told once more shortly before the close.")
		}
		add(s.CloseAt, "Closing begins: its host is told to close it.")
	case s.open():
		switch {
		case s.now.After(s.NextAttemptAt):
			add(s.NextAttemptAt, "The next run of cleanup processes it.")
		case s.NextAttemptAt.Before(end) || end.IsZero():
			add(s.NextAttemptAt, "Attempt %d, unless the host answers before.", s.Attempts+1)
		}
		if s.State == session.Deleted {
			add(end, "From now on its host is not told to close it.")
		} else {
			add(end, "It is given up: UNKNOWN, unless it is confirmed before.")
		}
	case s.Confirmation != "" && s.State != session.Deleted:
		add(s.NextAttemptAt, "session-stream is shown the record again, unless it ends before.")
	case s.State == session.Unknown:
		add(expires, "The record expires, unless the host answers an inventory before: then the session is READY, or, if it does not run, DELETED.")
	}
	if s.State == session.Deleted {
		add(expires, "The record expires.")
	}
	inOrder(events)
	return events
}
