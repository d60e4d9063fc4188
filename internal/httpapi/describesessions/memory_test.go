package describesessions

import (
	"fmt"
	"strings"
	"testing"

	"dcv-session-broker/internal/httpapi"
	"dcv-session-broker/internal/httpapi/httpapitest"
)

func TestHostileBodiesTakeLittleMemory(t *testing.T) {
	for _, hostile := range []struct{ name, text, fault string }{
		{"open braces", httpapitest.Fill("", `{"":`, ""), "is not valid JSON"},
		{"a huge number", httpapitest.Fill(`{"MaxResults":`, "9", "}"), "is not a whole number"},
		{"a long token", httpapitest.Fill(`{"NextToken":"`, "A", `"}`), "is longer than"},
		{"many IDs", httpapitest.Fill(`{"SessionIds":["a"`, `,"a"`, "]}"), "has more than 1000 elements"},
		{"many filters", httpapitest.Fill(`{"Filters":[{}`, `,{}`, "]}"), "Key is missing"},
		{"many fields", httpapitest.Fields(`{`, `}`), "has more than 1000 fields"},
		{"many fields of a filter", httpapitest.Fields(`{"Filters":[{`, `}]}`), "has more than 1000 fields"},
		{"one field many times", httpapitest.Fill(`{"x":0`, `,"x":0`, "}"), "has more than 1000 fields"},
	} {
		httpapitest.TakesLittleMemory(t, hostile.name, hostile.text, hostile.fault, func(body []byte) []httpapi.Fault { _, faults := parseQuery(body, "studio"); return faults })
	}
}

func TestUnknownFieldsAreIgnoredUpToALimit(t *testing.T) {
	for count, want := range map[int]int{httpapi.MaxFields: 0, httpapi.MaxFields + 1: 1} {
		more := strings.Builder{}
		for n := range count - 2 {
			fmt.Fprintf(&more, `,"%d":[{}]`, n)
		}
		if _, faults := parseQuery([]byte(`{"MaxResults":1,"NextToken":null`+more.String()+`}`), "studio"); len(faults) != want {
			t.Errorf("a query of %d fields: %v", count, faults)
		}
	}
}
