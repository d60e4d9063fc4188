package awsenv

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"dcv-session-broker/internal/awsenv/awsclient"
)

// A Connection names a client of a function, and the endpoint that the client resolves.
type Connection struct {
	Client   aws.HTTPClient
	Endpoint func(context.Context) (url string, err error)
}

// Variables for tests on slow machines.
var (
	// connectTime is how long a connection may take to open.
	connectTime = time.Second
	// longestWait is how long a call waits for that at most: a service that does not
	// answer, or an instance that was frozen meanwhile, must not delay the first event
	// more.
	longestWait = 250 * time.Millisecond
)

// Connect opens a connection to each service while the function starts: it resolves the
// name, reads the machine's certificates and makes the handshake. The start does not
// wait for it, but a call does: an instance that was started for an event gets that
// event immediately, and would otherwise make a second handshake.
//
// It opens them one after the other, in the order in which an event needs them: in
// parallel they would take the processor from each other and from the start.
//
// It requests the service's root path, without a signature and an operation, and
// accepts any answer. If the connection fails, the first call finds out.
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
		connection = waiting.HTTPClient // the client without the wait
	}
	resp, err := connection.Do(req)
	if err != nil {
		return
	}
	// Read to the end, so that the connection is kept for the next call.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4096))
	resp.Body.Close()
}

// A client makes the SDK's calls after its connection is open or has failed. In a large
// first batch all calls except one then resume that connection's TLS session.
type client struct {
	aws.HTTPClient
	opened <-chan struct{} // nil if Connect was not called for it
}

// Do implements aws.HTTPClient.
func (c *client) Do(req *http.Request) (*http.Response, error) {
	if c.opened != nil {
		c.wait(req.Context())
	}
	return awsclient.Client(c.HTTPClient).Do(req)
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
