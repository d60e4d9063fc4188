package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// The written text is between these lines and replaces what is there. The first names the
// command that writes it.
const (
	writtenBegin = "<!-- from here on written by KEEP=1 %s -->\n"
	writtenEnd   = "<!-- until here -->\n"
)

const chartInReadme = "![Wall time of a batch of 1,000 sessions, against what one would write otherwise](internal/bench/chart.svg)\n"

// keep writes the tables where they are shown: the shortest in README.md.
func (r *report) keep() error {
	return errors.Join(
		writeSection("README.md", "make bench", chartInReadme, r.brief["against"]),
		writeSection("internal/bench/FIGURES.md", "make bench", r.brief["start"], r.brief["first answer"],
			r.brief["batch 5 + 40 ms"], r.brief["batch 2 + 20 ms"], r.brief["inside"], r.brief["floor"], r.brief["spread"], r.brief["unreachable"], r.brief["way back"],
			r.brief["growth"],
			r.brief["cost"], r.brief["logs"]),
	)
}

func writeSection(path, command string, parts ...string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, _, after, err := section(path, string(text), command)
	if err != nil {
		return err
	}
	written := "\n" + strings.Join(parts, "\n") + "\n"
	return os.WriteFile(path, []byte(before+written+after), 0o644)
}

// section splits a file's text at the section that the command writes.
func section(path, text, command string) (before, written, after string, err error) {
	begin := fmt.Sprintf(writtenBegin, command)
	before, rest, begins := strings.Cut(text, begin)
	written, after, ends := strings.Cut(rest, writtenEnd)
	if !begins || !ends {
		return "", "", "", fmt.Errorf("%s has no section %q to %q", path, strings.TrimSpace(begin), strings.TrimSpace(writtenEnd))
	}
	return before + begin, written, writtenEnd + after, nil
}
