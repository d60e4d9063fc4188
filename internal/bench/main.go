package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"dcv-session-broker/internal/bench/standin"
)

func main() {
	ctx := context.Background()
	if name := os.Getenv(insideOf); name != "" {
		if err := inside(name); err != nil {
			panic(err)
		}
		return
	}
	s, err := standin.Start()
	if err != nil {
		panic(err)
	}
	if os.Args[1] == "profile" {
		fmt.Println(runInside(ctx, s, "ours", 1000, 100, 30, os.Args[2]))
		fmt.Println(runInside(ctx, s, "concurrent", 1000, 100, 3, ""))
		return
	}
	for _, c := range []*contender{{name: "ours", path: os.Args[1]}, {name: "concurrent", path: "build/bench/concurrent"}} {
		if err := c.start(ctx, s); err != nil {
			panic(err)
		}
		for range 3 {
			c.delete(ctx, s, 1000, 100)
		}
		for _, l := range []standin.Latency{{Table: 5 * time.Millisecond, SystemsManager: 40 * time.Millisecond}, {}} {
			var all []time.Duration
			before, _ := c.cpu()
			for range 15 {
				s.Begin(l)
				d, err := c.delete(ctx, s, 1000, 100)
				if err != nil {
					panic(err)
				}
				all = append(all, d)
			}
			after, _ := c.cpu()
			slices.Sort(all)
			fmt.Println(c.name, l, "min", all[0], "med", all[7], "cpu per session", (after-before)/15000, s.Calls(), s.Spread())
		}
	}
}
