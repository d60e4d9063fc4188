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
		{"a long message", httpapitest.Fill(`[{"SessionId":"s","Owner":"o","Message":"`, `\u0041`, `"}]`), "is longer than"},
		{"a long grace period", httpapitest.Fill(`[{"SessionId":"s","Owner":"o","GracePeriodSeconds":`, `9`, `}]`), "is neither"},
		{"a long creation time", httpapitest.Fill(`[{"SessionId":"s","Owner":"o","CreationTime":"2026-11-23T08:30:00.`, `0`, `Z"}]`), "is longer than"},
		{"a long spelling", httpapitest.Fill(`[{"SessionId":"s","Owner":"o","host`, `_-`, `id":"h"}]`), "is spelled HostId"},
		{"entries that contradict each other", httpapitest.Fill(`[{"SessionId":"s","Owner":"o","Reason":"x"}`, `,{"SessionId":"s","Owner":"o"}`, `]`), "has more than 1000 entries"},
		{"many entries", httpapitest.Fill("[", "{},", "{}]"), "is missing"},
		{"many fields of an entry", httpapitest.Fields(`[{`, `}]`), "has more than 1000 fields"},
	} {
		httpapitest.TakesLittleMemory(t, hostile.name, hostile.text, hostile.fault, func(body []byte) []httpapi.Fault { _, faults := parseEntries(body, 1000, Defaults{}); return faults })
	}
}

func TestUnknownFieldsAreIgnoredUpToALimit(t *testing.T) {
	for count, want := range map[int]int{httpapi.MaxFields: 0, httpapi.MaxFields + 1: 1} {
		more := strings.Builder{}
		for n := range count - 2 {
			fmt.Fprintf(&more, `,"%d":[{}]`, n)
		}
		if _, faults := parseEntries([]byte(`[{"SessionId":"s","Owner":"o"`+more.String()+`}]`), 1, Defaults{}); len(faults) != want {
			t.Errorf("an entry of %d fields: %v", count, faults)
		}
	}
}
