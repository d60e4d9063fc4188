package main

import (
	"archive/zip"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// functionNames are the functions that are deployed.
var functionNames = []string{"delete-sessions", "cancel-deletions", "describe-sessions", "session-stream", "host-events", "ended-sessions", "cleanup"}

// templateFile is the template; tests, which run in another directory, set it.
var templateFile = "template.yaml"

// A program is a function as it is deployed, for this machine.
type program struct {
	name, path    string
	bytes, zipped int64
}

// buildFunction builds with the flags of the Makefile.
func buildFunction(ctx context.Context, name, source string) (program, error) {
	p := program{name: name, path: filepath.Join("build", "bench", name)}
	cmd := exec.CommandContext(ctx, "go", "build", "-tags=lambda.norpc", "-trimpath", "-ldflags=-s", "-buildvcs=false", "-o", p.path, source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return p, fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	info, err := os.Stat(p.path)
	if err != nil {
		return p, err
	}
	p.bytes = info.Size()
	p.zipped, err = zippedSize(p.path)
	return p, err
}

// zippedSize returns the size of the package for Lambda.
func zippedSize(path string) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var size counter
	archive := zip.NewWriter(&size)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	entry, err := archive.Create("bootstrap")
	if err != nil {
		return 0, err
	}
	if _, err := io.Copy(entry, file); err != nil {
		return 0, err
	}
	err = archive.Close()
	return int64(size), err
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
