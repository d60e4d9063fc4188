package awsenv

import (
	"os"
	"runtime/debug"
	"strconv"
)

// gcPercent: with the default the garbage collector takes a quarter of a large batch's
// processor time. Live memory is a few megabytes, a batch of 1,000 allocates thirty,
// and a function pays for its memory whether it uses it or not. A higher value gains
// nothing, since fresh memory costs time, too.
const gcPercent = 800

// CollectRarely makes garbage collection rarer while there is memory: above three
// quarters of the function's memory it runs as often as necessary. GOGC and GOMEMLIMIT
// override it.
func CollectRarely() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	megabytes, err := strconv.ParseInt(os.Getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), 10, 64)
	if err == nil && megabytes > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(megabytes << 20 / 4 * 3)
	}
}
