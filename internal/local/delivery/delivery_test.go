package delivery_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"dcv-session-broker/internal/local/delivery"
)

// Times here are those of a synctest bubble: exact, and without real waits.

type handler func(ctx context.Context, event []byte) ([]byte, error)

func (h handler) Invoke(ctx context.Context, event []byte) ([]byte, error) { return h(ctx, event) }

func function(h handler) *delivery.Function {
	return &delivery.Function{Name: "tested", Timeout: time.Hour, Handler: h}
}

var errFunction = errors.New("the function failed")

// batches are the batches that a function got.
type batches struct {
	mu  sync.Mutex
	all []string
}

func (b *batches) keep(batch string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, batch)
}

func (b *batches) got() []string {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.all)
}

// A gate makes a function wait until the test opens it.
type gate struct {
	open chan struct{}

	mu                sync.Mutex
	running, mostEver int
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) pass() {
	g.add(1)
	<-g.open
	g.add(-1)
}

func (g *gate) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running += n
	g.mostEver = max(g.mostEver, g.running)
}

func (g *gate) waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running
}

// stopping calls stop, and returns a function that tells whether stop has returned.
func stopping(stop func()) (stopped func() bool) {
	done := make(chan struct{})
	go func() {
		stop()
		close(done)
	}()
	return func() bool {
		synctest.Wait()
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

func TestEachInvocationHasItsOwnIDAndTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ids := map[string]bool{}
		f := &delivery.Function{Name: "tested", Timeout: 30 * time.Second, Handler: handler(func(ctx context.Context, event []byte) ([]byte, error) {
			lc, _ := lambdacontext.FromContext(ctx)
			ids[lc.AwsRequestID] = true
			if deadline, _ := ctx.Deadline(); time.Until(deadline) != 30*time.Second {
				t.Errorf("it has %v", time.Until(deadline))
			}
			time.Sleep(10 * time.Second)
			return event, nil
		})}
		for range 3 {
			if answer, err := f.Invoke(t.Context(), []byte(`"x"`)); err != nil || string(answer) != `"x"` {
				t.Errorf("%s %v", answer, err)
			}
		}
		if len(ids) != 3 || ids[""] {
			t.Errorf("request IDs: %v", ids)
		}
	})
}

func TestTimeOutEndsAnInvocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := function(func(ctx context.Context, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		if _, err := f.Invoke(t.Context(), nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestPanicIsAnErrorOfTheFunction(t *testing.T) {
	f := function(func(context.Context, []byte) ([]byte, error) { panic("out of order") })
	answer, err := f.Invoke(t.Context(), nil)
	if answer != nil || err == nil || !strings.Contains(err.Error(), "tested") || !strings.Contains(err.Error(), "out of order") {
		t.Errorf("%s %v", answer, err)
	}
}
