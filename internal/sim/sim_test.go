package sim

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	seeds = flag.Int("sim.seeds", seedsFromEnv(), "how many seeds TestSeeds runs")
	from  = flag.Uint64("sim.from", 1, "the first of them")
	only  = flag.String("sim.seed", "", "the only seed to run, with its transcript")
)

// seedsFromEnv: SIM_SEEDS, or as many as take well under a minute.
func seedsFromEnv() int {
	if n, err := strconv.Atoi(os.Getenv("SIM_SEEDS")); err == nil {
		return n
	}
	return 500
}

// enough is how many seeds see everything that there is to see.
const enough = 1000

// TestSeeds runs many seeds, or one. A broken promise is the line that begins
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
	var (
		next, events atomic.Uint64
		all          Coverage
		virtual      time.Duration
		mu           sync.Mutex
		broken       []Outcome
		workers      sync.WaitGroup
	)
	began := time.Now()
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				n := next.Add(1) - 1
				mu.Lock()
				stop := len(broken) > 0
				mu.Unlock()
				if n >= uint64(*seeds) || stop {
					return
				}
				out := Run(t, *from+n, false)
				events.Add(uint64(out.Events))
				mu.Lock()
				all.add(out.Coverage)
				virtual += out.Virtual
				if out.Broken != nil {
					broken = append(broken, out)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	if len(broken) > 0 {
		first := broken[0]
		for _, out := range broken {
			if out.Seed < first.Seed {
				first = out
			}
		}
		again := Run(t, first.Seed, true)
		if again.Digest != first.Digest {
			t.Errorf("seed %d does not replay: a choice is left to chance", first.Seed)
		}
		t.Logf("\n%s", again.Transcript)
		t.Fatal(report(first))
	}
	took := time.Since(began)
	t.Logf("%d seeds, %d events (%.0f a second), %.0f virtual days, %s", *seeds, events.Load(),
		float64(events.Load())/took.Seconds(), virtual.Hours()/24, took.Round(time.Millisecond))
	if missing := all.missing(); len(missing) > 0 && *seeds >= enough {
		t.Errorf("never seen in %d seeds: %q", *seeds, missing)
	}
}

func report(out Outcome) string {
	return fmt.Sprintf("\npromise %d: %s\nseed %d; replay it with: make sim SEED=%[3]d", out.Broken.Promise, out.Broken.Why, out.Seed)
}
