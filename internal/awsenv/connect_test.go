package awsenv_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/runcommand"
)

// A service answers every call with {}, and counts its connections.
type service struct {
	*httptest.Server
	opened  atomic.Int32
	idle    chan struct{} // receives a value when a connection is idle
	unknown atomic.Int32  // requests that name no operation
	resumed atomic.Int32  // requests on a connection that resumed a session
	opening chan struct{} // if it is set, requests that name no operation are answered after it is closed
}

func newService(t *testing.T, start func(*httptest.Server)) *service {
	s := &service{idle: make(chan struct{}, 100)}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") == "" {
			s.unknown.Add(1)
			if s.opening != nil {
				<-s.opening
			}
			w.WriteHeader(http.StatusNotFound)
		}
		if r.TLS != nil && r.TLS.DidResume {
			s.resumed.Add(1)
		}
		io.WriteString(w, "{}")
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			s.opened.Add(1)
		case http.StateIdle:
			s.idle <- struct{}{}
		}
	}
	start(s.Server)
	t.Cleanup(s.Close)
	return s
}

// nowhere is a service without an endpoint: the others are still connected.
func nowhere() awsenv.Connection {
	return awsenv.Connection{Endpoint: func(context.Context) (string, error) { return "", errors.New("no such region") }}
}

func TestFirstCallFindsAConnection(t *testing.T) {
	lambda(t)
	awsenv.WaitLong(t)
	for name, call := range map[string]func(url string) (connect func(), first func() error){
		"DynamoDB": func(url string) (connect func(), first func() error) {
			c := dynamodb.NewFromConfig(awsenv.Service{CallTimeout: time.Minute}.Config(), func(o *dynamodb.Options) { o.BaseEndpoint = &url })
			return func() {
					awsenv.Connect(nowhere(), awsenv.Connection{Client: c.Options().HTTPClient, Endpoint: dynamo.Endpoint(c)})
				},
				func() error { _, err := c.ListTables(t.Context(), nil); return err }
		},
		"Systems Manager": func(url string) (connect func(), first func() error) {
			c := ssm.NewFromConfig(awsenv.Service{CallTimeout: time.Minute}.Config(), func(o *ssm.Options) { o.BaseEndpoint = &url })
			return func() {
					awsenv.Connect(nowhere(), awsenv.Connection{Client: c.Options().HTTPClient, Endpoint: runcommand.Endpoint(c)})
				},
				func() error { _, err := c.DescribeInstanceInformation(t.Context(), nil); return err }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, (*httptest.Server).Start)
			connect, first := call(s.URL)
			connect()
			// Whether the connection is open yet or not.
			if name == "DynamoDB" {
				select {
				case <-s.idle:
				case <-time.After(5 * time.Minute):
					t.Fatal("no connection was opened")
				}
			}
			if err := first(); err != nil {
				t.Fatal(err)
			}
			if s.opened.Load() != 1 || s.unknown.Load() != 1 {
				t.Errorf("%d connections, %d requests that name no operation", s.opened.Load(), s.unknown.Load())
			}
		})
	}
}

// The event for which an instance is started arrives while its connections are being
// opened.
func TestCallDuringTheHandshakeMakesNoSecondOne(t *testing.T) {
	lambda(t)
	awsenv.WaitLong(t)
	s := newService(t, (*httptest.Server).Start)
	s.opening = make(chan struct{})
	c := dynamodb.NewFromConfig(awsenv.Service{CallTimeout: time.Minute}.Config(), func(o *dynamodb.Options) { o.BaseEndpoint = &s.URL })
	awsenv.Connect(awsenv.Connection{Client: c.Options().HTTPClient, Endpoint: dynamo.Endpoint(c)})
	called := make(chan error)
	for range 3 {
		go func() {
			_, err := c.ListTables(t.Context(), nil)
			called <- err
		}()
	}
	time.Sleep(50 * time.Millisecond) // time for calls that do not wait
	if n := s.opened.Load(); n != 1 {
		t.Errorf("%d connections are being opened", n)
	}
	close(s.opening)
	for range 3 {
		if err := <-called; err != nil {
			t.Error(err)
		}
	}
}

// The second service is connected after the first has answered.
func TestOneConnectionAfterTheOther(t *testing.T) {
	first, second := newService(t, (*httptest.Server).Start), newService(t, (*httptest.Server).Start)
	first.opening = make(chan struct{})
	at := func(s *service) awsenv.Connection {
		return awsenv.Connection{Client: awshttp.NewBuildableClient(), Endpoint: func(context.Context) (string, error) { return s.URL, nil }}
	}
	awsenv.Connect(at(first), at(second))
	time.Sleep(50 * time.Millisecond) // time for a connection that does not wait
	if n := second.opened.Load(); n != 0 {
		t.Errorf("%d connections to the second", n)
	}
	close(first.opening)
	select {
	case <-second.idle:
	case <-time.After(5 * time.Minute):
		t.Error("none to the second")
	}
}

// A service that accepts connections but does not answer still gets the call; a
// cancelled call does not wait.
func TestNoCallWaitsForLong(t *testing.T) {
	lambda(t)
	s := newService(t, (*httptest.Server).Start)
	s.opening = make(chan struct{})
	t.Cleanup(func() { close(s.opening) })
	c := dynamodb.NewFromConfig(awsenv.Service{CallTimeout: time.Minute}.Config(), func(o *dynamodb.Options) { o.BaseEndpoint = &s.URL })
	awsenv.Connect(awsenv.Connection{Client: c.Options().HTTPClient, Endpoint: dynamo.Endpoint(c)})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.ListTables(ended, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that was ended: %v", err)
	}
	if _, err := c.ListTables(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestEndpointsAreAWSsOwn(t *testing.T) {
	lambda(t)
	db := dynamodb.NewFromConfig(awsenv.Service{CallTimeout: time.Second}.Config())
	if url, err := dynamo.Endpoint(db)(t.Context()); err != nil || url != "https://dynamodb.eu-central-1.amazonaws.com" {
		t.Errorf("%q, %v", url, err)
	}
	systemsManager := ssm.NewFromConfig(awsenv.Service{CallTimeout: time.Second}.Config())
	if url, err := runcommand.Endpoint(systemsManager)(t.Context()); err != nil || url != "https://ssm.eu-central-1.amazonaws.com" {
		t.Errorf("%q, %v", url, err)
	}
}

// The start does not wait for the connection, and a failure has no effect.
func TestStartDoesNotWaitForTheConnection(t *testing.T) {
	returned, asked := make(chan struct{}), make(chan struct{})
	awsenv.Connect(awsenv.Connection{Client: awshttp.NewBuildableClient(), Endpoint: func(context.Context) (string, error) {
		<-returned // it would block if the start waited
		defer close(asked)
		return "", errors.New("no such region")
	}})
	close(returned)
	<-asked
}

// Connections after the first resume its TLS session.
func TestConnectionsResumeTheirSession(t *testing.T) {
	lambda(t)
	s := newService(t, (*httptest.Server).StartTLS)
	client := awsenv.Calls(awsenv.Service{CallTimeout: time.Minute}.Config().HTTPClient).(*awshttp.BuildableClient).WithTransportOptions(func(tr *http.Transport) {
		tr.TLSClientConfig.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		tr.TLSClientConfig.NextProtos = []string{"http/1.1"} // like the services
		tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	})
	get := func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Close = true // each request opens a connection
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	get()
	get()
	if opened, resumed := s.opened.Load(), s.resumed.Load(); opened != 2 || resumed != 1 {
		t.Errorf("of %d connections %d resumed the session", opened, resumed)
	}
}
