// Package rapidtest sets how many random cases a test tries.
package rapidtest

import (
	"flag"
	"os"
	"testing"

	_ "pgregory.net/rapid" // defines the flag
)

// FewerChecks makes each rapid.Check of a test try so many cases. It is for tests of which each case takes long. It does
// nothing with REQUIRE_ALL=1, or where -rapid.checks says how many.
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
