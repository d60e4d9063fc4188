package main

import (
	"fmt"
	"math"
	"os"
	"strings"
	"time"
)

// A chart shows the contenders' wall times as bars. Its scale is logarithmic: on a linear
// one the fastest bar would not be visible.
type chart struct {
	title string
	bars  []bar
}

type bar struct {
	name  string
	wall  time.Duration
	ratio float64
}

func (c *chart) add(name string, wall time.Duration, ratio float64) {
	c.bars = append(c.bars, bar{name, wall, ratio})
}

// svg returns the chart, which can be read on a light and on a dark page.
func (c *chart) svg() string {
	const width, left, right, height, gap = 760, 190, 150, 26, 12
	top := 44
	full := top + len(c.bars)*(height+gap) + 8
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" font-family="sans-serif" font-size="14">`+"\n", width, full, width, full)
	fmt.Fprintf(&b, `<title>%s</title>`+"\n", c.title)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, full)
	fmt.Fprintf(&b, `<text x="12" y="24" fill="#222222" font-weight="bold">%s</text>`+"\n", c.title)
	least, most := math.Inf(1), 0.0
	for _, bar := range c.bars {
		least, most = min(least, bar.wall.Seconds()), max(most, bar.wall.Seconds())
	}
	for i, bar := range c.bars {
		y := top + i*(height+gap)
		// The shortest bar is a decade long.
		share := (math.Log10(bar.wall.Seconds()/least) + 1) / (math.Log10(most/least) + 1)
		long := share * (width - left - right)
		colour := "#9aa5b1"
		if i == 0 {
			colour = "#1f7a4d"
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" fill="#222222">%s</text>`+"\n", left-10, y+height*2/3, bar.name)
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.0f" height="%d" fill="%s"/>`+"\n", left, y, long, height, colour)
		fmt.Fprintf(&b, `<text x="%.0f" y="%d" fill="#222222">%s (%s)</text>`+"\n", left+long+8, y+height*2/3, ms(bar.wall), times(bar.ratio))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (c *chart) write(path string) error { return os.WriteFile(path, []byte(c.svg()), 0o644) }
