package describesessions_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

// A shownSession has the fields that identify a session.
type shownSession struct {
	ID, Owner string
	Server    struct{ ID string }
}

// shown returns the sessions of an answer.
func shown(t *testing.T, resp events.APIGatewayV2HTTPResponse) (sessions []shownSession, next string) {
	t.Helper()
	var answer struct {
		Sessions  []shownSession
		NextToken string
	}
	if err := json.Unmarshal([]byte(resp.Body), &answer); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v: %d %s", err, resp.StatusCode, resp.Body)
	}
	return answer.Sessions, answer.NextToken
}

// Every request is answered with 200, without a session outside the query, or with 400
// and nothing is read.
func FuzzDescribeSessions(f *testing.F) {
	for _, body := range []string{
		``, `{}`, `[]`, `{"SessionIds":["b","a","x","b"],"MaxResults":1}`, `{"Filters":[{"Key":"owner","Value":"user1"}],"MaxResults":1}`,
		`{"SessionIds":["a","b"],"Filters":[{"Key":"owner","Value":"user2"},{"Key":"tag:DcvFleet","Value":"studio"}]}`,
		`{"Filters":[{"Key":"host","Value":"` + host + `"},{"Key":"owner","Value":"user1"}],"Details":true}`, `{"Filters":[{"Key":"host","Value":"i-1"}]}`,
		`{"Filters":[{"Key":"tag:DcvFleet","Value":"other"}]}`, `{"NextToken":"AQAAAAAAAAAAczE","Filters":[{"Key":"owner","Value":"user1"}]}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		a := newDescribeAPI(t).somebodys()
		before := a.table.All()
		resp := a.serve(events.APIGatewayV2HTTPRequest{Body: body})
		if diff := cmp.Diff(before, a.table.All()); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
		if resp.StatusCode == 400 && a.reads == 0 {
			return
		}
		sessions, _ := shown(t, resp)
		var asked struct {
			ids, filters []any
			max          float64
		}
		var read map[string]any
		_ = json.Unmarshal([]byte(strings.TrimPrefix(body, "\ufeff")), &read) // a blank body asks for all
		if read["Details"] != true && strings.Contains(resp.Body, "DeletionRequestId") {
			t.Errorf("nobody asked for details: %s", resp.Body)
		}
		asked.ids, _ = read["SessionIds"].([]any)
		asked.filters, _ = read["Filters"].([]any)
		if asked.max, _ = read["MaxResults"].(float64); asked.max > 0 && len(sessions) > int(asked.max) {
			t.Errorf("%d sessions of at most %v", len(sessions), asked.max)
		}
		for _, s := range sessions {
			if len(asked.ids) > 0 && !slices.Contains(asked.ids, any(s.ID)) {
				t.Errorf("%s is not among %q", s.ID, asked.ids)
			}
			for _, filter := range asked.filters {
				f := filter.(map[string]any)
				is := map[any]string{"owner": s.Owner, "host": s.Server.ID, "tag:DcvFleet": "studio"}
				if f["Value"] != is[f["Key"]] {
					t.Errorf("%+v does not meet %v", s, f)
				}
			}
		}
	})
}

// Any token, invented or changed from a valid one, only selects a position within its query.
func FuzzNextToken(f *testing.F) {
	f.Add("", "b")
	f.Add("AQAAAAAAAAAAczE", "\x00")
	f.Add("czI", "a\xff")
	f.Add("AQ==", "zz")
	const query = `"Filters":[{"Key":"owner","Value":"user1"}]`
	f.Fuzz(func(t *testing.T, token, after string) {
		a := newDescribeAPI(t).somebodys()
		_, good := shown(t, a.serve(events.APIGatewayV2HTTPRequest{Body: `{"MaxResults":1,` + query + `}`}))
		text, err := base64.RawURLEncoding.DecodeString(good)
		if err != nil || len(text) < 10 {
			t.Fatalf("%q: %v", good, err)
		}
		behind := base64.RawURLEncoding.EncodeToString(append(text[:9], after...)) // after the version and the checksum
		for _, token := range []string{token, behind, good + token, token + good} {
			quoted, err := json.Marshal(token)
			if err != nil {
				t.Fatal(err)
			}
			reads := a.reads
			resp := a.serve(events.APIGatewayV2HTTPRequest{Body: `{"NextToken":` + string(quoted) + `,` + query + `}`})
			if resp.StatusCode == 400 && a.reads == reads {
				continue
			}
			sessions, _ := shown(t, resp)
			for _, s := range sessions {
				if s.Owner != "user1" || token == behind && s.ID <= after {
					t.Errorf("%q shows %s of %s", token, s.ID, s.Owner)
				}
			}
		}
	})
}
