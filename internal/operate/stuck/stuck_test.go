package stuck

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/operate/records"
	"dcv-session-broker/internal/session"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// leased is a System whose index has these records.
type leased struct {
	records.System
	open     []session.Record
	complete bool
}

func (l leased) Open(context.Context) ([]session.Record, bool, error) { return l.open, l.complete, nil }

// since returns the record of a deletion that was requested that long ago, with the given attributes.
func since(id string, ago time.Duration, more session.Record) session.Record {
	r := session.Record{
		session.AttrSessionID: id, session.AttrOwner: "user1", session.AttrHostID: "i-1", session.AttrState: "DELETING", session.AttrAttempts: int64(1),
		session.AttrDeletionRequestedAt: session.FormatTime(now.Add(-ago)), session.AttrNextAttemptAt: session.FormatTime(now.Add(time.Minute)),
		session.AttrTryUntil: session.FormatTime(now.Add(time.Hour)),
	}
	for attr, v := range more {
		r[attr] = v
	}
	return r
}

func at(d time.Duration) string { return session.FormatTime(now.Add(d)) }

// The list has only stuck deletions, the oldest first.
func TestListHasOnlyStuckDeletions(t *testing.T) {
	l := &Lister{Now: func() time.Time { return now }, Advice: func(reason, _ string) (string, bool) { return "the runbook on " + reason, true }, System: leased{complete: true, open: []session.Record{
		since("fresh", time.Minute, nil),
		since("failed", time.Minute, session.Record{session.AttrAttemptFailedAt: at(-time.Second), session.AttrStateReason: "dcv is ill"}),
		since("overdue", time.Hour, session.Record{session.AttrNextAttemptAt: at(-10 * time.Minute)}),
		since("unanswered", 3*time.Minute, session.Record{session.AttrNextAttemptAt: at(-time.Minute)}),
		since("waiting", time.Hour, session.Record{session.AttrAttempts: int64(0), session.AttrCloseAt: at(time.Hour)}),
		since("waited", 25*time.Hour, session.Record{session.AttrAttempts: int64(2), session.AttrCloseAt: at(-time.Hour), session.AttrClosingSince: at(-2 * time.Minute), session.AttrStateReason: "Attempt 1 brought no answer."}),
		since("confirmed", 2*time.Minute, session.Record{session.AttrConfirmation: "closed", session.AttrConfirmedAt: at(-90 * time.Second)}),
		since("ending", time.Minute, session.Record{session.AttrConfirmation: "closed", session.AttrConfirmedAt: at(-time.Second)}),
		since("forced", 30*time.Minute, session.Record{session.AttrState: "DELETED", session.AttrConfirmation: "forced", session.AttrAttempts: int64(3),
			session.AttrCloseUntil: at(30 * time.Minute), session.AttrStateReason: "Removed by force. Attempt 2 brought no answer."}),
		since("last", 59*time.Minute, session.Record{session.AttrAttempts: int64(9), session.AttrStateReason: "dcv is ill", session.AttrTryUntil: at(time.Minute)}),
		since("over", time.Hour, session.Record{session.AttrState: "DELETED", session.AttrNextAttemptAt: ""}),
	}}}
	list, err := l.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, d := range list.Deletions {
		ids = append(ids, d.SessionID)
	}
	if want := []string{"overdue", "last", "forced", "unanswered", "confirmed", "waited", "failed"}; !slices.Equal(ids, want) {
		t.Errorf("stuck: %v, not %v", ids, want)
	}
	if list.Waiting != 1 || list.OnTheirWay != 2 {
		t.Errorf("%d wait, %d are on their way", list.Waiting, list.OnTheirWay)
	}
	var said strings.Builder
	list.Print(&said, now)
	text := strings.Join(strings.Fields(said.String()), " ")
	for _, want := range []string{
		"7 stuck; 2 more on their way, 1 wait for their close time. overdue of user1",
		"overdue of user1 on i-1: for 60 minutes, 1 attempt why Cleanup, which runs each minute, does not process it.",
		"last of user1 on i-1: for 59 minutes, 9 attempts why dcv is ill next given up 2026-11-23 12:01:00 UTC (in 60 seconds) to do the runbook on dcv is ill",
		"forced of user1 on i-1: removed by force 30 minutes ago, and to be closed, 3 attempts why Removed by force. Attempt 2 brought no answer. next attempt 2026-11-23 12:01:00 UTC (in 60 seconds), given up in 30 minutes",
		"confirmed of user1 on i-1: for 2 minutes, 1 attempt why The host is done (closed): session-stream has not ended the record. next shown to session-stream again",
		"unanswered of user1 on i-1: for 3 minutes, 1 attempt why Attempt 1 brought no answer. next attempt in the next run of cleanup, given up in 60 minutes",
		"waited of user1 on i-1: for 2 minutes, 2 attempts",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, &said)
		}
	}
	if n := strings.Count(text, "to do the runbook on dcv is ill"); n != 1 || !strings.Contains(text, "to do as for last") {
		t.Errorf("the same advice is said %d times\n%s", n, &said)
	}
	l.System = leased{open: []session.Record{since("failed", time.Minute, session.Record{session.AttrStateReason: "dcv is ill"})}}
	said.Reset()
	if list, err = l.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list.Print(&said, now); !strings.Contains(said.String(), "There are more than") {
		t.Errorf("%s", &said)
	}
}

// Hosts choose IDs, and a user copies the line into a shell.
func TestCommandToCopyQuotesTheID(t *testing.T) {
	list := &List{Deletions: []Deletion{{SessionID: "$(reboot)"}}}
	var said strings.Builder
	if list.Print(&said, now); !strings.Contains(said.String(), "dcvbroker explain '$(reboot)'\n") {
		t.Error(said.String())
	}
}
