package describesessions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"dcv-session-broker/internal/httpapi/describesessions"
	"dcv-session-broker/internal/httpapi/httpapitest"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

const (
	head = `{"RequestId":"` + httpapitest.RequestID + `",`
	host = "i-0123456789abcdef0"
)

var now = time.Date(2026, 11, 23, 19, 1, 2, 123e6, time.UTC)

// A describeAPI is the handler with a table in memory, whose reads are counted.
type describeAPI struct {
	*describesessions.Handler
	session.Reader
	t     *testing.T
	table *memtable.Table
	hosts *memtable.Hosts
	reads int
	log   strings.Builder
	fail  error
}

func newDescribeAPI(t *testing.T, sessions ...session.Session) *describeAPI {
	a := &describeAPI{t: t, table: memtable.New(), hosts: memtable.NewHosts()}
	a.Reader = memtable.Reader{Table: a.table}
	for _, s := range sessions {
		a.table.Put(session.Listed(s))
	}
	a.Handler = &describesessions.Handler{
		Describer: &session.Describer{Reader: a, Notes: a, Now: func() time.Time { return now }},
		FleetTag:  "studio",
		Log:       slog.New(slog.NewTextHandler(&a.log, nil)),
	}
	return a
}

func (a *describeAPI) Get(ctx context.Context, ids []string) ([]session.Record, error) {
	if a.reads++; a.fail != nil {
		return nil, a.fail
	}
	return a.Reader.Get(ctx, ids)
}

func (a *describeAPI) Owned(ctx context.Context, owner, after string, limit int) ([]session.Record, bool, error) {
	if a.reads++; a.fail != nil {
		return nil, false, a.fail
	}
	return a.Reader.Owned(ctx, owner, after, limit)
}

func (a *describeAPI) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	if a.reads++; a.fail != nil {
		return nil, false, a.fail
	}
	return a.Reader.OnHost(ctx, hostID, after, limit)
}

func (a *describeAPI) Notes(ctx context.Context, hostIDs []string) (map[string]session.HostNote, error) {
	a.reads++
	return a.hosts.Notes(ctx, hostIDs)
}

func (a *describeAPI) All(ctx context.Context, after string, limit int) ([]session.Record, bool, error) {
	if a.reads++; a.fail != nil {
		return nil, false, a.fail
	}
	return a.Reader.All(ctx, after, limit)
}

func (a *describeAPI) serve(req events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPResponse {
	a.t.Helper()
	return httpapitest.Serve(a.t, a.Handle, "/describeSessions", req)
}

// A listing is a parsed answer.
type listing struct {
	status int
	ids    []string
	next   string
	faults []httpapitest.Wrong
}

func (a *describeAPI) ask(body string) listing {
	a.t.Helper()
	resp := a.serve(events.APIGatewayV2HTTPRequest{Body: body})
	var answer struct {
		RequestID string `json:"RequestId"`
		Sessions  []struct{ ID string }
		NextToken string
		Errors    []httpapitest.Wrong
	}
	if err := json.Unmarshal([]byte(resp.Body), &answer); err != nil || answer.RequestID != httpapitest.RequestID {
		a.t.Fatalf("%.200q: %v: %.300s", body, err, resp.Body)
	}
	l := listing{status: resp.StatusCode, next: answer.NextToken, faults: answer.Errors}
	for _, s := range answer.Sessions {
		l.ids = append(l.ids, s.ID)
	}
	return l
}

// wants sends a query, and compares the IDs of the answer, which is one page.
func (a *describeAPI) wants(body string, ids ...string) {
	a.t.Helper()
	if got := a.ask(body); got.status != 200 || !slices.Equal(got.ids, ids) || got.next != "" {
		a.t.Errorf("%s: %+v, want %q", body, got, ids)
	}
}

func TestDescribedToTheByte(t *testing.T) {
	a := newDescribeAPI(t, session.Session{
		ID: "SessionId123", Owner: "user1", HostID: host, Name: "<a & b>", Type: "virtual", NumOfConnections: 2,
		CreationTime: "2026-11-23T08:30:00.262883Z", LastDisconnectionTime: "2026-11-23T17:45:12Z",
	})
	a.table.Put(session.Record{
		"SessionId": "console-mi-0123456789abcdef0", "DcvSessionId": "console", "Owner": "user2", "HostId": "mi-0123456789abcdef0",
		"Type": "console", "State": "UNKNOWN", "StateReason": "Its host has not answered.",
		"CreationTime": "yesterday", "LastDisconnectionTime": "", "NumOfConnections": int64(0), "AttemptId": "secret",
	})
	resp := a.serve(events.APIGatewayV2HTTPRequest{})
	if want := head + `"Sessions":[{"Id":"SessionId123","Name":"<a & b>","Owner":"user1",` +
		`"Server":{"Id":"` + host + `","Host":{"Aws":{"EC2InstanceId":"` + host + `"}},"Tags":[{"Key":"DcvFleet","Value":"studio"}]},"Type":"VIRTUAL","State":"READY",` +
		`"CreationTime":"2026-11-23T08:30:00.262883Z","LastDisconnectionTime":"2026-11-23T17:45:12Z","NumOfConnections":2},` +
		`{"Id":"console-mi-0123456789abcdef0","Owner":"user2","Server":{"Id":"mi-0123456789abcdef0","Tags":[{"Key":"DcvFleet","Value":"studio"}]},"Type":"CONSOLE","State":"UNKNOWN",` +
		`"StateReason":"Its host has not answered.","NumOfConnections":0}]}`; resp.Body != want || resp.StatusCode != 200 {
		t.Errorf("%d %s\nwant %s", resp.StatusCode, resp.Body, want)
	}
	none := newDescribeAPI(t).serve(events.APIGatewayV2HTTPRequest{})
	if want := head + `"Sessions":[]}`; none.Body != want {
		t.Errorf("%s, want %s", none.Body, want)
	}
}

// Readers of date-time fail on anything else, and then lose the whole page; Go's
// time.Parse accepts more.
func TestInvalidTimesAreLeftOut(t *testing.T) {
	for text, shown := range map[string]string{
		"2019-05-13T13:21:19.262883Z": "2019-05-13T13:21:19.262883Z", "2020-03-02T16:08:50Z": "2020-03-02T16:08:50Z",
		"2020-03-02T16:08:50.100Z": "2020-03-02T16:08:50.100Z", "2020-03-02T16:08:50+01:00": "2020-03-02T15:08:50Z",
		"2020-03-02T6:08:50Z": "2020-03-02T06:08:50Z", "2020-03-02T16:08:50,5Z": "2020-03-02T16:08:50.5Z",
		"2020-03-02T16:08:50.5+00:00": "2020-03-02T16:08:50.5Z", "2026-11-23T18:45:11+24:00": "2026-11-22T18:45:11Z",
		"": "", "0": "", "2020-03-02": "", "0000-01-01T00:00:00Z": "", "0001-01-01T00:00:00+01:00": "", "9999-12-31T23:59:59-01:00": "",
		"2020-13-02T16:08:50Z": "", "2020-03-02 16:08:50Z": "", "2020-03-02T16:08:50": "", "2020-03-02T16:08:60Z": "",
	} {
		a := newDescribeAPI(t, session.Session{ID: "s", Owner: "o", HostID: host, CreationTime: text, LastDisconnectionTime: text})
		resp := a.serve(events.APIGatewayV2HTTPRequest{})
		got := strings.Count(resp.Body, `Time":"`+shown+`"`)
		if resp.StatusCode != 200 || shown != "" && got != 2 || shown == "" && strings.Contains(resp.Body, "Time") {
			t.Errorf("%q: %d %s", text, resp.StatusCode, resp.Body)
		}
	}
}

// Research and Engineering Studio does not delete a session with connected users, so it
// would never learn that this one is gone.
func TestNobodyIsConnectedToWhatIsDeleted(t *testing.T) {
	a := newDescribeAPI(t)
	a.table.Put(session.Record{"SessionId": "s", "Owner": "o", "State": "DELETED", "NumOfConnections": int64(2)})
	if resp := a.serve(events.APIGatewayV2HTTPRequest{}); !strings.Contains(resp.Body, `"NumOfConnections":0`) {
		t.Errorf("%s", resp.Body)
	}
}

// One session that is longer than an answer may be is shown alone.
func TestSessionLargerThanTheLimitIsShownAlone(t *testing.T) {
	long := session.Session{Owner: "o", Name: strings.Repeat("x", 5<<20)}
	a := newDescribeAPI(t)
	for _, id := range []string{"a", "b"} {
		long.ID = id
		a.table.Put(session.Listed(long))
	}
	first := a.ask(`{}`)
	second := a.ask(`{"NextToken":"` + first.next + `"}`)
	if !slices.Equal(first.ids, []string{"a"}) || !slices.Equal(second.ids, []string{"b"}) || second.next != "" {
		t.Errorf("%+.100v, %+.100v", first, second)
	}
}

func (a *describeAPI) somebodys() *describeAPI {
	for id, owner := range map[string]string{"a": "user1", "b": "user2", "c": "user1", "d": "user2"} {
		a.table.Put(session.Listed(session.Session{ID: id, Owner: owner, HostID: host}))
	}
	a.table.Put(session.Record{"SessionId": "e", "Owner": "user1", "HostId": host, "State": "DELETED", "DeletionRequestId": "r1", "ExpiresAt": now.Unix() + 1})
	a.table.Put(session.Record{"SessionId": "f", "Owner": "user1", "State": "DELETED", "ExpiresAt": now.Unix()})
	return a
}

func TestFormsOfAQuery(t *testing.T) {
	for body, ids := range map[string]string{
		"":        "a b c d e",
		" \t\r\n": "a b c d e",
		`null`:    "a b c d e",
		" null\n": "a b c d e",
		`{}`:      "a b c d e",
		` { } `:   "a b c d e",
		`{"X":1}`: "a b c d e",
		"\ufeff":  "a b c d e",
		`{"SessionIds":null,"NextToken":null,"Filters":null,"MaxResults":null}`: "a b c d e",
		`{"SessionIds":[],"NextToken":"","Filters":[]}`:                         "a b c d e",
		`{"sessionids":["a"],"filters":7}`:                                      "a b c d e",

		`{"SessionIds":["c"]}`:                         "c",
		`{"SessionIds":["d","x","a","f","d","e","d"]}`: "d a e",
		`{"SessionIds":["x"]}`:                         "",
		"\ufeff" + `{"SessionIds":["c"]}`:              "c",
		`{"Session\u0049ds":["\u0063"]}`:               "c",

		`{"Filters":[{"Key":"owner","Value":"user1"}]}`:                                         "a c e",
		`{"Filters":[{"Key":"owner","Value":"User1"}]}`:                                         "",
		`{"Filters":[{"Value":"user1","Key":"owner"},{"Key":"owner","Value":"user1"}]}`:         "a c e",
		`{"Filters":[{"Key":"owner","Value":"user1"},{"Key":"owner","Value":"user2"}]}`:         "",
		`{"Filters":[{"Key":"tag:DcvFleet","Value":"studio"}]}`:                                 "a b c d e",
		`{"Filters":[{"Key":"tag:DcvFleet","Value":"other"}]}`:                                  "",
		`{"Filters":[{"Key":"owner","Value":"user2"},{"Key":"tag:DcvFleet","Value":"studio"}]}`: "b d",
		`{"Filters":[{"Key":"owner","Value":"user2"},{"Key":"tag:DcvFleet","Value":"x"}]}`:      "",

		`{"Filters":[{"Key":"host","Value":"` + host + `"}]}`:                                         "a b c d",
		`{"Filters":[{"Key":"host","Value":"` + host + `"},{"Key":"host","Value":"` + host + `"}]}`:   "a b c d",
		`{"Filters":[{"Key":"host","Value":"` + host + `"},{"Key":"owner","Value":"user1"}]}`:         "a c",
		`{"Filters":[{"Key":"host","Value":"` + host + `"},{"Key":"tag:DcvFleet","Value":"studio"}]}`: "a b c d",
		`{"Filters":[{"Key":"host","Value":"` + host + `"},{"Key":"tag:DcvFleet","Value":"x"}]}`:      "",
		`{"Filters":[{"Key":"host","Value":"` + host + `"}],"SessionIds":["d","e","x","a"]}`:          "d a",
		`{"Filters":[{"Key":"host","Value":"I-0123456789ABCDEF0"}]}`:                                  "",
		`{"Filters":[{"Key":"host","Value":"i-1"},{"Key":"host","Value":"i-2"}]}`:                     "",
		`{"Filters":[{"Key":"host","Value":"fleet"}]}`:                                                "",
		`{"Filters":[{"Key":"host","Value":"refused-` + host + `"}]}`:                                 "",
		`{"Filters":[{"Key":"owner","Value":"user1"},{"Key":"host","Value":"fleet"}],"Details":true}`: "",

		`{"Details":true}`:                        "a b c d e",
		`{"Details":false}`:                       "a b c d e",
		`{"Details":null}`:                        "a b c d e",
		`{"details":7}`:                           "a b c d e",
		`{"SessionIds":["d","a"],"Details":true}`: "d a",
		`{"Details":true,` + ofUser1 + `}`:        "a c e",

		`{"SessionIds":["d","c","b"],"Filters":[{"Key":"owner","Value":"user2"}]}`: "d b",
		`{"SessionIds":["d"],"Filters":[{"Key":"tag:DcvFleet","Value":"x"}]}`:      "",
	} {
		newDescribeAPI(t).somebodys().wants(body, strings.Fields(ids)...)
	}
	a := newDescribeAPI(t).somebodys()
	if resp := a.serve(httpapitest.Encoded(`{"SessionIds":["c"]}`)); !strings.Contains(resp.Body, `[{"Id":"c"`) {
		t.Errorf("base64: %s", resp.Body)
	}
}

func TestFiltersThatExcludeEachOtherNeedNoRead(t *testing.T) {
	for _, filters := range []string{
		`{"Key":"owner","Value":"user1"},{"Key":"owner","Value":"user2"}`, `{"Key":"tag:DcvFleet","Value":"x"}`,
		`{"Key":"host","Value":"i-1"},{"Key":"host","Value":"i-2"}`, `{"Key":"host","Value":"fleet"}`, `{"Key":"host","Value":"refused-i-1"}`,
	} {
		a := newDescribeAPI(t).somebodys()
		if a.wants(`{"Filters":[` + filters + `]}`); a.reads > 0 {
			t.Errorf("%s: %d reads", filters, a.reads)
		}
	}
}

func TestMaxResults(t *testing.T) {
	for max, pages := range map[string]string{
		"1": "a|b|c|d|e|", "2": "a b|c d|e", "2.0": "a b|c d|e", "20e-1": "a b|c d|e", "4": "a b c d|e", "5": "a b c d e|", "1000": "a b c d e", "1e3": "a b c d e",
	} {
		for _, ids := range []string{
			"", `,"SessionIds":["a","b","c","d","e"]`, `,"Filters":[{"Key":"tag:DcvFleet","Value":"studio"}]`, `,"Filters":[{"Key":"host","Value":"` + host + `"}]`,
		} {
			pages := pages
			if strings.Contains(ids, "host") { // e is not a living session
				pages = strings.NewReplacer("|e", "", " e", "").Replace(pages)
			}
			a := newDescribeAPI(t).somebodys()
			var got []string
			body := `{"MaxResults":` + max + ids
			for next := ""; ; {
				page := a.ask(body + next + `}`)
				if got = append(got, strings.Join(page.ids, " ")); page.next == "" || page.status != 200 {
					break
				}
				next = `,"NextToken":"` + page.next + `"`
			}
			// The table decides whether an empty page follows a full last one.
			if text := strings.Join(got, "|"); strings.TrimSuffix(text, "|") != strings.TrimSuffix(pages, "|") {
				t.Errorf("%s}: %q, want %q", body, text, pages)
			}
		}
	}
}

func TestPageSizeMayChangeOnTheWay(t *testing.T) {
	a := newDescribeAPI(t).somebodys()
	page := a.ask(`{"MaxResults":2}`)
	a.wants(`{"NextToken":"`+page.next+`","MaxResults":1000}`, "c", "d", "e")
}

func TestDefaultPageIsAThousand(t *testing.T) {
	a := newDescribeAPI(t)
	for n := range 1001 {
		a.table.Put(session.Listed(session.Session{ID: fmt.Sprintf("s-%04d", n), Owner: "o", HostID: host}))
	}
	page := a.ask("")
	if len(page.ids) != 1000 || page.next == "" {
		t.Errorf("%d sessions, next %q", len(page.ids), page.next)
	}
	a.wants(`{"NextToken":"`+page.next+`"}`, "s-1000")
}

// Lambda's limit for an answer is 6 MB, after it is escaped once more.
func TestTooLongAnswerIsSplit(t *testing.T) {
	const lambdas = 6 << 20
	for letter, records := range map[string]int{"x": 260, `"`: 70, "<": 50} { // each a little longer than the limit
		a := newDescribeAPI(t)
		for n := range records {
			a.table.Put(session.Listed(session.Session{ID: fmt.Sprintf("s-%03d", n), Owner: "o", HostID: host, Name: strings.Repeat(letter, 24_000)}))
		}
		resp := a.serve(events.APIGatewayV2HTTPRequest{})
		if text, err := json.Marshal(resp); err != nil || len(text) > lambdas {
			t.Fatalf("%q: an answer of %d bytes, %v", letter, len(text), err)
		}
		first := a.ask("")
		last := a.ask(`{"NextToken":"` + first.next + `"}`)
		ids := slices.Concat(first.ids, last.ids)
		if len(ids) != records || !slices.IsSorted(ids) || len(slices.Compact(ids)) != records || last.next != "" {
			t.Errorf("%q: %d and %d sessions, next %q", letter, len(first.ids), len(last.ids), last.next)
		}
	}
}

func TestTableThatCannotBeReadIs503(t *testing.T) {
	for _, body := range []string{
		"", `{"SessionIds":["a"]}`, `{"Filters":[{"Key":"owner","Value":"user1"}]}`, `{"Filters":[{"Key":"host","Value":"i-1"}]}`,
		`{"Details":true,"Filters":[{"Key":"owner","Value":"user1"}]}`,
	} {
		a := newDescribeAPI(t)
		a.fail = errors.New("secret table arn")
		resp := a.serve(events.APIGatewayV2HTTPRequest{Body: body})
		if resp.StatusCode != 503 || resp.Headers["Retry-After"] != "5" ||
			resp.Body != `{"message":"Sessions cannot be read right now. Repeat the call.","RequestId":"`+httpapitest.RequestID+`"}` {
			t.Errorf("%d %v %s", resp.StatusCode, resp.Headers, resp.Body)
		}
		if log := a.log.String(); !strings.Contains(log, "secret table arn") || !strings.Contains(log, "RequestId="+httpapitest.RequestID) {
			t.Errorf("the log does not tell: %s", log)
		}
	}
}

func TestPanicOfAReadShowsNothingInternal(t *testing.T) {
	a := newDescribeAPI(t)
	a.Describer.Reader = nil
	resp := a.serve(events.APIGatewayV2HTTPRequest{})
	if resp.StatusCode != 500 || !strings.Contains(resp.Body, httpapitest.RequestID) || strings.Contains(resp.Body, "nil") {
		t.Errorf("%d %s", resp.StatusCode, resp.Body)
	}
}
