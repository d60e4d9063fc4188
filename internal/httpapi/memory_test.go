package httpapi

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

const largestBody = 6 << 20 // that the gateway lets through

// fill repeats a text up to the size of the largest body.
func fill(before, text, after string) string {
	return before + strings.Repeat(text, (largestBody-len(before)-len(after))/len(text)) + after
}

// fields are as many as there is room for, each with a name of its own.
func fields(before, after string) string {
	var b strings.Builder
	b.WriteString(before)
	for n := 0; b.Len() < largestBody-20; n++ {
		fmt.Fprintf(&b, `"%x":1,`, n)
	}
	return b.String() + `"end":1` + after
}

// allocated is how many bytes are taken while f runs, those freed meanwhile
// included.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestHostileBodiesTakeLittleMemory(t *testing.T) {
	entries := func(body []byte) []Fault { _, faults := parseEntries(body, 1000); return faults }
	query := func(body []byte) []Fault { _, faults := parseQuery(body, "studio"); return faults }
	for _, tc := range []struct {
		name, text, fault string
		parse             func(body []byte) []Fault
	}{
		{"open brackets", fill("", "[", ""), "is not valid JSON", entries},
		{"open braces", fill("", `{"":`, ""), "is not valid JSON", query},
		{"nested just enough", strings.Repeat("[", 9_000) + fill("", "1,", "1") + strings.Repeat("]", 9_000), "is not an object", entries},
		{"a huge number", fill(`{"MaxResults":`, "9", "}"), "is not a whole number", query},
		{"a long ID", fill(`[{"Owner":"o","SessionId":"`, `\u0041`, `"}]`), "is longer than", entries},
		{"a long token", fill(`{"NextToken":"`, "A", `"}`), "is longer than", query},
		{"many entries", fill("[", "{},", "{}]"), "is missing", entries},
		{"many IDs", fill(`{"SessionIds":["a"`, `,"a"`, "]}"), "has more than 1000 elements", query},
		{"many filters", fill(`{"Filters":[{}`, `,{}`, "]}"), "Key is missing", query},
		{"many fields of an entry", fields(`[{`, `}]`), "has more than 1000 fields", entries},
		{"many fields", fields(`{`, `}`), "has more than 1000 fields", query},
		{"many fields of a filter", fields(`{"Filters":[{`, `}]}`), "has more than 1000 fields", query},
		{"one field many times", fill(`{"x":0`, `,"x":0`, "}"), "has more than 1000 fields", query},
	} {
		body := []byte(tc.text)
		var faults []Fault
		got := allocated(func() { faults = tc.parse(body) })
		if most := 15 * uint64(len(body)); got > most {
			t.Errorf("%s: %.1f times the body is allocated", tc.name, float64(got)/float64(len(body)))
		}
		if len(faults) == 0 || !strings.HasPrefix(faults[0].Reason, tc.fault) {
			t.Errorf("%s: %.300v", tc.name, faults)
		}
	}
}

func TestUnknownFieldsAreIgnoredUpToALimit(t *testing.T) {
	for count, want := range map[int]int{maxFields: 0, maxFields + 1: 1} {
		more := strings.Builder{}
		for n := range count - 2 {
			fmt.Fprintf(&more, `,"%d":[{}]`, n)
		}
		if _, faults := parseEntries([]byte(`[{"SessionId":"s","Owner":"o"`+more.String()+`}]`), 1); len(faults) != want {
			t.Errorf("an entry of %d fields: %v", count, faults)
		}
		if _, faults := parseQuery([]byte(`{"MaxResults":1,"NextToken":null`+more.String()+`}`), "studio"); len(faults) != want {
			t.Errorf("a query of %d fields: %v", count, faults)
		}
	}
}
