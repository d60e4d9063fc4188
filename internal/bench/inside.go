package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/events"
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

// Figures that only the process itself can measure come from a separate process with a
// handler and nothing else: this program again, with these variables.
const (
	insideOf    = "BENCH_INSIDE_OF"     // the handler
	insideDir   = "BENCH_PROFILES"      // where profiles go, if they are wanted
	insideEvent = "BENCH_EVENT"         // a file with the event
	insideTimes = "BENCH_EVENT_REPEATS" // how often
)

// An inner is what a handler takes for one event: Wall is the median.
type inner struct {
	Objects, Bytes uint64
	CPU, Wall      time.Duration
}

// callsAlone are the calls that this system makes for a batch, made by the SDK and
// nothing else: the writes in parallel, then the commands. No program that makes these
// calls with this SDK can be faster.
const callsAlone = "its calls alone"

func handlerOf(name string) any {
	switch name {
	case "sequential", "concurrent":
		return baseline.New(name == "concurrent").Handle
	}
	awsenv.CollectRarely()
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	calls := &recordedCalls{
		Client: ssm.NewFromConfig(awsenv.SystemsManager.Config()), db: dynamodb.NewFromConfig(awsenv.DynamoDB.Config()),
	}
	settings := deletesessions.ReadSettings(&awsenv.Environment{})
	parts := deletesessions.Parts{Table: dynamo.New(calls.db, settings.SessionsTable), SystemsManager: calls.Client, Now: time.Now, Log: log}
	if name != callsAlone {
		return deletesessions.New(parts, settings).Handle
	}
	parts.Table, parts.SystemsManager = dynamo.New(calls, settings.SessionsTable), calls
	calls.handle = deletesessions.New(parts, settings).Handle
	return calls.Handle
}

// recordedCalls deletes a batch once, and after that only repeats its calls.
type recordedCalls struct {
	*ssm.Client
	db     *dynamodb.Client
	handle func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error)

	mu     sync.Mutex
	writes []*dynamodb.BatchExecuteStatementInput
	sends  []*ssm.SendCommandInput
}

// BatchExecuteStatement implements dynamo.API.
func (c *recordedCalls) BatchExecuteStatement(ctx context.Context, in *dynamodb.BatchExecuteStatementInput, opts ...func(*dynamodb.Options)) (*dynamodb.BatchExecuteStatementOutput, error) {
	c.mu.Lock()
	c.writes = append(c.writes, in)
	c.mu.Unlock()
	return c.db.BatchExecuteStatement(ctx, in, opts...)
}

// SendCommand implements runcommand.SenderAPI.
func (c *recordedCalls) SendCommand(ctx context.Context, in *ssm.SendCommandInput, opts ...func(*ssm.Options)) (*ssm.SendCommandOutput, error) {
	c.mu.Lock()
	c.sends = append(c.sends, in)
	c.mu.Unlock()
	return c.Client.SendCommand(ctx, in, opts...)
}

// Handle is the handler.
func (c *recordedCalls) Handle(ctx context.Context, req events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
	if len(c.writes) == 0 {
		return c.handle(ctx, req)
	}
	errs := make([]error, len(c.writes)+len(c.sends))
	var writes, sends sync.WaitGroup
	for i, in := range c.writes {
		writes.Go(func() { _, errs[i] = c.db.BatchExecuteStatement(ctx, in) })
	}
	writes.Wait()
	for i, in := range c.sends {
		sends.Go(func() { _, errs[len(c.writes)+i] = c.Client.SendCommand(ctx, in) })
	}
	sends.Wait()
	return events.APIGatewayV2HTTPResponse{StatusCode: 200}, errors.Join(errs...)
}

// inside runs in that process: it handles the event repeatedly, and prints its inners to
// stderr.
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
	spent := processorTime()
	walls := make([]time.Duration, times)
	for i := range walls {
		began := time.Now()
		if err := work(); err != nil {
			return err
		}
		walls[i] = time.Since(began)
	}
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
		Wall:    median(walls),
	})
}

// processorTime returns the processor time that this process has used so far.
func processorTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// runInside starts that process. profiles is the folder for the profiles, or "".
func runInside(ctx context.Context, server *standin.Server, name string, latency standin.Latency, n, hosts, times int, profiles string) (a inner, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return a, err
	}
	defer os.RemoveAll(dir)
	event := filepath.Join(dir, "event.json")
	if err := os.WriteFile(event, fill(server.Table, n, hosts), 0o600); err != nil {
		return a, err
	}
	server.Begin(latency)
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

// measureInside measures the processor time and the allocations of handlers.
func measureInside(ctx context.Context, r *report, server *standin.Server, quick bool) error {
	n := 1000
	repeats := 5
	if quick {
		repeats = 1
	}
	var rows [][]string
	var ours inner
	for _, who := range []string{"this system", callsAlone, "sequential", "concurrent"} {
		a, err := runInside(ctx, server, who, standin.Latency{}, n, 100, repeats, "")
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
	return measureFloor(ctx, r, server, n, quick)
}

// measureFloor compares a large batch with its calls alone, in turns.
func measureFloor(ctx context.Context, r *report, server *standin.Server, n int, quick bool) error {
	turns, repeats := 4, 15
	if quick {
		turns, repeats = 1, 1
	}
	walls, cpus := map[string][]time.Duration{}, map[string][]time.Duration{}
	for range turns {
		for _, who := range []string{"this system", callsAlone} {
			a, err := runInside(ctx, server, who, settings[0], n, 100, repeats, "")
			if err != nil {
				return err
			}
			walls[who], cpus[who] = append(walls[who], a.Wall), append(cpus[who], a.CPU)
		}
	}
	ideal := float64(settings[0].Table + settings[0].SystemsManager)
	show := func(who string) string {
		wall, cpu := median(walls[who]), slices.Min(cpus[who])
		return fmt.Sprintf("%s (%s the two round trips, %s of processor time)", ms(wall), times(float64(wall)/ideal), ms(cpu))
	}
	r.ratio("wall of this system against its calls alone, N=1000", float64(median(walls["this system"]))/float64(median(walls[callsAlone])))
	r.ratio("CPU of this system against its calls alone, N=1000", float64(slices.Min(cpus["this system"]))/float64(slices.Min(cpus[callsAlone])))
	text := fmt.Sprintf("In the median 1,000 sessions take this system %s; its calls alone take %s.\n", show("this system"), show(callsAlone))
	r.say("%s", text)
	r.brief["floor"] = text
	return nil
}
