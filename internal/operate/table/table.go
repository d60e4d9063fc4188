// Package table prints rows in aligned columns that fit a terminal.
package table

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Time formats a time in the local time zone, which it names.
const Time = "2006-01-02 15:04:05 MST"

// A Table has rows of equal length, and a head or none.
type Table struct {
	Head []string
	Rows [][]string
}

// Print writes the table. If width is not 0, no line is longer: the widest columns are cut, with an ellipsis in the middle.
func (t Table) Print(w io.Writer, width int) {
	var rows [][]string
	all := t.Rows
	if t.Head != nil {
		all = append([][]string{t.Head}, t.Rows...)
	}
	for _, row := range all {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = Plain(cell)
		}
		rows = append(rows, cells)
	}
	var widths []int
	for _, row := range rows {
		for len(widths) < len(row) {
			widths = append(widths, 0)
		}
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	fit(widths, width)
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			if i > 0 {
				line.WriteString(gap)
			}
			fmt.Fprintf(&line, "%-*s", widths[i], cut(cell, widths[i]))
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

const (
	gap = "  "
	// narrowest is the least width of a column that is cut.
	narrowest = 6
)

// fit narrows the widest column until all columns fit.
func fit(widths []int, width int) {
	if width == 0 {
		return
	}
	total := len(gap) * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for ; total > width; total-- {
		widest := 0
		for i := range widths {
			if widths[i] > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= narrowest {
			return
		}
		widths[widest]--
	}
}

// cut leaves out characters in the middle: IDs differ at their ends.
func cut(cell string, width int) string {
	if utf8.RuneCountInString(cell) <= width {
		return cell
	}
	all := []rune(cell)
	before := width / 2
	return string(all[:before]) + "…" + string(all[len(all)-(width-1-before):])
}

// Plain removes characters that move the cursor or change the direction of text. Hosts and callers may have written the
// text.
func Plain(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) || unicode.In(r, unicode.Zl, unicode.Zp) {
			return '\uFFFD'
		}
		return r
	}, text)
}
