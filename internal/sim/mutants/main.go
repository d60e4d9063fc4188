// Mutants proves that the simulation bites: it builds the simulation with one
// deliberate bug after the other (mutants.go) and runs seeds until the bug is
// caught. The source stays as it is: the compiler is shown another file in its
// place (go build's -overlay). It fails if a bug survives, or cannot be built.
//
//	go run ./internal/sim/mutants [-seeds N] [-workers N] [-only TEXT]
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
	"strings"
	"sync"
	"time"
)

func main() {
	var run runner
	flag.StringVar(&run.root, "root", ".", "the project's root")
	flag.IntVar(&run.seeds, "seeds", 3000, "seeds that a bug may survive")
	flag.DurationVar(&run.timeout, "timeout", 5*time.Minute, "time that a bug may survive")
	workers := flag.Int("workers", 2, "bugs tried at once")
	only := flag.String("only", "", "only bugs whose name has this text")
	tests := flag.String("test", "", "packages whose tests are to catch the bugs, with commas, in place of the simulation")
	flag.Parse()
	if *tests != "" {
		run.tests = strings.Split(*tests, ",")
	}
	if err := run.main(*workers, *only); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (r *runner) main(workers int, only string) error {
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

	var chosen []mutant
	for _, m := range mutants {
		if strings.Contains(m.name, only) {
			chosen = append(chosen, m)
		}
	}
	if len(r.tests) == 0 { // or a promise broken without a bug would be taken for one that is caught
		if v := r.simulate(ctx, "", r.dir); v.err == nil {
			return fmt.Errorf("without any bug, seed %s breaks promise %s", v.seeds, v.caught)
		} else if !errors.Is(v.err, errSurvives) {
			return v.err
		}
	}
	verdicts := r.all(ctx, chosen, workers)
	failed := 0
	fmt.Printf("%-55s %7s %7s %6s %6s\n", "bug", "breaks", "caught", "seeds", "s")
	for i, v := range verdicts {
		caught := v.caught
		if v.err != nil {
			failed++
			caught = "FAILED"
		}
		fmt.Printf("%-55s %7d %7s %6s %6.1f\n", chosen[i].name, chosen[i].promise, caught, v.seeds, v.took.Seconds())
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

// all tries each bug, some at once; verdicts are in the order of the bugs.
func (r *runner) all(ctx context.Context, chosen []mutant, workers int) []verdict {
	verdicts := make([]verdict, len(chosen))
	next := make(chan int)
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for i := range next {
				began := time.Now()
				verdicts[i] = r.try(ctx, chosen[i], filepath.Join(r.dir, fmt.Sprint(i)))
				verdicts[i].took = time.Since(began)
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
