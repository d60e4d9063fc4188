package sim

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// README.md says how many kinds of faults there are, and names every promise.
func TestReadmeNamesThePromises(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, promised, _ := strings.Cut(string(text), "\n## How the promises are kept\n")
	promised, _, _ = strings.Cut(promised, "\n## ")
	if told := fmt.Sprintf("(more than %d kinds of faults: ", (faults-1)/10*10); !strings.Contains(promised, told) {
		t.Errorf("README.md does not say: %q", told)
	}
	for number, name := range promiseNames {
		begins := fmt.Sprintf("\n%d. **%s", number, name)
		if number > 0 && !strings.Contains(strings.ToLower(promised), strings.ToLower(begins)) {
			t.Errorf("README.md does not have: %q", begins)
		}
	}
	if further := fmt.Sprintf("\n%d. **", len(promiseNames)); strings.Contains(promised, further) {
		t.Errorf("README.md has a promise that nothing here holds the system to: %q", further)
	}
}
