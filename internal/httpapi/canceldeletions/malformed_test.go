package canceldeletions_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/httpapi/httpapitest"
)

func TestMalformedRequestsGetEveryFault(t *testing.T) {
	const ok = `"SessionId":"SessionId123","Owner":"user1"`
	at := httpapitest.At
	again := at(1, "RequestId", "is not as in entry 0: entries for the same session are one cancel")
	for _, tc := range []struct {
		body string
		want []httpapitest.Wrong
	}{
		{``, []httpapitest.Wrong{httpapitest.Body("is empty; it must be a JSON array of entries")}},
		{`{` + ok + `}`, []httpapitest.Wrong{httpapitest.Body("is not a JSON array of entries")}},
		{`[{` + ok + `},]`, []httpapitest.Wrong{httpapitest.Body("is not valid JSON: ... at byte 47")}},
		{`[7,{},{"SessionId":"","Owner":7,"RequestId":7}]`, []httpapitest.Wrong{
			at(0, "entry", "is not an object"), at(1, "SessionId", "is missing"), at(1, "Owner", "is missing"),
			at(2, "SessionId", "is empty"), at(2, "Owner", "is not a string"), at(2, "RequestId", "is not a string"),
		}},
		{`[{` + ok + `,"RequestId":""}]`, []httpapitest.Wrong{at(0, "RequestId", "is empty")}},
		{`[{` + ok + `,"RequestId":["r"]}]`, []httpapitest.Wrong{at(0, "RequestId", "is not a string")}},
		{`[{` + ok + `,"RequestId":"r\n"}]`, []httpapitest.Wrong{at(0, "RequestId", "has a control character")}},
		{`[{` + ok + `,"RequestId":"` + strings.Repeat("x", 257) + `"}]`, []httpapitest.Wrong{at(0, "RequestId", "is longer than 256 bytes")}},
		{`[{` + ok + `,"RequestId":"r","RequestId":"r"}]`, []httpapitest.Wrong{at(0, "RequestId", "is there twice")}},
		{`[{` + ok + `,"request_id":"r"}]`, []httpapitest.Wrong{at(0, "RequestId", `is spelled RequestId, not "request_id"`)}},
		{`[{` + ok + `,"a":1,"a":1}]`, []httpapitest.Wrong{at(0, "entry", "has a field twice")}},

		// One cancel can name only one deletion.
		{`[{` + ok + `,"RequestId":"r"},{` + ok + `,"RequestId":"s"}]`, []httpapitest.Wrong{again}},
		{`[{` + ok + `,"RequestId":"r"},{` + ok + `}]`, []httpapitest.Wrong{again}},
		{`[{` + ok + `},{` + ok + `,"RequestId":"r"},{` + ok + `,"RequestId":null},{` + ok + `,"RequestId":"s"}]`, []httpapitest.Wrong{
			again, at(3, "RequestId", "is not as in entry 0: entries for the same session are one cancel"),
		}},
	} {
		for name, req := range map[string]events.APIGatewayV2HTTPRequest{"text": {Body: tc.body}, "base64": httpapitest.Encoded(tc.body)} {
			a := newAPI(t)
			resp := a.serve(req)
			var got httpapitest.BadRequest
			if err := json.Unmarshal([]byte(resp.Body), &got); err != nil || resp.StatusCode != 400 || got.RequestID != httpapitest.RequestID {
				t.Errorf("%.100q, as %s, is answered %d %.500s", tc.body, name, resp.StatusCode, resp.Body)
			}
			if diff := cmp.Diff(tc.want, got.Errors, httpapitest.GoWords); diff != "" || a.writes > 0 {
				t.Errorf("%.100q, as %s, after %d writes (-want +got):\n%s", tc.body, name, a.writes, diff)
			}
		}
	}
}

// Entries with the same ID, or the same owner, or both and the same request, are valid.
func TestEntriesOfOneSession(t *testing.T) {
	a := newAPI(t)
	resp := a.post(`[{"SessionId":"SessionId123","Owner":"user1","RequestId":"` + deletion + `"},{"SessionId":"SessionId123","Owner":"user2"},
		{"SessionId":"ready","Owner":"user1"},{"SessionId":"SessionId123","Owner":"user1","RequestId":"` + deletion + `","requestid2":1}]`)
	want := head + `"SuccessfulList":[{"SessionId":"SessionId123","State":"READY"},{"SessionId":"ready","State":"READY"},{"SessionId":"SessionId123","State":"READY"}],` +
		`"UnsuccessfulList":[{"SessionId":"SessionId123",` + unknown + `]}`
	if resp.Body != want {
		t.Errorf("%s\nwant %s", resp.Body, want)
	}
}

func TestBatchLimit(t *testing.T) {
	for body, status := range map[string]int{`[` + strings.Repeat(`{"SessionId":"s","Owner":"o"},`, 2) + `{"SessionId":"s","Owner":"o"}]`: 200, `[{},{},{},{}]`: 400} {
		a := newAPI(t)
		a.MaxBatch = 3
		resp := a.post(body)
		if resp.StatusCode != status || strings.Contains(resp.Body, "has more than 3 entries; those after it were not looked at") != (status == 400) {
			t.Errorf("%s: %d %s", body, resp.StatusCode, resp.Body)
		}
	}
}
