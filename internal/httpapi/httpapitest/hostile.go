package httpapitest

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"dcv-session-broker/internal/httpapi"
)

const largestBody = 6 << 20 // the gateway's limit

// Fill repeats a text up to the size of the largest body.
func Fill(before, text, after string) string {
	return before + strings.Repeat(text, (largestBody-len(before)-len(after))/len(text)) + after
}

// Fields returns as many fields as fit, each with another name.
func Fields(before, after string) string {
	var b strings.Builder
	b.WriteString(before)
	for n := 0; b.Len() < largestBody-20; n++ {
		fmt.Fprintf(&b, `"%x":1,`, n)
	}
	return b.String() + `"end":1` + after
}

// allocated returns how many bytes f allocates, including those freed meanwhile.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TakesLittleMemory checks that parsing a hostile body takes little memory, and that
// the answer names the fault.
func TakesLittleMemory(t *testing.T, name, text, fault string, parse func(body []byte) []httpapi.Fault) {
	t.Helper()
	body := []byte(text)
	var faults []httpapi.Fault
	got := allocated(func() { faults = parse(body) })
	if most := 15 * uint64(len(body)); got > most {
		t.Errorf("%s: %.1f times the body is allocated", name, float64(got)/float64(len(body)))
	}
	if len(faults) == 0 || !strings.HasPrefix(faults[0].Reason, fault) {
		t.Errorf("%s: %.300v", name, faults)
	}
}
