package sim

import (
	"runtime"
	"strings"
	"testing"
)

// A seed gives the same run, byte for byte: under any load, on one processor or on two,
// with a transcript or without.
func TestSeedReplays(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for seed := uint64(1); seed <= 40; seed++ {
		runtime.GOMAXPROCS(1)
		first := Run(t, seed, true)
		runtime.GOMAXPROCS(2)
		again := Run(t, seed, true)
		if first.Transcript != again.Transcript {
			a, b := strings.Split(first.Transcript, "\n"), strings.Split(again.Transcript, "\n")
			for i := range a {
				if i == len(b) || a[i] != b[i] {
					t.Fatalf("seed %d: line %d:\n%s\n%s", seed, i, a[i], b[min(i, len(b)-1)])
				}
			}
		}
		if quiet := Run(t, seed, false); quiet.Digest != first.Digest || quiet.Events != first.Events {
			t.Fatalf("seed %d gives another run without its transcript", seed)
		}
	}
}
