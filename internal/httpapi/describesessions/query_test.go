package describesessions_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"dcv-session-broker/internal/httpapi/httpapitest"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func in(field, reason string) httpapitest.Wrong {
	return httpapitest.Wrong{Field: field, Reason: reason}
}

func TestMalformedQueriesGetEveryFault(t *testing.T) {
	const notWhole = "is not a whole number from 1 to 1000"
	maximum := in("MaxResults", notWhole)
	details := in("Details", "is not true or false")
	filter := func(text string) string { return `{"Filters":[` + text + `]}` }
	for text, want := range map[string][]httpapitest.Wrong{
		// The body as a whole.
		`[]`:                                     {httpapitest.Body("is not a JSON object")},
		`"{}"`:                                   {httpapitest.Body("is not a JSON object")},
		`7`:                                      {httpapitest.Body("is not a JSON object")},
		`{`:                                      {httpapitest.Body("is not valid JSON: it ends too early")},
		`{}{}`:                                   {httpapitest.Body("is not valid JSON: there is more after the first value, which ends at byte 2")},
		`{"a":}`:                                 {httpapitest.Body("is not valid JSON: ... at byte 6")},
		"\x00":                                   {httpapitest.Body("is not valid JSON: ... at byte 1")},
		"\u00a0":                                 {httpapitest.Body("is not valid JSON: ... at byte 1")},
		"{\"SessionIds\":[\"\xff\"]}":            {httpapitest.Body("is not valid UTF-8")},
		`{"X":` + strings.Repeat("[", 1_000_000): {httpapitest.Body("is not valid JSON: ... at byte 10005")},
		`{"X":` + strings.Repeat(`{"X":`, 20_000) + `1` + strings.Repeat("}", 20_001): {httpapitest.Body("is not valid JSON: ... at byte 50001")},
		`{"a":1,"b":2,"a":3,"b":4}`:                    {httpapitest.Body("has a field twice")},
		`{"SessionIds":["a"],"SessionIds":["b"]}`:      {in("SessionIds", "is there twice")},
		`{"SessionIds":["a"],"Session\u0049ds":["b"]}`: {in("SessionIds", "is there twice")},
		`{"MaxResults":1,"MaxResults":1,"x":0,"x":0}`:  {in("MaxResults", "is there twice"), httpapitest.Body("has a field twice")},

		// SessionIds.
		`{"SessionIds":"a"}`:                                       {in("SessionIds", "is not an array")},
		`{"SessionIds":{"a":1}}`:                                   {in("SessionIds", "is not an array")},
		`{"SessionIds":false}`:                                     {in("SessionIds", "is not an array")},
		`{"SessionIds":["a",7,null,""]}`:                           {httpapitest.At(1, "SessionIds", "is not a string"), httpapitest.At(2, "SessionIds", "is not a string"), httpapitest.At(3, "SessionIds", "is empty")},
		`{"SessionIds":["\ud834"]}`:                                {httpapitest.At(0, "SessionIds", "is not valid Unicode")},
		`{"SessionIds":["a\u0000"]}`:                               {httpapitest.At(0, "SessionIds", "has a control character")},
		`{"SessionIds":["` + strings.Repeat("x", 257) + `"]}`:      {httpapitest.At(0, "SessionIds", "is longer than 256 bytes")},
		`{"SessionIds":[` + strings.Repeat(`"a",`, 1000) + `"b"]}`: {in("SessionIds", "has more than 1000 elements; those after it were not looked at")},

		// MaxResults.
		`{"MaxResults":0}`: {maximum}, `{"MaxResults":-1}`: {maximum}, `{"MaxResults":1001}`: {maximum}, `{"MaxResults":1.5}`: {maximum},
		`{"MaxResults":1e999}`: {maximum}, `{"MaxResults":-1e999}`: {maximum}, `{"MaxResults":1e-999}`: {maximum},
		`{"MaxResults":` + strings.Repeat("9", 100_000) + `}`: {maximum}, `{"MaxResults":18446744073709551617}`: {maximum},
		`{"MaxResults":"10"}`: {maximum}, `{"MaxResults":true}`: {maximum}, `{"MaxResults":[1]}`: {maximum},

		// Filters.
		`{"Filters":{"Key":"owner","Value":"o"}}`: {in("Filters", "is not an array")},
		filter(`null`):                             {httpapitest.At(0, "Filters", "is not an object")},
		filter(`["owner","o"]`):                    {httpapitest.At(0, "Filters", "is not an object")},
		filter(`{}`):                               {httpapitest.At(0, "Filters", "Key is missing"), httpapitest.At(0, "Filters", "Value is missing")},
		filter(`{"key":"owner","value":"o"}`):      {httpapitest.At(0, "Filters", "Key is missing"), httpapitest.At(0, "Filters", "Value is missing")},
		filter(`{"Key":7,"Value":null}`):           {httpapitest.At(0, "Filters", "Key is not a string"), httpapitest.At(0, "Filters", "Value is not a string")},
		filter(`{"Key":"owner","Value":""}`):       {httpapitest.At(0, "Filters", "Value is empty")},
		filter(`{"Key":"owner","Value":["o"]}`):    {httpapitest.At(0, "Filters", "Value is not a string")},
		filter(`{"Key":"owner","Value":"\u0000"}`): {httpapitest.At(0, "Filters", "Value has a control character")},
		filter(`{"Key":"Owner","Value":"o"}`):      {httpapitest.At(0, "Filters", "Key is neither owner nor host nor tag:DcvFleet")},
		filter(`{"Key":"","Value":"o"}`):           {httpapitest.At(0, "Filters", "Key is neither owner nor host nor tag:DcvFleet")},
		filter(`{"Key":"host","Value":""}`):        {httpapitest.At(0, "Filters", "Value is empty")},
		filter(`{"Key":"host","Value":7}`):         {httpapitest.At(0, "Filters", "Value is not a string")},
		filter(`{"Key":"host"}`):                   {httpapitest.At(0, "Filters", "Value is missing")},

		// Details.
		`{"Details":"true"}`: {details}, `{"Details":1}`: {details}, `{"Details":[true]}`: {details}, `{"Details":{}}`: {details}, `{"Details":""}`: {details},
		`{"Details":true,"Details":true}`: {in("Details", "is there twice")},
		filter(`{"Key":"owner","Value":"o"},{"Key":"tag:os","Value":"windows"}`): {
			httpapitest.At(1, "Filters", "Key names a tag that is not known: of the tags of hosts, only DcvFleet is"),
		},
		filter(`{"Key":"owner","Value":"a","Value":"b"}`):                 {httpapitest.At(0, "Filters", "Value is there twice")},
		filter(`{"Key":"owner","Value":"a","x":1,"x":2}`):                 {httpapitest.At(0, "Filters", "has a field twice")},
		filter(strings.Repeat(`{"Key":"owner","Value":"a"},`, 100) + `7`): {in("Filters", "has more than 100 elements; those after it were not looked at")},

		filter(`{"Key":"tag:DcvFleet","Value":""}`): {httpapitest.At(0, "Filters", "Value is empty")},

		// NextToken.
		`{"NextToken":7}`:        {in("NextToken", "is not a string")},
		`{"NextToken":["a"]}`:    {in("NextToken", "is not a string")},
		`{"NextToken":"a"}`:      {in("NextToken", "is not a NextToken of this API")},
		`{"NextToken":"\ud800"}`: {in("NextToken", "is not a NextToken of this API")},

		// All of them in one request.
		`{"NextToken":7,"Details":7,"MaxResults":"x","Filters":7,"SessionIds":[7]}`: {
			httpapitest.At(0, "SessionIds", "is not a string"), in("Filters", "is not an array"), maximum, details, in("NextToken", "is not a string"),
		},
	} {
		for name, req := range map[string]events.APIGatewayV2HTTPRequest{"text": {Body: text}, "base64": httpapitest.Encoded(text)} {
			a := newDescribeAPI(t).somebodys()
			resp := a.serve(req)
			var got httpapitest.BadRequest
			if err := json.Unmarshal([]byte(resp.Body), &got); err != nil || resp.StatusCode != 400 || got.RequestID != httpapitest.RequestID || a.reads > 0 {
				t.Errorf("%.100q, as %s: %d %.300s after %d reads", text, name, resp.StatusCode, resp.Body, a.reads)
			}
			if diff := cmp.Diff(want, got.Errors, httpapitest.GoWords); diff != "" {
				t.Errorf("%.100q, as %s (-want +got):\n%s", text, name, diff)
			}
		}
	}
	a := newDescribeAPI(t)
	if resp := a.serve(events.APIGatewayV2HTTPRequest{Body: "!", IsBase64Encoded: true}); resp.StatusCode != 400 || a.reads > 0 {
		t.Errorf("%d %s", resp.StatusCode, resp.Body)
	}
}

const ofUser1 = `"Filters":[{"Key":"owner","Value":"user1"}]`

// loose returns another base64 text of the same bytes: its last letter has unused bits
// that are set.
func loose(token string) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(token) - 1
	return token[:last] + letters[strings.IndexByte(letters, token[last])+1:][:1]
}

// The owner and the IDs are always those of the request: no token shows sessions
// outside the request.
func TestTokensStayInsideTheQuery(t *testing.T) {
	a := newDescribeAPI(t).somebodys()
	token := a.ask(`{"MaxResults":1,` + ofUser1 + `}`).next
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(text) != 10 || text[9] != 'a' {
		t.Fatalf("%q: %q, %v", token, text, err)
	}
	with := func(change func(text []byte) []byte) string {
		return base64.RawURLEncoding.EncodeToString(change(slices.Clone(text)))
	}
	behind := func(id string) string { return with(func(text []byte) []byte { return append(text[:9], id...) }) }
	ask := func(query, token string) listing {
		return a.ask(`{` + query + `,"NextToken":"` + token + `"}`)
	}

	for id, want := range map[string]string{"a": "c e", "b": "c e", "0": "a c e", "zz": "", "\x00": "a c e", strings.Repeat("a", 1024): "c e"} {
		if got := ask(ofUser1, behind(id)); got.status != 200 || strings.Join(got.ids, " ") != want {
			t.Errorf("after %.10q: %+v, want %q", id, got, want)
		}
	}

	const other = "belongs to another request: SessionIds and Filters must be those of the first page"
	const none = "is not a NextToken of this API"
	for name, test := range map[string]struct{ query, token, reason string }{
		"of another owner":   {`"Filters":[{"Key":"owner","Value":"user2"}]`, token, other},
		"of all":             {`"Filters":[]`, token, other},
		"with IDs":           {ofUser1 + `,"SessionIds":["a"]`, token, other},
		"on a host":          {`"Filters":[{"Key":"owner","Value":"user1"},{"Key":"host","Value":"` + host + `"}]`, token, other},
		"of nobody":          {`"Filters":[{"Key":"owner","Value":"user1"},{"Key":"owner","Value":"user2"}]`, token, other},
		"another checksum":   {ofUser1, with(func(text []byte) []byte { text[8] ^= 1; return text }), other},
		"another version":    {ofUser1, with(func(text []byte) []byte { text[0] = 2; return text }), "is of another version of this API: begin again without it"},
		"no ID":              {ofUser1, behind(""), none},
		"too short":          {ofUser1, with(func(text []byte) []byte { return text[:5] }), none},
		"no Unicode":         {ofUser1, behind("\xff"), none},
		"an ID too long":     {ofUser1, behind(strings.Repeat("x", 1025)), none},
		"not base64":         {ofUser1, "!" + token, none},
		"padded":             {ofUser1, token + "==", none},
		"the other alphabet": {ofUser1, "/" + token[1:], none},
		"far too long":       {ofUser1, strings.Repeat("A", 2049), "is longer than 2048 characters"},
		"a letter off":       {ofUser1, token[:len(token)-1], none},
		"loose bits":         {ofUser1, loose(token), none},
	} {
		reads := a.reads
		got := ask(test.query, test.token)
		if diff := cmp.Diff([]httpapitest.Wrong{in("NextToken", test.reason)}, got.faults); diff != "" || got.status != 400 || a.reads > reads {
			t.Errorf("%s: %d (-want +got):\n%s", name, got.status, diff)
		}
	}

	onHost := a.ask(`{"MaxResults":1,"Filters":[{"Key":"host","Value":"` + host + `"}]}`).next
	for filter, want := range map[string]string{host: "200 b c d", "mi-0123456789abcdef0": "400 ", "i-1": "400 "} {
		got := ask(`"Filters":[{"Key":"host","Value":"`+filter+`"}]`, onHost)
		if text := fmt.Sprint(got.status, " ", strings.Join(got.ids, " ")); text != want {
			t.Errorf("a token of %s, asked of %s: %+v, want %q", host, filter, got, want)
		}
	}
	if got := ask(ofUser1+`,"Details":true`, token); got.status != 200 || strings.Join(got.ids, " ") != "c e" {
		t.Errorf("details may come on the way: %+v", got)
	}

	page := a.ask(`{"SessionIds":["d","a","b"],"MaxResults":1}`)
	text, _ = base64.RawURLEncoding.DecodeString(page.next)
	if got := ask(`"SessionIds":["d","a","b"]`, behind("b")); got.status != 200 || len(got.ids) > 0 {
		t.Errorf("after the last: %+v", got)
	}
	if got := ask(`"SessionIds":["d","a","b"]`, behind("c")); got.status != 400 {
		t.Errorf("after an ID that is not asked for: %+v", got)
	}
	for _, changed := range []string{`"SessionIds":["d","a","c"]`, `"SessionIds":["d","a","b"],"Filters":[{"Key":"tag:DcvFleet","Value":"x"}]`} {
		if got := ask(changed, page.next); got.status != 400 {
			t.Errorf("a token of other IDs, or of a filter that excludes all: %s: %+v", changed, got)
		}
	}
	if got := ask(`"SessionIds":["a","d","b"]`, page.next); got.status != 400 {
		t.Errorf("IDs in another order: %+v", got)
	}
}

// A client reads pages while the stack is updated: these are tokens of the first
// release.
func TestTokensOfOlderBrokersAreAccepted(t *testing.T) {
	a := newDescribeAPI(t).somebodys()
	a.wants(`{"NextToken":"AWQFCrnbx9piYg"}`, "c", "d", "e")
	a.wants(`{"NextToken":"AbOtnFZCyUe7YQ",`+ofUser1+`}`, "c", "e")
}

// Every query gets an answer of the API, without sessions of other owners.
func TestAnyQueryHasItsAnswer(t *testing.T) {
	pieces := rapid.SampledFrom([]string{
		`{`, `}`, `[`, `]`, `,`, `:`, `"SessionIds":`, `["a","b"]`, `"Filters":`, `[{"Key":"owner","Value":"user1"}]`, `"Details":`, `true`, `"MaxResults":`, `1`, `1e999`, `-0`,
		`"NextToken":`, `"AQ"`, `""`, `null`, `"\ud800"`, "\x00", "\xff", ` `,
	})
	rapid.Check(t, func(rt *rapid.T) {
		a := newDescribeAPI(t).somebodys()
		before := len(a.table.All())
		text := strings.Join(rapid.SliceOfN(pieces, 0, 12).Draw(rt, "pieces"), "")
		if rapid.Bool().Draw(rt, "an object") {
			text = `{` + ofUser1 + `,` + strings.TrimSuffix(text, ",") + `}`
		}
		resp := a.serve(events.APIGatewayV2HTTPRequest{Body: text})
		if resp.StatusCode != 200 && (resp.StatusCode != 400 || a.reads > 0) {
			rt.Fatalf("%q is answered %d after %d reads", text, resp.StatusCode, a.reads)
		}
		if resp.StatusCode == 200 && strings.Contains(text, "user1") && strings.Contains(resp.Body, "user2") {
			rt.Fatalf("%q is answered %s", text, resp.Body)
		}
		if len(a.table.All()) != before {
			rt.Fatalf("%q changed the table", text)
		}
	})
}
