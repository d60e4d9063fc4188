package canceldeletions_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/httpapi/canceldeletions"
	"dcv-session-broker/internal/httpapi/httpapitest"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

const (
	host = "i-0123456789abcdef0"
	// deletion is the request of every deletion here.
	deletion = "8ad032af-af29-4c99-936e-e19072ebd531"
)

var now = time.Date(2026, 11, 23, 19, 1, 2, 123e6, time.UTC)

// An api is the handler with a table in memory, and a fleet that accepts every notice.
type api struct {
	*canceldeletions.Handler
	t       *testing.T
	table   *memtable.Table
	writes  int
	notices []session.Notice
	log     strings.Builder
	// write, if set, replaces the call, and unreadable the answer.
	write      func(writes []session.Write) []session.Result
	unreadable error
}

// newAPI has four sessions of user1: one is READY, the deletion of one waits until
// in five minutes, one should have been closed a minute ago, and one is being closed.
func newAPI(t *testing.T) *api {
	a := &api{t: t, table: memtable.New()}
	a.put("ready", nil)
	a.put("SessionId123", waiting(now.Add(5*time.Minute)))
	a.put("late", waiting(now.Add(-time.Minute)))
	a.put("render-7", waiting(now.Add(-2*time.Minute)))
	closing := a.table.Get("render-7")
	closing["Attempts"], closing["AttemptedAt"], closing["TryUntil"] = int64(1), session.FormatTime(now.Add(-2*time.Minute)), session.FormatTime(now.Add(58*time.Minute))
	a.table.Put(closing)
	log := slog.New(slog.NewTextHandler(&a.log, nil))
	a.Handler = &canceldeletions.Handler{
		Canceller: &session.Canceller{Table: a, Getter: a, Notifier: a, Now: func() time.Time { return now }, Log: log},
		MaxBatch:  1000,
		Log:       log,
	}
	return a
}

// put adds a session of user1, with more attributes.
func (a *api) put(id string, more session.Record) {
	r := session.Listed(session.Session{ID: id, Owner: "user1", HostID: host, Type: "virtual", CreationTime: "2026-11-23T18:45:11.262883Z", FirstSeenAt: now.Add(-time.Hour)})
	for name, value := range more {
		r[name] = value
	}
	a.table.Put(r)
}

// waiting returns the attributes of a deletion that waits for its close time.
func waiting(closeAt time.Time) session.Record {
	markedAt := closeAt.Add(-10 * time.Minute)
	return session.Record{
		"State": "DELETING", "StateBefore": "READY", "CloseAt": session.FormatTime(closeAt),
		"DeletionRequestedAt": session.FormatTime(markedAt), "DeletionRequestId": deletion, "DeletionRequestedBy": "client",
		"AttemptId": deletion, "Attempts": int64(0), "NextAttemptAt": session.FormatTime(closeAt), "DueLane": "wait-0",
		"NoticeId": deletion, "NoticeAt": session.FormatTime(markedAt), "Warning": "warned (zenity)", "WarnedAt": session.FormatTime(markedAt),
	}
}

func (a *api) Write(ctx context.Context, writes []session.Write) []session.Result {
	a.writes++
	if a.write != nil {
		return a.write(writes)
	}
	return a.table.Write(ctx, writes)
}

func (a *api) Get(ctx context.Context, ids []string) ([]session.Record, error) {
	if a.unreadable != nil {
		return nil, a.unreadable
	}
	return memtable.Reader{Table: a.table}.Get(ctx, ids)
}

func (a *api) Notify(_ context.Context, notices []session.Notice) []error {
	a.notices = append(a.notices, notices...)
	return make([]error, len(notices))
}

func (a *api) serve(req events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPResponse {
	a.t.Helper()
	return httpapitest.Serve(a.t, a.Handle, "/cancelDeletions", req)
}

func (a *api) post(body string) events.APIGatewayV2HTTPResponse {
	a.t.Helper()
	return a.serve(events.APIGatewayV2HTTPRequest{Body: body})
}

func (a *api) dryRun(body string) events.APIGatewayV2HTTPResponse {
	a.t.Helper()
	return a.serve(events.APIGatewayV2HTTPRequest{Body: body, QueryStringParameters: map[string]string{"dryRun": "true"}})
}

// answers posts a body, and compares the answer byte for byte.
func (a *api) answers(body string, status int, want string) {
	a.t.Helper()
	if resp := a.post(body); resp.StatusCode != status || resp.Body != want {
		a.t.Errorf("%s\nis answered %d %s\nwant        %d %s", body, resp.StatusCode, resp.Body, status, want)
	}
}
