package describesessions

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/session"
)

// A query is read as by any other reader of JSON, and is also accepted after another program has written it.
func FuzzQuery(f *testing.F) {
	for _, body := range []string{
		"", " ", "{}", "null", "\vnull", "[]", "{{", `{"a":1}{`, `{"SessionIds":["a","b","a"],"MaxResults":2}`,
		`{"Filters":[{"Key":"owner","Value":"user1"},{"Key":"tag:DcvFleet","Value":"studio"}]}`,
		`{"Filters":[{"Key":"owner","Value":"user1"},{"Key":"owner","Value":"user2"}]}`, `{"Filters":[{"Key":"tag:os","Value":null}]}`,
		`{"Filters":[{"Key":"host","Value":"i-1"}],"Details":true}`, `{"Filters":[{"Key":"host","Value":"fleet"},{"Key":"owner","Value":"a"}]}`,
		`{"Details":false,"NextToken":"` + (query{Query: session.Query{HostID: "i-1"}}).token("s") + `"}`, `{"Details":"true","Detail\u0073":null}`,
		`{"MaxResults":1e999}`, `{"MaxResults":1.0E2,"NextToken":null}`, `{"MaxResults":1,"MaxResults":2}`, `{"NextToken":"AQ"}`,
		`{"NextToken":"` + (query{}).token("s") + `"}`, `{"SessionIds":["\ud800","` + "\x00" + `"]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, faults := parseQuery(body, "studio")
		for _, fault := range faults {
			if fault.Reason == "" || !slices.Contains([]string{"body", "SessionIds", "Filters", "MaxResults", "Details", "NextToken"}, fault.Field) {
				t.Errorf("fault %+v", fault)
			}
		}
		if len(faults) > 0 {
			return
		}
		if q.Limit < 1 || q.Limit > maxResults || len(q.IDs) > maxIDs {
			t.Errorf("%+v", q)
		}
		if q.After != "" {
			if after, fault := q.place(q.token(q.After)); after != q.After || fault != "" {
				t.Errorf("the token after %q is read as %q, %s", q.After, after, fault)
			}
		}
		if httpapi.IsBlank(body) {
			return
		}
		var read map[string]any
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		if err := d.Decode(&read); err != nil {
			t.Fatalf("read as %+v, but %v", q, err)
		}
		again, err := json.Marshal(read)
		if err != nil {
			t.Fatal(err)
		}
		same, faults := parseQuery(again, "studio")
		if diff := cmp.Diff(q, same, cmp.AllowUnexported(query{})); diff != "" || len(faults) > 0 {
			t.Errorf("%s: %v (-first +again):\n%s", again, faults, diff)
		}
	})
}
