package endedsessions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/events/endedsessions"
	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
	"dcv-session-broker/internal/template/templatetest"
)

const (
	host      = "i-0123456789abcdef0"
	otherHost = "i-0a1b2c3d4e5f60001"
)

// A test is the function with a table in memory.
type test struct {
	table   *memtable.Table
	log     bytes.Buffer
	handler *endedsessions.Handler
}

func newTest(sessions ...session.Session) *test {
	f := &test{table: memtable.New()}
	for _, s := range sessions {
		f.table.Put(session.Listed(s))
	}
	f.handler = &endedsessions.Handler{
		Index: f.table, Getter: memtable.Reader{Table: f.table}, Stack: "studio", Log: slog.New(slog.NewTextHandler(&f.log, nil)),
	}
	return f
}

// announce invokes the function as a pipe does.
func (f *test) announce(t *testing.T, batch string) string {
	t.Helper()
	answer, err := lambda.NewHandler(f.handler.Handle).Invoke(t.Context(), []byte(batch))
	if err != nil {
		t.Fatalf("an error, which brings the batch again: %v", err)
	}
	return string(bytes.TrimSpace(answer))
}

func sample(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../events/ended-session.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// change returns the sample with texts replaced.
func change(t *testing.T, pairs ...string) string {
	t.Helper()
	text := sample(t)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the sample has no %s", pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// The sample goes through the template's pipe, and becomes a plain detail.
func TestSampleBecomesADetail(t *testing.T) {
	project := templatetest.Load(t, nil)
	var records []json.RawMessage
	if err := json.Unmarshal([]byte(sample(t)), &records); err != nil || len(records) != 1 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	if matches, err := project.Pipes()[0].Matches(records[0]); !matches || err != nil {
		t.Errorf("the pipe's filter: %v, %v", matches, err)
	}
	f := newTest()
	want := `[{"Id":"a87ff679a2f3e71d9181a67b7542122c","DetailType":"DCV Session Ended","Stack":"studio","SessionId":"SessionId123","Owner":"user1","HostId":"i-0123456789abcdef0",` +
		`"Type":"virtual","CreationTime":"2026-11-23T08:30:00.262883Z","Confirmation":"closed","RequestId":"0d2f1c9e-6c1b-4a57-9d6e-2f6f3b1c7a10",` +
		`"RequestedBy":"1example23456789","Force":false,"RequestedAt":"2026-11-23T19:01:02.123Z","ConfirmedAt":"2026-11-23T19:01:04.901Z",` +
		`"DeletedAt":"2026-11-23T19:01:05.203Z","HostEmpty":true}]`
	if diff := cmp.Diff(want, f.announce(t, sample(t))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if again := f.announce(t, sample(t)); again != want {
		t.Errorf("announced again, it is another event: %s", again)
	}
	if line := f.log.String(); !strings.Contains(line, "level=INFO") || !strings.Contains(line, "SessionId=SessionId123 HostId=i-0123456789abcdef0 Owner=user1") || !strings.Contains(line, "HostEmpty=true") {
		t.Errorf("the log has %s", line)
	}
}

func TestDetailHasWhatElseIsKnown(t *testing.T) {
	text := change(t, `"Type": {`, `"Name": {"S": "a \"name\" <b>"}, "DcvSessionId": {"S": "console"}, "StateReason": {"S": "Why \\ not"},
		"GivenUpAt": {"S": "2026-11-23T20:01:02.123Z"}, "Tags": {"L": [{"S": "x"}]}, "Attempts2": {"N": "1.5"}, "Type": {`,
		`"BOOL": false`, `"BOOL": true`)
	var got []endedsessions.Detail
	if err := json.Unmarshal([]byte(newTest().announce(t, text)), &got); err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	d := got[0]
	if d.Name != `a "name" <b>` || d.DCVSessionID != "console" || d.StateReason != `Why \ not` || d.GivenUpAt != "2026-11-23T20:01:02.123Z" || !d.Force {
		t.Errorf("%+v", d)
	}
}

func TestHostEmpty(t *testing.T) {
	other := session.Session{ID: "other", Owner: "user2", HostID: host, Type: "virtual"}
	elsewhere := session.Session{ID: "other", Owner: "user2", HostID: otherHost, Type: "virtual"}
	for name, tc := range map[string]struct {
		sessions []session.Session
		want     string
	}{
		"nothing else":         {nil, `"HostEmpty":true}]`},
		"another session":      {[]session.Session{other}, `"HostEmpty":false}]`},
		"one of another host":  {[]session.Session{elsewhere}, `"HostEmpty":true}]`},
		"itself, listed again": {[]session.Session{{ID: "SessionId123", Owner: "user1", HostID: host}}, `"HostEmpty":false}]`},
	} {
		if got := newTest(tc.sessions...).announce(t, sample(t)); !strings.HasSuffix(got, tc.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

type brokenIndex struct {
	session.Index
	read func(context.Context) error
}

func (x brokenIndex) OnHost(ctx context.Context, _, _ string, _ int) ([]session.Record, bool, error) {
	return nil, false, x.read(ctx)
}

// The announcement is sent also if the host's state cannot be read.
func TestAnnouncedThoughTheTableDoesNotAnswer(t *testing.T) {
	for name, read := range map[string]func(context.Context) error{
		"refuses": func(context.Context) error { return errors.New("no such index") },
		"hangs":   func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newTest()
			f.handler.Index = brokenIndex{read: read}
			began := time.Now()
			got := f.announce(t, sample(t))
			if !strings.Contains(got, `"SessionId":"SessionId123"`) || strings.Contains(got, "HostEmpty") {
				t.Errorf("%s: %s", name, got)
			}
			if took := time.Since(began); took > 15*time.Second { // half of its time-out
				t.Errorf("%s: it took %v", name, took)
			}
			if line := f.log.String(); !strings.Contains(line, "level=WARN") || !strings.Contains(line, "SessionId=SessionId123") || !strings.Contains(line, "level=INFO") {
				t.Errorf("%s: the log has %s", name, line)
			}
		})
	}
}

// A record that cannot be understood is left out, and logged. It does not affect the
// others of the batch.
func TestARecordThatIsNotUnderstoodStopsNoOther(t *testing.T) {
	good := strings.Trim(strings.TrimSpace(sample(t)), "[]")
	for name, bad := range map[string]string{
		"no object":        `5`,
		"nothing":          `null`,
		"no image":         `{"eventID": "e1", "dynamodb": {"Keys": {"SessionId": {"S": "s1"}}}}`,
		"no ID":            `{"dynamodb": {"NewImage": {"SessionId": {"S": "s1"}, "State": {"S": "DELETED"}}}}`,
		"no session":       `{"eventID": "e1", "dynamodb": {"NewImage": {"State": {"S": "DELETED"}}}}`,
		"not ended":        `{"eventID": "e1", "dynamodb": {"NewImage": {"SessionId": {"S": "s1"}, "State": {"S": "READY"}}}}`,
		"of another kind":  `{"eventID": "e1", "dynamodb": {"NewImage": {"SessionId": {"S": "s1"}, "State": {"SS": ["DELETED"]}}}}`,
		"of another shape": `{"eventID": "e1", "dynamodb": {"NewImage": {"SessionId": {"S": 5}}}}`,
	} {
		f := newTest()
		if got := f.announce(t, `[`+bad+`]`); got != `[]` {
			t.Errorf("%s: %s", name, got)
		}
		if line := f.log.String(); strings.Count(line, "level=ERROR") != 1 || strings.Contains(line, "level=INFO") {
			t.Errorf("%s: the log has %s", name, line)
		}
		if got := f.announce(t, `[`+bad+`,`+good+`]`); strings.Count(got, `"Id":`) != 1 || !strings.Contains(got, `"SessionId":"SessionId123"`) {
			t.Errorf("%s, then a good one: %s", name, got)
		}
	}
	if got := newTest().announce(t, `[]`); got != `[]` {
		t.Errorf("nothing: %s", got)
	}
}

// A record may have no host; then nothing is read.
func TestASessionOfNoHost(t *testing.T) {
	f := newTest()
	f.handler.Index = brokenIndex{read: func(context.Context) error { t.Error("asked for no host"); return nil }}
	text := change(t, `"HostId": {`, `"NoHostId": {`)
	if got := f.announce(t, text); !strings.Contains(got, `"SessionId123"`) || strings.Contains(got, "Host") {
		t.Errorf("%s", got)
	}
}

// Any record is announced once or left out.
func FuzzStreamRecord(f *testing.F) {
	text, err := os.ReadFile("../../../events/ended-session.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`[{"eventID":"e1","dynamodb":{"NewImage":{"SessionId":{"S":"s1"},"State":{"S":"DELETED"},"Attempts":{"N":"1e999"},"Force":{"BOOL":true},"X":{"L":[]}}}},{},null]`))
	f.Add([]byte(`[{"eventID":"e1","dynamodb":{"OldImage":{"State":{"S":"READY"}},"NewImage":{"SessionId":{"S":"s1"},"HostId":{"S":"h1"},"State":{"S":"DELETING"},"Attempts":{"N":"0"},"CloseAt":{"S":"2026-11-23T19:10:00.000Z"}}}}]`))
	f.Fuzz(func(t *testing.T, batch []byte) {
		var records []json.RawMessage
		if json.Unmarshal(batch, &records) != nil {
			t.Skip("Lambda's runtime refuses it")
		}
		details, err := newTest().handler.Handle(t.Context(), records)
		if err != nil || details == nil || len(details) > len(records) {
			t.Fatalf("%d details of %d records, %v", len(details), len(records), err)
		}
		for _, d := range details {
			if d.ID == "" || d.SessionID == "" || d.DetailType == "" || (d.HostEmpty != nil) != (d.DetailType == endedsessions.Ended && d.HostID != "") {
				t.Errorf("%+v", d)
			}
		}
	})
}
