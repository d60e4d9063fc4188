package httpapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type badRequest struct {
	Message   string `json:"message"`
	RequestID string `json:"RequestId"`
	Errors    []wrong
}

type wrong struct {
	Index  *int
	Field  string
	Reason string
}

func at(index int, field, reason string) wrong { return wrong{&index, field, reason} }
func body(reason string) wrong                 { return wrong{nil, "body", reason} }

// faults posts a body that is none, and checks that nothing is called for it.
func (a *api) faults(req events.APIGatewayV2HTTPRequest) []wrong {
	a.t.Helper()
	resp := a.serve(req)
	var got badRequest
	if err := json.Unmarshal([]byte(resp.Body), &got); err != nil || resp.StatusCode != 400 {
		a.t.Fatalf("%.200q is answered %d %.500s", req.Body, resp.StatusCode, resp.Body)
	}
	if got.Message == "" || got.RequestID != requestID || a.calls > 0 {
		a.t.Errorf("%.200q is answered after %d calls: %.500s", req.Body, a.calls, resp.Body)
	}
	return got.Errors
}

// goWords: "..." in a reason stands for words that are encoding/json's.
var goWords = cmp.Comparer(func(a, b string) bool {
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		if before, after, ok := strings.Cut(pair[0], "..."); ok {
			return strings.HasPrefix(pair[1], before) && strings.HasSuffix(pair[1], after)
		}
	}
	return a == b
})

func TestMalformedRequestsAreToldWhatIsWrong(t *testing.T) {
	const ok = `"SessionId":"s","Owner":"o"`
	for _, tc := range []struct {
		body string
		want []wrong
	}{
		// The body as a whole.
		{"", []wrong{body("is empty; it must be a JSON array of entries")}},
		{" \n", []wrong{body("is empty; it must be a JSON array of entries")}},
		{`{}`, []wrong{body("is not a JSON array of entries")}},
		{`{` + ok + `}`, []wrong{body("is not a JSON array of entries")}},
		{`null`, []wrong{body("is not a JSON array of entries")}},
		{`"[]"`, []wrong{body("is not a JSON array of entries")}},
		{`1`, []wrong{body("is not a JSON array of entries")}},
		{`hello`, []wrong{body("is not valid JSON: ... at byte 1")}},
		{`[{` + ok + `},]`, []wrong{body("is not valid JSON: ... at byte 32")}},
		{`[{` + ok + `}`, []wrong{body("is not valid JSON: it ends too early")}},
		{`[{"SessionId":"s`, []wrong{body("is not valid JSON: it ends too early")}},
		{`[{` + ok + `}] [`, []wrong{body("is not valid JSON: there is more after the first value, which ends at byte 31")}},
		{`[{` + ok + `}]x`, []wrong{body("is not valid JSON: there is more after the first value, which ends at byte 31")}},
		{`[{'SessionId':'s'}]`, []wrong{body("is not valid JSON: ... at byte 3")}},
		{"\ufeff", []wrong{body("is empty; it must be a JSON array of entries")}},
		{"\ufeff\ufeff[]", []wrong{body("is not valid JSON: ... at byte 1")}},
		{"\xff\xfe[\x00]\x00", []wrong{body("is not valid UTF-8")}}, // the mark of UTF-16
		{"[{\"SessionId\":\"\xff\",\"Owner\":\"o\"}]", []wrong{body("is not valid UTF-8")}},
		{strings.Repeat("[", 20_000), []wrong{body("is not valid JSON: ... at byte 10001")}},
		{`[{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}]`, []wrong{body("is not valid JSON: ... at byte 10005")}},

		// One entry.
		{`[null]`, []wrong{at(0, "entry", "is not an object")}},
		{`["s"]`, []wrong{at(0, "entry", "is not an object")}},
		{`[[]]`, []wrong{at(0, "entry", "is not an object")}},
		{`[7]`, []wrong{at(0, "entry", "is not an object")}},
		{`[{"Owner":"o"}]`, []wrong{at(0, "SessionId", "is missing")}},
		{`[{"sessionid":"s","Owner":"o"}]`, []wrong{at(0, "SessionId", "is missing")}},
		{`[{"SessionId":"s"}]`, []wrong{at(0, "Owner", "is missing")}},
		{`[{"SessionId":"","Owner":"o"}]`, []wrong{at(0, "SessionId", "is empty")}},
		{`[{"SessionId":"s","Owner":""}]`, []wrong{at(0, "Owner", "is empty")}},
		{`[{"SessionId":null,"Owner":"o"}]`, []wrong{at(0, "SessionId", "is not a string")}},
		{`[{"SessionId": 7 ,"Owner":"o"}]`, []wrong{at(0, "SessionId", "is not a string")}},
		{`[{"SessionId":"s","Owner":["o"]}]`, []wrong{at(0, "Owner", "is not a string")}},
		{`[{"SessionId":"s","Owner":{}}]`, []wrong{at(0, "Owner", "is not a string")}},
		{`[{"SessionId":"\ud834","Owner":"o"}]`, []wrong{at(0, "SessionId", "is not valid Unicode")}},
		{`[{"SessionId":"s","Owner":"\udd1e\ud834"}]`, []wrong{at(0, "Owner", "is not valid Unicode")}},
		{`[{"SessionId":"` + strings.Repeat("x", 257) + `","Owner":"o"}]`, []wrong{at(0, "SessionId", "is longer than 256 bytes")}},
		{`[{"SessionId":"s","Owner":"` + strings.Repeat("é", 129) + `"}]`, []wrong{at(0, "Owner", "is longer than 256 bytes")}},
		{`[{` + ok + `,"Force":"true"}]`, []wrong{at(0, "Force", "is not true or false")}},
		{`[{` + ok + `,"Force":1}]`, []wrong{at(0, "Force", "is not true or false")}},
		{`[{` + ok + `,"Force":[]}]`, []wrong{at(0, "Force", "is not true or false")}},
		{`[{` + ok + `,"Force":false,"Force":true}]`, []wrong{at(0, "Force", "is there twice")}},
		{`[{` + ok + `,"\u0053essionId":"t","SessionId":"s"}]`, []wrong{at(0, "SessionId", "is there twice")}},
		{`[{` + ok + `,"Owner":"o"}]`, []wrong{at(0, "Owner", "is there twice")}},
		{`[{` + ok + `,"a":1,"b":2,"a":{},"b":[],"":0,"":0}]`, []wrong{at(0, "entry", "has a field twice")}},
		{`[{"SessionId":"\u0000","Owner":"o"}]`, []wrong{at(0, "SessionId", "has a control character")}},
		{`[{"SessionId":"s\n","Owner":"\u007f"}]`, []wrong{at(0, "SessionId", "has a control character"), at(0, "Owner", "has a control character")}},
		{`[{"SessionId":"s","Owner":"a\u0085"}]`, []wrong{at(0, "Owner", "has a control character")}},

		// All of them at once, and what is right beside what is wrong.
		{`[{` + ok + `}, {}, {"SessionId":"","Owner":7,"Force":"yes"}, {` + ok + `}, "s"]`, []wrong{
			at(1, "SessionId", "is missing"), at(1, "Owner", "is missing"),
			at(2, "SessionId", "is empty"), at(2, "Owner", "is not a string"), at(2, "Force", "is not true or false"),
			at(4, "entry", "is not an object"),
		}},
	} {
		for name, req := range map[string]events.APIGatewayV2HTTPRequest{"text": {Body: tc.body}, "base64": encoded(tc.body)} {
			if diff := cmp.Diff(tc.want, newAPI(t).faults(req), goWords); diff != "" {
				t.Errorf("%.100q, as %s (-want +got):\n%s", tc.body, name, diff)
			}
		}
	}
}

func TestFaultsToTheByte(t *testing.T) {
	newAPI(t).answers(`[{"Owner":"o"}]`, 400,
		`{"message":"The request is malformed, and nothing was done; errors has every fault.",`+
			`"RequestId":"`+requestID+`","errors":[{"Index":0,"Field":"SessionId","Reason":"is missing"}]}`)
	newAPI(t).answers(`{}`, 400,
		`{"message":"The request is malformed, and nothing was done; errors has every fault.",`+
			`"RequestId":"`+requestID+`","errors":[{"Index":null,"Field":"body","Reason":"is not a JSON array of entries"}]}`)
}

func TestBodyThatIsNotBase64(t *testing.T) {
	for _, text := range []string{"!", "W10", `[]`} {
		got := newAPI(t).faults(events.APIGatewayV2HTTPRequest{Body: text, IsBase64Encoded: true})
		if diff := cmp.Diff([]wrong{body("is not valid base64")}, got); diff != "" {
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
	tooMany := body("has more than 3 entries; those after it were not looked at")
	for text, want := range map[string][]wrong{
		entries(4): {tooMany},
		`[{},7,"",{},{},{}]`: {
			at(0, "SessionId", "is missing"), at(0, "Owner", "is missing"),
			at(1, "entry", "is not an object"), at(2, "entry", "is not an object"), tooMany,
		},
	} {
		a := newAPI(t)
		a.MaxBatch = 3
		if diff := cmp.Diff(want, a.faults(events.APIGatewayV2HTTPRequest{Body: text})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}

// Whatever comes in, the answer is one of the API's, and what is not read as
// entries does nothing.
func TestAnyBodyHasItsAnswer(t *testing.T) {
	pieces := rapid.SampledFrom([]string{
		`[`, `]`, `{`, `}`, `,`, `:`, `"SessionId"`, `"Owner"`, `"Force"`, `"s"`, `""`, `"\ud800"`, `null`, `true`, `7`, "\x00", "\xff", ` `, `[]`,
		`{"SessionId":"s","Owner":"o"}`, `{"SessionId":"SessionId123","Owner":"user1","Force":true}`,
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
