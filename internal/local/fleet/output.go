package fleet

import "strings"

// keeper keeps the beginning of what is written to it. Like the agent it reads on to the end, so that no script fails
// for being talkative.
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

// String is the text as JSON can carry it.
func (k *keeper) String() string { return strings.ToValidUTF8(string(k.text), "\uFFFD") }
