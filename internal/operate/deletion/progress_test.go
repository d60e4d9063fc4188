package deletion_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/operate/deletion"
)

// In a terminal each bar replaces the one before, a failure has a line that stays, and an unchanged bar is not written
// again.
func TestBarOfATerminal(t *testing.T) {
	var out strings.Builder
	p := deletion.Progress{Out: &out, Width: 80, Now: time.Now}
	items := []*deletion.Item{{Status: deletion.Open}, {Status: deletion.Open}, {Status: deletion.Open}, {Status: deletion.Open}}
	p.Show(items)
	p.Show(items)
	items[0].Status = deletion.Ended
	p.Show(items)
	items[1].Status, items[1].Why = deletion.Unsuccessful, "its host is gone"
	items[1].Seen.ID = "s-1"
	p.Show(items)
	p.Finish()
	bar := func(full int, says string) string {
		return "\r\x1b[K[" + strings.Repeat("#", full) + strings.Repeat(".", 20-full) + "] " + says
	}
	want := bar(0, "0 of 4 ended") + bar(5, "1 of 4 ended") + fmt.Sprintf("\ns-1: %s: its host is gone\n", deletion.Unsuccessful) +
		bar(10, "1 of 4 ended, 1 unsuccessful") + "\n"
	if out.String() != want {
		t.Errorf("wrote %q\nwant  %q", out.String(), want)
	}
}
