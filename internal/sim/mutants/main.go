// Mutants proves that the simulation finds bugs: it builds the simulation with one
// deliberate bug after the other (mutants.go) and runs seeds until the bug is caught. The
// source stays as it is: the compiler reads another file in its place (go build's
// -overlay). It fails if a bug survives, or cannot be built.
//
//	go run ./internal/sim/mutants [-seeds N] [-workers N] [-only PATTERN] [-keep]
//
// With -keep it writes what caught them into CAUGHT.md.
//
// With -test it takes other packages' tests instead of the simulation:
//
//	go run ./internal/sim/mutants -test internal/session,internal/runcommand
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	var run runner
	flag.StringVar(&run.root, "root", ".", "the project's root")
	flag.IntVar(&run.seeds, "seeds", 3000, "seeds that a bug may survive")
	flag.DurationVar(&run.timeout, "timeout", 30*time.Minute, "time that a bug may survive")
	workers := flag.Int("workers", 2, "bugs tried at the same time")
	only := flag.String("only", "", "only bugs whose name this regular expression matches")
	keep := flag.Bool("keep", false, "write what caught the bugs into "+caughtFile)
	tests := flag.String("test", "", "packages whose tests are to catch the bugs, with commas, in place of the simulation")
	flag.Parse()
	if *tests != "" {
		run.tests = strings.Split(*tests, ",")
	}
	if err := run.main(*workers, *only, *keep && *tests == ""); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const row = "%-60s %6s %6s %5s %s\n"

func (r *runner) main(workers int, only string, keep bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	root, err := filepath.Abs(r.root)
	if err != nil {
		return err
	}
	r.root = root
	if r.dir, err = os.MkdirTemp("", "mutants-"); err != nil {
		return err
	}
	defer os.RemoveAll(r.dir)

	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	var chosen []mutant
	for _, m := range mutants {
		if pattern.MatchString(m.name) {
			chosen = append(chosen, m)
		}
	}
	if len(r.tests) == 0 && slices.ContainsFunc(chosen, func(m mutant) bool { return m.tests == "" }) {
		if err := r.withoutBug(ctx); err != nil {
			return err
		}
	}
	verdicts := r.all(ctx, chosen, workers)
	failed := 0
	fmt.Printf(row, "bug", "breaks", "seeds", "s", "caught by")
	for i, v := range verdicts {
		caught := v.caught
		if v.err != nil {
			failed++
			caught = "FAILED"
		}
		fmt.Printf(row, chosen[i].name, strconv.Itoa(chosen[i].promise), v.seeds, fmt.Sprintf("%.0f", v.took.Seconds()), caught)
	}
	if keep {
		if err := r.keep(chosen, verdicts); err != nil {
			return err
		}
	}
	for i, v := range verdicts {
		if v.err != nil {
			fmt.Printf("\n%s (%s): %v\n", chosen[i].name, chosen[i].file, v.err)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d bugs not caught", failed, len(chosen))
	}
	fmt.Printf("\nall %d bugs are caught\n", len(chosen))
	return nil
}

// withoutBug returns an error if a promise is broken without a bug: that would count as a
// bug that is caught. make sim runs more seeds than these.
func (r *runner) withoutBug(ctx context.Context) error {
	const usual = 3000
	some := *r
	some.seeds = min(r.seeds, usual)
	v := some.simulate(ctx, "", r.dir)
	switch {
	case v.err == nil:
		return fmt.Errorf("without any bug, seed %s breaks promise %s", v.seeds, v.caught)
	case errors.Is(v.err, errSurvives):
		return nil
	}
	return v.err
}

// all tries each bug, some at the same time; verdicts are in the order of the bugs.
func (r *runner) all(ctx context.Context, chosen []mutant, workers int) []verdict {
	verdicts := make([]verdict, len(chosen))
	next := make(chan int)
	var done atomic.Int64
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for i := range next {
				began := time.Now()
				verdicts[i] = r.try(ctx, chosen[i], filepath.Join(r.dir, fmt.Sprint(i)))
				verdicts[i].took = time.Since(began)
				fmt.Fprintf(os.Stderr, "%d of %d, %s: %s\n", done.Add(1), len(chosen), chosen[i].name, verdicts[i])
			}
		})
	}
	for i := range chosen {
		next <- i
	}
	close(next)
	working.Wait()
	return verdicts
}
