package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// An Entry asks for the deletion of one session. HostID and CreationTime are preconditions; nil or "" is none.
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

// A CancelEntry asks for the cancel of one session's deletion.
type CancelEntry struct {
	SessionID string `json:"SessionId"`
	Owner     string `json:"Owner"`
	RequestID string `json:"RequestId,omitempty"`
}

// An Outcome is the API's answer to one entry.
type Outcome struct {
	SessionID string
	// Accepted is true if the deletion is recorded, or cancelled.
	Accepted bool
	State    string
	CloseAt  time.Time // zero without a grace period
	// Reason says why an entry was not accepted. Unknown is true if no answer came, so that nobody knows whether it was.
	Reason  string
	Unknown bool
	// Repeated is true if the request was sent more than once: the answer may be about the effect of an earlier one.
	Repeated bool
}

// DeleteSessions asks for the deletion of sessions, in requests of at most batch entries. A request names each session once.
// The outcomes are in the order of the entries. On an error they are only those of the first entries, and nothing was done
// for the rest.
func (c *Client) DeleteSessions(ctx context.Context, entries []Entry, batch int, dryRun bool) ([]Outcome, error) {
	return inBatches(ctx, c, "/deleteSessions", entries, batch, dryRun, func(e Entry) string { return e.SessionID })
}

// CancelDeletions asks for the cancel of deletions in the same way.
func (c *Client) CancelDeletions(ctx context.Context, entries []CancelEntry, batch int) ([]Outcome, error) {
	return inBatches(ctx, c, "/cancelDeletions", entries, batch, false, func(e CancelEntry) string { return e.SessionID })
}

// DefaultBatch is the default of the stack's parameter MaxBatchSize.
const DefaultBatch = 1000

// dryRunQuery asks for a dry run. A stack that is older than dry runs does not receive it: finding the sessions fails first,
// since that stack refuses Details.
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
			// The request has too many entries; nothing was done.
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

// oneBatch sends the entries. It sends those again whose outcome the API calls uncertain.
func oneBatch[E any](ctx context.Context, c *Client, path string, entries []E, id func(E) string) ([]Outcome, error) {
	outcomes := make([]Outcome, len(entries))
	open := make([]int, len(entries)) // entries without an outcome
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

// send sends one request and returns the answers by session.
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
		return nil, repeated, fmt.Errorf("THIS WAS NOT A DRY RUN: %s ignored dryRun=true, or something before it removed it. %d deletions were accepted: %s",
			c.URL, len(accepted), strings.Join(accepted, " "))
	}
	answers = map[string]Outcome{}
	for _, s := range answer.SuccessfulList {
		answers[s.SessionId] = Outcome{SessionID: s.SessionId, Accepted: true, State: s.State, CloseAt: Time(s.CloseAt)}
	}
	for _, u := range answer.UnsuccessfulList {
		answers[u.SessionId] = Outcome{SessionID: u.SessionId, Reason: withFlag(u.FailureReason), Unknown: uncertain(u.FailureReason)}
	}
	return answers, repeated, nil
}

// withFlag adds the flag for what the API calls Force.
func withFlag(reason string) string {
	return strings.Replace(reason, "set Force to true", "set Force to true (dcvbroker delete --force)", 1)
}

// uncertain tells whether the reason says that the outcome is uncertain: internal/httpapi/README.md, "Cancelling deletions".
func uncertain(reason string) bool { return strings.HasPrefix(reason, "It is not certain that ") }
