package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dcv-session-broker/internal/dynamo"
	"dcv-session-broker/internal/session"
)

var (
	notWritten = session.ErrNotWritten
	unclear    = session.ErrUnclear
	condition  = session.ErrCondition
)

// wantAll checks that all writes have the same outcome; nil is success.
func wantAll(t *testing.T, results []session.Result, want error) {
	t.Helper()
	for i, r := range results {
		wantErr(t, i, r, want)
	}
}

func wantErr(t *testing.T, i int, r session.Result, want error) {
	t.Helper()
	if !errors.Is(r.Err, want) {
		t.Errorf("s-%d: %v, want %v", i, r.Err, want)
	}
	if r.Err != nil && !strings.Contains(r.Err.Error(), fmt.Sprintf("session s-%d: ", i)) {
		t.Errorf("the error does not name session s-%d: %v", i, r.Err)
	}
	if known := r.Err == nil || errors.Is(r.Err, condition); known != (r.Old != nil) {
		t.Errorf("s-%d: %v, with the old record %v", i, r.Err, r.Old)
	}
}

func TestHealthyBatchTakesTheFewestCallsSideBySide(t *testing.T) {
	for _, n := range []int{0, 1, 25, 26, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			calls := (n + 24) / 25
			var together sync.WaitGroup // until all calls have arrived
			together.Add(calls)
			s := &wire{meet: func(int, []string) fault {
				together.Done()
				together.Wait()
				return fault{}
			}}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			wantAll(t, s.table(t).Write(ctx, someWrites(n)), nil)
			if len(s.sent()) != calls {
				t.Errorf("%d calls for %d writes, want %d", len(s.sent()), n, calls)
			}
			for _, keys := range s.sent() {
				if len(keys) > 25 {
					t.Errorf("%d statements in one call", len(keys))
				}
			}
		})
	}
}

func TestOneRecordsWritesWaitForEachOther(t *testing.T) {
	var (
		mu       sync.Mutex
		underWay = map[string]bool{}
	)
	s := &wire{}
	s.meet = func(_ int, keys []string) fault {
		mu.Lock()
		for _, key := range keys {
			if underWay[key] {
				t.Errorf("a write of %s is sent while another has no answer", key)
			}
			underWay[key] = true
		}
		mu.Unlock()
		time.Sleep(5 * time.Millisecond)
		mu.Lock()
		for _, key := range keys {
			delete(underWay, key)
		}
		mu.Unlock()
		return fault{}
	}
	writes := slices.Concat(someWrites(60), someWrites(30), someWrites(1))
	results := s.table(t).Write(t.Context(), writes)
	for i, r := range results[:60] {
		wantErr(t, i, r, nil)
	}
	for i, r := range slices.Concat(results[60:90]) {
		wantErr(t, i, r, condition)
	}
	wantErr(t, 0, results[90], condition)
	if len(s.sent()) != 3+2+1 {
		t.Errorf("%d calls", len(s.sent()))
	}
}

func TestContextEndsBeforeTheAnswer(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &wire{meet: func(int, []string) fault {
		cancel()
		return fault{left: true}
	}}
	wantAll(t, s.table(t).Write(ctx, someWrites(2)), unclear)
}

func TestContextEndsBeforeTheNextTry(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &wire{refuse: func(int, string) string { return "ThrottlingError" }}
	wantAll(t, dynamo.New(ending{s.client(t), cancel}, "Sessions").Patient().Write(ctx, someWrites(1)), notWritten)
}

func TestContextEndedAlready(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &wire{}
	wantAll(t, s.table(t).Write(ctx, someWrites(30)), notWritten)
	if len(s.sent()) != 0 {
		t.Error("sent all the same")
	}
}
