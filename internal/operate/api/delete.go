package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// An Entry asks for one session to be deleted. HostID and CreationTime are what must still be true of it; nil, or "", asks for
// nothing in particular.
type Entry struct {
	SessionID          string `json:"SessionId"`
	Owner              string `json:"Owner"`
	Force              bool   `json:"Force,omitempty"`
	GracePeriodSeconds *int64 `json:"GracePeriodSeconds,omitempty"`
	Message            string `json:"Message,omitempty"`
	Reason             string `json:"Reason,omitempty"`
	HostID             string `json:"HostId,omitempty"`
	CreationTime       string `json:"CreationTime,omitempty"`
}

// A CancelEntry asks for one session's deletion to be taken back.
type CancelEntry struct {
	SessionID string `json:"SessionId"`
	Owner     string `json:"Owner"`
	RequestID string `json:"RequestId,omitempty"`
}

// An Outcome is what became of an entry.
type Outcome struct {
	SessionID string
	// Accepted: the deletion is recorded, or, of a cancel, it is taken back.
	Accepted bool
	State    string
	CloseAt  time.Time // zero without a grace period
	// Reason is why not. Unknown: whether it was is not known, since no answer came.
	Reason  string
	Unknown bool
	// Repeated: the request was sent more than once, so that the answer may be about what an earlier one did.
	Repeated bool
}

// DeleteSessions asks for sessions to be deleted, in requests of at most batch entries, which name each session once. Every entry
// has an outcome, in the order of the entries, unless there is an error: then the outcomes are of those before it, and
// nothing was done for those after.
func (c *Client) DeleteSessions(ctx context.Context, entries []Entry, batch int, dryRun bool) ([]Outcome, error) {
	return inBatches(ctx, c, "/deleteSessions", entries, batch, dryRun, func(e Entry) string { return e.SessionID })
}

// CancelDeletions asks for deletions to be taken back, in the same way.
func (c *Client) CancelDeletions(ctx context.Context, entries []CancelEntry, batch int) ([]Outcome, error) {
	return inBatches(ctx, c, "/cancelDeletions", entries, batch, false, func(e CancelEntry) string { return e.SessionID })
}

// DefaultBatch is what MaxBatchSize is by default.
const DefaultBatch = 1000

// dryRunQuery asks for a dry run. A stack older than dry runs never gets one from here: it refuses the Details of a query, with
// which sessions are found.
const dryRunQuery = "?dryRun=true"

func inBatches[E any](ctx context.Context, c *Client, path string, entries []E, batch int, dryRun bool, id func(E) string) (all []Outcome, err error) {
	if dryRun {
		path += dryRunQuery
	}
	for len(entries) > 0 {
		some := entries[:min(batch, len(entries))]
		outcomes, err := oneBatch(ctx, c, path, some, id)
		var refused *RefusedError
		if errors.As(err, &refused) && refused.Status == http.StatusBadRequest && refused.WholeBody && len(some) > 1 {
			// It has too many entries, and nothing was done.
			batch = (len(some) + 1) / 2
			continue
		}
		if err != nil {
			return all, err
		}
		all = append(all, outcomes...)
		entries = entries[len(some):]
	}
	return all, nil
}

// oneBatch sends the entries, and those again of which the API says that it is not certain what it did.
func oneBatch[E any](ctx context.Context, c *Client, path string, entries []E, id func(E) string) ([]Outcome, error) {
	outcomes := make([]Outcome, len(entries))
	open := make([]int, len(entries)) // of which there is no outcome yet
	for i, e := range entries {
		outcomes[i].SessionID = id(e)
		open[i] = i
	}
	for try := 1; len(open) > 0; try++ {
		var some []E
		for _, i := range open {
			some = append(some, entries[i])
		}
		answers, repeated, err := send(ctx, c, path, some)
		if noAnswer := (*NoAnswerError)(nil); errors.As(err, &noAnswer) || err != nil && try > 1 {
			for _, i := range open {
				outcomes[i].Unknown, outcomes[i].Reason = true, err.Error()
			}
			return outcomes, nil
		}
		if err != nil {
			return nil, err
		}
		var again []int
		for _, i := range open {
			o, answered := answers[outcomes[i].SessionID]
			if !answered {
				o = Outcome{SessionID: outcomes[i].SessionID, Unknown: true, Reason: "the answer of the API says nothing of it"}
			}
			o.Repeated = repeated || try > 1
			outcomes[i] = o
			if o.Unknown && try < tries {
				again = append(again, i)
			}
		}
		open = again
		if len(open) > 0 {
			select {
			case <-ctx.Done():
				return outcomes, nil
			case <-time.After(c.Pause):
			}
		}
	}
	return outcomes, nil
}

// send sends one request, and reads its answer by session.
func send[E any](ctx context.Context, c *Client, path string, entries []E) (answers map[string]Outcome, repeated bool, err error) {
	var answer struct {
		SuccessfulList   []struct{ SessionId, State, CloseAt string }
		UnsuccessfulList []struct{ SessionId, FailureReason string }
		DryRun           bool
	}
	if repeated, err = c.post(ctx, path, entries, &answer); err != nil {
		return nil, repeated, err
	}
	if strings.HasSuffix(path, dryRunQuery) && !answer.DryRun {
		var accepted []string
		for _, s := range answer.SuccessfulList {
			accepted = append(accepted, s.SessionId)
		}
		return nil, repeated, fmt.Errorf("THIS WAS NO DRY RUN: %s does not get the query of a call, or ignores it. %d deletions were accepted: %s",
			c.URL, len(accepted), strings.Join(accepted, " "))
	}
	answers = map[string]Outcome{}
	for _, s := range answer.SuccessfulList {
		answers[s.SessionId] = Outcome{SessionID: s.SessionId, Accepted: true, State: s.State, CloseAt: Time(s.CloseAt)}
	}
	for _, u := range answer.UnsuccessfulList {
		answers[u.SessionId] = Outcome{SessionID: u.SessionId, Reason: u.FailureReason, Unknown: uncertain(u.FailureReason)}
	}
	return answers, repeated, nil
}

// uncertain tells whether the reason is one of those that say so: internal/httpapi/README.md, "Cancelling deletions".
func uncertain(reason string) bool { return strings.HasPrefix(reason, "It is not certain that ") }
