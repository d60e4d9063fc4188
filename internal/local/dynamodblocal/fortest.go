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

// TB is the part of *testing.T that ForTest uses, so that the local system's binary
// does not import package testing.
type TB interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

var shared = sync.OnceValues(func() (*Server, error) {
	return Start(context.Background(), Options{TablesByKey: true})
})

// TestKey is the access key of this run of the test binary, letters and digits. With
// it, or a key that begins with it, tests have their own tables also on a shared
// server.
var TestKey = "test" + strconv.FormatInt(time.Now().UnixNano(), 36)

// ForTest returns the endpoint of the DynamoDB Local that the environment names,
// otherwise of one that all tests of the binary share and that ends with it. If neither
// exists the test is skipped, or fails if the environment has REQUIRE_ALL=1.
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

// ConfigForTest returns the configuration for ForTest's endpoint with TestKey.
func ConfigForTest(t TB) aws.Config {
	t.Helper()
	return ConfigOf(ForTest(t), TestKey)
}
