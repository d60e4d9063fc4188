package session

import (
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"
)

// The shortest and the longest grace period, and the most characters of a message or a
// reason.
const (
	MinGracePeriod = time.Minute
	MaxGracePeriod = 24 * time.Hour
	MaxTextChars   = 200
)

// ParseGracePeriod reads a number of seconds; 0 is no grace period.
func ParseGracePeriod(seconds string) (period time.Duration, fault string) {
	// 60.0 is a whole number, too.
	n, err := strconv.ParseFloat(seconds, 64)
	if err != nil || n != math.Trunc(n) || n != 0 && (n < MinGracePeriod.Seconds() || n > MaxGracePeriod.Seconds()) {
		return 0, fmt.Sprintf("is neither 0 nor a whole number from %.0f to %.0f", MinGracePeriod.Seconds(), MaxGracePeriod.Seconds())
	}
	return time.Duration(n) * time.Second, ""
}

// ParseText reads a message for users, or a reason. People must see all of it, in one
// line.
func ParseText(text string) (same, fault string) {
	switch {
	case !utf8.ValidString(text):
		return "", "is not valid UTF-8"
	case utf8.RuneCountInString(text) > MaxTextChars:
		return "", fmt.Sprintf("is longer than %d characters", MaxTextChars)
	}
	for _, r := range text {
		switch {
		case unicode.IsControl(r):
			return "", "has a control character"
		case unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			return "", "has a line separator"
		case unicode.Is(unicode.Bidi_Control, r):
			return "", "has a bidirectional formatting character"
		}
	}
	return text, ""
}
