// Package telemetry writes a function's log lines, and its metrics in CloudWatch's
// embedded metric format, which need no call. Both go to stdout, from which Lambda
// sends them to the function's log group.
package telemetry

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"dcv-session-broker/internal/session"
)

// An Output writes a function's lines and metrics.
type Output struct {
	// Log writes the lines. It removes measurements (session.Measurement) from them and
	// keeps these until the invocation ends, whatever the line's level: fewer lines must
	// not mean fewer values.
	Log *slog.Logger

	metrics io.Writer
	stack   string
	now     func() time.Time

	mu       sync.Mutex
	running  []string // IDs of invocations
	measured sums
}

// JSON returns an Output of JSON lines from that level on.
func JSON(w io.Writer, level slog.Level, stack string, now func() time.Time) *Output {
	return New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}), w, stack, now)
}

// New returns an Output that writes lines and metrics to different places.
func New(lines slog.Handler, metrics io.Writer, stack string, now func() time.Time) *Output {
	o := &Output{metrics: metrics, stack: stack, now: now}
	o.Log = slog.New(&handler{Output: o, next: lines})
	return o
}

// Reporting wraps the function's handler: after each event it writes the measured
// values.
func (o *Output) Reporting(handle any) lambda.Handler {
	return reporting{o, lambda.NewHandler(handle)}
}

type reporting struct {
	*Output
	handler lambda.Handler
}

func (r reporting) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	id := ""
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		id = lc.AwsRequestID
	}
	r.begin(id)
	defer r.end(id) // also after a panic
	return r.handler.Invoke(ctx, event)
}

func (o *Output) begin(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running = append(o.running, id)
}

func (o *Output) end(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, running := range o.running {
		if running == id {
			o.running = append(o.running[:i], o.running[i+1:]...)
			break
		}
	}
	for _, document := range o.measured.documents(o.stack, o.now()) {
		// An error on stdout cannot be reported anywhere.
		_, _ = o.metrics.Write(append(document, '\n'))
	}
	o.measured = sums{}
}

// invocation returns the ID of the invocation under way. In Lambda there is at most
// one; if there are several, it is not known which one a line belongs to.
func (o *Output) invocation() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.running) == 1 {
		return o.running[0]
	}
	return ""
}

// handler removes measurements from log lines, and adds the invocation's ID.
type handler struct {
	*Output
	next slog.Handler
	// requestID is the attribute of the logger. Of an API's request it is the
	// invocation's ID, too, which is then written once.
	requestID string
}

// Enabled returns true for every level, since any line may have measurements.
func (h *handler) Enabled(context.Context, slog.Level) bool { return true }

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	line := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if m, ok := a.Value.Any().(session.Measurement); ok {
			h.mu.Lock()
			h.measured.add(m)
			h.mu.Unlock()
		} else {
			line.AddAttrs(a)
		}
		return true
	})
	if !h.next.Enabled(ctx, r.Level) {
		return nil
	}
	if id := h.invocation(); id != "" && id != h.requestID {
		line.AddAttrs(slog.String("InvocationId", id))
	}
	return h.next.Handle(ctx, line)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := &handler{h.Output, h.next.WithAttrs(attrs), h.requestID}
	for _, a := range attrs {
		if a.Key == "RequestId" {
			with.requestID = a.Value.String()
		}
	}
	return with
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.Output, h.next.WithGroup(name), h.requestID}
}
