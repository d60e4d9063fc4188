package table_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"dcv-session-broker/internal/operate/table"
)

func TestLongCellsAreCutOnlyWhereTheyDoNotFit(t *testing.T) {
	long := strings.Repeat("x", 190) + "0123456789"
	all := table.Table{Head: []string{"SESSION", "OWNER", "STATE"}, Rows: [][]string{{"s-1", "user1", "READY"}, {long, "Zoë", "DELETING"}}}
	var wide, narrow strings.Builder
	all.Print(&wide, 0)
	if !strings.Contains(wide.String(), long) || strings.Contains(wide.String(), " \n") {
		t.Errorf("got\n%s", &wide)
	}
	all.Print(&narrow, 40)
	lines := strings.Split(strings.TrimSpace(narrow.String()), "\n")
	for _, line := range lines {
		if utf8.RuneCountInString(line) > 40 {
			t.Errorf("%q has %d characters", line, utf8.RuneCountInString(line))
		}
	}
	if want := strings.Repeat("x", 11) + "…x0123456789  Zoë    DELETING"; lines[2] != want {
		t.Errorf("got %q, not %q", lines[2], want)
	}
}

func TestNothingMovesTheCursor(t *testing.T) {
	var out strings.Builder
	table.Table{Head: []string{"A"}, Rows: [][]string{{"a\x1b[2Jb\nc\u202ed"}}}.Print(&out, 0)
	if want := "A\na\uFFFD[2Jb\uFFFDc\uFFFDd\n"; out.String() != want {
		t.Errorf("got %q, not %q", out.String(), want)
	}
}
