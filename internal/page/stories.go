package page

import (
	"container/list"
	"fmt"
	"strings"
	"sync"
	"time"

	"dcv-session-broker/internal/session"
)

// The bounds of Stories: the number of sessions, of which the last changed ones are
// kept, and of the latest lines of each.
const (
	maxStories = 2000
	maxLines   = 60
)

// A Line of a session's story is one change of its record.
type Line struct {
	At    time.Time
	By    string        `json:",omitempty"` // the function that wrote it, if that is known
	State session.State // the new state; "": the record is gone
	Says  []string
}

// Stories holds the changes of sessions since the server started.
type Stories struct {
	mu     sync.Mutex
	of     map[string]*list.Element // of *story
	recent list.List                // the latest change last
}

type story struct {
	id    string
	lines []Line
}

// Changed adds a change of a session's record. Before the first version and after the
// last one the record has no ID.
func (s *Stories) Changed(at time.Time, by string, was, is session.Session) {
	says := changes(was, is)
	if len(says) == 0 {
		return
	}
	id := is.ID
	if id == "" {
		id = was.ID
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]*list.Element{}
	}
	e := s.of[id]
	if e == nil {
		e = s.recent.PushBack(&story{id: id})
		s.of[id] = e
	}
	s.recent.MoveToBack(e)
	told := e.Value.(*story)
	told.lines = append(told.lines, Line{at, by, is.State, says})
	if len(told.lines) > maxLines {
		told.lines = append([]Line{}, told.lines[len(told.lines)-maxLines:]...)
	}
	if s.recent.Len() > maxStories {
		delete(s.of, s.recent.Remove(s.recent.Front()).(*story).id)
	}
}

// Of returns a session's story, the oldest line first.
func (s *Stories) Of(sessionID string) []Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.of[sessionID]; e != nil {
		return append([]Line{}, e.Value.(*story).lines...)
	}
	return []Line{}
}

// changes says what happened between two versions of a record. A change of the lease
// only is left out.
func changes(was, is session.Session) (says []string) {
	say := func(format string, args ...any) { says = append(says, fmt.Sprintf(format, args...)) }
	switch {
	case is.ID == "":
		return []string{"the record is removed"}
	case was.ID == "":
		say("listed on %s as a session of %s", is.HostID, is.Owner)
	case was.HostID != is.HostID:
		say("it is on %s now", is.HostID)
	}
	if is.CreationTime != was.CreationTime && was.ID != "" {
		say("another incarnation, created at %s", is.CreationTime)
	}
	says = append(says, ofDeletion(was, is)...)
	if len(says) == 0 && is.State != was.State {
		say("%s", strings.Join(reasons("it is "+string(is.State), is.StateReason), ": "))
	}
	return says
}

func ofDeletion(was, is session.Session) (says []string) {
	say := func(format string, args ...any) { says = append(says, fmt.Sprintf(format, args...)) }
	begins := !is.DeletionRequestedAt.IsZero() && !is.DeletionRequestedAt.Equal(was.DeletionRequestedAt)
	switch {
	case begins:
		how := ""
		if is.Force {
			how = ", by force"
		}
		say("%s", strings.Join(reasons(fmt.Sprintf("its deletion is requested by %s%s", is.DeletionRequestedBy, how), is.DeletionReason), ": "))
	case is.DeletionRequestedAt.IsZero() && !was.DeletionRequestedAt.IsZero() && was.State == session.Deleting:
		if is.CancelledAt.After(was.CancelledAt) {
			say("the deletion is cancelled")
		} else {
			say("the deletion is put back")
		}
	}
	if !is.CloseAt.IsZero() && !is.CloseAt.Equal(was.CloseAt) {
		say("closing begins at %s", session.FormatTime(is.CloseAt))
	}
	if is.NoticeID != "" && is.NoticeID != was.NoticeID {
		say("its users are sent a notice")
	}
	if is.Warning != "" && is.Warning != was.Warning {
		say("the notice: %s", is.Warning)
	}
	if is.Attempts > 0 && (is.Attempts > was.Attempts || begins) {
		say("attempt %d: its host is told to close it", is.Attempts)
	}
	if is.State == session.Deleting && is.StateReason != "" && is.StateReason != was.StateReason {
		say("%s", is.StateReason)
	}
	if is.Confirmation != "" && is.Confirmation != was.Confirmation {
		say("confirmed: %s", is.Confirmation)
	}
	if !is.GivenUpAt.IsZero() && is.GivenUpAt.After(was.GivenUpAt) {
		say("given up: %s", is.StateReason)
	}
	if !is.DeletedAt.IsZero() && !is.DeletedAt.Equal(was.DeletedAt) {
		say("it has ended")
	}
	return says
}

// reasons returns the texts that are not empty.
func reasons(texts ...string) (said []string) {
	for _, text := range texts {
		if text != "" {
			said = append(said, text)
		}
	}
	return said
}
