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

var shared = sync.OnceValues(func() (*Server, error) {
	return Start(context.Background(), Options{TablesByKey: true})
})

// ForTest is the endpoint of the DynamoDB Local that the environment names, else
// of one that all tests of the binary share; it ends with the binary. Tests that
// may run beside each other and have tables of one name have an access key each.
// The test is skipped where there is none to be had, but fails if the environment
// says REQUIRE_ALL=1.
func ForTest(t TB) string {
	t.Helper()
	if endpoint := os.Getenv(EndpointVariable); endpoint != "" {
		return endpoint
	}
	s, err := shared()
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
