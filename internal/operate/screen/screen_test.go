package screen

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDistance(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		ago  time.Duration
		want string
	}{
		{0, "now"}, {400 * time.Millisecond, "now"}, {time.Second, "1 second ago"}, {119 * time.Second, "119 seconds ago"}, {119_900 * time.Millisecond, "2 minutes ago"},
		{2 * time.Minute, "2 minutes ago"}, {119 * time.Minute, "119 minutes ago"}, {2 * time.Hour, "2 hours ago"}, {47 * time.Hour, "47 hours ago"},
		{48 * time.Hour, "2 days ago"}, {-3 * time.Minute, "in 3 minutes"}, {-time.Second, "in 1 second"},
	} {
		if got := Distance(now.Add(-c.ago), now); got != c.want {
			t.Errorf("%s: %q, not %q", c.ago, got, c.want)
		}
	}
	if got := Clock(now, now.Add(time.Hour)); got != "2026-11-23 12:00:00 UTC (60 minutes ago)" {
		t.Error(got)
	}
}

func TestWrap(t *testing.T) {
	if got := Wrap("one two  three\nfour and-a-word-that-is-long", 9); !slices.Equal(got, []string{"one two", "three", "four", "and-a-word-that-is-long"}) {
		t.Errorf("%q", got)
	}
	if got := Wrap("red \x1b[31m\u202eright", 80); strings.ContainsAny(got[0], "\x1b\u202e") {
		t.Errorf("%q", got)
	}
}

func TestLine(t *testing.T) {
	for width, want := range map[int]string{0: "one  two three", 14: "one  two three", 13: "one two three", 8: "one two\nthree"} {
		if got := Line("one  two three", width); got != want {
			t.Errorf("%d: %q, not %q", width, got, want)
		}
	}
}

func TestArgument(t *testing.T) {
	for id, want := range map[string]string{
		"s-1": "s-1", "console-i-0a1b": "console-i-0a1b", "$(reboot)": "'$(reboot)'", "a'b": `'a'\''b'`, "-x": "-- -x", "-$x": "-- '-$x'", "=ls": "'=ls'", "": "''",
		"a b": "'a b'", "~": "'~'", "a\n": "'a\n'",
	} {
		if got := Argument(id); got != want {
			t.Errorf("%q: %s, not %s", id, got, want)
		}
	}
}
