package runcommand_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"dcv-session-broker/internal/awsenv"
	"dcv-session-broker/internal/runcommand"
	"dcv-session-broker/internal/session"
)

// A wire is the way from the SDK's client, as the functions have it, to the
// simulated service. What each request meets is decided by meets.
type wire struct {
	sm *systemsManager
	// meets is what happens to the nth SendCommand: a status and a body that
	// answer it, or one of the ways below.
	meets func(n int) way

	mu    sync.Mutex
	sends int
	done  chan struct{} // ends requests that hang
}

type way struct {
	status int
	body   string
	hang   bool // no answer
	land   bool // it gets through to the service, but the answer is lost
}

var through = way{}

// sent is how many SendCommands have arrived.
func (w *wire) sent() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sends
}

func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	meets := through
	if r.Header.Get("X-Amz-Target") == "AmazonSSM.SendCommand" {
		w.mu.Lock()
		w.sends++
		meets = w.meets(w.sends)
		w.mu.Unlock()
	}
	switch {
	case meets.status > 0:
		rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
		rw.WriteHeader(meets.status)
		_, _ = io.WriteString(rw, meets.body)
	case meets.hang:
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-r.Context().Done():
		case <-w.done:
		}
	case meets.land:
		w.sm.Handler().ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	default:
		w.sm.Handler().ServeHTTP(rw, r)
	}
}

// over gives a Sender that speaks to the hosts over a wire, with that time for
// each answer.
func over(t *testing.T, sm *systemsManager, timeout time.Duration, meets func(n int) way) (*runcommand.Sender, *wire) {
	t.Helper()
	w := &wire{sm: sm, meets: meets, done: make(chan struct{})}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(w.done) })
	t.Setenv("CALL_TIMEOUT_SECONDS", "")
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	client := ssm.NewFromConfig(awsenv.Service{CallTimeout: timeout}.Config(), func(o *ssm.Options) {
		o.BaseEndpoint = aws.String(server.URL)
		o.Retryer = retry.AddWithMaxBackoffDelay(o.Retryer, time.Millisecond)
	})
	return &runcommand.Sender{API: client, CloseDocument: "CloseDocument", FleetTag: "test"}, w
}

func always(w way) func(int) way { return func(int) way { return w } }

func onlyFirst(w way) func(int) way {
	return func(n int) way {
		if n == 1 {
			return w
		}
		return through
	}
}

// No host is blamed for what may have been sent or may be sent yet: the lease
// decides.
func TestFaultsOfTheServiceAreUnclear(t *testing.T) {
	for name, meets := range map[string]way{
		"throttled":          {status: 400, body: `{"__type":"ThrottlingException","message":"Rate exceeded"}`},
		"too many requests":  {status: 400, body: `{"__type":"com.amazonaws.ssm#TooManyRequestsException"}`},
		"its own error":      {status: 500, body: `{"__type":"InternalServerError","message":"internal"}`},
		"not available":      {status: 503, body: `Service Unavailable`},
		"an error of a name": {status: 502, body: `{"__type":"InvalidInstanceId"}`},
		"time-out":           {hang: true},
		"answer lost":        {land: true},
	} {
		t.Run(name, func(t *testing.T) {
			sm := newSystemsManager(t, "exit 0\n", 3)
			timeout := time.Minute
			if meets.hang {
				timeout = 50 * time.Millisecond
			}
			c, wire := over(t, sm, timeout, always(meets))
			errs := c.Close(t.Context(), attempt(3))
			for _, err := range errs {
				if refusal := (*session.Refusal)(nil); err == nil || errors.As(err, &refusal) {
					t.Errorf("answer: %v; want an unclear one", err)
				}
			}
			tries := 3
			if meets.status == 400 { // throttled
				tries = 2
			}
			// One that times out may not even have arrived.
			if n := wire.sent(); n != tries && !meets.hang || n > tries {
				t.Errorf("%d tries, want %d", n, tries)
			}
		})
	}
}

func TestPassingFaultsOfTheServiceAreNoFaults(t *testing.T) {
	for name, meets := range map[string]way{
		"throttled":   {status: 400, body: `{"__type":"ThrottlingException"}`},
		"its error":   {status: 500, body: `{"__type":"InternalServerError"}`},
		"time-out":    {hang: true},
		"answer lost": {land: true},
	} {
		t.Run(name, func(t *testing.T) {
			sm := newSystemsManager(t, "exit 0\n", 3)
			c, _ := over(t, sm, 2*time.Second, onlyFirst(meets))
			if err := errors.Join(c.Close(t.Context(), attempt(3))...); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRefusalsOverTheWireAreRefusals(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 5)
	sm.do(sm.Disconnect, 1)
	sm.do(sm.Untag, 3)
	c, wire := over(t, sm, time.Minute, always(through))
	for n, err := range c.Close(t.Context(), attempt(5)) {
		refusal := (*session.Refusal)(nil)
		if bad := n == 1 || n == 3; errors.As(err, &refusal) != bad || !bad && err != nil {
			t.Errorf("host %d: %v", n, err)
		}
	}
	if n := wire.sent(); n != 2 {
		t.Errorf("SendCommand was called %d times", n)
	}
}

// One half of a refused command is throttled: only that half is unclear.
func TestUnclearHalfStaysOneHalf(t *testing.T) {
	sm := newSystemsManager(t, "exit 0\n", 4)
	unsupported := way{status: 400, body: `{"__type":"UnsupportedPlatformType"}`}
	c, _ := over(t, sm, time.Minute, func(n int) way {
		switch n {
		case 1:
			return unsupported // all four
		case 2:
			return through // the first two
		}
		return way{status: 400, body: `{"__type":"ThrottlingException"}`}
	})
	errs := c.Close(t.Context(), attempt(4))
	refusal := (*session.Refusal)(nil)
	if errs[0] != nil || errs[1] != nil || errs[2] == nil || errs[3] == nil || errors.As(errors.Join(errs...), &refusal) {
		t.Errorf("answers: %v", errs)
	}
}

// The same without a wire: what an error says of itself counts as well.
func TestErrorsOfTheServiceItselfAreUnclear(t *testing.T) {
	for _, cause := range []error{&types.InternalServerError{}, &smithy.GenericAPIError{Code: "RequestLimitExceeded"}, errors.New("connection reset")} {
		sm := newSystemsManager(t, "exit 0\n", 2)
		sm.fault = func(string, int) error { return cause }
		a := attempt(2)
		if refused, unclear := sm.outcome(a, sm.sender().Close(t.Context(), a)); len(refused) > 0 || len(unclear) != 2 || len(sm.calls) != 1 {
			t.Errorf("%v: calls %v, refused %v, unclear %v", cause, sm.calls, refused, unclear)
		}
	}
}

func TestTimeThatIsUpIsUnclear(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		sm := newSystemsManager(t, "exit 0\n", 3)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		errs := sm.sender().Close(ctx, attempt(3))
		if refusal := (*session.Refusal)(nil); errors.As(errors.Join(errs...), &refusal) || slices.Contains(errs, nil) {
			t.Errorf("answers: %v", errs)
		}
		if len(sm.calls) > 0 {
			t.Errorf("calls: %v", sm.calls)
		}
	})
	t.Run("while hosts at fault are looked for", func(t *testing.T) {
		sm := newSystemsManager(t, "exit 0\n", 8)
		sm.do(sm.Disconnect, 1)
		ctx, cancel := context.WithCancel(t.Context())
		sm.fault = func(operation string, _ int) error {
			if operation == "DescribeInstanceInformation" {
				cancel()
				return ctx.Err()
			}
			return nil
		}
		a := attempt(8)
		refused, unclear := sm.outcome(a, sm.sender().Close(ctx, a))
		if len(refused) > 0 || len(unclear) != 8 || len(sm.calls) != 2 {
			t.Errorf("calls %v, refused %v, unclear %v", sm.calls, refused, unclear)
		}
	})
}
