package system

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// In these regions the stack has no pipe and no audit trail. The test makes the local
// system's region one of them.
func TestDeletionsEndWhereEventBridgeHasNoPipes(t *testing.T) {
	text, err := os.ReadFile("../../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	without := strings.Replace(string(text), "!Equals [!Ref AWS::Region, us-gov-west-1]", "!Equals [!Ref AWS::Region, us-east-1]", 1)
	file := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(file, []byte(without), 0o600); err != nil {
		t.Fatal(err)
	}
	sys, err := New(t.Context(), Options{Template: file, Dir: t.TempDir(), Announced: func(event json.RawMessage) {
		t.Errorf("announced: %s", event)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	for _, id := range []string{"EndedSessionsPipe", "AuditRule"} {
		if _, there := sys.template.Resource(id); there {
			t.Errorf("the stack has %s", id)
		}
	}
	c := &controlled{t: t, system: sys, api: sys.Handler()}
	c.put("i-0a1b2c3d4e5f60001", "one", `{"Owner": "user1"}`)
	c.want(http.StatusOK, http.MethodPost, "/deleteSessions", `[{"SessionId": "one", "Owner": "user1"}]`)
	var answer string
	until(t, func() bool {
		answer = c.want(http.StatusOK, http.MethodPost, "/describeSessions", `{"SessionIds": ["one"]}`)
		return strings.Contains(answer, `"DELETED"`)
	}, func() string { return "the deletion does not end: " + answer })
}
