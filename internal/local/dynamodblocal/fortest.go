package dynamodblocal

import (
	"context"
	"errors"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
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

// TestKey is the access key of this test binary, letters and digits: by it, and by
// keys that begin with it, tests have tables that no other binary and no other run
// sees, also where the server is shared.
var TestKey = "test" + strconv.FormatInt(time.Now().UnixNano(), 36)

// ForTest is the endpoint of the DynamoDB Local that the environment names, else
// of one that all tests of the binary share; it ends with the binary. The test is
// skipped where there is none to be had, but fails if the environment says
// REQUIRE_ALL=1.
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

// ConfigForTest is for ForTest's endpoint, with TestKey.
func ConfigForTest(t TB) aws.Config {
	t.Helper()
	return ConfigOf(ForTest(t), TestKey)
}
