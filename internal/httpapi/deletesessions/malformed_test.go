package deletesessions_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"dcv-session-broker/internal/httpapi/httpapitest"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// faults posts a malformed body, and checks that no call is made.
func (a *api) faults(req events.APIGatewayV2HTTPRequest) []httpapitest.Wrong {
	a.t.Helper()
	resp := a.serve(req)
	var got httpapitest.BadRequest
	if err := json.Unmarshal([]byte(resp.Body), &got); err != nil || resp.StatusCode != 400 {
		a.t.Fatalf("%.200q is answered %d %.500s", req.Body, resp.StatusCode, resp.Body)
	}
	if got.Message == "" || got.RequestID != httpapitest.RequestID || a.calls > 0 {
		a.t.Errorf("%.200q is answered after %d calls: %.500s", req.Body, a.calls, resp.Body)
	}
	return got.Errors
}

func TestMalformedRequestsGetEveryFault(t *testing.T) {
	const ok = `"SessionId":"s","Owner":"o"`
	for _, tc := range []struct {
		body string
		want []httpapitest.Wrong
	}{
		// The body as a whole.
		{"", []httpapitest.Wrong{httpapitest.Body("is empty; it must be a JSON array of entries")}},
		{" \n", []httpapitest.Wrong{httpapitest.Body("is empty; it must be a JSON array of entries")}},
		{`{}`, []httpapitest.Wrong{httpapitest.Body("is not a JSON array of entries")}},
		{`{` + ok + `}`, []httpapitest.Wrong{httpapitest.Body("is not a JSON array of entries")}},
		{`null`, []httpapitest.Wrong{httpapitest.Body("is not a JSON array of entries")}},
		{`"[]"`, []httpapitest.Wrong{httpapitest.Body("is not a JSON array of entries")}},
		{`1`, []httpapitest.Wrong{httpapitest.Body("is not a JSON array of entries")}},
		{`hello`, []httpapitest.Wrong{httpapitest.Body("is not valid JSON: ... at byte 1")}},
		{`[{` + ok + `},]`, []httpapitest.Wrong{httpapitest.Body("is not valid JSON: ... at byte 32")}},
		{`[{` + ok + `}`, []httpapitest.Wrong{httpapitest.Body("is not valid JSON: it ends too early")}},
		{`[{"SessionId":"s`, []httpapitest.Wrong{httpapitest.Body("is not valid JSON: it ends too early")}},
		{`[{` + ok + `}] [`, []httpapitest.Wrong{httpapitest.Body("is not valid JSON: there is more after the first value, which ends at byte 31")}},
		{`[{` + ok + `}]x`, []httpapitest.Wrong{httpapitest.Body("is not valid JSON: there is more after the first value, which ends at byte 31")}},
		{`[{'SessionId':'s'}]`, []httpapitest.Wrong{httpapitest.Body("is not valid JSON: ... at byte 3")}},
		{"\ufeff", []httpapitest.Wrong{httpapitest.Body("is empty; it must be a JSON array of entries")}},
		{"\ufeff\ufeff[]", []httpapitest.Wrong{httpapitest.Body("is not valid JSON: ... at byte 1")}},
		{"\xff\xfe[\x00]\x00", []httpapitest.Wrong{httpapitest.Body("is not valid UTF-8")}}, // the mark of UTF-16
		{"[{\"SessionId\":\"\xff\",\"Owner\":\"o\"}]", []httpapitest.Wrong{httpapitest.Body("is not valid UTF-8")}},
		{strings.Repeat("[", 20_000), []httpapitest.Wrong{httpapitest.Body("is not valid JSON: ... at byte 10001")}},
		{`[{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}]`, []httpapitest.Wrong{httpapitest.Body("is not valid JSON: ... at byte 10005")}},

		// One entry.
		{`[null]`, []httpapitest.Wrong{httpapitest.At(0, "entry", "is not an object")}},
		{`["s"]`, []httpapitest.Wrong{httpapitest.At(0, "entry", "is not an object")}},
		{`[[]]`, []httpapitest.Wrong{httpapitest.At(0, "entry", "is not an object")}},
		{`[7]`, []httpapitest.Wrong{httpapitest.At(0, "entry", "is not an object")}},
		{`[{"Owner":"o"}]`, []httpapitest.Wrong{httpapitest.At(0, "SessionId", "is missing")}},
		{`[{"sessionid":"s","Owner":"o"}]`, []httpapitest.Wrong{httpapitest.At(0, "SessionId", "is missing")}},
		{`[{"SessionId":"s"}]`, []httpapitest.Wrong{httpapitest.At(0, "Owner", "is missing")}},
		{`[{"SessionId":"","Owner":"o"}]`, []httpapitest.Wrong{httpapitest.At(0, "SessionId", "is empty")}},
		{`[{"SessionId":"s","Owner":""}]`, []httpapitest.Wrong{httpapitest.At(0, "Owner", "is empty")}},
		{`[{"SessionId":null,"Owner":"o"}]`, []httpapitest.Wrong{httpapitest.At(0, "SessionId", "is not a string")}},
		{`[{"SessionId": 7 ,"Owner":"o"}]`, []httpapitest.Wrong{httpapitest.At(0, "SessionId", "is not a string")}},
		{`[{"SessionId":"s","Owner":["o"]}]`, []httpapitest.Wrong{httpapitest.At(0, "Owner", "is not a string")}},
		{`[{"SessionId":"s","Owner":{}}]`, []httpapitest.Wrong{httpapitest.At(0, "Owner", "is not a string")}},
		{`[{"SessionId":"\ud834","Owner":"o"}]`, []httpapitest.Wrong{httpapitest.At(0, "SessionId", "is not valid Unicode")}},
		{`[{"SessionId":"s","Owner":"\udd1e\ud834"}]`, []httpapitest.Wrong{httpapitest.At(0, "Owner", "is not valid Unicode")}},
		{`[{"SessionId":"` + strings.Repeat("x", 257) + `","Owner":"o"}]`, []httpapitest.Wrong{httpapitest.At(0, "SessionId", "is longer than 256 bytes")}},
		{`[{"SessionId":"s","Owner":"` + strings.Repeat("é", 129) + `"}]`, []httpapitest.Wrong{httpapitest.At(0, "Owner", "is longer than 256 bytes")}},
		{`[{` + ok + `,"Force":"true"}]`, []httpapitest.Wrong{httpapitest.At(0, "Force", "is not true or false")}},
		{`[{` + ok + `,"Force":1}]`, []httpapitest.Wrong{httpapitest.At(0, "Force", "is not true or false")}},
		{`[{` + ok + `,"Force":[]}]`, []httpapitest.Wrong{httpapitest.At(0, "Force", "is not true or false")}},
		{`[{` + ok + `,"Force":false,"Force":true}]`, []httpapitest.Wrong{httpapitest.At(0, "Force", "is there twice")}},
		{`[{` + ok + `,"\u0053essionId":"t","SessionId":"s"}]`, []httpapitest.Wrong{httpapitest.At(0, "SessionId", "is there twice")}},
		{`[{` + ok + `,"Owner":"o"}]`, []httpapitest.Wrong{httpapitest.At(0, "Owner", "is there twice")}},
		{`[{` + ok + `,"a":1,"b":2,"a":{},"b":[],"":0,"":0}]`, []httpapitest.Wrong{httpapitest.At(0, "entry", "has a field twice")}},
		{`[{"SessionId":"\u0000","Owner":"o"}]`, []httpapitest.Wrong{httpapitest.At(0, "SessionId", "has a control character")}},
		{`[{"SessionId":"s\n","Owner":"\u007f"}]`, []httpapitest.Wrong{httpapitest.At(0, "SessionId", "has a control character"), httpapitest.At(0, "Owner", "has a control character")}},
		{`[{"SessionId":"s","Owner":"a\u0085"}]`, []httpapitest.Wrong{httpapitest.At(0, "Owner", "has a control character")}},

		// All faults in one request, with valid entries between them.
		{`[{` + ok + `}, {}, {"SessionId":"","Owner":7,"Force":"yes"}, {` + ok + `}, "s"]`, []httpapitest.Wrong{
			httpapitest.At(1, "SessionId", "is missing"), httpapitest.At(1, "Owner", "is missing"),
			httpapitest.At(2, "SessionId", "is empty"), httpapitest.At(2, "Owner", "is not a string"), httpapitest.At(2, "Force", "is not true or false"),
			httpapitest.At(4, "entry", "is not an object"),
		}},
	} {
		for name, req := range map[string]events.APIGatewayV2HTTPRequest{"text": {Body: tc.body}, "base64": httpapitest.Encoded(tc.body)} {
			if diff := cmp.Diff(tc.want, newAPI(t).faults(req), httpapitest.GoWords); diff != "" {
				t.Errorf("%.100q, as %s (-want +got):\n%s", tc.body, name, diff)
			}
		}
	}
}

func TestFaultsToTheByte(t *testing.T) {
	newAPI(t).answers(`[{"Owner":"o"}]`, 400,
		`{"message":"The request is malformed, and nothing was done; errors has every fault.",`+
			`"RequestId":"`+httpapitest.RequestID+`","errors":[{"Index":0,"Field":"SessionId","Reason":"is missing"}]}`)
	newAPI(t).answers(`{}`, 400,
		`{"message":"The request is malformed, and nothing was done; errors has every fault.",`+
			`"RequestId":"`+httpapitest.RequestID+`","errors":[{"Index":null,"Field":"body","Reason":"is not a JSON array of entries"}]}`)
}

func TestBodyThatIsNotBase64(t *testing.T) {
	for _, text := range []string{"!", "W10", `[]`} {
		got := newAPI(t).faults(events.APIGatewayV2HTTPRequest{Body: text, IsBase64Encoded: true})
		if diff := cmp.Diff([]httpapitest.Wrong{httpapitest.Body("is not valid base64")}, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestBatchLimit(t *testing.T) {
	entries := func(n int) string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf(`{"SessionId":"s%d","Owner":"o"}`, i)
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	a := newAPI(t)
	a.MaxBatch = 3
	if resp := a.post(entries(3)); resp.StatusCode != 200 {
		t.Errorf("three of three: %d %s", resp.StatusCode, resp.Body)
	}
	tooMany := httpapitest.Body("has more than 3 entries; those after it were not looked at")
	for text, want := range map[string][]httpapitest.Wrong{
		entries(4): {tooMany},
		`[{},7,"",{},{},{}]`: {
			httpapitest.At(0, "SessionId", "is missing"), httpapitest.At(0, "Owner", "is missing"),
			httpapitest.At(1, "entry", "is not an object"), httpapitest.At(2, "entry", "is not an object"), tooMany,
		},
	} {
		a := newAPI(t)
		a.MaxBatch = 3
		if diff := cmp.Diff(want, a.faults(events.APIGatewayV2HTTPRequest{Body: text})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// Every body gets an answer of the API, and a body without entries does nothing.
func TestAnyBodyHasItsAnswer(t *testing.T) {
	pieces := rapid.SampledFrom([]string{
		`[`, `]`, `{`, `}`, `,`, `:`, `"SessionId"`, `"Owner"`, `"Force"`, `"s"`, `""`, `"\ud800"`, `null`, `true`, `7`, "\x00", "\xff", ` `, `[]`,
		`{"SessionId":"s","Owner":"o"}`, `{"SessionId":"SessionId123","Owner":"user1","Force":true}`,
		`"GracePeriodSeconds"`, `"Message"`, `"HostId"`, `600`, `{"SessionId":"SessionId123","Owner":"user1","GracePeriodSeconds":600}`,
	})
	rapid.Check(t, func(rt *rapid.T) {
		a := newAPI(t)
		text := strings.Join(rapid.SliceOfN(pieces, 0, 12).Draw(rt, "pieces"), "")
		if rapid.Bool().Draw(rt, "an array") {
			text = "[" + text + "]"
		}
		resp := a.post(text)
		if resp.StatusCode != 200 && (resp.StatusCode != 400 || a.calls > 0) {
			rt.Fatalf("%q is answered %d after %d calls", text, resp.StatusCode, a.calls)
		}
		if valid := json.Valid([]byte(text)); !valid && resp.StatusCode == 200 {
			rt.Fatalf("%q is answered 200", text)
		}
	})
}
