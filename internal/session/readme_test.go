package session_test

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// README.md's table has every attribute of a record.
func TestReadmeHasTheAttributes(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n## What the table holds\n")
	var listed []string
	for _, row := range strings.Split(table, "\n| ")[1:] {
		names, _, _ := strings.Cut(row, " |")
		for _, name := range strings.Split(names, ", ") {
			listed = append(listed, strings.Trim(strings.TrimSuffix(name, " (key)"), "`"))
		}
	}
	for _, attr := range attributes(t) {
		if !slices.Contains(listed, attr) {
			t.Errorf("README.md does not say what %s is", attr)
		}
	}
}
