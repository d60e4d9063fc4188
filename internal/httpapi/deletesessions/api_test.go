package deletesessions_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/httpapi/deletesessions"
	"dcv-session-broker/internal/httpapi/httpapitest"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

const host = "i-0123456789abcdef0"

var now = time.Date(2026, 11, 23, 19, 1, 2, 123e6, time.UTC)

// An api is the handler with a table in memory and a fleet that accepts everything. It
// counts the calls of both.
type api struct {
	*deletesessions.Handler
	t     *testing.T
	table *memtable.Table
	calls int
	log   strings.Builder
	// noChecks makes calls of Systems Manager fail.
	noChecks bool
	// write and send, if set, replace the calls.
	write func(ctx context.Context, writes []session.Write) []session.Result
	send  func(attempt session.Attempt) []error
}

func newAPI(t *testing.T) *api {
	a := &api{t: t, table: memtable.New()}
	a.table.Put(session.Listed(session.Session{ID: "SessionId123", Owner: "user1", HostID: host, Type: "virtual"}))
	log := slog.New(slog.NewTextHandler(&a.log, nil))
	a.Handler = &deletesessions.Handler{
		Deleter:  &session.Deleter{Table: a, Closer: a, Notifier: a, RefusedHosts: memtable.NewHosts(), GiveUp: time.Hour, Log: log},
		MaxBatch: 1000,
		Now:      func() time.Time { return now },
		Log:      log,
	}
	return a
}

func (a *api) Write(ctx context.Context, writes []session.Write) []session.Result {
	a.calls++
	if a.write != nil {
		return a.write(ctx, writes)
	}
	return a.table.Write(ctx, writes)
}

func (a *api) Close(_ context.Context, attempt session.Attempt) []error {
	a.calls++
	if a.send != nil {
		return a.send(attempt)
	}
	return make([]error, len(attempt.Closings))
}

func (a *api) Notify(_ context.Context, notices []session.Notice) []error {
	a.calls++
	return make([]error, len(notices))
}

// Check refuses the host laptop, or fails.
func (a *api) Check(_ context.Context, hostIDs []string) (map[string]*session.Refusal, error) {
	if a.noChecks {
		return nil, errors.New("throttled")
	}
	refusals := map[string]*session.Refusal{}
	for _, id := range hostIDs {
		if id == "laptop" {
			refusals[id] = &session.Refusal{HostID: id, Reason: "is a laptop"}
		}
	}
	return refusals, nil
}

func (a *api) serve(req events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPResponse {
	a.t.Helper()
	return httpapitest.Serve(a.t, a.Handle, "/deleteSessions", req)
}

func (a *api) post(body string) events.APIGatewayV2HTTPResponse {
	a.t.Helper()
	return a.serve(events.APIGatewayV2HTTPRequest{Body: body})
}

// answers posts a body, and compares the answer byte for byte.
func (a *api) answers(body string, status int, want string) {
	a.t.Helper()
	if resp := a.post(body); resp.StatusCode != status || resp.Body != want {
		a.t.Errorf("%s\nis answered %d %s\nwant        %d %s", body, resp.StatusCode, resp.Body, status, want)
	}
}
