package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"time"
)

// firstNext starts a function and returns how long it took from exec to its
// first request for an event, and how much processor time: what Lambda calls the
// init phase, without the download.
func firstNext(ctx context.Context, bootstrap string, env []string) (took, cpu time.Duration, err error) {
	asked := make(chan time.Time, 1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, 0, err
	}
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case asked <- time.Now():
			default:
			}
			<-r.Context().Done()
		}),
	}
	go server.Serve(listener)
	defer server.Close()

	cmd := exec.Command(bootstrap)
	cmd.Env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + listener.Addr().String()}, env...)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	select {
	case at := <-asked:
		cpu, err := processorTimeOf(cmd.Process.Pid)
		return at.Sub(began), cpu, err
	case <-ctx.Done():
		return 0, 0, fmt.Errorf("%s did not ask for an event: %w", bootstrap, ctx.Err())
	}
}
