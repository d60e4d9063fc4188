package awsenv

import (
	"os"
	"runtime/debug"
	"strconv"
)

// gcPercent of the default makes a quarter of a large batch's processor time
// the garbage collector's: what lives is a few megabytes, a batch of 1,000
// allocates thirty, and a function pays for its memory whether it uses it or
// not. More than this gains nothing: fresh memory costs as well.
const gcPercent = 800

// CollectRarely has garbage collected less often, as long as there is room:
// from three quarters of the function's memory on, as often as it takes. Who
// sets GOGC or GOMEMLIMIT decides.
func CollectRarely() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	megabytes, err := strconv.ParseInt(os.Getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), 10, 64)
	if err == nil && megabytes > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(megabytes << 20 / 4 * 3)
	}
}
