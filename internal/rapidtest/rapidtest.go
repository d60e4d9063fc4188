// Package rapidtest sets how many random cases a test tries.
package rapidtest

import (
	"flag"
	"os"
	"testing"

	_ "pgregory.net/rapid" // defines the flag
)

// FewerChecks sets the number of cases of each rapid.Check of a test, for tests whose cases are slow. It does nothing
// with REQUIRE_ALL=1 or -rapid.checks.
func FewerChecks(t *testing.T, checks string) {
	t.Helper()
	f := flag.Lookup("rapid.checks")
	if os.Getenv("REQUIRE_ALL") == "1" || f.Value.String() != f.DefValue {
		return
	}
	set := func(value string) {
		if err := f.Value.Set(value); err != nil {
			t.Fatal(err)
		}
	}
	set(checks)
	t.Cleanup(func() { set(f.DefValue) })
}
