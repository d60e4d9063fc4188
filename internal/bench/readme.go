package main

import (
	"fmt"
	"os"
	"strings"
)

// README.md's section lies between these; what is there is replaced.
const (
	readmeBegin = "<!-- from here on written by KEEP=1 make bench -->\n"
	readmeEnd   = "<!-- until here -->\n"
)

func writeReadme(path string, r *report) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begins := strings.Cut(string(text), readmeBegin)
	_, after, ends := strings.Cut(rest, readmeEnd)
	if !begins || !ends {
		return fmt.Errorf("%s has no section for the figures, %q to %q", path, strings.TrimSpace(readmeBegin), strings.TrimSpace(readmeEnd))
	}
	var b strings.Builder
	b.WriteString("\n![Wall time of a batch of 1,000 sessions, against what one would write otherwise](internal/bench/chart.svg)\n\n")
	for _, name := range []string{"against", "batch 5 + 40 ms", "start", "way back", "growth", "cost", "idle"} {
		b.WriteString(r.brief[name] + "\n")
	}
	return os.WriteFile(path, []byte(before+readmeBegin+b.String()+readmeEnd+after), 0o644)
}
