package awsenv

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A Service is where a function's calls go: the client that makes them, and
// the endpoint that it would choose.
type Service struct {
	Client   aws.HTTPClient
	Endpoint func(context.Context) (url string, err error)
}

// Connect opens a connection to each service while the function starts, for the
// first event to find it open: the name looked up, the certificates of the
// machine read, the handshake made. It waits for nothing, since the start goes
// on meanwhile: of that phase an on-demand function has a whole processor
// (serverlessland.com, "Utilize initialization phase"), later only the share
// that goes with its memory.
//
// One after the other, in the order in which an event needs them: they would
// only take the processor from each other, and from the start.
//
// It asks for the service's root, without a signature and without an operation,
// and takes any answer: only the connection is wanted. If there is none, the
// first call will find out.
func Connect(services ...Service) {
	go func() {
		for _, s := range services {
			s.connect()
		}
	}()
}

func (s Service) connect() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	url, err := s.Endpoint(ctx)
	if err != nil {
		return
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	resp, err := s.Client.Do(req)
	if err != nil {
		return
	}
	// Read to its end, or the connection would not be kept.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4096))
	resp.Body.Close()
}
