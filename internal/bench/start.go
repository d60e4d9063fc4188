package main

import (
	"context"
	"fmt"
	"net"
	"time"
)

// measureStarts starts every function repeatedly, interleaved with a minimal function and
// with a minimal one that makes the SDK's clients.
func measureStarts(ctx context.Context, r *report, rounds int) error {
	hello, err := buildFunction(ctx, "hello-world", "./internal/bench/baseline/hello")
	if err != nil {
		return err
	}
	clients, err := buildFunction(ctx, "the clients alone", "./internal/bench/baseline/clients")
	if err != nil {
		return err
	}
	programs := []program{hello, clients}
	for _, name := range functionNames {
		p, err := buildFunction(ctx, name, "./functions/"+name)
		if err != nil {
			return err
		}
		programs = append(programs, p)
	}
	// The services are a listener that nobody serves: a connection is made, by
	// the kernel, and what answers it takes no part of this machine's processors.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer silent.Close()
	env := environment("http://" + silent.Addr().String())
	took, used := make([][]time.Duration, len(programs)), make([][]time.Duration, len(programs))
	for range rounds {
		for i, p := range programs {
			d, cpu, err := firstNext(ctx, p.path, env)
			if err != nil {
				return err
			}
			took[i], used[i] = append(took[i], d), append(used[i], cpu)
		}
	}
	var rows [][]string
	for i, p := range programs {
		ratio := float64(median(took[i])) / float64(median(took[0]))
		rows = append(rows, []string{
			p.name, times(ratio), ms(median(took[i])), ms(quantile(took[i], 0.25)) + " to " + ms(quantile(took[i], 0.75)), ms(quantile(used[i], 0.25)),
			fmt.Sprintf("%.1f MB", float64(p.bytes)/1e6), fmt.Sprintf("%.1f MB", float64(p.zipped)/1e6),
		})
		if i > 0 {
			r.ratio("cold start against hello-world, "+p.name, ratio)
			r.ratio("zip against hello-world, "+p.name, float64(p.zipped)/float64(hello.zipped))
		}
		if i > 1 { // what else the machine does adds less to processor time
			r.ratio("processor time of a cold start against the clients alone, "+p.name, float64(quantile(used[i], 0.25))/float64(quantile(used[1], 0.25)))
		}
	}
	head := []string{"exec to first `next`", "of hello-world", "median", "middle half", "processor time", "binary", "zip"}
	r.say("\n### Cold start, %d rounds\n\n%s", rounds, table(head, rows))
	r.brief["start"] = table(head, rows)
	return nil
}
