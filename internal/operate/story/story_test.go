package story

import (
	"slices"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/operate/records"
	"dcv-session-broker/internal/session"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// open returns a deletion that was requested ten minutes ago and whose fourth attempt began a minute ago.
func open(change func(*subject)) *subject {
	s := &subject{
		Session: session.Session{
			ID: "s-1", Owner: "user1", HostID: "i-1", State: session.Deleting, DeletionRequestedAt: now.Add(-10 * time.Minute), DeletionRequestedBy: "client",
			DeletionRequestID: "request", AttemptID: "attempt", Attempts: 4, AttemptedAt: now.Add(-time.Minute), NextAttemptAt: now.Add(7 * time.Minute),
			DueShard: "1", TryUntil: now.Add(50 * time.Minute),
		},
		known: true, managed: true, asked: true, node: &records.Node{Ping: "Online"}, now: now,
		command: &records.Command{ID: "command", SentAt: now.Add(-time.Minute), Status: "InProgress"},
	}
	change(s)
	return s
}

// Stories of states that a test of the whole program cannot produce.
func TestStoriesOfRareStates(t *testing.T) {
	teller := &Teller{Advice: func(reason, _ string) (string, bool) { return "the runbook on " + reason, reason != "new" }}
	for _, c := range []struct {
		name               string
		change             func(*subject)
		summary            string
		happened, next, do []string // texts that are in the list
		why                []string // beginnings of the causes, in their order
	}{
		{
			"under way", func(*subject) {}, "DELETING for 10 minutes, and not confirmed: attempt 4.",
			[]string{"The caller client asked for its deletion, request request.", "Attempt 4 to have its host close it began.", "took the command of that attempt (command)"},
			[]string{"Attempt 5, unless", "It is given up"}, []string{"Wait: nothing has failed yet.", "dcvbroker delete --force s-1"},
			[]string{"The host has the command of attempt 4 since 2026-11-23 11:59:00 UTC"},
		}, {
			"cleanup was down over its close time", func(s *subject) {
				s.DeletionRequestedAt, s.CloseAt, s.ClosingSince, s.Attempts = now.Add(-3*time.Hour), now.Add(-2*time.Hour), now.Add(-time.Minute), 1
			}, "DELETING for 60 seconds, and not confirmed: attempt 1.", nil, nil, []string{"Wait: nothing has failed yet."}, []string{"The host has the command"},
		}, {
			"the last attempt", func(s *subject) { s.NextAttemptAt = s.TryUntil }, "attempt 4.", nil, []string{"It is given up"}, nil,
			[]string{"The host has the command"},
		}, {
			"of an older release", func(s *subject) { s.TryUntil, s.giveUp = time.Time{}, time.Hour }, "attempt 4.", nil, []string{"Attempt 5", "It is given up"}, nil,
			[]string{"The host has the command"},
		}, {
			"cleanup does not run", func(s *subject) { s.NextAttemptAt = now.Add(-10 * time.Minute) }, "attempt 4.",
			nil, nil, []string{"Cleanup does not run"}, []string{"Cleanup, which runs each minute, should have processed it 10 minutes ago", "The host has the command"},
		}, {
			"session-stream does not run", func(s *subject) { s.Confirmation, s.ConfirmedAt = session.Absent, now.Add(-time.Minute) },
			"DELETING for 10 minutes, confirmed (absent), and not ended yet.", []string{"Confirmed (absent): The host listed its sessions"},
			[]string{"session-stream is shown the record again"}, []string{"look at its log and its failure queue"},
			[]string{"The host is done: session-stream has not ended the record since 2026-11-23 11:59:00 UTC"},
		}, {
			"the command was not sent", func(s *subject) { s.command = nil }, "attempt 4.", nil, nil, nil,
			[]string{"Systems Manager shows no command of attempt 4"},
		}, {
			"the event is lost", func(s *subject) { s.command.Status, s.command.Ended = "Failed", true }, "attempt 4.", nil, nil,
			[]string{"The runbook on Attempt 4 brought no answer."}, []string{"The event of an attempt was lost: Systems Manager says that its command has ended (Failed)"},
		}, {
			"the event is on its way", func(s *subject) {
				s.command.Status, s.command.Ended, s.command.SentAt = "Success", true, now.Add(-10*time.Second)
			}, "attempt 4.", nil, nil, nil, nil,
		}, {
			"a reason that the runbook lacks", func(s *subject) { s.StateReason, s.AttemptFailedAt = "new", now }, "attempt 4.",
			[]string{"Attempt 4 failed: new"}, nil, []string{"The runbook does not have this reason"}, []string{"new"},
		}, {
			"a silent host", func(s *subject) {
				s.command, s.asked, s.host = nil, false, records.Host{Silence: session.Silence{Silent: true, AnsweredAt: now.Add(-time.Hour)}}
			}, "attempt 4.", nil, nil, nil, []string{"i-1 has not answered inventories since 2026-11-23 11:00:00 UTC (60 minutes ago)."},
		}, {
			"an inventory that was cut", func(s *subject) {
				s.host.SentAt, s.host.AnsweredAt, s.host.CompleteAt = now.Add(-3*time.Minute), now.Add(-170*time.Second), now.Add(-8*time.Minute)
			}, "attempt 4.", []string{"i-1 has answered, at 11:57:10, but not with all of its sessions; the last one with all was sent 8 minutes ago."}, nil, nil,
			[]string{"The host has the command"},
		}, {
			"users were warned", func(s *subject) {
				s.Attempts, s.CloseAt, s.NoticeID, s.NoticeAt = 0, now.Add(20*time.Minute), "attempt", now.Add(-time.Minute)
				s.WarnedAt, s.Warning = now.Add(-50*time.Second), "warned (zenity)"
			}, "DELETING, and waits for its close time, 2026-11-23 12:20:00 UTC (in 20 minutes).",
			[]string{"Its host was asked to tell its users.", "Its users were told: warned (zenity).", "took the command with that notice (command)"},
			[]string{"told once more shortly before", "Closing begins"}, []string{"Nothing. To cancel it: dcvbroker cancel s-1"}, nil,
		}, {
			"a host that is gone", func(s *subject) { s.command, s.asked, s.node = nil, false, nil }, "attempt 4.", nil, nil, []string{"dcvbroker doctor i-1"},
			[]string{"Systems Manager does not know i-1"},
		}, {
			"removed by force, to be closed", func(s *subject) {
				s.State, s.Force, s.Confirmation, s.DeletedAt = session.Deleted, true, session.Forced, now.Add(-9*time.Minute)
				s.CloseUntil, s.ExpiresAt = now.Add(time.Hour), now.Add(48*time.Hour).Unix()
			}, "DELETED by force; its host is asked to close it until", []string{"by force", "Attempt 4"},
			[]string{"Attempt 5", "From now on its host is not told to close it", "The record expires."}, nil, []string{"The host has the command"},
		}, {
			"by a rule", func(s *subject) { s.DeletionRequestedBy = "rule nightly" }, "attempt 4.", []string{"The rule nightly began its deletion."}, nil, nil,
			[]string{"The host has the command"},
		}, {
			"nobody asked", func(s *subject) { s.DeletionRequestedBy = "dcv-session-broker" }, "attempt 4.", []string{"nobody asked for a deletion"}, nil, nil,
			[]string{"The host has the command"},
		}, {
			"a host that says nothing", func(s *subject) {
				s.Session = session.Session{ID: "s-1", Owner: "user1", HostID: "i-1", State: session.Unknown, StateReason: "The host has not said", ExpiresAt: now.Add(time.Hour).Unix()}
			}, "UNKNOWN: no deletion is open", nil, []string{"The record expires, unless the host answers"}, []string{"The runbook on The host has not said"},
			[]string{"The host has not said"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(c.change)
			if got := summary(s); !strings.Contains(got, c.summary) {
				t.Errorf("summary %q, not %q", got, c.summary)
			}
			has := func(what string, all, wants []string) {
				t.Helper()
				for _, want := range wants {
					if !strings.Contains(strings.Join(all, "\n"), want) {
						t.Errorf("%s: %q is not in %q", what, want, all)
					}
				}
			}
			has("happened", texts(happened(s)), c.happened)
			has("next", texts(next(s)), c.next)
			has("do", teller.advice(s), c.do)
			if len(c.next) > 0 && len(next(s)) != len(c.next) {
				t.Errorf("next: %q", texts(next(s)))
			}
			causes := why(s)
			if len(causes) != len(c.why) {
				t.Fatalf("why: %q", causes)
			}
			for i, want := range c.why {
				if !strings.HasPrefix(causes[i], want) {
					t.Errorf("why: %q, not %q", causes[i], want)
				}
			}
		})
	}
}

// The broker ends a session that is over without asking its host.
func TestNoHostIsAskedToCloseASessionThatIsOver(t *testing.T) {
	over := func(s *subject) {
		s.State, s.Attempts, s.Confirmation, s.ConfirmedAt, s.DeletedAt = session.Deleted, 1, session.HostGone, s.AttemptedAt, s.AttemptedAt
	}
	for who, asks := range map[string]bool{"dcv-session-broker": false, "client": true} {
		told := strings.Join(texts(happened(open(func(s *subject) { over(s); s.DeletionRequestedBy = who }))), "\n")
		if got := strings.Contains(told, "Attempt 1 to have its host close it"); got != asks {
			t.Errorf("requested by %s: %s", who, told)
		}
	}
}

// What both the record and a function's log have is told once, with the function's name.
func TestAnEventOfTheRecordAndOfTheLogIsToldOnce(t *testing.T) {
	line := func(at time.Time, function, message, reason string) records.Line {
		return records.Line{At: at, Function: function, Level: "WARN", Message: message, Attributes: map[string]any{"Reason": reason}}
	}
	failed := func(s *subject) { s.StateReason, s.AttemptFailedAt = "dcv is down", now.Add(-30*time.Second) }
	for name, c := range map[string]struct {
		change func(*subject)
		line   records.Line
		joined bool
		want   string // an event
	}{
		"a failed attempt": {failed, line(now.Add(-29*time.Second), "host-events", "attempt failed: it is tried again", "dcv is down"), true,
			"host-events: Attempt 4 failed: dcv is down"},
		"another reason":  {failed, line(now.Add(-29*time.Second), "host-events", "attempt failed: it is tried again", "disk full"), false, ": Attempt 4 failed: dcv is down"},
		"an earlier time": {failed, line(now.Add(-2*time.Minute), "host-events", "attempt failed: it is tried again", "dcv is down"), false, ": Attempt 4 failed: dcv is down"},
		"another event":   {failed, line(now.Add(-29*time.Second), "cleanup", "deletion tried again", ""), false, ": Attempt 4 failed: dcv is down"},
		"the attempt before": {func(s *subject) { s.StateReason = "dcv is down" }, line(now.Add(-2*time.Minute), "host-events", "attempt failed: it is tried again", "dcv is down"), false,
			": Attempt 4 to have its host close it began."},
		"a command": {func(*subject) {}, records.Line{At: now.Add(-59 * time.Second), Function: "cleanup", Message: "deletion tried again: waiting for the host's answer",
			Attributes: map[string]any{"CommandId": "command"}}, true, "cleanup: Systems Manager took the command of that attempt (command)."},
		"another command": {func(*subject) {}, records.Line{At: now.Add(-59 * time.Second), Function: "cleanup", Message: "deletion tried again: waiting for the host's answer",
			Attributes: map[string]any{"CommandId": "other"}}, false, ": Systems Manager took the command of that attempt (command)."},
		"given up": {func(s *subject) {
			s.State, s.GivenUpAt, s.StateReason = session.Unknown, now, "It did not confirm. Last: dcv is down"
		},
			line(now, "cleanup", "deletion given up: the session may still run on its host", "It did not confirm. Last: dcv is down"), true,
			"cleanup: It was given up: It did not confirm. Last: dcv is down"},
		"the last attempt of one that was given up": {func(s *subject) { s.State, s.GivenUpAt, s.StateReason = session.Unknown, now, "It did not confirm." },
			line(now, "cleanup", "task done", ""), false, ": Attempt 4 to have its host close it began."},
		"the end": {func(s *subject) { s.State, s.DeletedAt = session.Deleted, now }, line(now.Add(time.Second), "session-stream", "session deleted", ""), true,
			"session-stream: DELETED."},
	} {
		t.Run(name, func(t *testing.T) {
			events := happened(open(c.change))
			if joined := join(events, c.line); joined != c.joined {
				t.Errorf("joined: %v", joined)
			}
			var all []string
			for _, e := range events {
				all = append(all, e.By+": "+e.Text)
			}
			if !slices.Contains(all, c.want) {
				t.Errorf("%q is not in %q", c.want, all)
			}
		})
	}
}

// AWS leaves the texts of some errors empty.
func TestAnErrorWithoutATextEndsWithItsCode(t *testing.T) {
	line := records.Line{Level: "WARN", Message: "entry refused", Attributes: map[string]any{"Cause": "api error InvalidInstanceId: ", "Reason": "It is gone."}}
	if got, want := said(line), "WARN: entry refused (Reason: It is gone.; Cause: api error InvalidInstanceId)"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
}

func texts(events []Event) (all []string) {
	for _, e := range events {
		all = append(all, e.Text)
	}
	return all
}
