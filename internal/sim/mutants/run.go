package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// apply returns the source with the bug in it.
func (m mutant) apply(source string) (string, error) {
	if n := strings.Count(source, m.old); n == 0 || n > 1 && m.file != theTemplate {
		return "", fmt.Errorf("stale: its text occurs %[2]d times in %[1]s, not once", m.file, n)
	}
	return strings.ReplaceAll(source, m.old, m.new), nil
}

// A runner tries bugs.
type runner struct {
	root    string // the project's, absolute
	where   string // a root whose files tests read; "": the project's
	dir     string // for what is built
	seeds   int
	timeout time.Duration
	tests   []string // packages; none is the simulation
}

// A verdict says whether and how one bug was caught.
type verdict struct {
	caught string // the promise, or whose tests
	seeds  string // how many it took; "-" with tests
	took   time.Duration
	err    error // why it was not caught
}

func (v verdict) String() string {
	if v.err != nil {
		return "not caught"
	}
	return "caught by " + v.caught
}

const simulation = "internal/sim"

func (r *runner) try(ctx context.Context, m mutant, dir string) verdict {
	overlay, err := r.overlay(m, dir)
	if err != nil {
		return verdict{err: err}
	}
	if m.file == theTemplate {
		some := *r
		if some.where, err = r.treeWith(m, dir); err != nil {
			return verdict{err: err}
		}
		r = &some
	}
	packages := r.tests
	if len(packages) == 0 && m.tests != "" {
		packages = []string{m.tests}
	}
	if len(packages) == 0 {
		return r.simulate(ctx, overlay, dir)
	}
	for _, tests := range packages {
		output, err := r.test(ctx, overlay, dir, tests)
		switch {
		case errors.Is(err, errNotBuilt), ctx.Err() != nil:
			return verdict{err: errors.Join(err, ctx.Err())}
		case err != nil:
			return verdict{caught: "tests of " + tests, seeds: "-", err: unnamed(output)}
		}
	}
	return verdict{err: fmt.Errorf("%w the tests of %s", errSurvives, strings.Join(packages, ", "))}
}

// unnamed returns an error if a test binary failed without a failed test: it did not run
// at all.
func unnamed(output string) error {
	if !failedTest.MatchString(output) {
		return errors.New("failed, but no test failed:\n" + last(output, 2000))
	}
	return nil
}

var failedTest = regexp.MustCompile(`(?m)^(--- FAIL|panic:|fatal error:)`)

// overlay writes the file with the bug, and the overlay file that makes the compiler read it.
func (r *runner) overlay(m mutant, dir string) (string, error) {
	file := filepath.Join(r.root, m.file)
	source, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	mutated, err := m.apply(string(source))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	changed := filepath.Join(dir, filepath.Base(m.file))
	if err := os.WriteFile(changed, []byte(mutated), 0o644); err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{file: changed}})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o644)
}

// treeWith makes a root in which a package's tests read the template with the bug: the
// compiler never reads the template. Everything else in it links to the project.
func (r *runner) treeWith(m mutant, dir string) (string, error) {
	root := filepath.Join(dir, "tree")
	at := ""
	for _, name := range append(strings.Split(m.tests, "/"), "") {
		if err := os.MkdirAll(filepath.Join(root, at), 0o755); err != nil {
			return "", err
		}
		entries, err := os.ReadDir(filepath.Join(r.root, at))
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			from, to := filepath.Join(r.root, at, e.Name()), filepath.Join(root, at, e.Name())
			switch {
			case e.Name() == name: // a directory of its own, next
				continue
			case at == "" && e.Name() == m.file:
				from = filepath.Join(dir, m.file)
			}
			if err := os.Symlink(from, to); err != nil {
				return "", err
			}
		}
		at = filepath.Join(at, name)
	}
	return root, nil
}

var (
	errSurvives = errors.New("survives")
	errNotBuilt = errors.New("does not compile")
	errTimeUp   = errors.New("not finished in time")
)

// test builds and runs the tests of a package with the bug. An error without
// errNotBuilt means that they failed.
func (r *runner) test(ctx context.Context, overlay, dir, tests string, args ...string) (output string, err error) {
	binary := filepath.Join(dir, "tests")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay="+overlay, "-o", binary, "./"+tests)
	build.Dir = r.root
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %w\n%s", errNotBuilt, err, text)
	}
	defer os.Remove(binary)
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	run := exec.CommandContext(ctx, binary, append(args, "-test.failfast")...)
	run.Dir = filepath.Join(cmp.Or(r.where, r.root), tests)
	run.WaitDelay = 10 * time.Second
	text, err := run.CombinedOutput()
	if ctx.Err() != nil {
		return string(text), fmt.Errorf("%w: %w", errTimeUp, ctx.Err())
	}
	return string(text), err
}

// The lines that the simulation prints about a broken promise.
var (
	brokenPromise = regexp.MustCompile(`(?m)^\s*(?:\S+\.go:\d+: )?promise (\d+):`)
	brokenSeed    = regexp.MustCompile(`(?i)\bseed[ =:]*(\d+)`)
)

func (r *runner) simulate(ctx context.Context, overlay, dir string) verdict {
	output, err := r.test(ctx, overlay, dir, simulation, "-test.run=^TestSeeds$", "-sim.seeds="+strconv.Itoa(r.seeds))
	if err == nil {
		return verdict{err: fmt.Errorf("%w %d seeds", errSurvives, r.seeds)}
	}
	if errors.Is(err, errNotBuilt) || errors.Is(err, errTimeUp) {
		return verdict{err: err}
	}
	promise := brokenPromise.FindStringSubmatch(output)
	if promise == nil {
		return verdict{err: fmt.Errorf("failed, but the output names no broken promise: %w\n%s", err, last(output, 2000))}
	}
	v := verdict{caught: promise[1], seeds: "?"}
	if seed := brokenSeed.FindStringSubmatch(output); seed != nil {
		v.seeds = seed[1]
	}
	return v
}

func last(text string, n int) string { return text[max(0, len(text)-n):] }
