// Package api calls the broker's HTTP API as clients do: with a token, page by page, and with repeats where these are
// safe.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"dcv-session-broker/internal/operate/token"
)

// A Client calls one API.
type Client struct {
	// URL is the API's address, without a / at the end.
	URL    string
	HTTP   *http.Client
	Tokens token.Source
	// Pause is the wait before the first repeat of a call that had no answer. Each further wait is twice as long.
	Pause time.Duration
	// Note receives a line if a call is repeated after a long wait for its answer; nil if nobody waits for it.
	Note func(line string)

	last atomic.Pointer[stamp] // of the newest answer
}

// A stamp is an answer's header Date, and when it came by this machine's clock.
type stamp struct {
	date string
	came time.Time
}

const (
	// tries is how many times a call is sent at most.
	tries = 4
	// longWait is how many times Pause a user waits without being told that there is no answer.
	longWait = 10
	// maxAnswerBytes is more than what Lambda answers.
	maxAnswerBytes = 16 << 20
)

// A NoAnswerError means that the outcome of a call is not known: it was sent at least once and may have been carried out.
type NoAnswerError struct{ Err error }

func (e *NoAnswerError) Error() string { return e.Err.Error() }
func (e *NoAnswerError) Unwrap() error { return e.Err }

// A RefusedError is an answer that says that the call changed nothing.
type RefusedError struct {
	Path    string
	Status  int
	Message string
	// WholeBody is true if the fault is in the body as a whole, not in one entry.
	WholeBody bool
}

func (e *RefusedError) Error() string {
	text := fmt.Sprintf("%s answered %d: %s", e.Path, e.Status, e.Message)
	switch e.Status {
	case http.StatusUnauthorized:
		text += ". The token is not good here: look at Issuer, Audience and Scope of the stack"
	case http.StatusForbidden:
		text += ". The token lacks the scope, which is the stack's parameter Scope"
	case http.StatusNotFound:
		text += ". Is this the address of a broker? It is the output ApiUrl of its stack"
	}
	return text
}

// post calls the API. Every call of this API may be repeated. repeated is true if this one was: then the API may have
// carried out an earlier one.
func (c *Client) post(ctx context.Context, path string, request, answer any) (repeated bool, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return false, err
	}
	bearer, err := c.Tokens.Token(ctx, "")
	if err != nil {
		return false, fmt.Errorf("get an access token: %w", err)
	}
	pause, fresh := c.Pause, false
	for try := 1; ; try++ {
		began := time.Now()
		err := c.once(ctx, path, bearer, body, answer)
		var refused *RefusedError
		switch {
		case err == nil:
			return repeated, nil
		case errors.As(err, &refused) && refused.Status == http.StatusUnauthorized && !fresh:
			// The token came from the cache and has expired, or was revoked.
			fresh = true
			if bearer, err = c.Tokens.Token(ctx, bearer); err != nil {
				return repeated, open(repeated, fmt.Errorf("get an access token: %w", err))
			}
			try--
			continue
		case refused != nil && refused.Status == http.StatusBadRequest: // each earlier call was refused, too
			return repeated, err
		case refused != nil && refused.Status != http.StatusTooManyRequests && refused.Status < 500:
			return repeated, open(repeated, err)
		case refused == nil || refused.Status >= 500:
			repeated = true
		}
		if try == tries || ctx.Err() != nil {
			if repeated {
				err = &NoAnswerError{fmt.Errorf("no answer from %s to %d calls: %w: is the address right, and is it up?", c.URL, try, err)}
			}
			return repeated, err
		}
		if c.Note != nil && time.Since(began) > longWait*c.Pause {
			c.Note(fmt.Sprintf("no answer from %s yet (call %d of %d)", c.URL, try, tries))
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// open makes a NoAnswerError of a refusal if the call was repeated: an earlier one, which had no answer, may have been
// carried out.
func open(repeated bool, err error) error {
	if repeated {
		return &NoAnswerError{fmt.Errorf("an earlier call had no answer, and now: %w", err)}
	}
	return err
}

func (c *Client) once(ctx context.Context, path, bearer string, body []byte, answer any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	c.last.Store(&stamp{resp.Header.Get("Date"), time.Now()})
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(path, resp.StatusCode, content)
	}
	if err := json.Unmarshal(content, answer); err != nil {
		return fmt.Errorf("the answer of %s cannot be read: %w", path, err)
	}
	return nil
}

// Answered returns the time of the API's last answer, by the API's clock. It is rounded down to a second, as in the header
// Date (RFC 9110, 5.6.7).
func (c *Client) Answered() (time.Time, error) {
	last := c.last.Load()
	if last == nil {
		last = &stamp{}
	}
	at, err := http.ParseTime(last.date)
	if err != nil {
		return time.Time{}, fmt.Errorf("the answer of %s has no time in the header Date: %w", c.URL, err)
	}
	return at.Add(time.Second), nil
}

// Now returns the time by the API's clock, to a second: that of the last answer and what has passed since. If no answer
// told it, it is this machine's time.
func (c *Client) Now() time.Time {
	if last := c.last.Load(); last != nil {
		if at, err := http.ParseTime(last.date); err == nil {
			return at.Add(time.Since(last.came))
		}
	}
	return time.Now()
}

// refusal describes an answer other than 200 for people.
func refusal(path string, status int, body []byte) *RefusedError {
	e := &RefusedError{Path: path, Status: status}
	type fault struct {
		Index         *int
		Field, Reason string
	}
	var answer struct {
		Message   string  `json:"message"`
		RequestID string  `json:"RequestId"`
		Errors    []fault `json:"errors"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Message == "" {
		text := strings.Join(strings.Fields(string(body)), " ")
		if len(text) > 300 {
			text = text[:300] + "..."
		}
		e.Message = fmt.Sprintf("%q", text)
		return e
	}
	e.Message = strings.TrimSuffix(answer.Message, ".")
	for i, f := range answer.Errors {
		if i == 5 {
			e.Message += fmt.Sprintf("; and %d more", len(answer.Errors)-i)
			break
		}
		where := ""
		if f.Index != nil {
			where = fmt.Sprintf("entry %d: ", *f.Index)
		}
		e.Message += fmt.Sprintf("; %s%s %s", where, f.Field, f.Reason)
	}
	e.WholeBody = slices.ContainsFunc(answer.Errors, func(f fault) bool { return f.Index == nil && f.Field == "body" })
	if answer.RequestID != "" {
		e.Message += " (request " + answer.RequestID + ")"
	}
	return e
}
