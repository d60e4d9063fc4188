package session_test

import (
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/session"
)

func TestGracePeriodsHaveLimits(t *testing.T) {
	const fault = "is neither 0 nor a whole number from 60 to 86400"
	for seconds, want := range map[string]time.Duration{"0": 0, "-0": 0, "60": time.Minute, "60.0": time.Minute, "6e1": time.Minute, "86400": 24 * time.Hour} {
		if got, reason := session.ParseGracePeriod(seconds); got != want || reason != "" {
			t.Errorf("%s: %v, %q", seconds, got, reason)
		}
	}
	for _, seconds := range []string{"", "1", "59", "59.9", "60.5", "-60", "86401", "86400.1", "1e9", "1e999", "NaN", "Inf", "true", `"60"`, "[60]", "60 s"} {
		if got, reason := session.ParseGracePeriod(seconds); got != 0 || reason != fault {
			t.Errorf("%s: %v, %q", seconds, got, reason)
		}
	}
}

// Promise 5: users see the caller's text as it was written. A text that could look like
// another one, or like a line of the broker, is refused.
func TestTextsAreShownAsTheyAreOrRefused(t *testing.T) {
	for _, text := range []string{
		"", "Maintenance at 20:00. Save your work!", `"$(reboot)" '; rm -rf / #' <b>{{ssm:x}}</b> \n %s & |`, "Zażółć gęślą jaźń — 停電します",
		"\u05e9\u05dc\u05d5\u05dd", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", // right to left, and joined or not: letters decide
		"\U0001f469\u200d\U0001f4bb", strings.Repeat("\U0001D11E", session.MaxTextChars),
	} {
		if got, fault := session.ParseText(text); got != text || fault != "" {
			t.Errorf("%q %s", text, fault)
		}
	}
	for text, want := range map[string]string{
		strings.Repeat("x", session.MaxTextChars+1):          "is longer than 200 characters",
		strings.Repeat("\U0001D11E", session.MaxTextChars+1): "is longer than 200 characters",
		"a\xff": "is not valid UTF-8",
	} {
		if got, fault := session.ParseText(text); got != "" || fault != want {
			t.Errorf("%q: %q", text, fault)
		}
	}
	for want, all := range map[string]string{
		"has a control character":                  "\x00\t\n\v\r\x1b\x1f\x7f\u0080\u0085\u009f",
		"has a line separator":                     "\u2028\u2029",
		"has a bidirectional formatting character": "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
	} {
		for _, r := range all {
			for _, text := range []string{string(r), "a" + string(r) + "b", "a" + string(r)} {
				if got, fault := session.ParseText(text); got != "" || fault != want {
					t.Errorf("%q: %q", text, fault)
				}
			}
		}
	}
}
