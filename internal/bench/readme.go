package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// What is written lies between these; what is there is replaced.
const (
	writtenBegin = "<!-- from here on written by KEEP=1 make bench -->\n"
	writtenEnd   = "<!-- until here -->\n"
)

const chartInReadme = "![Wall time of a batch of 1,000 sessions, against what one would write otherwise](internal/bench/chart.svg)\n"

// keep writes the tables where they are shown: the short ones in README.md.
func (r *report) keep() error {
	return errors.Join(
		writeSection("README.md", chartInReadme, r.brief["against"], r.brief["start"], r.brief["first answer"]),
		writeSection("internal/bench/FIGURES.md",
			r.brief["batch 5 + 40 ms"], r.brief["batch 2 + 20 ms"], r.brief["inside"], r.brief["spread"], r.brief["way back"], r.brief["growth"],
			r.brief["cost"], r.brief["idle"]),
	)
}

func writeSection(path string, parts ...string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(text), writtenBegin)
	_, after, ends := strings.Cut(rest, writtenEnd)
	if !begins || !ends {
		return fmt.Errorf("%s has no section for the figures, %q to %q", path, strings.TrimSpace(writtenBegin), strings.TrimSpace(writtenEnd))
	}
	written := "\n" + strings.Join(parts, "\n") + "\n"
	return os.WriteFile(path, []byte(before+writtenBegin+written+writtenEnd+after), 0o644)
}
