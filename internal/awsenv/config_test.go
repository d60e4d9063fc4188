package awsenv_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/awsenv"
)

// lambda sets the variables that Lambda sets.
func lambda(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token",
		"CALL_TIMEOUT_SECONDS": "", "AWS_ENDPOINT_URL_SSM": "", "AWS_ENDPOINT_URL": "",
	} {
		t.Setenv(name, value)
	}
}

// client returns a client like those of the functions, but with shorter pauses.
func client(t *testing.T, timeout time.Duration, serve http.HandlerFunc) *ssm.Client {
	t.Helper()
	lambda(t)
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	t.Setenv("AWS_ENDPOINT_URL_SSM", server.URL)
	return ssm.NewFromConfig(awsenv.Service{Name: "SSM", CallTimeout: timeout}.Config(), func(o *ssm.Options) {
		o.Retryer = retry.AddWithMaxBackoffDelay(o.Retryer, time.Millisecond)
	})
}

// The precedence is that of config.LoadDefaultConfig: the service's own variable comes first.
func TestEndpointIsAWSsOwnUnlessItIsSet(t *testing.T) {
	for _, c := range []struct{ ofService, ofAll, want string }{
		{"", "", ""},
		{"http://localhost:1", "", "http://localhost:1"},
		{"", "http://localhost:2", "http://localhost:2"},
		{"http://localhost:1", "http://localhost:2", "http://localhost:1"},
	} {
		t.Setenv("AWS_ENDPOINT_URL_SSM", c.ofService)
		t.Setenv("AWS_ENDPOINT_URL", c.ofAll)
		if got := aws.ToString(awsenv.SystemsManager.Config().BaseEndpoint); got != c.want {
			t.Errorf("%q, and %q for all: %q", c.ofService, c.ofAll, got)
		}
	}
}

func TestCallsAreSignedAsTheFunction(t *testing.T) {
	var got http.Header
	c := client(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		_, _ = w.Write([]byte("{}"))
	})
	if _, err := c.DescribeInstanceInformation(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if token := got.Get("X-Amz-Security-Token"); token != "token" {
		t.Errorf("token: %q", token)
	}
	const want = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/"
	auth := got.Get("Authorization")
	if len(auth) < len(want) || auth[:len(want)] != want || auth[len(want)+8:len(want)+8+len("/eu-central-1/ssm/")] != "/eu-central-1/ssm/" {
		t.Errorf("Authorization: %q", auth)
	}
}

func TestMissingCredentialsAreAnError(t *testing.T) {
	lambda(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	if c, err := (awsenv.Service{CallTimeout: time.Second}).Config().Credentials.Retrieve(t.Context()); err == nil {
		t.Errorf("credentials: %v", c)
	}
}

func TestCallsAreTriedThreeTimes(t *testing.T) {
	for failures, want := range map[int32]bool{2: true, 3: false} {
		var tries atomic.Int32
		c := client(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
			if tries.Add(1) <= failures {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			_, _ = w.Write([]byte("{}"))
		})
		_, err := c.DescribeInstanceInformation(t.Context(), nil)
		if (err == nil) != want || tries.Load() != 3 {
			t.Errorf("%d failures: %d tries, %v", failures, tries.Load(), err)
		}
	}
}

func TestTryWithoutAnAnswerEnds(t *testing.T) {
	for name, override := range map[string]string{"as given": "", "overridden": "1"} {
		t.Run(name, func(t *testing.T) {
			ends := make(chan struct{})
			var tries atomic.Int32
			given := 20 * time.Millisecond
			if override != "" {
				given = time.Hour
			}
			c := client(t, given, func(http.ResponseWriter, *http.Request) {
				tries.Add(1)
				<-ends
			})
			t.Cleanup(func() { close(ends) })
			t.Setenv("CALL_TIMEOUT_SECONDS", override)
			if override != "" {
				c = ssm.NewFromConfig(awsenv.Service{Name: "SSM", CallTimeout: given}.Config(), func(o *ssm.Options) {
					o.Retryer = retry.AddWithMaxAttempts(o.Retryer, 1)
				})
			}
			var timeout net.Error
			_, err := c.DescribeInstanceInformation(t.Context(), nil)
			if !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("%d tries: %v", tries.Load(), err)
			}
		})
	}
}

// A batch of 1,000 sessions is 40 parallel calls; the next batch uses the same
// connections, except some that are not returned yet.
func TestConnectionsAreKept(t *testing.T) {
	const calls = 40
	var (
		arrived sync.WaitGroup
		mu      sync.Mutex
		clients = map[string]bool{}
	)
	c := client(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		clients[r.RemoteAddr] = true
		mu.Unlock()
		arrived.Done()
		arrived.Wait() // until all have arrived
		_, _ = w.Write([]byte("{}"))
	})
	for range 2 {
		arrived.Add(calls)
		var all sync.WaitGroup
		for range calls {
			all.Go(func() {
				if _, err := c.DescribeInstanceInformation(t.Context(), nil); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	if len(clients) > calls*3/2 {
		t.Errorf("%d connections for twice %d calls", len(clients), calls)
	}
}
