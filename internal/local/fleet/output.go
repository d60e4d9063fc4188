package fleet

import "strings"

// keeper keeps the beginning of what is written to it. Like the agent it accepts all output, so that no script fails
// because its output is long.
type keeper struct {
	limit int
	text  []byte
}

func (k *keeper) Write(p []byte) (int, error) {
	if room := k.limit - len(k.text); room > 0 {
		k.text = append(k.text, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// String returns the text as valid UTF-8, for JSON.
func (k *keeper) String() string { return strings.ToValidUTF8(string(k.text), "\uFFFD") }
