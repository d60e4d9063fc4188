package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A figure is compared with the last run: a ratio of two times from the same run, or a
// count, which does not depend on the machine.
type figure struct {
	name    string
	value   float64
	counted bool
}

// A report collects the results of the measurements.
type report struct {
	figures []figure
	text    strings.Builder // the tables, in Markdown
	chart   chart
	cost    costs
	// brief has the tables of README.md and FIGURES.md.
	brief map[string]string
}

func (r *report) ratio(name string, value float64) {
	r.figures = append(r.figures, figure{name: name, value: value})
}

func (r *report) count(name string, value float64) {
	r.figures = append(r.figures, figure{name: name, value: value, counted: true})
}

func (r *report) say(format string, args ...any) { fmt.Fprintf(&r.text, format+"\n", args...) }

// table is a table in Markdown.
func table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = "---"
	}
	line(rule)
	for _, row := range rows {
		line(row)
	}
	return b.String()
}

func median[T cmp.Ordered](all []T) T { return quantile(all, 0.5) }

func quantile[T cmp.Ordered](all []T, q float64) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

func times(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f×", x)
	case x >= 10:
		return fmt.Sprintf("%.1f×", x)
	}
	return fmt.Sprintf("%.2f×", x)
}

func ms(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.0f ms", float64(d.Microseconds())/1000)
	case d >= time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%d µs", d.Microseconds())
}
