// Package runtimeapi runs a built function, the file that is deployed, through the
// Lambda Runtime API, as Lambda does.
package runtimeapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// A Function is a running bootstrap. It handles one event at a time, like an instance
// of a Lambda function: it requests the next event after its answer.
type Function struct {
	cmd    *exec.Cmd
	server *http.Server
	output lockedBuffer
	exited chan struct{}

	events  chan *event
	current atomic.Pointer[event] // the last event that the function received
}

type event struct {
	id       string
	deadline time.Time
	body     []byte
	answer   chan answer // buffered: an answer may come after Invoke has returned
}

type answer struct {
	failed bool
	body   []byte
}

// Start runs a bootstrap with exactly that environment.
func Start(bootstrap string, env []string) (*Function, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &Function{
		cmd:    exec.Command(bootstrap),
		exited: make(chan struct{}),
		events: make(chan *event),
	}
	f.server = &http.Server{Handler: f.api(), ReadHeaderTimeout: 10 * time.Second}
	go f.server.Serve(listener)
	f.cmd.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String()}, env...)
	f.cmd.Stdout, f.cmd.Stderr = &f.output, &f.output
	if err := f.cmd.Start(); err != nil {
		f.server.Close()
		return nil, err
	}
	go func() {
		f.cmd.Wait()
		close(f.exited)
	}()
	return f, nil
}

// Stop ends the function.
func (f *Function) Stop() {
	f.cmd.Process.Kill()
	<-f.exited
	f.server.Close()
}

// Output returns what the function has written to stdout and stderr.
func (f *Function) Output() string { return f.output.String() }

// Pid returns the ID of the function's process.
func (f *Function) Pid() int { return f.cmd.Process.Pid }

// Invoke implements lambda.Handler. The request's ID and deadline are those of
// the context.
func (f *Function) Invoke(ctx context.Context, body []byte) ([]byte, error) {
	lc, ok := lambdacontext.FromContext(ctx)
	deadline, hasDeadline := ctx.Deadline()
	if !ok || !hasDeadline {
		return nil, errors.New("the context has no request ID, or no deadline")
	}
	if err := ctx.Err(); err != nil { // otherwise select could still send the event
		return nil, err
	}
	e := &event{lc.AwsRequestID, deadline, body, make(chan answer, 1)}
	select {
	case f.events <- e:
	case <-f.exited:
		return nil, fmt.Errorf("the function has ended: %s", f.Output())
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case a := <-e.answer:
		return a.result()
	case <-f.exited:
		select {
		case a := <-e.answer: // it ended after its answer, as after a panic
			return a.result()
		default:
			return nil, fmt.Errorf("the function ended during the event: %s", f.Output())
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a answer) result() ([]byte, error) {
	if a.failed {
		return nil, fmt.Errorf("the function failed: %s", a.body)
	}
	return a.body, nil
}

// api is Lambda's side (Lambda developer guide, "Using the Lambda runtime API
// for custom runtimes").
func (f *Function) api() http.Handler {
	const base = "/2018-06-01/runtime/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+"invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case e := <-f.events:
			f.current.Store(e)
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", e.id)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(e.deadline.UnixMilli(), 10))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:local")
			w.Write(e.body)
		case <-r.Context().Done():
		}
	})
	take := func(failed bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			e := f.current.Load()
			if e == nil || e.id != r.PathValue("id") {
				http.Error(w, "not the event under way", http.StatusBadRequest)
				return
			}
			a := answer{failed, body}
			if !failed && !json.Valid(body) {
				a.failed, a.body = true, []byte("the answer is not JSON: "+string(body))
			}
			select {
			case e.answer <- a:
			default: // the first answer counts
			}
			w.WriteHeader(http.StatusAccepted)
		}
	}
	mux.HandleFunc("POST "+base+"invocation/{id}/response", take(false))
	mux.HandleFunc("POST "+base+"invocation/{id}/error", take(true))
	mux.HandleFunc("POST "+base+"init/error", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(&f.output, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})
	return mux
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.TrimSpace(b.text.String())
}
