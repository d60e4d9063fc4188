// Package table prints rows in aligned columns that fit a terminal.
package table

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Table has a head, which may be left out, and rows with as many cells.
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
	// narrowest is how narrow a column is made, at most.
	narrowest = 6
)

// fit takes from the widest column until all fit.
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

// cut leaves characters out in the middle: IDs differ at their ends.
func cut(cell string, width int) string {
	if utf8.RuneCountInString(cell) <= width {
		return cell
	}
	all := []rune(cell)
	before := width / 2
	return string(all[:before]) + "…" + string(all[len(all)-(width-1-before):])
}

// Plain is a text that hosts and callers may have written, without what would move the cursor, or change the direction of
// text.
func Plain(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) || unicode.In(r, unicode.Zl, unicode.Zp) {
			return '\uFFFD'
		}
		return r
	}, text)
}
