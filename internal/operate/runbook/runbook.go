// Package runbook finds in the runbook what to do about the reason in a record or an answer. The runbook is
// internal/operate/RUNBOOK.md, which the program dcvbroker embeds.
package runbook

import (
	"cmp"
	"errors"
	"regexp"
	"slices"
	"strings"
)

// A Runbook holds the rows of its tables whose first column has phrases in italics.
type Runbook struct {
	rows     []row
	noReason string // the advice for an open deletion without a reason
}

type row struct {
	phrases []phrase
	advice  string
}

type phrase struct {
	text string
	*regexp.Regexp
}

// The first cell of the row about no reason at all.
const noReason = "no reason at all"

// Parse reads the runbook.
//
// A phrase in italics is a text that the code writes; "…" in it matches anything. A phrase may be anywhere in a reason.
// One of a single word must be the whole reason, and one whose first word has a colon must be its beginning.
func Parse(text string) (*Runbook, error) {
	r := &Runbook{}
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 2 {
			continue
		}
		first, advice := strings.TrimSpace(cells[0]), plain(strings.TrimSpace(cells[1]))
		if first == noReason {
			r.noReason = advice
			continue
		}
		var phrases []phrase
		for _, match := range italics.FindAllStringSubmatch(first, -1) {
			phrases = append(phrases, phrase{match[1], expression(match[1])})
		}
		if len(phrases) > 0 {
			r.rows = append(r.rows, row{phrases, advice})
		}
	}
	if len(r.rows) == 0 || r.noReason == "" {
		return nil, errors.New("the runbook has no rows of reasons, or no row for a deletion without a reason")
	}
	return r, nil
}

// Advice returns what to do about a StateReason, a Warning or the reason of an answer, in plain text. If the reason has
// several parts, such as an outcome and its cause, the advice has a line for each part, in their order. A part that encloses
// another part, as in "The host did not answer (it is offline).", has no line. An empty reason is that of an open deletion
// without one. Commands that the advice names are about the host. ok is false if the runbook does not have the reason.
func (r *Runbook) Advice(reason, hostID string) (text string, ok bool) {
	if strings.TrimSpace(reason) == "" {
		return r.noReason, true
	}
	reason = earlier.Replace(reason)
	type found struct {
		at, end int
		advice  string
	}
	var all []found
	for _, row := range r.rows {
		at, end := -1, 0
		for _, phrase := range row.phrases {
			if place := phrase.FindStringIndex(reason); place != nil && (at < 0 || place[0] < at) {
				at, end = place[0], place[1]
			}
		}
		if at >= 0 {
			all = append(all, found{at, end, row.advice})
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return a.at - b.at })
	var lines []string
	for _, f := range all {
		if !slices.ContainsFunc(all, func(other found) bool { return f.at < other.at && other.end <= f.end }) {
			lines = append(lines, strings.ReplaceAll(f.advice, "doctor HOST", "doctor "+cmp.Or(hostID, "HOST")))
		}
	}
	return strings.Join(lines, "\n"), len(lines) > 0
}

var (
	italics = regexp.MustCompile(`\*([^*]+)\*`)
	link    = regexp.MustCompile(`\[([^\]]+)\]\([^)]*\)`)
)

// Phrases returns the texts that have rows, with "…" for what differs.
func (r *Runbook) Phrases() (all []string) {
	for _, row := range r.rows {
		for _, phrase := range row.phrases {
			all = append(all, phrase.text)
		}
	}
	return all
}

// expression converts a phrase to a regular expression.
func expression(phrase string) *regexp.Regexp {
	var parts []string
	for part := range strings.SplitSeq(strings.TrimPrefix(phrase, "…"), "…") {
		parts = append(parts, regexp.QuoteMeta(part))
	}
	pattern := strings.Join(parts, ".+?")
	switch first, _, more := strings.Cut(phrase, " "); {
	case !more:
		pattern = "^" + pattern + "$"
	case strings.HasSuffix(first, ":"):
		pattern = "^" + pattern
	}
	return regexp.MustCompile(pattern)
}

// plain removes the marks of Markdown.
func plain(text string) string {
	return strings.NewReplacer("`", "", "*", "").Replace(link.ReplaceAllString(text, "$1"))
}
