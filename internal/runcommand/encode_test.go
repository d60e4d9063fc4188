package runcommand

import (
	"regexp"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dcv-session-broker/internal/session"
)

func TestEncodedIDComesBack(t *testing.T) {
	harmless := regexp.MustCompile(`^([A-Za-z0-9._-]|%[0-9A-F]{2})*$`)
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "id")
		encoded := encodeID(id)
		if !harmless.MatchString(encoded) {
			t.Fatalf("%q becomes %q", id, encoded)
		}
		if decoded, err := decodeID(encoded); err != nil || decoded != id {
			t.Fatalf("%q becomes %q, and that %q, %v", id, encoded, decoded, err)
		}
	})
}

// A host's text is taken only as it was sent: two texts never mean one session.
func TestOnlyEncodedIDsAreDecoded(t *testing.T) {
	for _, s := range []string{"%41", "%2D", "%2f", "%zz", "%", "%2", "a%", "a b", "a/b", "é", "a,b", "a\x00", "%+1", "%%%"} {
		if id, err := decodeID(s); err == nil {
			t.Errorf("%q is taken for %q", s, id)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`([A-Za-z._%-]|%[0-9A-Fa-f]{2}){0,8}`).Draw(t, "text")
		if id, err := decodeID(s); err == nil && encodeID(id) != s {
			t.Fatalf("%q is taken for %q, which is %q", s, id, encodeID(id))
		}
	})
}

func TestTokens(t *testing.T) {
	until := time.Date(2026, 11, 23, 19, 1, 7, 123e6, time.UTC)
	for _, tc := range []struct {
		name string
		c    session.Closing
		want string
	}{
		{"incarnation with six decimals", session.Closing{SessionID: "s1", NameOnHost: "s1", CreationTime: "2019-05-13T13:21:19.262883Z"}, "s1@fc6e5smi03"},
		{"with none", session.Closing{SessionID: "s1", NameOnHost: "s1", CreationTime: "2020-03-02T16:08:50Z"}, "s1@fl6o41d4e8"},
		{"in another zone", session.Closing{SessionID: "s1", NameOnHost: "s1", CreationTime: "2020-03-02T17:08:50+01:00"}, "s1@fl6o41d4e8"},
		{"none", session.Closing{SessionID: "s1", NameOnHost: "s1", CreatedUntil: until}, "s1~hofr5gpjjs"},
		{"an unreadable one", session.Closing{SessionID: "s1", NameOnHost: "s1", CreationTime: "yesterday", CreatedUntil: until}, "s1~hofr5gpjjs"},
		{"before 1970", session.Closing{SessionID: "s1", NameOnHost: "s1", CreationTime: "1969-12-31T23:59:59Z"}, "s1@0"},
		{"the console", session.Closing{SessionID: "console-i-0a", NameOnHost: "console", CreationTime: "2020-03-02T16:08:50Z"}, "console-i-0a/console@fl6o41d4e8"},
		{"a hostile ID", session.Closing{SessionID: `$(reboot);"'é` + "\n", NameOnHost: `$(reboot);"'é` + "\n", CreationTime: "2020-03-02T16:08:50Z"},
			"%24%28reboot%29%3B%22%27%C3%A9%0A@fl6o41d4e8"},
		{"an ID that looks like a token", session.Closing{SessionID: "a/b@1~2,c;d=e%41", NameOnHost: "x@y", CreationTime: "2020-03-02T16:08:50Z"},
			"a%2Fb%401%7E2%2Cc%3Bd%3De%2541/x%40y@fl6o41d4e8"},
	} {
		if got := encodeSession(tc.c); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// As SendCommand has it: (^i-(\w{8}|\w{17})$)|(^mi-\w{17}$).
func TestHostIDs(t *testing.T) {
	pattern := regexp.MustCompile(`(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)`)
	check := func(id string) bool { return hostIDPattern(id) == pattern.MatchString(id) }
	for _, id := range []string{
		"i-0123abcd", "i-0123456789abcdef0", "mi-0123456789abcdef0", "i-0123456789ABCDEF_",
		"", "i-", "mi-", "mi-0123abcd", "i-0123abc", "i-0123456789abcdef01", "i-0123.bcd", "i-0123-bcd", "i-0123 bcd",
		"ip-10-0-0-1", "I-0123abcd", "i-0123abcd\n", "i-0123abc\xff", "i-0123abcé",
	} {
		if !check(id) {
			t.Errorf("%q: %v", id, hostIDPattern(id))
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if id := rapid.StringMatching(`m?i-[\w.-]{7,18}`).Draw(t, "id"); !check(id) {
			t.Fatalf("%q: %v", id, hostIDPattern(id))
		}
	})
}
