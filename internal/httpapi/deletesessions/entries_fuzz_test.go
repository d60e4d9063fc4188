package deletesessions

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/session"
)

// What is read as entries is what any other reader of JSON reads, and the
// faults name places that are there.
func FuzzEntries(f *testing.F) {
	for _, body := range []string{
		"", "[]", "null", "{}", "[null]", "[[[[", "[{}]", "[1e999]", "[] []", "\ufeff[]", "[\"\xff\"]",
		`[{"SessionId": "SessionId123", "Owner": "user1", "Force": true}, {"SessionId": "SessionIdabc", "Owner": "user1"}]`,
		`[{"SessionId":"s","Owner":"o","Force":null,"Unknown":{"a":[1,2.5e3,"\ud834\udd1e"]}}]`,
		`[{"SessionId":"s","Owner":"o","SessionId":"t"}]`, `[{"SessionId":"\u0000","Owner":"\ud834","Force":"true"}]`,
		`[{"sessionid":"s","Owner":7},{},{},{},{}]`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		const maxBatch = 3
		entries, faults := parseEntries(body, maxBatch)
		for _, fault := range faults {
			if fault.Reason == "" || !slices.Contains([]string{"body", "entry", "SessionId", "Owner", "Force"}, fault.Field) ||
				(fault.Field == "body") != (fault.Index == nil) || fault.Index != nil && (*fault.Index < 0 || *fault.Index >= maxBatch) {
				t.Errorf("fault %+v", fault)
			}
		}
		if len(faults) > 0 {
			return
		}
		var read []map[string]any
		if err := json.Unmarshal(body, &read); err != nil {
			t.Fatalf("read as %+v, but %v", entries, err)
		}
		var want []session.Entry
		for _, r := range read {
			e := session.Entry{Force: r["Force"] == true}
			e.SessionID, _ = r["SessionId"].(string)
			e.Owner, _ = r["Owner"].(string)
			want = append(want, e)
		}
		if diff := cmp.Diff(want, entries); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
