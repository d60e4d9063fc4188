// Package smoke tests a broker from the outside: it makes the record of a session that does not exist, deletes it by
// force through the API, and waits until it is DELETED. That uses the whole path (authorizer, delete-sessions, table,
// stream, session-stream, describe-sessions) and needs no host.
package smoke

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"dcv-session-broker/internal/operate/token"
	"dcv-session-broker/internal/session"
)

// Owner is the owner of the test record, so that people who find one know its origin.
const Owner = "smoke-test"

// Records makes and removes a record without the API.
type Records interface {
	// Put lists a session of Owner as READY, as an inventory does.
	Put(ctx context.Context, id string) error
	// Remove removes the record; a missing one is no error.
	Remove(ctx context.Context, id string) error
}

// A Check is one run.
type Check struct {
	// API is its address, without a / at the end.
	API     string
	HTTP    *http.Client
	Tokens  token.Source
	Records Records
	// Guarded is true if the API must refuse calls without a token.
	Guarded bool
	// Timeout is how long the record may take to be DELETED; it is read every Pause.
	Timeout, Pause time.Duration
	// Out receives a line for each step, and on a failure what to look at.
	Out io.Writer

	token string
	id    string
}

// ErrFailed is returned after the failure was written to Out.
var ErrFailed = errors.New("the smoke test failed")

// A step returns what it found, or an error; look says where to find the cause of the error.
type step struct {
	name string
	do   func(context.Context) (found string, err error)
	look string
}

// Run takes the steps in order up to the first that fails, and always removes the record.
func (c *Check) Run(ctx context.Context) error {
	c.id = "smoke-" + rand.Text()
	steps := []step{
		{"get an access token", c.getToken,
			"the user pool's client and its secret, or, with an issuer of your own, TOKEN or TOKEN_URL, CLIENT_ID and CLIENT_SECRET"},
	}
	if c.Guarded {
		steps = append(steps, step{"call without it", c.callWithoutToken,
			"the API's authorizer: the API accepts calls without a token"})
	}
	steps = append(steps,
		step{"list a test session", c.put, "whether you may write to the sessions table"},
		step{"describe it", c.describeReady,
			"a 401 or 403: Issuer, Audience and Scope against the token, and the API's access log; a 5xx: the log of describe-sessions"},
		step{"delete it by force", c.deleteForced,
			"a 5xx: the log of delete-sessions, by the RequestId; a reason: internal/session/README.md, \"When something fails\""},
		step{"wait for DELETED", c.awaitDeleted,
			"DELETING with a Confirmation in its record: the log of session-stream, whether its event source mapping is enabled, and its failure queue"},
	)
	failed := c.take(ctx, steps)
	// The record is removed also if the run was interrupted.
	cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := c.take(cleaning, []step{
		{"remove its record", c.remove, fmt.Sprintf("the sessions table: delete the item %s by hand, or leave it, it expires", c.id)},
		{"see that it is gone", c.describeGone, "the log of describe-sessions"},
	}); err != nil || failed != nil {
		return ErrFailed
	}
	fmt.Fprintln(c.Out, "ok      the whole path works")
	return nil
}

func (c *Check) take(ctx context.Context, steps []step) error {
	for _, s := range steps {
		began := time.Now()
		found, err := s.do(ctx)
		took := time.Since(began).Round(time.Millisecond)
		if errors.Is(ctx.Err(), context.Canceled) {
			fmt.Fprintf(c.Out, "interrupted: %s\n", s.name)
			return ErrFailed
		}
		if err != nil {
			fmt.Fprintf(c.Out, "FAILED  %s: %v (%v)\n        look at %s\n", s.name, err, took, s.look)
			return ErrFailed
		}
		fmt.Fprintf(c.Out, "ok      %s: %s (%v)\n", s.name, found, took)
	}
	return nil
}

func (c *Check) getToken(ctx context.Context) (string, error) {
	token, err := c.Tokens.Token(ctx, "")
	if err != nil {
		return "", err
	}
	c.token = token
	return fmt.Sprintf("%d characters", len(token)), nil
}

func (c *Check) callWithoutToken(ctx context.Context) (string, error) {
	status, body, err := c.post(ctx, "/describeSessions", "", map[string]any{"SessionIds": []string{c.id}})
	if err != nil {
		return "", err
	}
	if status != http.StatusUnauthorized {
		return "", fmt.Errorf("answered %d, not 401: %s", status, short(body))
	}
	return "refused", nil
}

func (c *Check) put(ctx context.Context) (string, error) {
	return c.id + " of " + Owner, c.Records.Put(ctx, c.id)
}

func (c *Check) remove(ctx context.Context) (string, error) {
	return "nothing is left of it", c.Records.Remove(ctx, c.id)
}

func (c *Check) describeReady(ctx context.Context) (string, error) {
	state, err := c.state(ctx)
	if err == nil && state != session.Ready {
		err = fmt.Errorf("it is %q, not READY", state)
	}
	return string(state), err
}

func (c *Check) describeGone(ctx context.Context) (string, error) {
	if c.token == "" {
		return "not asked, without a token", nil
	}
	state, err := c.state(ctx)
	if err == nil && state != "" {
		err = fmt.Errorf("it is still there, %s", state)
	}
	return "gone", err
}

func (c *Check) deleteForced(ctx context.Context) (string, error) {
	status, body, err := c.post(ctx, "/deleteSessions", c.token,
		[]map[string]any{{"SessionId": c.id, "Owner": Owner, "Force": true}})
	if err != nil {
		return "", err
	}
	var answer struct {
		RequestID        string `json:"RequestId"`
		SuccessfulList   []struct{ SessionId, State string }
		UnsuccessfulList []struct{ SessionId, FailureReason string }
	}
	if err := json.Unmarshal(body, &answer); status != http.StatusOK || err != nil {
		return "", fmt.Errorf("answered %d: %s", status, short(body))
	}
	if len(answer.UnsuccessfulList) == 1 {
		return "", fmt.Errorf("unsuccessful: %s (request %s)", answer.UnsuccessfulList[0].FailureReason, answer.RequestID)
	}
	if len(answer.SuccessfulList) != 1 || answer.SuccessfulList[0].SessionId != c.id || answer.SuccessfulList[0].State != string(session.Deleting) {
		return "", fmt.Errorf("one entry, answered with %s", short(body))
	}
	return "accepted, request " + answer.RequestID, nil
}

// awaitDeleted returns every state that was seen on the way.
func (c *Check) awaitDeleted(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("not within %v", c.Timeout))
	defer cancel()
	var way []string
	for {
		state, err := c.state(ctx)
		if ctx.Err() != nil {
			return "", fmt.Errorf("%w; it was %s", context.Cause(ctx), strings.Join(way, ", then "))
		}
		if err != nil {
			return "", err
		}
		shown := string(state)
		if shown == "" {
			shown = "not shown"
		}
		if len(way) == 0 || way[len(way)-1] != shown {
			way = append(way, shown)
		}
		if state == session.Deleted {
			return strings.Join(way, ", then "), nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(c.Pause):
		}
	}
}

// state returns the session's state in describeSessions; "" if it is not shown.
func (c *Check) state(ctx context.Context) (session.State, error) {
	status, body, err := c.post(ctx, "/describeSessions", c.token, map[string]any{"SessionIds": []string{c.id}})
	if err != nil {
		return "", err
	}
	var answer struct {
		Sessions []struct{ Id, Owner, State string }
	}
	if err := json.Unmarshal(body, &answer); status != http.StatusOK || err != nil {
		return "", fmt.Errorf("answered %d: %s", status, short(body))
	}
	switch {
	case len(answer.Sessions) == 0:
		return "", nil
	case len(answer.Sessions) > 1 || answer.Sessions[0].Id != c.id || answer.Sessions[0].Owner != Owner:
		return "", fmt.Errorf("asked for one session, answered with %s", short(body))
	}
	return session.State(answer.Sessions[0].State), nil
}

const maxAnswerBytes = 1 << 20

func (c *Check) post(ctx context.Context, path, token string, request any) (status int, body []byte, err error) {
	encoded, err := json.Marshal(request)
	if err != nil {
		return 0, nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.API+path, bytes.NewReader(encoded))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	return resp.StatusCode, body, err
}

// short shortens an answer to fit a line.
func short(body []byte) string {
	text := strings.Join(strings.Fields(string(body)), " ")
	if len(text) > 300 {
		text = text[:300] + "..."
	}
	return text
}
