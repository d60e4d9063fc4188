// Package stuck lists the open deletions that are stuck, the oldest first.
package stuck

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"dcv-session-broker/internal/operate/records"
	"dcv-session-broker/internal/operate/screen"
	"dcv-session-broker/internal/operate/table"
	"dcv-session-broker/internal/session"
)

// A Lister lists the stuck deletions of one system.
type Lister struct {
	System records.System
	// Advice returns the runbook's advice about a reason on a host.
	Advice func(reason, hostID string) (text string, ok bool)
	Now    func() time.Time
}

// A List holds the open deletions. Its JSON form is for programs.
type List struct {
	// Deletions are stuck: an attempt has failed or had no answer, or cleanup did not process them in time.
	Deletions []Deletion
	// OnTheirWay is how many others are open. Waiting is how many wait for their close time.
	OnTheirWay, Waiting int
	// Complete is false if there are more open deletions than were read.
	Complete bool
}

// A Deletion is a stuck deletion. Times are in UTC; an unknown one is left out.
type Deletion struct {
	SessionID string `json:"SessionId"`
	Owner     string
	HostID    string `json:"HostId"`
	// RemovedByForce: the session is DELETED, and its host still has to close it.
	RemovedByForce bool `json:",omitempty"`
	RequestedBy    string
	// Since is when closing began. AgeSeconds is how long ago that was.
	Since         time.Time
	AgeSeconds    int64
	Attempts      int64
	AttemptedAt   time.Time `json:",omitzero"`
	NextAttemptAt time.Time `json:",omitzero"`
	GiveUpAt      time.Time `json:",omitzero"`
	Confirmation  string    `json:",omitempty"`
	Reason        string
	Advice        string `json:",omitempty"`
}

// List reads the open deletions.
func (l *Lister) List(ctx context.Context) (*List, error) {
	open, all, err := l.System.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the open deletions: %w", err)
	}
	now := l.Now()
	list := &List{Complete: all, Deletions: []Deletion{}}
	for _, r := range open {
		switch s := r.Session(); {
		case s.Waits():
			list.Waiting++
		case s.NextAttemptAt.IsZero(): // it has ended after the read of the index
		case !isStuck(s, now):
			list.OnTheirWay++
		default:
			list.Deletions = append(list.Deletions, l.deletion(s, now))
		}
	}
	slices.SortFunc(list.Deletions, func(a, b Deletion) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.SessionID, b.SessionID))
	})
	return list, nil
}

// late is how much later than planned cleanup may work on a deletion: it runs each minute.
const late = 2 * time.Minute

// Overdue tells whether the lease ended more than late ago: cleanup has not processed the deletion.
func Overdue(s session.Session, now time.Time) bool {
	return !s.NextAttemptAt.IsZero() && now.Sub(s.NextAttemptAt) > late
}

// isStuck tells whether the current attempt is not the first, has failed or is overdue, or a confirmation has waited
// longer than the stream takes.
func isStuck(s session.Session, now time.Time) bool {
	if s.Confirmation != "" && s.CloseUntil.IsZero() {
		return now.Sub(s.ConfirmedAt) > session.Lease/2
	}
	return s.Attempts > 1 || !s.AttemptFailedAt.IsZero() || s.StateReason != "" || Overdue(s, now) || now.After(s.NextAttemptAt)
}

func (l *Lister) deletion(s session.Session, now time.Time) Deletion {
	d := Deletion{
		SessionID: s.ID, Owner: s.Owner, HostID: s.HostID, RemovedByForce: s.State == session.Deleted, RequestedBy: s.DeletionRequestedBy,
		Since: s.ClosingBegan(), Attempts: s.Attempts, AttemptedAt: s.AttemptedAt, NextAttemptAt: s.NextAttemptAt, GiveUpAt: s.TryUntil,
		Confirmation: string(s.Confirmation), Reason: s.StateReason,
	}
	if d.RemovedByForce {
		d.GiveUpAt, d.Confirmation = s.CloseUntil, ""
	}
	d.AgeSeconds = int64(now.Sub(d.Since).Seconds())
	switch {
	case Overdue(s, now):
		d.Reason = strings.TrimSpace("Cleanup, which runs each minute, does not process it. " + d.Reason)
		d.Advice = "look at the log of cleanup, and at its schedules: \"Cleanup does not run\" in the runbook"
	case d.Confirmation != "":
		d.Reason = fmt.Sprintf("The host is done (%s): session-stream has not ended the record.", d.Confirmation)
		d.Advice = "look at the log of session-stream, and at its failure queue"
	case d.Reason == "":
		d.Reason = fmt.Sprintf(session.NoAnswer, s.Attempts)
		d.Advice, _ = l.Advice(d.Reason, d.HostID)
	default:
		d.Advice, _ = l.Advice(d.Reason, d.HostID)
	}
	return d
}

// Print writes the list for people. Advice that several deletions share is written once; the others name the first.
func (list *List) Print(w io.Writer, now time.Time) {
	fmt.Fprintln(w, list.summary())
	first := map[string]string{} // the first session that an advice is for
	for _, d := range list.Deletions {
		fmt.Fprintln(w)
		fmt.Fprintln(w, screen.Indent(d.head(now), 2))
		fmt.Fprintln(w, "  why    "+screen.Indent(d.Reason, 9))
		fmt.Fprintln(w, "  next   "+screen.Indent(d.next(now), 9))
		switch told, isTold := first[d.Advice]; {
		case d.Advice == "":
		case isTold:
			fmt.Fprintln(w, "  to do  "+screen.Indent("as for "+told, 9))
		default:
			first[d.Advice] = d.SessionID
			fmt.Fprintln(w, "  to do  "+screen.Indent(d.Advice, 9))
		}
	}
	if len(list.Deletions) > 0 {
		fmt.Fprintf(w, "\nThe whole story of one: dcvbroker explain %s\n", table.Plain(screen.Argument(list.Deletions[0].SessionID)))
	}
}

func (list *List) summary() string {
	text := fmt.Sprintf("%d stuck", len(list.Deletions))
	if len(list.Deletions) == 0 {
		text = "Nothing is stuck"
	}
	text += fmt.Sprintf("; %d more on their way, %d wait for their close time.", list.OnTheirWay, list.Waiting)
	if !list.Complete {
		text += " There are more than were read."
	}
	return strings.Join(screen.Wrap(text, screen.Width), "\n")
}

func (d Deletion) head(now time.Time) string {
	text := fmt.Sprintf("%s of %s on %s: for %s, ", d.SessionID, d.Owner, d.HostID, screen.Length(now.Sub(d.Since)))
	if d.RemovedByForce {
		text = fmt.Sprintf("%s of %s on %s: removed by force %s, and to be closed, ", d.SessionID, d.Owner, d.HostID, screen.Distance(d.Since, now))
	}
	if d.Attempts == 1 {
		return text + "1 attempt"
	}
	return text + fmt.Sprintf("%d attempts", d.Attempts)
}

func (d Deletion) next(now time.Time) string {
	attempt := "attempt " + screen.Clock(d.NextAttemptAt, now)
	if now.After(d.NextAttemptAt) {
		attempt = "attempt in the next run of cleanup"
	}
	switch {
	case d.Confirmation != "":
		return "shown to session-stream again " + screen.Clock(d.NextAttemptAt, now)
	case !d.GiveUpAt.IsZero() && !d.NextAttemptAt.Before(d.GiveUpAt):
		return "given up " + screen.Clock(d.GiveUpAt, now)
	case d.GiveUpAt.IsZero():
		return attempt
	}
	return attempt + ", given up " + screen.Distance(d.GiveUpAt, now)
}
