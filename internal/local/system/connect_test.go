package system

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestEventSourceThatIsSwitchedOffInTheTemplateBringsNothing(t *testing.T) {
	text, err := os.ReadFile("../../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	switchedOff := strings.NewReplacer(
		"            BatchSize: 10\n", "            BatchSize: 10\n            Enabled: false\n",
		"            BatchSize: 100\n", "            BatchSize: 100\n            Enabled: false\n",
	).Replace(string(text))
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
	if len(sys.streams) != len(on.streams)-1 || len(sys.stop) != len(on.stop)-2 {
		t.Errorf("%d streams and %d stops; with all on %d and %d", len(sys.streams), len(sys.stop), len(on.streams), len(on.stop))
	}
}
