package sim

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"testing"
	"time"
)

var (
	seeds    = flag.Int("sim.seeds", seedsFromEnv(), "how many seeds TestSeeds runs; 0 is until it is interrupted")
	from     = flag.Uint64("sim.from", 1, "the first of them")
	only     = flag.String("sim.seed", "", "the only seed to run, with its transcript")
	progress = flag.Bool("sim.progress", false, "print the progress every ten seconds, and at the end what was seen")
)

// seedsFromEnv returns SIM_SEEDS, or a number that takes well under a minute.
func seedsFromEnv() int {
	if n, err := strconv.Atoi(os.Getenv("SIM_SEEDS")); err == nil {
		return n
	}
	return usualSeeds
}

// enough is a number of seeds in which everything is seen that is counted.
const enough = 3000

// TestSeeds runs many seeds, or one. A broken promise is printed in a line that begins
// with its number.
func TestSeeds(t *testing.T) {
	if *only != "" {
		seed, err := strconv.ParseUint(*only, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		out := Run(t, seed, true)
		fmt.Print(out.Transcript)
		if out.Broken != nil {
			t.Fatal(report(out))
		}
		return
	}
	c := &campaign{began: time.Now()}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	defer signal.Stop(interrupted)
	done := make(chan struct{})
	go c.watch(done, interrupted)
	c.run(t, runtime.GOMAXPROCS(0))
	close(done)

	if first, broken := c.firstBroken(); broken {
		again := Run(t, first.Seed, true)
		if again.Digest != first.Digest {
			t.Errorf("seed %d does not replay: a choice is left to chance", first.Seed)
		}
		t.Logf("\n%s", again.Transcript)
		t.Fatal(report(first))
	}
	if *progress {
		fmt.Print(c.summary())
	}
	t.Log(c.line())
	if missing := c.seen.missing(c.seeds); len(missing) > 0 && c.seeds >= enough {
		t.Errorf("never seen in %d seeds: %q", c.seeds, missing)
	}
}

func report(out Outcome) string {
	return fmt.Sprintf("\npromise %d: %s\nseed %d; replay it with: make sim SEED=%[3]d", out.Broken.Promise, out.Broken.Why, out.Seed)
}
