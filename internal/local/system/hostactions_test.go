package system

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// README.md names every action on a host, and no other.
func TestReadmeNamesTheHostActions(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "\n## The control API\n")
	table, _, _ = strings.Cut(table, "\n## ")
	row := regexp.MustCompile("(?m)^\\| (`(?:POST /local/hosts/\\{HostId\\}|\\.\\.\\.)/[a-z-]+`.*?) \\|")
	action := regexp.MustCompile("`(?:[^`]*/)?([a-z-]+)`")
	var named []string
	for _, first := range row.FindAllStringSubmatch(table, -1) {
		for _, a := range action.FindAllStringSubmatch(first[1], -1) {
			named = append(named, a[1])
		}
	}
	slices.Sort(named)
	if want := slices.Sorted(maps.Keys(hostActions)); !slices.Equal(slices.Compact(named), want) {
		t.Errorf("README.md names %q, not %q", slices.Compact(named), want)
	}
}
