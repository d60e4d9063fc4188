package page

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/session"
)

func TestStories(t *testing.T) {
	at := time.Date(2026, 11, 28, 19, 0, 0, 0, time.UTC)
	ready := session.Session{ID: "render-7", Owner: "user1", HostID: "i-1", State: session.Ready, CreationTime: "2026-11-28T10:00:00Z"}
	asked := ready
	asked.State, asked.DeletionRequestedAt, asked.DeletionRequestedBy, asked.DeletionReason = session.Deleting, at, "studio", "tonight"
	closing := asked
	closing.Attempts = 1
	waiting := asked
	waiting.CloseAt, waiting.NoticeID, waiting.StateReason = at.Add(time.Minute), "notice-1", "waits"
	warned := waiting
	warned.Warning = "warned (zenity)"
	failed := closing
	failed.StateReason = "the host could not close it"
	again := failed
	again.Attempts = 2
	leased := again
	leased.NextAttemptAt = at.Add(time.Minute)
	confirmed := again
	confirmed.Confirmation = session.Closed
	ended := confirmed
	ended.State, ended.DeletedAt = session.Deleted, at.Add(time.Minute)
	cancelled := ready
	cancelled.CancelledAt = at.Add(time.Second)
	givenUp := again
	givenUp.State, givenUp.GivenUpAt, givenUp.StateReason = session.Unknown, at.Add(time.Hour), "nobody confirmed"
	forced := asked
	forced.Force, forced.DeletionReason = true, ""
	silent := ready
	silent.State, silent.StateReason = session.Unknown, "its host is silent"
	other := ready
	other.CreationTime = "2026-11-28T11:00:00Z"
	for _, c := range []struct {
		was, is session.Session
		want    string
	}{
		{session.Session{}, ready, "listed on i-1 as a session of user1"},
		{ready, closing, "its deletion is requested by studio: tonight; attempt 1: its host is told to close it"},
		{ready, forced, "its deletion is requested by studio, by force"},
		{ready, waiting, "its deletion is requested by studio: tonight; closing begins at 2026-11-28T19:01:00.000Z; its users are sent a notice; waits"},
		{waiting, warned, "the notice: warned (zenity)"},
		{warned, cancelled, "the deletion is cancelled"},
		{closing, ready, "the deletion is put back"},
		{closing, failed, "the host could not close it"},
		{failed, again, "attempt 2: its host is told to close it"},
		{again, leased, ""},
		{again, confirmed, "confirmed: closed"},
		{confirmed, ended, "it has ended"},
		{again, givenUp, "given up: nobody confirmed"},
		{ready, silent, "it is UNKNOWN: its host is silent"},
		{silent, ready, "it is READY"},
		{ready, other, "another incarnation, created at 2026-11-28T11:00:00Z"},
		{ended, ready, "it is READY"},
		{ended, session.Session{}, "the record is removed"},
	} {
		var s Stories
		s.Changed(at, "cleanup", c.was, c.is)
		got := ""
		if lines := s.Of("render-7"); len(lines) > 0 {
			got = strings.Join(lines[0].Says, "; ")
		}
		if got != c.want {
			t.Errorf("%q, not %q", got, c.want)
		}
	}
}

func TestStoriesAreBounded(t *testing.T) {
	var s Stories
	one := session.Session{ID: "one", State: session.Ready}
	for i := range maxLines + 5 {
		is := one
		is.CreationTime = fmt.Sprint(i)
		s.Changed(time.Now(), "", one, is)
	}
	lines := s.Of("one")
	if last := lines[len(lines)-1].Says[0]; len(lines) != maxLines || !strings.HasSuffix(last, fmt.Sprint(maxLines+4)) {
		t.Errorf("%d lines, the last: %s", len(lines), last)
	}
	for i := range maxStories {
		s.Changed(time.Now(), "", session.Session{}, session.Session{ID: fmt.Sprint(i)})
	}
	if len(s.Of("one")) != 0 || len(s.Of("0")) != 1 || len(s.of) != maxStories {
		t.Errorf("%d stories are kept", len(s.of))
	}
}
