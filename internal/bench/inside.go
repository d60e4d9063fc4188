package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/bench/baseline"
	"dcv-session-broker/internal/bench/standin"
	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/httpapi/deletesessions"
)

// What can only be seen from inside of a process is measured in one of its own,
// which has a handler and nothing else: this program again, with these
// variables.
const (
	insideOf    = "BENCH_INSIDE_OF"     // the handler
	insideDir   = "BENCH_PROFILES"      // where profiles go, if they are wanted
	insideEvent = "BENCH_EVENT"         // a file with the event
	insideTimes = "BENCH_EVENT_REPEATS" // how often
)

// An inner is what a handler takes for one event.
type inner struct {
	Objects, Bytes uint64
	CPU, Wall      time.Duration
}

func handlerOf(name string) any {
	switch name {
	case "sequential", "concurrent":
		return baseline.New(name == "concurrent").Handle
	}
	awsenv.CollectRarely()
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	db := dynamodb.NewFromConfig(awsenv.DynamoDB.Config())
	systemsManager := ssm.NewFromConfig(awsenv.SystemsManager.Config())
	settings := deletesessions.ReadSettings(&awsenv.Environment{})
	return deletesessions.New(deletesessions.Parts{
		Table: dynamo.New(db, settings.SessionsTable), SystemsManager: systemsManager, Now: time.Now, Log: log,
	}, settings).Handle
}

// inside is that process: it works on the event again and again, and prints its
// inners to stderr.
func inside(name string) error {
	event, err := os.ReadFile(os.Getenv(insideEvent))
	if err != nil {
		return err
	}
	var times int
	if _, err := fmt.Sscan(os.Getenv(insideTimes), &times); err != nil {
		return err
	}
	handler := lambda.NewHandler(handlerOf(name))
	work := func() error {
		ctx := lambdacontext.NewContext(context.Background(), &lambdacontext.LambdaContext{AwsRequestID: awsenv.NewID()})
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		_, err := handler.Invoke(ctx, event)
		return err
	}
	for range 2 { // connections are open, caches full
		if err := work(); err != nil {
			return err
		}
	}
	dir := os.Getenv(insideDir)
	if dir != "" {
		file, err := os.Create(filepath.Join(dir, name+".cpu.pprof"))
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	spent, began := processorTime(), time.Now()
	for range times {
		if err := work(); err != nil {
			return err
		}
	}
	wall := time.Since(began) / time.Duration(times)
	cpu := (processorTime() - spent) / time.Duration(times)
	runtime.ReadMemStats(&after)
	if dir != "" {
		pprof.StopCPUProfile()
		file, err := os.Create(filepath.Join(dir, name+".allocs.pprof"))
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.Lookup("allocs").WriteTo(file, 0); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stderr).Encode(inner{
		Objects: (after.Mallocs - before.Mallocs) / uint64(times),
		Bytes:   (after.TotalAlloc - before.TotalAlloc) / uint64(times),
		CPU:     cpu,
		Wall:    wall,
	})
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// runInside starts it. profiles is where the profiles go, or "".
func runInside(ctx context.Context, server *standin.Server, name string, n, hosts, times int, profiles string) (a inner, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return a, err
	}
	defer os.RemoveAll(dir)
	event := filepath.Join(dir, "event.json")
	if err := os.WriteFile(event, fill(server.Table, n, hosts), 0o600); err != nil {
		return a, err
	}
	server.Begin(standin.Latency{})
	server.Table.KeepAsIs(true)
	defer server.Table.KeepAsIs(false)
	self, err := os.Executable()
	if err != nil {
		return a, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(environment(server.URL), insideOf+"="+name, insideEvent+"="+event, insideTimes+"="+fmt.Sprint(times), insideDir+"="+profiles)
	said, err := cmd.StderrPipe()
	if err != nil {
		return a, err
	}
	if err := cmd.Start(); err != nil {
		return a, err
	}
	decodeErr := json.NewDecoder(said).Decode(&a)
	if err := cmd.Wait(); err != nil {
		return a, fmt.Errorf("inside of %s: %w", name, err)
	}
	return a, decodeErr
}

// measureInside looks at handlers from inside: what they compute and allocate.
func measureInside(ctx context.Context, r *report, server *standin.Server, quick bool) error {
	n := 1000
	repeats := 5
	if quick {
		repeats = 1
	}
	var rows [][]string
	var ours inner
	for _, who := range []string{"this system", "sequential", "concurrent"} {
		a, err := runInside(ctx, server, who, n, 100, repeats, "")
		if err != nil {
			return err
		}
		if who == "this system" {
			ours = a
		} else {
			r.ratio("allocations of "+who+" against this system, N=1000", float64(a.Objects)/float64(ours.Objects))
			r.ratio("CPU inside of "+who+" against this system, N=1000", float64(a.CPU)/float64(ours.CPU))
		}
		rows = append(rows, []string{
			who, times(float64(a.CPU) / float64(ours.CPU)), times(float64(a.Objects) / float64(ours.Objects)), times(float64(a.Bytes) / float64(ours.Bytes)),
			fmt.Sprintf("%d µs", a.CPU.Microseconds()/int64(n)), fmt.Sprint(a.Objects / uint64(n)), fmt.Sprintf("%.1f KB", float64(a.Bytes)/1e3/float64(n)),
		})
	}
	head := []string{"in the handler, N = 1,000", "CPU", "objects", "bytes", "CPU a session", "objects a session", "bytes a session"}
	r.say("\n### Processor time and allocations in the handler\n\n%s", table(head, rows))
	r.brief["inside"] = table(head, rows)
	return nil
}
