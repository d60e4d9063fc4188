package awsenv_test

import (
	"math"
	"runtime/debug"
	"testing"

	"dcv-session-broker/internal/awsenv"
)

func TestGarbageIsCollectedRarelyWhileThereIsRoom(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64))
	for _, tc := range []struct {
		size, gogc, limit string
		percent           int
		most              int64
	}{
		{"512", "", "", 800, 384 << 20},
		{"128", "", "", 800, 96 << 20},
		{"", "", "", 800, math.MaxInt64},
		{"all of it", "", "", 800, math.MaxInt64},
		{"512", "50", "100MiB", 100, math.MaxInt64}, // the runtime has read them already
	} {
		debug.SetGCPercent(100)
		debug.SetMemoryLimit(math.MaxInt64)
		t.Setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", tc.size)
		t.Setenv("GOGC", tc.gogc)
		t.Setenv("GOMEMLIMIT", tc.limit)
		awsenv.CollectRarely()
		if percent, most := debug.SetGCPercent(100), debug.SetMemoryLimit(-1); percent != tc.percent || most != tc.most {
			t.Errorf("%+v: GOGC %d, limit %d", tc, percent, most)
		}
	}
}
