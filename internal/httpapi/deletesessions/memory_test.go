package deletesessions

import (
	"fmt"
	"strings"
	"testing"

	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/httpapi/httpapitest"
)

func TestHostileBodiesTakeLittleMemory(t *testing.T) {
	for _, hostile := range []struct{ name, text, fault string }{
		{"open brackets", httpapitest.Fill("", "[", ""), "is not valid JSON"},
		{"nested just enough", strings.Repeat("[", 9_000) + httpapitest.Fill("", "1,", "1") + strings.Repeat("]", 9_000), "is not an object"},
		{"a long ID", httpapitest.Fill(`[{"Owner":"o","SessionId":"`, `\u0041`, `"}]`), "is longer than"},
		{"many entries", httpapitest.Fill("[", "{},", "{}]"), "is missing"},
		{"many fields of an entry", httpapitest.Fields(`[{`, `}]`), "has more than 1000 fields"},
	} {
		httpapitest.TakesLittleMemory(t, hostile.name, hostile.text, hostile.fault, func(body []byte) []httpapi.Fault { _, faults := parseEntries(body, 1000); return faults })
	}
}

func TestUnknownFieldsAreIgnoredUpToALimit(t *testing.T) {
	for count, want := range map[int]int{httpapi.MaxFields: 0, httpapi.MaxFields + 1: 1} {
		more := strings.Builder{}
		for n := range count - 2 {
			fmt.Fprintf(&more, `,"%d":[{}]`, n)
		}
		if _, faults := parseEntries([]byte(`[{"SessionId":"s","Owner":"o"`+more.String()+`}]`), 1); len(faults) != want {
			t.Errorf("an entry of %d fields: %v", count, faults)
		}
	}
}
