package httpapi

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTimesAreThoseOfRFC3339(t *testing.T) {
	for _, text := range []string{
		"2026-11-23T08:30:00Z", "2026-11-23T08:30:00.262883Z", "2026-11-23T08:30:00.5+01:00", "2024-02-29T23:59:59-00:00", "0001-01-01T00:00:00.123456789Z",
	} {
		if got, fault := ParseTime(json.RawMessage(`"` + text + `"`)); got != text || fault != "" {
			t.Errorf("%s: %q, %q", text, got, fault)
		}
	}
	for raw, want := range map[string]string{
		`7`: "is not a string", `["2026-11-23T08:30:00Z"]`: "is not a string", `""`: "is empty",
		`"2026-11-23T08:30:00.` + strings.Repeat("0", 256) + `Z"`: "is longer than 256 bytes",
	} {
		if got, fault := ParseTime(json.RawMessage(raw)); got != "" || fault != want {
			t.Errorf("%s: %q, %q", raw, got, fault)
		}
	}
	for _, text := range []string{
		"now", "2026-11-23", "2026-11-23 08:30:00+00:00", "2026-11-23T8:30:00Z", "2026-11-23T08:30:00,5Z", "2026-11-23T08:30:00", "2026-02-30T08:30:00Z",
		"2026-11-23t08:30:00z", "2026-11-23T08:30:00.Z", "2026-11-23T24:00:00Z", " 2026-11-23T08:30:00Z", "1795422600",
	} {
		if got, fault := ParseTime(json.RawMessage(`"` + text + `"`)); got != "" || !strings.HasPrefix(fault, "is not a time of RFC 3339") {
			t.Errorf("%s: %q, %q", text, got, fault)
		}
	}
}

func TestTextsAreStrings(t *testing.T) {
	if got, fault := ParseText(json.RawMessage(`"\ud834\udd1e \"x\" \u003cb\u003e"`)); got != "\U0001D11E \"x\" <b>" || fault != "" {
		t.Errorf("%q, %q", got, fault)
	}
	for raw, want := range map[string]string{
		`7`: "is not a string", `true`: "is not a string", `["x"]`: "is not a string", `"\ud834"`: "is not valid Unicode",
		`"a\nb"`: "has a control character", `"` + strings.Repeat(`\u00e9`, 201) + `"`: "is longer than 200 characters",
	} {
		if got, fault := ParseText(json.RawMessage(raw)); got != "" || fault != want {
			t.Errorf("%s: %q, %q", raw, got, fault)
		}
	}
}
