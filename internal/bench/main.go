// Command bench measures the system and the usual alternatives in one run on one machine,
// and compares the ratios with those of the last run that was kept (last.json). `make
// bench` runs it, in the project's directory.
//
//	QUICK=1   a minute or two: small batches, few rounds. To see that it works.
//	KEEP=1    keeps the figures: last.json, chart.svg, and the tables of README.md and FIGURES.md
//
// With the argument "profile" it writes profiles of batches of 25 and 1,000 instead;
// with "start", "inside", "unreachable", "growth", "flood" or "hosts" it measures
// that alone. With "cost" it works out what a stack costs in a month. KEEP=1 writes that to
// DEPLOYING.md, and hosts to FIGURES.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"time"

	"dcv-session-broker/internal/bench/standin"
)

func main() {
	if name := os.Getenv(insideOf); name != "" {
		exit(inside(name))
	}
	debug.SetGCPercent(400) // the stand-in runs on the same machine as the contenders
	if len(os.Args) > 1 && os.Args[1] == "profile" {
		exit(profile(context.Background(), filepath.Join("build", "profiles")))
	}
	if len(os.Args) > 1 && os.Args[1] == "cost" {
		exit(reportStackCosts(os.Getenv("KEEP") != ""))
	}
	if len(os.Args) > 1 {
		exit(part(context.Background(), os.Args[1]))
	}
	exit(bench(context.Background(), os.Getenv("QUICK") != "", os.Getenv("KEEP") != ""))
}

// part measures one thing, and prints it.
func part(ctx context.Context, name string) (err error) {
	r := &report{brief: map[string]string{}}
	switch name {
	case "start":
		contenders, buildErr := buildContenders(ctx)
		if buildErr != nil {
			return buildErr
		}
		err = errors.Join(measureStarts(ctx, r, startRounds), measureFirstAnswers(ctx, r, contenders, firstAnswerRounds))
	case "unreachable":
		err = partUnreachable(ctx, r)
	case "inside":
		server, startErr := standin.Start()
		if startErr != nil {
			return startErr
		}
		defer server.Close()
		err = measureInside(ctx, r, server, os.Getenv("QUICK") != "")
	case "growth":
		err = measureGrowth(ctx, r, os.Getenv("QUICK") != "")
	case "flood":
		err = measureFlood(ctx, r)
	case "hosts":
		err = measureHosts(ctx, r, os.Getenv("QUICK") != "", os.Getenv("KEEP") != "")
	default:
		err = fmt.Errorf("%q cannot be measured by itself", name)
	}
	fmt.Println(r.text.String())
	return err
}

// startRounds is how often each function is started.
const startRounds = 60

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

func bench(ctx context.Context, quick, keep bool) error {
	if quick && keep {
		return fmt.Errorf("QUICK=1 measures too little to be kept")
	}
	last, err := readLast(lastFile)
	if err != nil {
		return err
	}
	server, err := standin.Start()
	if err != nil {
		return err
	}
	defer server.Close()
	r := &report{brief: map[string]string{}}
	starts, firstAnswers := startRounds, firstAnswerRounds
	if quick { // Python takes a second for each
		starts, firstAnswers = 3, 3
	}

	progress("cold starts")
	if err := measureStarts(ctx, r, starts); err != nil {
		return err
	}
	contenders, err := buildContenders(ctx)
	if err != nil {
		return err
	}
	progress("first answers")
	if err := measureFirstAnswers(ctx, r, contenders, firstAnswers); err != nil {
		return err
	}
	defer func() {
		for _, c := range contenders {
			if c.running != nil {
				c.running.Stop()
			}
		}
	}()
	for _, c := range contenders {
		if err := c.start(ctx, server); err != nil {
			return err
		}
	}
	progress("batches")
	if err := measureBatches(ctx, r, server, contenders, quick); err != nil {
		return err
	}
	progress("one unreachable host")
	if err := measureUnreachable(ctx, r, server, contenders); err != nil {
		return err
	}
	progress("inside of the handlers")
	if err := measureInside(ctx, r, server, quick); err != nil {
		return err
	}
	progress("the way back")
	if err := measureWayBack(r, quick); err != nil {
		return err
	}
	progress("growth")
	if err := measureGrowth(ctx, r, quick); err != nil {
		return err
	}
	progress("write units")
	if err := measureUnits(ctx, r); err != nil {
		return err
	}
	progress("logs")
	if err := measureLogs(ctx, r); err != nil {
		return err
	}
	if err := reportCosts(r); err != nil {
		return err
	}

	fmt.Println(r.text.String())
	if err := os.WriteFile(filepath.Join("build", "bench", "report.md"), []byte(r.text.String()), 0o644); err != nil {
		return err
	}
	fmt.Printf("### Against the last figures (%s): ratios that moved by more than %.0f %%, and counts that changed\n\n", lastFile, 100*noise)
	changes := moved(last, r.figures, quick)
	for _, line := range changes {
		fmt.Println(line)
	}
	if len(changes) == 0 {
		fmt.Println("nothing")
	}
	fmt.Println()
	over := r.over()
	for _, line := range over {
		fmt.Println(line)
	}
	if !keep {
		if err := r.chart.write(filepath.Join("build", "bench", "chart.svg")); err != nil {
			return err
		}
		if quick { // too little to hold times against limits
			return countsChanged(changes)
		}
		return errors.Join(countsChanged(changes), beyond(over))
	}
	if err := writeLast(lastFile, r.figures); err != nil {
		return err
	}
	if err := r.chart.write("internal/bench/chart.svg"); err != nil {
		return err
	}
	return r.keep()
}

// buildContenders builds the programs that delete batches; this system first.
func buildContenders(ctx context.Context) ([]*contender, error) {
	ours, err := buildFunction(ctx, "delete-sessions", "./functions/delete-sessions")
	if err != nil {
		return nil, err
	}
	concurrent, err := buildFunction(ctx, "concurrent", "./internal/bench/baseline/concurrent")
	if err != nil {
		return nil, err
	}
	sequential, err := buildFunction(ctx, "sequential", "./internal/bench/baseline/sequential")
	if err != nil {
		return nil, err
	}
	contenders := []*contender{
		{name: "this system", path: ours.path, ours: true},
		{name: "Go, goroutines", path: concurrent.path},
		{name: "Go, sequential", path: sequential.path, slow: true},
	}
	python := "internal/bench/baseline/python/delete_sessions.py"
	if err := exec.CommandContext(ctx, "python3", "-c", "import boto3").Run(); err != nil {
		progress("Python with boto3 is left out: python3 has no boto3 (make bench brings one)")
	} else {
		contenders = append(contenders, &contender{name: "Python, boto3", path: python, slow: true})
	}
	return contenders, nil
}
