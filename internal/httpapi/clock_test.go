package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"dcv-session-broker/internal/httpapi/canceldeletions"
	"dcv-session-broker/internal/httpapi/deletesessions"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// A pair is the functions of deletions and cancels, on one table, by a clock with nanoseconds.
type pair struct {
	t        *testing.T
	table    *memtable.Table
	now      time.Time
	requests int
	send     *deletesessions.Handler
	cancel   *canceldeletions.Handler
}

const (
	deleted        = `"SuccessfulList":[{"SessionId":"s1","State":"DELETING"}],"UnsuccessfulList":[]`
	cancelled      = `"SuccessfulList":[{"SessionId":"s1","State":"READY"}],"UnsuccessfulList":[]`
	cancelledSince = `"SuccessfulList":[],"UnsuccessfulList":[{"SessionId":"s1","FailureReason":"The deletion was cancelled after this request began. Nothing was changed."}]`
)

func newPair(t *testing.T) *pair {
	p := &pair{t: t, table: memtable.New(), now: time.Date(2026, 11, 23, 19, 1, 2, 123e6, time.UTC)}
	p.table.Put(session.Listed(session.Session{ID: "s1", Owner: "alice", HostID: "i-0123456789abcdef0", Type: "virtual", FirstSeenAt: p.now.Add(-time.Hour)}))
	clock := func() time.Time { return p.now }
	reader, log := memtable.Reader{Table: p.table}, slog.New(slog.DiscardHandler)
	p.send = deletesessions.New(deletesessions.Parts{Table: p.table, Getter: reader, Notes: memtable.NewHosts(), Now: clock, Log: log},
		deletesessions.Settings{MaxBatch: 10, GiveUp: time.Hour, ForceMode: session.Purge})
	p.cancel = canceldeletions.New(canceldeletions.Parts{Table: p.table, Getter: reader, Now: clock, Log: log},
		canceldeletions.Settings{MaxBatch: 10})
	return p
}

// post sends an entry for the session, so long after the millisecond began.
func (p *pair) post(handle func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error), after time.Duration, fields, want string) {
	p.t.Helper()
	p.now = p.now.Truncate(time.Millisecond).Add(after)
	p.requests++
	id := fmt.Sprintf("%08d-0000-4000-8000-000000000000", p.requests)
	ctx := lambdacontext.NewContext(p.t.Context(), &lambdacontext.LambdaContext{AwsRequestID: id})
	resp, err := handle(ctx, events.APIGatewayV2HTTPRequest{Body: `[{"SessionId":"s1","Owner":"alice"` + fields + `}]`})
	if want = `{"RequestId":"` + id + `",` + want + `}`; err != nil || resp.Body != want {
		p.t.Errorf("%v after the millisecond began: %s, %v\nwant %s", after, resp.Body, err, want)
	}
}

// The deletion may have been asked for before the cancel: it does not land, and its
// caller is told why.
func TestDeletionInTheMillisecondOfACancel(t *testing.T) {
	for name, fields := range map[string]string{"mark": ``, "forced": `,"Force":true`} {
		for _, order := range [][2]time.Duration{{100, 900}, {900, 100}} {
			t.Run(fmt.Sprint(name, order), func(t *testing.T) {
				p := newPair(t)
				p.post(p.cancel.Handle, order[0], ``, cancelled)
				before, _ := json.Marshal(p.table.Get("s1"))
				p.post(p.send.Handle, order[1], fields, cancelledSince)
				if after, _ := json.Marshal(p.table.Get("s1")); string(after) != string(before) {
					t.Errorf("changed: %s\nit was   %s", after, before)
				}
				p.now = p.now.Add(time.Millisecond)
				if fields == "" {
					fields = `,"Force":true` // which sends no command
				}
				p.post(p.send.Handle, 0, fields, deleted)
			})
		}
	}
}

// The cancel of a deletion that began in the same millisecond ends it.
func TestCancelInTheMillisecondOfADeletion(t *testing.T) {
	p := newPair(t)
	r := p.table.Get("s1")
	at := session.FormatTime(p.now)
	maps.Copy(r, session.Record{
		"State": "DELETING", "StateBefore": "READY", "CloseAt": session.FormatTime(p.now.Add(time.Minute)), "Attempts": int64(0), "AttemptId": "notice-r1",
		"DeletionRequestedAt": at, "DeletionRequestId": "r1", "DueLane": "wait-0", "NextAttemptAt": session.FormatTime(p.now.Add(time.Minute)),
	})
	p.table.Put(r)
	p.post(p.cancel.Handle, 900, ``, cancelled)
	p.post(p.send.Handle, 950, `,"Force":true`, cancelledSince)
}

// A cancel that finds another's of the same millisecond has nothing to write.
func TestCancelInTheMillisecondOfAnother(t *testing.T) {
	p := newPair(t)
	p.post(p.cancel.Handle, 100, ``, cancelled)
	p.post(p.cancel.Handle, 900, ``, cancelled)
	p.post(p.cancel.Handle, 200, ``, cancelled)
}

func TestDryRunInTheMillisecondOfACancel(t *testing.T) {
	p := newPair(t)
	p.post(p.cancel.Handle, 100, ``, cancelled)
	p.now = p.now.Add(800)
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "r2"})
	resp, err := p.send.Handle(ctx, events.APIGatewayV2HTTPRequest{
		Body: `[{"SessionId":"s1","Owner":"alice","Force":true}]`, QueryStringParameters: map[string]string{"dryRun": "true"},
	})
	if err != nil || !strings.Contains(resp.Body, `"FailureReason":"The deletion was cancelled after`) {
		t.Errorf("%s, %v", resp.Body, err)
	}
}
