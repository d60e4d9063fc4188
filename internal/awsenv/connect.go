package awsenv

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A Connection is where a function's calls go: the client that makes them, and
// the endpoint that it would choose.
type Connection struct {
	Client   aws.HTTPClient
	Endpoint func(context.Context) (url string, err error)
}

// Variables for tests on slow machines.
var (
	// connectTime is how long a connection may take to open.
	connectTime = time.Second
	// longestWait is how long a call waits for that, at most: a service that does
	// not answer, or an instance that was frozen meanwhile, must not take the
	// first event's time.
	longestWait = 250 * time.Millisecond
)

// Connect opens a connection to each service while the function starts: the name
// looked up, the certificates of the machine read, the handshake made. The start
// does not wait for it, but a call does: an instance that is started for an
// event has it immediately, while the handshake is still going on, and would
// make a second one.
//
// One after the other, in the order in which an event needs them: they would
// only take the processor from each other, and from the start.
//
// It asks for the service's root, without a signature and without an operation,
// and takes any answer: only the connection is wanted. If there is none, the
// first call will find out.
func Connect(connections ...Connection) {
	opened := make([]chan struct{}, len(connections))
	for i, c := range connections {
		opened[i] = make(chan struct{})
		if waiting, ok := c.Client.(*client); ok {
			waiting.opened = opened[i]
		}
	}
	go func() {
		for i, c := range connections {
			c.connect()
			close(opened[i])
		}
	}()
}

func (c Connection) connect() {
	ctx, cancel := context.WithTimeout(context.Background(), connectTime)
	defer cancel()
	url, err := c.Endpoint(ctx)
	if err != nil {
		return
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	connection := c.Client
	if waiting, ok := connection.(*client); ok {
		connection = waiting.HTTPClient // which waits for nothing
	}
	resp, err := connection.Do(req)
	if err != nil {
		return
	}
	// Read to its end: then the connection is free, and kept.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4096))
	resp.Body.Close()
}

// A client makes the SDK's calls once its connection is open, or could not be
// opened. Of the calls of a large first batch all but one then resume that
// connection's TLS session.
type client struct {
	aws.HTTPClient
	opened <-chan struct{} // nil if nobody opens it
}

// Do implements aws.HTTPClient.
func (c *client) Do(req *http.Request) (*http.Response, error) {
	if c.opened != nil {
		c.wait(req.Context())
	}
	return c.HTTPClient.Do(req)
}

func (c *client) wait(ctx context.Context) {
	select {
	case <-c.opened:
		return
	default:
	}
	longest := time.NewTimer(longestWait)
	defer longest.Stop()
	select {
	case <-c.opened:
	case <-longest.C:
	case <-ctx.Done():
	}
}
