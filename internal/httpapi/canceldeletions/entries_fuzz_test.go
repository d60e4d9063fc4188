package canceldeletions

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"dcv-session-broker/internal/session"
)

// Entries are read as by any other reader of JSON, and those of one session and owner
// name one request; the faults name existing places.
func FuzzEntries(f *testing.F) {
	for _, body := range []string{
		"", "[]", "null", "{}", "[null]", "[{}]", "\ufeff[]", "[\"\xff\"]",
		`[{"SessionId": "SessionId123", "Owner": "user1", "RequestId": "r"}, {"SessionId": "SessionIdabc", "Owner": "user1"}]`,
		`[{"SessionId":"s","Owner":"o","RequestId":null,"Unknown":{"a":[1,2.5e3,"\ud834\udd1e"]}}]`,
		`[{"SessionId":"s","Owner":"o","RequestId":"r"},{"SessionId":"s","Owner":"o","RequestId":"s"},{"SessionId":"s","Owner":"p","RequestId":"s"}]`,
		`[{"SessionId":"s","Owner":"o","RequestId":"r","requestId":"t"}]`, `[{"SessionId":"\u0000","Owner":"\ud834","RequestId":true}]`,
		`[{"SessionId":"s","Owner":"o","Request-Id":7},{},{},{}]`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		const maxBatch = 3
		entries, faults := parseEntries(body, maxBatch)
		for _, fault := range faults {
			if fault.Reason == "" || !slices.Contains([]string{"body", "entry", "SessionId", "Owner", "RequestId"}, fault.Field) ||
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
		var want []session.CancelEntry
		requestOf := map[[2]string]string{}
		for _, r := range read {
			var e session.CancelEntry
			e.SessionID, _ = r["SessionId"].(string)
			e.Owner, _ = r["Owner"].(string)
			e.DeletionRequestID, _ = r["RequestId"].(string)
			want = append(want, e)
			of := [2]string{e.SessionID, e.Owner}
			if request, again := requestOf[of]; again && request != e.DeletionRequestID {
				t.Errorf("%q of %q is to be cancelled of two requests, %q and %q", e.SessionID, e.Owner, request, e.DeletionRequestID)
			}
			requestOf[of] = e.DeletionRequestID
		}
		if diff := cmp.Diff(want, entries); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
