package smoke_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"dcv-session-broker/internal/operate/smoke"
	"dcv-session-broker/internal/operate/token"
)

const apiToken = "t0ken-that-nobody-may-see"

// An api simulates the broker's API for one record; its faults can be set.
type api struct {
	mu       sync.Mutex        // a call that was given up is still answered
	records  map[string]string // states, by ID
	lets     bool              // calls without a token are answered
	refuses  string            // the reason why the entry is refused
	stuck    bool              // the record stays DELETING
	within   time.Duration     // how long a run waits then
	status   int               // for every call, if not 0
	keeps    bool              // a removed record is still shown
	putFails bool              // puts fail
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+apiToken && !a.lets {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(`{"message":"Forbidden"}`))
		return
	}
	switch r.URL.Path {
	case "/describeSessions":
		var in struct{ SessionIds []string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		out := map[string]any{"RequestId": "r-1", "Sessions": []any{}}
		if state := a.records[in.SessionIds[0]]; state != "" {
			out["Sessions"] = []any{map[string]string{"Id": in.SessionIds[0], "Owner": smoke.Owner, "State": state}}
			if state == "DELETING" && !a.stuck {
				a.records[in.SessionIds[0]] = "DELETED"
			}
		}
		_ = json.NewEncoder(w).Encode(out)
	case "/deleteSessions":
		var in []struct {
			SessionId, Owner string
			Force            bool
		}
		_ = json.NewDecoder(r.Body).Decode(&in)
		out := map[string]any{"RequestId": "r-2", "SuccessfulList": []any{}, "UnsuccessfulList": []any{}}
		switch {
		case a.refuses != "":
			out["UnsuccessfulList"] = []any{map[string]string{"SessionId": in[0].SessionId, "FailureReason": a.refuses}}
		case in[0].Force && in[0].Owner == smoke.Owner && a.records[in[0].SessionId] == "READY":
			a.records[in[0].SessionId] = "DELETING"
			out["SuccessfulList"] = []any{map[string]string{"SessionId": in[0].SessionId, "State": "DELETING"}}
		}
		_ = json.NewEncoder(w).Encode(out)
	}
}

func (a *api) Put(_ context.Context, id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.putFails {
		return errors.New("access denied to the table")
	}
	a.records[id] = "READY"
	return nil
}

func (a *api) Remove(_ context.Context, id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.keeps {
		delete(a.records, id)
	}
	return nil
}

type noToken struct{}

func (noToken) Token(context.Context, string) (string, error) {
	return "", errors.New("invalid_client")
}

func check(t *testing.T, a *api, change func(*smoke.Check)) (said string, err error) {
	t.Helper()
	return checkUntil(t.Context(), t, a, change)
}

func checkUntil(ctx context.Context, t *testing.T, a *api, change func(*smoke.Check)) (said string, err error) {
	t.Helper()
	a.records = map[string]string{}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	var out strings.Builder
	c := &smoke.Check{
		API: server.URL, HTTP: server.Client(), Tokens: token.Given(apiToken), Records: a, Guarded: true,
		Timeout: time.Minute, Pause: time.Millisecond, Out: &out,
	}
	if a.stuck {
		c.Timeout = a.within
	}
	if change != nil {
		change(c)
	}
	err = c.Run(ctx)
	if strings.Contains(out.String(), apiToken) {
		t.Errorf("the token is shown:\n%s", &out)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.records) > 0 && !a.keeps {
		t.Errorf("a record is left: %v", a.records)
	}
	return out.String(), err
}

func TestSmokeReportsEveryStep(t *testing.T) {
	said, err := check(t, &api{}, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	var steps []string
	for line := range strings.Lines(said) {
		line, ok := strings.CutPrefix(strings.TrimSpace(line), "ok      ")
		if !ok {
			t.Errorf("a line %q", line)
		}
		name, _, _ := strings.Cut(line, ":")
		steps = append(steps, name)
	}
	want := "get an access token, call without it, list a test session, describe it, delete it by force, wait for DELETED, remove its record, see that it is gone, the whole path works"
	if got := strings.Join(steps, ", "); got != want {
		t.Errorf("steps: %s", got)
	}
	if !strings.Contains(said, "wait for DELETED: DELETING, then DELETED (") {
		t.Errorf("the states are not told:\n%s", said)
	}
}

// Each failure is printed with where to look, and the record is removed.
func TestEachFailureSaysWhereToLook(t *testing.T) {
	for name, c := range map[string]struct {
		api    *api
		change func(*smoke.Check)
		says   string
		look   string
	}{
		"no token":               {&api{}, func(c *smoke.Check) { c.Tokens = noToken{} }, "get an access token: invalid_client", "the user pool's client"},
		"anybody gets in":        {&api{lets: true}, nil, "call without it: answered 200, not 401", "the API's authorizer"},
		"the table is closed":    {&api{putFails: true}, nil, "list a test session: access denied", "write to the sessions table"},
		"a token without scope":  {&api{status: 403}, nil, `describe it: answered 403: {"message":"Forbidden"}`, "Issuer, Audience and Scope"},
		"the entry is refused":   {&api{refuses: "not recorded"}, nil, "delete it by force: unsuccessful: not recorded (request r-2)", "the log of delete-sessions"},
		"it never ends":          {&api{stuck: true}, nil, "wait for DELETED: not within ", "the log of session-stream"},
		"the record cannot go":   {&api{keeps: true}, nil, "see that it is gone: it is still there, DELETED", "the log of describe-sessions"},
		"nobody answers at all":  {&api{}, func(c *smoke.Check) { c.Guarded, c.API = false, "http://127.0.0.1:1" }, "describe it: Post", "the log of describe-sessions"},
		"the wrong thing listed": {&api{}, func(c *smoke.Check) { c.Records = nobody{} }, `describe it: it is "", not READY`, "the log of describe-sessions"},
	} {
		t.Run(name, func(t *testing.T) {
			c.api.within = 50 * time.Millisecond
			said, err := check(t, c.api, c.change)
			for c.api.stuck && !strings.Contains(said, "; it was DELETING") && c.api.within < time.Minute {
				c.api.within *= 10 // a busy machine had no time for a look
				said, err = check(t, c.api, c.change)
			}
			if c.api.stuck && !strings.Contains(said, "; it was DELETING") {
				t.Errorf("it does not say what it was:\n%s", said)
			}
			if !errors.Is(err, smoke.ErrFailed) {
				t.Errorf("got %v", err)
			}
			if !strings.Contains(said, "FAILED  "+c.says) || !strings.Contains(said, "look at ") || !strings.Contains(said, c.look) {
				t.Errorf("it said\n%s", said)
			}
			if strings.Contains(said, "the whole path works") {
				t.Errorf("it said that all is well:\n%s", said)
			}
		})
	}
}

// Interrupted, it removes its record, and calls nothing a fault.
func TestInterruptedSmokeLeavesNothing(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	a := &api{}
	said, err := checkUntil(ctx, t, a, func(c *smoke.Check) { c.Records = interrupting{a, interrupt} })
	if !errors.Is(err, smoke.ErrFailed) || !strings.Contains(said, "\ninterrupted: list a test session\nok      remove its record") || strings.Contains(said, "FAILED") {
		t.Errorf("%v\n%s", err, said)
	}
}

// interrupting interrupts the run after the record is written.
type interrupting struct {
	*api
	interrupt func()
}

func (i interrupting) Put(ctx context.Context, id string) error {
	defer i.interrupt()
	return i.api.Put(ctx, id)
}

// nobody discards records.
type nobody struct{}

func (nobody) Put(context.Context, string) error    { return nil }
func (nobody) Remove(context.Context, string) error { return nil }
