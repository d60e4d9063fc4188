package canceldeletions

import (
	"testing"

	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/httpapi/httpapitest"
)

func TestHostileBodiesTakeLittleMemory(t *testing.T) {
	for _, hostile := range []struct{ name, text, fault string }{
		{"a long request ID", httpapitest.Fill(`[{"Owner":"o","SessionId":"s","RequestId":"`, `\u0041`, `"}]`), "is longer than"},
		{"many entries of one session", httpapitest.Fill("[", `{"SessionId":"s","Owner":"o"},`, `{}]`), "has more than 1000 entries"},
		{"many fields, and one in another spelling", httpapitest.Fields(`[{"SessionId":"s","Owner":"o","requestId":"r",`, `}]`), "has more than 1000 fields"},
	} {
		httpapitest.TakesLittleMemory(t, hostile.name, hostile.text, hostile.fault, func(body []byte) []httpapi.Fault { _, faults := parseEntries(body, 1000); return faults })
	}
}
