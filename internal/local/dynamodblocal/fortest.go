package dynamodblocal

import (
	"context"
	"errors"
	"os"
	"sync"
)

// TB is what ForTest needs of a *testing.T; package testing itself has no
// place in the local system's binary.
type TB interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

var (
	shared      = startedOnce(Options{})
	sharedByKey = startedOnce(Options{TablesByKey: true})
)

func startedOnce(o Options) func() (*Server, error) {
	return sync.OnceValues(func() (*Server, error) { return Start(context.Background(), o) })
}

// ForTest is the endpoint of a DynamoDB Local that all tests of the binary
// share; it ends with the binary. The test is skipped where there is none to
// be had, but fails if the environment says REQUIRE_ALL=1.
func ForTest(t TB) string {
	t.Helper()
	return forTest(t, shared)
}

// ForTestByKey is the endpoint of another one, which has tables of their own
// for each access key. All else is as with ForTest.
func ForTestByKey(t TB) string {
	t.Helper()
	return forTest(t, sharedByKey)
}

func forTest(t TB, started func() (*Server, error)) string {
	t.Helper()
	s, err := started()
	if err == nil {
		return s.Endpoint()
	}
	missing := errors.Is(err, ErrNoLibrary) || errors.Is(err, ErrNoJava)
	if missing && os.Getenv("REQUIRE_ALL") != "1" {
		t.Skipf("%v. `make test` fetches it where Java 17 and Maven are installed.", err)
	}
	t.Fatalf("%v", err)
	return ""
}
