package httpapi

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type named struct {
	ID, Optional string
	Flag         bool
}

func parseNamed(fields *EntryFields) (n named) {
	n.ID, n.Flag = fields.ID("SessionId"), fields.Bool("Force")
	fields.Optional("RequestId", func(raw json.RawMessage) (fault string) {
		n.Optional, fault = ParseID(raw)
		return fault
	})
	return n
}

func TestFieldsOfEntries(t *testing.T) {
	for body, want := range map[string][]named{
		`[]`: nil,
		`[{"SessionId":"s"}, {"SessionId":"t","RequestId":null,"Force":null}]`:                          {{ID: "s"}, {ID: "t"}},
		`[{"SessionId":"s","RequestId":"r","Force":true,"sessionId":"t","force":false}]`:                {{"s", "r", true}},
		`[{"SessionId":"s","RequestIds":"r","Request":"r","":1,"Request.Id":"r","RequestIdé":1,"_":1}]`: {{ID: "s"}},
	} {
		got, faults := ParseEntries([]byte(body), 2, parseNamed)
		if diff := cmp.Diff(want, got); diff != "" || len(faults) > 0 {
			t.Errorf("%s: %v (-want +got):\n%s", body, faults, diff)
		}
	}
}

// A misspelled field that would restrict an entry is a fault, since it would be ignored.
func TestOtherSpellingsAreFaults(t *testing.T) {
	for _, name := range []string{"requestId", "requestid", "REQUESTID", "RequestID", "request_id", "Request-Id", "_request--id_", "\\u0072equestId"} {
		body := `[{"SessionId":"s"},{"SessionId":"s","` + name + `":"r"}]`
		_, faults := ParseEntries([]byte(body), 2, parseNamed)
		if len(faults) != 1 || *faults[0].Index != 1 || faults[0].Field != "RequestId" || name[0] != '\\' && faults[0].Reason != `is spelled RequestId, not "`+name+`"` {
			t.Errorf("%s: %+v", body, faults)
		}
	}
	// The same fault each time, in any order of the fields.
	for range 20 {
		_, faults := ParseEntries([]byte(`[{"SessionId":"s","RequestId":"r","request_id":1,"requestId":1,"requestid":1}]`), 1, parseNamed)
		if len(faults) != 1 || faults[0].Reason != `is spelled RequestId, not "requestId"` {
			t.Errorf("%+v", faults)
		}
	}
}
