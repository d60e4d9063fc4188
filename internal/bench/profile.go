package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"dcv-session-broker/internal/bench/standin"
)

// profiled are the batches that are profiled, and how often each is answered.
var profiled = []struct{ sessions, hosts, repeats int }{{25, 5, 400}, {1000, 100, 40}}

// profileParts are the parts of an answer's processor time: a sample belongs to the first
// whose functions are on its stack. Functions of middleware are not named, except as the rest:
// what they call includes all later ones.
var profileParts = []struct{ what, functions string }{
	{"signing, with SHA-256", `Signer\)?\.SignHTTP|httpSigner|sha256`},
	{"JSON, in the handler and in the SDK", `encoding/json\.`},
	{"endpoint resolution", `resolver\)\.ResolveEndpoint|bindEndpointParams|BindEndpointParams`},
	{"collecting garbage", `runtime\.gcBgMarkWorker|runtime\.gcAssistAlloc|runtime\.bgsweep`},
	{"HTTP and the network", `net/http\.|net\.\(|internal/poll\.`},
	{"the rest of the SDK: middleware, retries", `smithy-go|aws-sdk-go-v2`},
	{"this system", `dcv-session-broker|aws-lambda-go`},
}

// profile writes profiles of one answer, and prints the parts of its processor time.
func profile(ctx context.Context, dir string) error {
	server, err := standin.Start()
	if err != nil {
		return err
	}
	defer server.Close()
	head := []string{"processor time of an answer"}
	total := []string{"all of it"}
	rows := make([][]string, len(profileParts)+1)
	for _, batch := range profiled {
		to := filepath.Join(dir, fmt.Sprint(batch.sessions))
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		a, err := runInside(ctx, server, "this system", standin.Latency{}, batch.sessions, batch.hosts, batch.repeats, to)
		if err != nil {
			return err
		}
		head = append(head, fmt.Sprintf("N = %d", batch.sessions))
		total = append(total, ms(a.CPU))
		file := filepath.Join(to, "this system.cpu.pprof")
		earlier, left := "^$", 100.0
		for i, part := range profileParts {
			share, err := shareOfProfile(ctx, file, part.functions, earlier)
			if err != nil {
				return err
			}
			rows[i] = append(rows[i], fmt.Sprintf("%.0f %%", share))
			earlier, left = earlier+"|"+part.functions, left-share
		}
		rows[len(profileParts)] = append(rows[len(profileParts)], fmt.Sprintf("%.0f %%", left))
		fmt.Printf("go tool pprof -top -cum '%s'\n", file)
		fmt.Printf("go tool pprof -sample_index=alloc_objects -top '%s'\n", filepath.Join(to, "this system.allocs.pprof"))
	}
	for i := range rows {
		what := "the Go scheduler, and others"
		if i < len(profileParts) {
			what = profileParts[i].what
		}
		rows[i] = append([]string{what}, rows[i]...)
	}
	fmt.Print(table(head, append([][]string{total}, rows...)))
	return nil
}

var accounted = regexp.MustCompile(`(?m)^Showing nodes accounting for .*, ([\d.]+)% of`)

// shareOfProfile returns the percentage of the samples with such functions on their stacks, and
// none of the others.
func shareOfProfile(ctx context.Context, file, functions, without string) (float64, error) {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	text, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodefraction=0", "-edgefraction=0", "-nodecount=1000000", "-focus="+functions, "-ignore="+without, file).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("go tool pprof: %w: %s", err, text)
	}
	said := accounted.FindSubmatch(text)
	if said == nil {
		return 0, nil // no sample
	}
	return strconv.ParseFloat(string(said[1]), 64)
}
