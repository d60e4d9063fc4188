package system

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

func TestEventSourceThatIsSwitchedOffInTheTemplateBringsNothing(t *testing.T) {
	text, err := os.ReadFile("../../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	source := regexp.MustCompile(`\n {12}BatchSize: \d+\n`)
	switchedOff := source.ReplaceAllString(string(text), "$0            Enabled: false\n")
	path := filepath.Join(t.TempDir(), "template.yaml")
	if err := os.WriteFile(path, []byte(switchedOff), 0o600); err != nil {
		t.Fatal(err)
	}
	sys, err := New(t.Context(), Options{
		Template: path, Dir: t.TempDir(),
		Every: map[string]time.Duration{"deletions": -1, "inventory": -1, "idle": -1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	// Each running part has its own stop.
	on := newControlled(t).system
	if len(sys.streams) != len(on.streams)-1 || len(sys.stop) != len(on.stop)-3 { // a stream and two queues
		t.Errorf("%d streams and %d stops; with all on %d and %d", len(sys.streams), len(sys.stop), len(on.streams), len(on.stop))
	}
}
