package sim

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Both lists of the promises name all of them, and no others. README.md here says how
// many kinds of faults there are.
func TestReadmesNameThePromises(t *testing.T) {
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for path, heading := range map[string]string{"../../README.md": "How it is kept true", "../session/README.md": "Promises"} {
		_, promised, _ := strings.Cut(read(path), "\n## "+heading+"\n")
		promised, _, _ = strings.Cut(promised, "\n## ")
		for number, name := range promiseNames {
			begins := fmt.Sprintf("\n%d. **%s", number, name)
			if number > 0 && !strings.Contains(strings.ToLower(promised), strings.ToLower(begins)) {
				t.Errorf("%s does not have: %q", path, begins)
			}
		}
		if further := fmt.Sprintf("\n%d. **", len(promiseNames)); strings.Contains(promised, further) {
			t.Errorf("%s has a promise that nothing here holds the system to: %q", path, further)
		}
	}
	if told := fmt.Sprintf("(more than %d kinds of faults: ", (faults-1)/10*10); !strings.Contains(read("README.md"), told) {
		t.Errorf("README.md does not say: %q", told)
	}
}

func TestEveryFaultHasAName(t *testing.T) {
	for f, name := range faultNames {
		if name == "" {
			t.Errorf("fault %d, behind %q, has none", f, faultNames[f-1])
		}
	}
}

// The simulation knows all attributes that a deletion writes: a cancel removes them,
// except the state, which it restores.
func TestTracesAreTheAttributesOfADeletion(t *testing.T) {
	list := func(path, begin string) []string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(text), begin)
		rest, _, _ = strings.Cut(rest, "\n}\n")
		names := regexp.MustCompile(`Attr\w+`).FindAllString(rest, -1)
		slices.Sort(names)
		return names
	}
	left := list("cancels.go", "\nvar tracesOfDeletion = []string{\n")
	want := slices.DeleteFunc(list("../session/rules_mark.go", "\nvar deletionAttrs = []string{\n"), func(name string) bool { return name == "AttrState" })
	if len(want) < 20 {
		t.Fatalf("deletionAttrs has only %q", want)
	}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Errorf("deletionAttrs (internal/session/rules_mark.go, -) and tracesOfDeletion (cancels.go, +) differ:\n%s", diff)
	}
}
